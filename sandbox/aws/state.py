"""Settings of the endpoint, and the one lock that guards everything in memory.

Identities that exist from the start (access key ids must be 20 characters of [A-Z0-9], the only
form that moto recognises); the secret of both is ``sandbox-secret``:

* ``AKIASANDBOX000000DEV``: ``arn:aws:iam::123456789012:user/sandbox-admin``, AdministratorAccess
* ``AKIASANDBOX000NOBODY``: ``arn:aws:iam::123456789012:user/nobody``, no policy and no access entry
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

ACCOUNT = "123456789012"
PARTITION = "aws"
SECRET = "sandbox-secret"
ADMIN_KEY_ID = "AKIASANDBOX000000DEV"
ADMIN_USER = "sandbox-admin"
NOBODY_KEY_ID = "AKIASANDBOX000NOBODY"
NOBODY_USER = "nobody"


@dataclass
class Config:
    """What ``POST /_sandbox/config`` may change; ``*_s`` are seconds, ``*_fail`` regular expressions
    (searched in the name; empty: nothing fails)."""

    eks_create_s: float = 3.0
    eks_delete_s: float = 1.0
    eks_update_s: float = 0.3
    eks_create_fail: str = ""
    eks_leak_security_group: bool = False
    eks_leak_network_interfaces: bool = False
    eks_leak_volumes: bool = False
    eks_unsupported_zones: list[str] = field(default_factory=lambda: ["us-east-1e"])
    nodegroup_create_s: float = 1.0
    nodegroup_delete_s: float = 1.0
    nodegroup_create_fail: str = ""
    addon_create_s: float = 1.0
    addon_delete_s: float = 0.3
    addon_create_fail: str = ""
    cfn_create_s: float = 1.0
    cfn_update_s: float = 0.5
    cfn_delete_s: float = 0.5
    cfn_create_fail: str = ""
    cfn_delete_fail: str = ""
    elb_release_s: float = 0.0
    iam_propagation_s: float = 0.0
    wipe_timeout_s: float = 120.0
    check_signatures: bool = True
    enforce_iam: bool = False

    def merged(self, change: dict[str, Any]) -> Config:
        """A copy with `change` applied; ValueError names an unknown key or a wrong type."""
        values = asdict(self)
        kinds = {f.name: type(values[f.name]) for f in fields(self)}
        for key, value in change.items():
            if key not in kinds:
                raise ValueError(f"unknown key `{key}`, known: {', '.join(kinds)}")
            if kinds[key] is float and isinstance(value, int) and not isinstance(value, bool):
                value = float(value)
            if type(value) is not kinds[key]:
                raise ValueError(f"`{key}` must be of type {kinds[key].__name__}")
            values[key] = value
        return Config(**values)


@dataclass(frozen=True)
class Options:
    """The command line: where the real parts behind the endpoint are."""

    port: int
    directory: Path
    kube_endpoint: str
    kube_ca: Path
    registry: str
    proxy_endpoint: str
    registry_password: str
    wipe_command: str | None = None
    nodes_command: str | None = None


class State:
    """Process-wide state. `generation` counts resets, so that background work started before a reset
    finds out that its world is gone."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.config = Config()
        self.generation = 0
        self._options: Options | None = None

    @property
    def options(self) -> Options:
        if self._options is None:
            raise RuntimeError("the endpoint was not started")
        return self._options

    @options.setter
    def options(self, value: Options) -> None:
        self._options = value

    def in_background(self, work: Callable[[Alive], None], name: str) -> None:
        """Run `work` in a daemon thread; it must ask the given `Alive` before every change."""
        alive = Alive(self, self.generation)
        threading.Thread(target=work, args=(alive,), name=name, daemon=True).start()


@dataclass(frozen=True)
class Alive:
    """Tells background work whether a reset happened since it was started."""

    state: State
    generation: int

    def __bool__(self) -> bool:
        return self.state.generation == self.generation

    def sleep(self, seconds: float) -> bool:
        """Sleep at most `seconds`; False as soon as a reset makes the work pointless."""
        end = time.monotonic() + seconds
        while self and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.2))
        return bool(self)


STATE = State()
