"""The record of every AWS call, in memory for ``/_sandbox/requests`` and as lines in journal.jsonl."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO


@dataclass
class Entry:
    """One call. `status` is 0 while it runs and when the answer was lost; `attempt` is the SDK's own
    count (``amz-sdk-request``), 1 where it sends none; `fault` the kind of the injected fault."""

    time: float
    service: str
    operation: str
    status: int = 0
    attempt: int = 1
    fault: str | None = None


class Journal:
    """Entries in order of arrival; written to the file when they are done."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[Entry] = []
        self._file: TextIO | None = None
        self._current = threading.local()

    def open(self, path: Path) -> None:
        self._file = path.open("a", buffering=1, encoding="utf-8")

    def begin(self, service: str, operation: str, attempt: int = 1) -> Entry:
        """Add an entry and make it the current one of this thread."""
        entry = Entry(round(time.time(), 3), service, operation, attempt=attempt)
        with self._lock:
            self._entries.append(entry)
        self._current.entry = entry
        return entry

    def end(self, entry: Entry, status: int) -> None:
        entry.status = status
        with self._lock:
            if self._file:
                self._file.write(json.dumps(asdict(entry)) + "\n")

    @property
    def current(self) -> Entry:
        return self._current.entry

    def entries(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(entry) for entry in self._entries]

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()


def attempt_of(environ: Mapping[str, Any]) -> int:
    """``amz-sdk-request: attempt=2; max=3`` -> 2."""
    match = re.search(r"attempt=(\d+)", environ.get("HTTP_AMZ_SDK_REQUEST", ""))
    return int(match[1]) if match else 1


JOURNAL = Journal()
