"""Injected faults: what AWS and the network do to a client, on demand and repeatable."""

from __future__ import annotations

import os
import random
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from errors import Refusal
from journal import JOURNAL

KINDS = ("throttle", "error", "reset", "delay", "timeout")
# Each service's own code and status for throttling; others as the JSON services.
THROTTLES: dict[str, tuple[int, str]] = {
    "eks": (429, "ThrottlingException"),
    "ec2": (503, "RequestLimitExceeded"),
    "sts": (400, "Throttling"),
    "iam": (400, "Throttling"),
    "cloudformation": (400, "Throttling"),
    "elbv2": (400, "Throttling"),
}
Result = TypeVar("Result")


class ConnectionLost(Exception):
    """The answer must not be sent: the shell resets the connection instead."""


@dataclass
class Fault:
    """`service` is a name (empty: any), `operation` a regular expression for the whole name, `times`
    how often it still fires (None: without end), with `each` how often on each operation, `after`: the
    work is done and the answer lost."""

    service: str = ""
    operation: str = ".*"
    times: int | None = 1
    percent: float = 100.0
    kind: str = "throttle"
    status: int | None = None
    code: str | None = None
    message: str | None = None
    delay_s: float = 0.0
    after: bool = False
    each: bool = False

    def __post_init__(self) -> None:
        self.fired: Counter[tuple[str, str]] = Counter()

    @classmethod
    def parse(cls, raw: Any) -> Fault:
        """From JSON; ValueError or TypeError say what is wrong."""
        if not isinstance(raw, dict):
            raise TypeError("a fault must be an object")
        known = [f.name for f in fields(cls)]
        if unknown := sorted(set(raw) - set(known)):
            raise ValueError(f"unknown fault key `{unknown[0]}`, known: {', '.join(known)}")
        fault = cls(**raw)
        if fault.kind not in KINDS:
            raise ValueError(f"unknown fault kind `{fault.kind}`, known: {', '.join(KINDS)}")
        try:
            re.compile(fault.operation)
        except (re.error, TypeError) as bad:
            raise ValueError(f"`operation` is no regular expression: {bad}") from bad
        return fault

    def hits(self, service: str, operation: str) -> bool:
        if self.is_spent(service, operation) or (self.service and self.service != service):
            return False
        if not re.fullmatch(self.operation, operation):
            return False
        return random.uniform(0, 100) < self.percent

    def is_spent(self, service: str, operation: str) -> bool:
        fired = self.fired[service, operation]
        return self.times is not None and fired >= self.times

    def count(self, service: str, operation: str) -> None:
        """It fired."""
        if self.each:
            self.fired[service, operation] += 1
        elif self.times is not None:
            self.times -= 1

    def refusal(self, service: str) -> Refusal:
        """The error of kinds `throttle` and `error`."""
        if self.kind == "throttle":
            status, code = THROTTLES.get(service, (400, "ThrottlingException"))
            text = "Rate exceeded"
        else:
            status, code, text = 500, "InternalFailure", "injected error"
        return Refusal(self.code or code, self.message or text, self.status or status)


class Faults:
    """The faults in force; the first that hits is used, and counted down."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def replace(self, raw: Any) -> None:
        if not isinstance(raw, list):
            raise TypeError("faults must be an array")
        faults = [Fault.parse(item) for item in raw]
        with self._lock:
            self._faults = faults

    def listed(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(fault) for fault in self._faults]

    def pick(self, service: str, operation: str) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.hits(service, operation):
                    fault.count(service, operation)
                    return fault
        return None

    def around(self, service: str, operation: str, work: Callable[[], Result]) -> Result:
        """Do `work` with the fault that hits it. Raises Refusal or ConnectionLost for the answer.
        `timeout` keeps silent for `delay_s` (default 60) and then drops the connection."""
        fault = self.pick(service, operation)
        if fault is None:
            return work()
        entry = JOURNAL.current
        done = work() if fault.after else None
        entry.fault = fault.kind  # told once the work is done
        time.sleep(fault.delay_s or (60.0 if fault.kind == "timeout" else 0.0))
        if fault.kind == "delay":
            return done if done is not None else work()
        if fault.kind in ("reset", "timeout"):
            raise ConnectionLost(fault.kind)
        raise fault.refusal(service)


def reset_connection(connection: socket.socket) -> None:
    """A real TCP RST: linger 0, then take the descriptor away from under the socket object."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, connection.fileno())
    os.close(nothing)


FAULTS = Faults()
