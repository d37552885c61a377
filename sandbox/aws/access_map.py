"""access.json: the DynamicFile map from which aws-iam-authenticator knows who may enter.

One real cluster stands behind every EKS cluster, so the map is the union of all access entries.
Assumption: EKS access policies are no Kubernetes groups; here each becomes one that the sandbox
binds to a role: ``AmazonEKSClusterAdminPolicy`` is ``system:masters``, any other policy is
``eks-access:POLICY``, or ``eks-access:POLICY:NAMESPACE`` where its scope is a namespace.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

from state import STATE

ADMIN_POLICY = "AmazonEKSClusterAdminPolicy"


def without_path(role_arn: str) -> str:
    """The authenticator derives role ARNs from session ARNs, which have no path."""
    head, _, name = role_arn.partition(":role/")
    return f"{head}:role/{name.rsplit('/', 1)[-1]}" if name else role_arn


def groups_of(policy_arn: str, scope: dict[str, Any]) -> list[str]:
    """Kubernetes groups for an associated access policy."""
    policy = policy_arn.rsplit("/", 1)[-1]
    if scope.get("type") == "namespace":
        return [f"eks-access:{policy}:{space}" for space in scope.get("namespaces") or []]
    return ["system:masters" if policy == ADMIN_POLICY else f"eks-access:{policy}"]


def render(entries: Iterable[tuple[str, str, Iterable[str]]]) -> dict[str, Any]:
    """The map of (principal ARN, user name, groups); groups of the same principal are joined."""
    merged: dict[str, tuple[str, set[str]]] = {}
    for arn, username, groups in entries:
        merged.setdefault(without_path(arn), (username, set()))[1].update(groups)
    roles, users = [], []
    for arn, (username, groups) in sorted(merged.items()):
        role = ":role/" in arn
        row = {"rolearn" if role else "userarn": arn}
        (roles if role else users).append(row | {"username": username, "groups": sorted(groups)})
    return {"mapRoles": roles, "mapUsers": users, "mapAccounts": []}


def write(entries: Iterable[tuple[str, str, Iterable[str]]]) -> None:
    """Write the map in place, as one write: the authenticator watches the inode and may read at any
    moment. A shorter map is padded with spaces, which JSON permits, instead of truncated."""
    text = json.dumps(render(entries), indent=1)
    path = STATE.options.directory / "access.json"
    with STATE.lock:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            os.pwrite(descriptor, text.ljust(size).encode(), 0)
        finally:
            os.close(descriptor)
