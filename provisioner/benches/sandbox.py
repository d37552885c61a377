"""What benchmarks on the sandbox need: the calls that its front wrote down, and what a process took."""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from page import ROOT


@dataclass(frozen=True)
class Usage:
    """What one run of a program took."""

    seconds: float
    processor: float
    memory: int


class Peak(threading.Thread):
    """The most memory of a process: looked at while it runs, since what the kernel says afterwards counts ours too."""

    def __init__(self, process: int, every: float = 0.005) -> None:
        super().__init__(daemon=True)
        self.status, self.every, self.size = Path(f"/proc/{process}/status"), every, 0
        self.start()

    def run(self) -> None:
        """Looks until the process has ended."""
        while True:
            try:
                found = re.search(r"VmHWM:\s*(\d+) kB", self.status.read_text())
            except OSError:
                return
            if not found:
                return
            self.size = int(found.group(1)) * 1024
            time.sleep(self.every)


def run(
    command: list[str],
    environment: dict[str, str],
    hear: Callable[[float, str], None] | None = None,
) -> Usage:
    """Runs a program to success. `hear` is told each line of its standard error, with the time at which it came."""
    with tempfile.TemporaryFile() as said:
        started = time.perf_counter()
        errors = said if hear is None else subprocess.PIPE
        child = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=said, stderr=errors)
        peak = Peak(child.pid)
        if hear is not None and child.stderr is not None:
            for line in child.stderr:
                hear(time.time(), line.decode(errors="replace"))
                said.write(line)
            child.stderr.close()
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - started
        peak.join()
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            said.seek(0)
            sys.exit(f"{command}: {child.returncode}: {said.read().decode(errors='replace')}")
    return Usage(seconds, usage.ru_utime + usage.ru_stime, peak.size)


def endpoint(target: str) -> str:
    """The sandbox's endpoint, as the environment names it."""
    found = os.environ.get("AWS_ENDPOINT_URL")
    if not found:
        sys.exit(
            f"AWS_ENDPOINT_URL is not set: run `make {target}`, "
            'or env=$(sandbox env) && eval "$env"'
        )
    return found


def kubectl() -> list[str]:
    """kubectl of the sandbox, as its administrator."""
    administrator = os.environ["KUBECONFIG"]
    return [str(Path(administrator).parent / "bin/kubectl"), "--kubeconfig", administrator]


def calls(control: str, service: str) -> list[dict[str, Any]]:
    """The calls to a service since they were forgotten."""
    return [call for call in json.loads(_ask(control, "GET")) if call["service"] == service]


def forget_calls(control: str) -> None:
    """Empties the journal."""
    _ask(control, "DELETE")


def _ask(control: str, method: str) -> bytes:
    request = urllib.request.Request(f"{control}/_sandbox/requests", method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def spread(values: Iterable[float]) -> str:
    """The median, with the least and the most."""
    values = list(values)
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def build(program: str) -> str:
    """How a program of ours was built, by its folder."""
    return "release" if "release" in Path(program).parts else "debug"


def version(command: list[str]) -> str:
    """The version in what a program says."""
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"v?\d+\.\d+\.\d+[^\s\",}]*", said)
    return found.group() if found else said.strip()
