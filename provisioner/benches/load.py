"""`app load` beside oha, at the same rates, against the same `app serve`.

Run by `make bench-load`. Each tool sends at the same rate for the same time over connections that stay open, in turn: to a
service that runs, and to one that stands still for 200 ms once a second (SIGSTOP), so that most of the tail is known
beforehand and a tool that waits with it would not see it. What arrived is what the service counted; processor and memory
are what the kernel says of the tool. The result is a section of docs/benchmarks.md.
"""

import argparse
import datetime
import itertools
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from page import PAGE, ROOT, machine, write_section
from sandbox import Peak

RATES = (100, 1000)
TOOLS = ("app load", "oha")
STALL, STALL_EVERY = 0.2, 1.0
CASES = ("steady", "stalls")
# oha opens them all and queues beyond them; `app load` opens what it needs, up to this many.
CONNECTIONS = 500


@dataclass(frozen=True)
class Run:
    """What one run of a tool measured, and took."""

    rate: float
    p50: float
    p99: float
    processor: float
    memory: int


class Service:
    """A running `app serve`."""

    def __init__(self, app: str) -> None:
        command = [app, "serve", "--addr", "127.0.0.1:0", "--log-format", "json"]
        self.child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.child.stderr
        for line in self.child.stderr:
            if found := re.search(r'"address":"([^"]+)"', line):
                self.address = found.group(1)
                return
        sys.exit("app serve did not say where it listens")

    def counted(self) -> int:
        """Requests so far."""
        with urllib.request.urlopen(f"http://{self.address}/metrics", timeout=60) as answer:
            text = answer.read().decode()
        found = re.findall(r"^http_requests_total\S* (\S+)$", text, re.MULTILINE)
        return round(sum(float(value) for value in found))

    @contextmanager
    def stalling(self) -> Iterator[None]:
        """Stands still again and again."""
        over = threading.Event()

        def stall() -> None:
            while not over.wait(STALL_EVERY - STALL):
                self.child.send_signal(signal.SIGSTOP)
                over.wait(STALL)
                self.child.send_signal(signal.SIGCONT)

        thread = threading.Thread(target=stall)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def close(self) -> None:
        """Ends it."""
        self.child.kill()
        self.child.wait()


@dataclass(frozen=True)
class Task:
    """What a tool is to send."""

    rate: int
    case: str
    seconds: int


def command(tool: str, program: str, url: str, task: Task) -> list[str]:
    """The command line of one run."""
    rate, seconds = task.rate, task.seconds
    if tool == "oha":
        load = ["-q", str(rate), "-z", f"{seconds}s", "-w", "--latency-correction"]
        say = ["--no-tui", "--output-format", "json"]
        return [program, *load, "-c", str(CONNECTIONS), *say, url]
    load = ["--url", url, "--rate", str(rate), "--duration", f"{seconds}s"]
    keep = ["--max-requests-per-connection", "1000000000", "--max-connection-age", "1h"]
    keep += ["--connections", str(CONNECTIONS)]
    return [program, "load", *load, *keep, "--output", "json", "--progress", "none"]


def quantiles(tool: str, said: dict[str, Any]) -> tuple[float, float]:
    """The median and the 99th percentile, in seconds; ends the run where a request failed."""
    if tool == "oha":
        if said["summary"]["successRate"] != 1 or said["errorDistribution"]:
            sys.exit(f"oha: {said['summary']}, {said['errorDistribution']}")
        return said["latencyPercentiles"]["p50"], said["latencyPercentiles"]["p99"]
    # What was dropped is missing in what the service counted.
    if said["failed"]:
        sys.exit(f"app load: {said}")
    return said["p50_s"], said["p99_s"]


