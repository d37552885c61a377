"""The service beside bare axum and beside the same service in Flask, on one core, in one run.

Run by `make bench-app`. Servers have one core to themselves, the load (wrk, closed loop; `app load` for a steady rate) has
another one. Servers take turns, run by run, so that what else the machine does meets all of them alike. Processor time is
what the kernel counted for the server's threads, in nanoseconds. The result is a section of docs/benchmarks.md.
"""

import argparse
import datetime
import gzip
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from page import PAGE, machine, write_section

from servers import LOAD_CORE, Contender, collector, running

PATH = "/api/data"
CONNECTIONS = 32
RATE = 100
SERIES = (1, 10, 100, 1000, 10_000)


@dataclass(frozen=True)
class Flood:
    """What a server did under as much load as it takes."""

    rate: float
    processor_us: float
    memory: int


def flood(contender: Contender, seconds: int) -> Flood:
    """As many requests as go, after a second of warming up."""
    with running(contender) as server:
        wrk(server.port, 1)
        before = server.processor_s()
        requests, took = wrk(server.port, seconds)
        spent = server.processor_s() - before
        return Flood(requests / took, spent / requests * 1e6, server.memory())


def wrk(port: int, seconds: int) -> tuple[int, float]:
    """Requests answered, and within how many seconds."""
    command = ["taskset", "-c", str(LOAD_CORE), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s"]
    url = f"http://127.0.0.1:{port}{PATH}"
    said = subprocess.run([*command, url], check=True, capture_output=True, text=True).stdout
    found = re.search(r"(\d+) requests in ([\d.]+)s", said)
    if not found or re.search(r"Non-2xx|Socket errors", said):
        sys.exit(f"wrk: {said}")
    return int(found.group(1)), float(found.group(2))


def steady(contender: Contender, load: str, seconds: int) -> tuple[float, int]:
    """Share of a core and resident memory at a steady rate."""
    with running(contender) as server:
        url = f"http://127.0.0.1:{server.port}{PATH}"
        command = ["taskset", "-c", str(LOAD_CORE), load, "load", "--url", url, "--output", "json"]
        command += ["--rate", str(RATE), "--duration", f"{seconds}s"]
        before = server.processor_s()
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        share = (server.processor_s() - before) / seconds
        report = json.loads(said)
        if report["requests"] != RATE * seconds or report["failed"]:
            sys.exit(f"app load: {said}")
        return share, server.memory()


def scrape(contender: Contender, seconds: float) -> tuple[float, float, int]:
    """Median time of a scrape, processor time of one, bytes."""
    with running(contender) as server:
        _, text = server.get("/metrics")
        times: list[float] = []
        before = server.processor_s()
        while len(times) < 20 or (sum(times) < seconds and len(times) < 1000):
            started = time.perf_counter()
            server.get("/metrics")
            times.append(time.perf_counter() - started)
        processor = (server.processor_s() - before) / len(times)
        return statistics.median(times), processor, len(text)


def spread(values: list[float], form: str) -> str:
    """Median, least and most."""
    middle, least, most = (
        format(value, form) for value in (statistics.median(values), min(values), max(values))
    )
    return f"{middle} ({least} to {most})"


def floods(contenders: list[Contender], runs: int, seconds: int) -> tuple[list[str], list[str]]:
    """Throughput in turns, and what it says of the layer and of Flask: the table and sentences."""
    found: dict[str, list[Flood]] = {contender.name: [] for contender in contenders}
    for _ in range(runs):
        for contender in contenders:
            found[contender.name].append(flood(contender, seconds))
    rows = [
        "| server | requests/s | CPU us a request | resident MB | of bare axum |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    ratios = {
        name: [one.rate / bare.rate for one, bare in zip(runs_of, found["bare axum"], strict=True)]
        for name, runs_of in found.items()
    }
    for name, runs_of in found.items():
        cells = [
            name,
            spread([run.rate for run in runs_of], ",.0f"),
            spread([run.processor_us for run in runs_of], ".2f"),
            spread([run.memory / 1e6 for run in runs_of], ".1f"),
            spread(ratios[name], ".2f"),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    pairs = zip(found["bare axum with the layer"], found["bare axum"], strict=True)
    layer = [one.processor_us - bare.processor_us for one, bare in pairs]
    pairs = zip(found["app"], found["Flask"], strict=True)
    flask = [one.rate / peer.rate for one, peer in pairs]
    said = [
        f"The layer costs {spread(layer, '.2f')} us of processor time a request, run by run.",
        f"The service answers {spread(flask, '.0f')} times as many requests as Flask on the same core.",
    ]
    return rows, said


def steadies(contenders: list[Contender], load: str, runs: int, seconds: int) -> list[str]:
    """Cost of a steady rate, and time until ready."""
    rows = [
        f"| server | core at {RATE} requests/s | resident MB then | ready after ms |",
        "| --- | ---: | ---: | ---: |",
    ]
    for contender in contenders:
        cost = [steady(contender, load, seconds) for _ in range(runs)]
        ready = []
        for _ in range(4 * runs):
            with running(contender) as server:
                ready.append(server.ready_s * 1e3)
        cells = [
            contender.name,
            spread([share * 100 for share, _ in cost], ".2f") + " %",
            spread([memory / 1e6 for _, memory in cost], ".1f"),
            spread(ready, ".1f"),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def scrapes(app: Contender, bare: str, seconds: float) -> list[str]:
    """Scrapes by number of series."""
    rows = [
        "| series | ms a scrape | CPU ms | kB |",
        "| ---: | ---: | ---: | ---: |",
    ]
    own = scrape(app, seconds)
    with running(app) as server:
        server.get(PATH)
        text = server.get("/metrics")[1].decode()
    count = sum(1 for line in text.splitlines() if line and not line.startswith("#"))
    rows.append(scrape_row(f"the service's own {count}", own))
    for series in SERIES:
        contender = Contender("series", bare_command(bare, "--series", str(series)))
        rows.append(scrape_row(f"{series:,}", scrape(contender, seconds)))
    return rows


def scrape_row(name: str, found: tuple[float, float, int]) -> str:
    """One row."""
    took, processor, size = found
    return f"| {name} | {took * 1e3:.2f} | {processor * 1e3:.2f} | {size / 1e3:.1f} |"


def bare_command(program: str, *arguments: str) -> Callable[[int], list[str]]:
    """Starts the peer."""
    return lambda port: [program, "--addr", f"127.0.0.1:{port}", *arguments]


def flask_command(gunicorn: str) -> Callable[[int], list[str]]:
    """Starts Flask: one worker that keeps connections open, as the others do."""
    options = [
        "--workers",
        "1",
        "--threads",
        "1",
        "--worker-class",
        "gthread",
        "--keep-alive",
        "75",
    ]
    return lambda port: [gunicorn, *options, "--bind", f"127.0.0.1:{port}", "peer:app"]


def size(program: Path) -> str:
    """Of an executable, and of its layer in an image."""
    content = program.read_bytes()
    return f"{len(gzip.compress(content, 9)) / 1e6:.2f} MB ({len(content) / 1e6:.2f} MB unpacked)"


def versions(gunicorn: Path) -> str:
    """Of the peer's packages and of the load generator."""
    pip = [str(gunicorn.with_name("pip")), "list", "--format", "json"]
    listed = json.loads(subprocess.run(pip, check=True, capture_output=True, text=True).stdout)
    names = ("flask", "gunicorn", "prometheus_client")
    wanted = {package["name"].lower().replace("-", "_"): package["version"] for package in listed}
    python = subprocess.run(
        [str(gunicorn.with_name("python")), "--version"], check=True, capture_output=True, text=True
    ).stdout.strip()
    said = subprocess.run(["wrk", "--version"], check=False, capture_output=True, text=True)
    wrk_version = re.search(r"wrk \S+", said.stdout + said.stderr)
    packages = ", ".join(f"{name} {wanted[name]}" for name in names)
    return f"{python}, {packages}; {wrk_version.group() if wrk_version else 'wrk'}"


def main() -> None:
    """Measures, and writes down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--app", type=Path, required=True, help="the program of the image")
    parser.add_argument("--plain", type=Path, required=True, help="the same without `otlp`")
    parser.add_argument("--bare", type=Path, required=True, help="the example `bare`")
    parser.add_argument("--gunicorn", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    # Servers are started in another folder.
    program, bare = str(given.app.absolute()), str(given.bare.absolute())
    gunicorn = given.gunicorn.absolute()
    os.sched_setaffinity(0, {LOAD_CORE})
    app = Contender("app", lambda port: [program, "serve", "--addr", f"127.0.0.1:{port}"])
    sending = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector()}
    traced = Contender("app, every request traced", app.command, sending)
    flask = Contender("Flask", flask_command(str(gunicorn)))
    contenders = [
        Contender("bare axum", bare_command(bare)),
        Contender("bare axum with the layer", bare_command(bare, "--layer")),
        app,
        traced,
        flask,
    ]
    table, said = floods(contenders, given.runs, given.seconds)
    calm = steadies([contenders[0], app, traced, flask], program, given.runs, 2 * given.seconds)
    section = [
        "## The service",
        "",
        f"`make bench-app` on {datetime.date.today()}: {machine()}.",
        f"Image profile, musl; {versions(gunicorn)}. Flask runs under gunicorn with one worker. Every server had one",
        f"core, wrk with {CONNECTIONS} connections another one. Median of {given.runs} runs of {given.seconds} s in turns, then the least and the most;",
        "ratios are taken run by run. Answers of the service close their connections after 30 s, as in a pod.",
        "",
        *table,
        "",
        *said,
        "",
        f"At a steady {RATE} requests/s, sent by `app load`:",
        "",
        *calm,
        "",
        "Scrapes, on a core of their own:",
        "",
        *scrapes(app, bare, given.seconds),
        "",
        f"The program takes {size(given.app)} in the image; without the feature `otlp`, {size(given.plain)}.",
    ]
    write_section(given.page, "app", "\n".join(section))


if __name__ == "__main__":
    main()
