"""EKS clusters in memory, and the base of the EKS operations."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from moto.core.responses import BaseResponse
from moto.core.utils import utcnow

import access_map
import identity
from errors import Refusal
from state import STATE, Alive

Document = dict[str, Any]


@dataclass
class Lifecycle:
    """A timed state: CREATING until `ready_at`, then ACTIVE or `failed`, DELETING once `deleting`.
    `busy_until` is the end of an update."""

    create_s: float
    failed: str | None = None
    deleting: bool = False
    busy_until: float = 0.0
    ready_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.ready_at = time.monotonic() + self.create_s

    @property
    def status(self) -> str:
        now = time.monotonic()
        if self.deleting:
            return "DELETING"
        if now < self.ready_at:
            return "CREATING"
        if self.failed:
            return self.failed
        return "UPDATING" if now < self.busy_until else "ACTIVE"


@dataclass
class Part:
    """A node group or add-on: its document, as the API shows it, without status and health."""

    document: Document
    life: Lifecycle
    health: list[Document] = field(default_factory=list)

    def view(self) -> Document:
        issues = self.health if self.life.status == self.life.failed else []
        return {**self.document, "status": self.life.status, "health": {"issues": issues}}


@dataclass
class Entry:
    """An access entry; `policies` maps policy ARNs to what AssociateAccessPolicy answered."""

    document: Document
    policies: dict[str, Document] = field(default_factory=dict)


@dataclass
class Cluster:
    """One cluster with everything that lives and dies with it."""

    account: str
    region: str
    document: Document
    request: Document
    life: Lifecycle
    health: list[Document] = field(default_factory=list)
    network_interfaces: list[str] = field(default_factory=list)
    nodegroups: dict[str, Part] = field(default_factory=dict)
    addons: dict[str, Part] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    associations: dict[str, Document] = field(default_factory=dict)
    updates: dict[str, tuple[Document, Lifecycle]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.document["name"]

    def view(self) -> Document:
        """As DescribeCluster shows it: endpoint and CA only once the cluster was made."""
        shown = {**self.document, "status": self.life.status, "health": {"issues": []}}
        if self.life.status == "FAILED":
            shown["health"] = {"issues": self.health}
        if self.life.status in ("CREATING", "FAILED"):
            for name in ("endpoint", "certificateAuthority", "identity"):
                shown.pop(name, None)
        return shown

    def arn_of(self, kind: str, *parts: str) -> str:
        head = f"arn:aws:eks:{self.region}:{self.account}:{kind}/{self.name}"
        return "/".join([head, *parts])


def delete_part(
    parts: dict[str, Part], name: str, delete_s: float, gone: Callable[[], None] | None = None
) -> Part:
    """A part in DELETING; it is gone after `delete_s`, and `gone` is called under the lock."""
    part = parts[name]

    def forget(alive: Alive) -> None:
        if alive.sleep(delete_s):
            with STATE.lock:
                parts.pop(name, None)
                if gone:
                    gone()

    if not part.life.deleting:
        part.life.deleting = True
        STATE.in_background(forget, f"delete {name}")
    return part


CLUSTERS: dict[tuple[str, str, str], Cluster] = {}


def clusters_in(account: str, region: str) -> list[Cluster]:
    return [c for (a, r, _), c in sorted(CLUSTERS.items()) if (a, r) == (account, region)]


def write_access_map() -> None:
    """Publish the access entries of all clusters that are not being deleted."""

    def rows() -> Iterator[tuple[str, str, list[str]]]:
        for cluster in CLUSTERS.values():
            if cluster.life.deleting:
                continue
            for arn, entry in cluster.entries.items():
                groups = list(entry.document["kubernetesGroups"])
                for policy, answer in entry.policies.items():
                    groups += access_map.groups_of(policy, answer["accessScope"])
                yield arn, entry.document["username"], groups

    with STATE.lock:
        access_map.write(rows())


def bad_parameter(message: str, **members: Any) -> Refusal:
    return Refusal("InvalidParameterException", message, **members)


def bad_request(message: str) -> Refusal:
    return Refusal("InvalidRequestException", message)


def in_use(message: str, **members: Any) -> Refusal:
    return Refusal("ResourceInUseException", message, **members)


def not_found(message: str) -> Refusal:
    return Refusal("ResourceNotFoundException", message)


class EksCalls(BaseResponse):
    """What every group of EKS operations needs: parameters by their API names and the cluster."""

    def __init__(self) -> None:
        super().__init__(service_name="eks")
        self.automated_parameter_parsing = True

    def arg(self, name: str, default: Any = None) -> Any:
        value = self.params.get(name)
        return default if value is None else value

    def cluster(self, active: bool = False) -> Cluster:
        """The cluster that the request names; with `active` only in a state that allows changes."""
        name = self.arg("clusterName") or self.arg("name")
        found = CLUSTERS.get((self.current_account, self.region, name))
        if found is None:
            raise not_found(f"No cluster found for name: {name}.")
        if active and found.life.status != "ACTIVE":
            raise bad_request(f"Cluster '{name}' is not in ACTIVE status")
        return found

    def caller(self) -> identity.Caller:
        caller = identity.caller_of(self.access_key)
        if caller is None:
            raise Refusal("UnrecognizedClientException", identity.INVALID_TOKEN, 400)
        return caller

    def page(self, items: list[Any]) -> tuple[list[Any], str | None]:
        """`maxResults` (default 100) items after `nextToken`, which is an offset."""
        start, size = int(self.arg("nextToken", 0)), int(self.arg("maxResults", 100))
        more = str(start + size) if start + size < len(items) else None
        return items[start : start + size], more


def now() -> datetime:
    return utcnow()


def new_id() -> str:
    return str(uuid.uuid4())