def run(tool: str, program: str, service: Service, task: Task) -> Run:
    """One run of one tool."""
    url = f"http://{service.address}/api/data"
    before = service.counted()
    with tempfile.TemporaryFile() as said:
        line = command(tool, program, url, task)
        with service.stalling() if task.case == "stalls" else nullcontext():
            child = subprocess.Popen(line, stdout=said)
            # Rarely: what looks takes processor time from what is measured.
            peak = Peak(child.pid, every=0.2)
            _, status, usage = os.wait4(child.pid, 0)
        peak.join()
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            sys.exit(f"{line}: {child.returncode}")
        said.seek(0)
        p50, p99 = quantiles(tool, json.load(said))
    cost = usage.ru_utime + usage.ru_stime
    return Run((service.counted() - before) / task.seconds, p50, p99, cost, peak.size)


def middle(runs: list[Run], name: str) -> float:
    """The median of a figure."""
    return statistics.median(getattr(run, name) for run in runs)


def spread(runs: list[Run], name: str) -> str:
    """The median of a time in ms, with the least and the most."""
    values = [getattr(run, name) * 1e3 for run in runs]
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def row(task: Task, tool: str, runs: list[Run]) -> str:
    """A line of the table."""
    cells = [
        str(task.rate),
        task.case,
        tool,
        f"{middle(runs, 'rate'):.1f}",
        spread(runs, "p50"),
        spread(runs, "p99"),
        f"{middle(runs, 'processor'):.2f}",
        f"{middle(runs, 'memory') / 1e6:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def apart(ours: list[Run], theirs: list[Run], name: str) -> str | None:
    """Says of a percentile that differs by more than a fifth and by more than a millisecond."""
    one, other = middle(ours, name), middle(theirs, name)
    if abs(one - other) <= max(0.001, 0.2 * other):
        return None
    return f"{name} {one * 1e3:.2f} ms beside {other * 1e3:.2f} ms"


def verdict(task: Task, ours: list[Run], theirs: list[Run]) -> list[str]:
    """What is not as it should be."""
    found = []
    if abs(middle(ours, "rate") / task.rate - 1) > 0.01:
        found.append(f"{middle(ours, 'rate'):.1f} requests/s instead of {task.rate}")
    found += [said for name in ("p50", "p99") if (said := apart(ours, theirs, name)) is not None]
    return [f"{task.rate} requests/s, {task.case}: {said}" for said in found]


def version(program: str) -> str:
    """What a tool says of itself."""
    said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True)
    return said.stdout.split()[-1]


def main() -> None:
    """Measures, and writes down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--app", default=str(ROOT / "target/debug/app"))
    parser.add_argument("--oha", default=str(ROOT / "target/bench/bin/oha"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    programs = dict(zip(TOOLS, (given.app, given.oha), strict=True))
    rows, missed = [], []
    service = Service(given.app)
    try:
        for rate, case in itertools.product(RATES, CASES):
            task = Task(rate, case, given.seconds)
            found: dict[str, list[Run]] = {tool: [] for tool in TOOLS}
            for _ in range(given.runs):
                for tool, program in programs.items():
                    found[tool].append(run(tool, program, service, task))
            rows += [row(task, tool, found[tool]) for tool in TOOLS]
            missed += verdict(task, found["app load"], found["oha"])
    finally:
        service.close()
    build = "release" if "release" in Path(given.app).parts else "debug"
    head = [
        "## Load",
        "",
        f"`make bench-load` on {datetime.date.today()}: {machine()}.",
        f"app load {version(given.app)} ({build} build) and oha {version(given.oha)} with",
        f"`--latency-correction`, in turn, each for {given.seconds} s, against one `app serve` on the same machine.",
        "`stalls`: the service stands still for 200 ms once a second. Requests/s as the service counted them,",
        f"CPU and memory of the tool. Medians of {given.runs} runs, of latencies also the least and the most.",
        "",
        "| asked | service | by | requests/s | p50 ms | p99 ms | CPU seconds | peak MB |",
        "| ---: | --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    bounds = "the rate within 1 %, p50 and p99 within 20 % or 1 ms of oha's"
    end = (
        f"Beyond the bounds ({bounds}): {'; '.join(missed)}."
        if missed
        else f"All within the bounds: {bounds}."
    )
    write_section(given.page, "load", "\n".join([*head, *rows, "", end]))


if __name__ == "__main__":
    main()
