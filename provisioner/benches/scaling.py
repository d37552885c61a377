"""How fast and how calmly the stack scales, on a cluster that is there: `make bench-scaling` takes the sandbox's.

Each part is a `provisioner load`, whose JSON result has all times. `fast`: starts spread evenly over the period in which
the HPA's controller looks, since what it reads decides only when it looks. `seed`: the settings of the seed, a few starts
as they come. `steady`: a constant rate for minutes, evenly and as a Poisson process; what counts is how often the number
of pods changes once it has settled. `kills`: what is lost at 100 requests/s while pods go at random. Each part writes its
own section of docs/benchmarks.md, so that parts may be measured one by one; pictures of the run in the middle go to docs/.
"""

import argparse
import datetime
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kills
from page import PAGE, ROOT, machine, read_section, write_section

# Between two looks of the HPA's controller.
PERIOD = 15.0
# After so many seconds a constant rate has had its pods.
SETTLED = 60.0
ARRIVALS = ["even", "poisson"]
STEADY = "scaling-steady"
PARTS = ("fast", "seed", "steady", "kills")


@dataclass(frozen=True)
class Bench:
    """What is measured, and where results go."""

    command: list[str]
    target: list[str]
    options: list[str]
    docs: Path
    page: Path
    pictures: Path

    def bootstrap(self, reaction: str) -> None:
        """Gives the stack its intervals."""
        command = [*self.command, "bootstrap", *self.target, *self.options]
        subprocess.run([*command, "--reaction", reaction, "--yes"], check=True, stdout=sys.stderr)

    def load(self, arguments: list[str]) -> dict[str, Any]:
        """Sends a load; its result, also where it missed a threshold."""
        command = [*self.command, "load", *self.target, "--output", "json", *arguments]
        print("+", " ".join(command), file=sys.stderr, flush=True)
        ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if ended.returncode not in (0, 1) or not ended.stdout.strip():
            sys.exit(f"{' '.join(command)}: exit code {ended.returncode}")
        result: dict[str, Any] = json.loads(ended.stdout)
        return result


@dataclass(frozen=True)
class Run:
    """One start: seconds, none where something did not happen."""

    phase: float | None
    # Until the metrics API asks for all pods.
    asked: float | None
    # From the HPA's decision until they are ready.
    made: float | None
    ready: float | None
    back: float | None
    steps: int | None
    lost: int
    p99: float | None
    picture: Path = field(compare=False)

    @staticmethod
    def of(result: dict[str, Any], picture: Path) -> "Run":
        """Reads a result."""
        times = result["timeline"]
        ready, desired = times["ready_s"], times["desired_s"]
        made = None if ready is None or desired is None else ready - desired
        return Run(
            result["phase_s"],
            times["asked_s"],
            made,
            ready,
            times["back_s"],
            result["syncs"],
            result["failed"] + result["dropped"],
            result["p99_s"],
            picture,
        )

    @property
    def own(self) -> float | None:
        """What does not depend on when the controller looks."""
        return None if self.asked is None or self.made is None else self.asked + self.made

    def row(self) -> str:
        """As a row of a table."""
        times = [self.phase, self.asked, self.made, self.own, self.ready, self.back]
        p99 = "-" if self.p99 is None else f"{self.p99 * 1e3:.1f}"
        cells = [*map(seconds, times), str(self.steps or "-"), str(self.lost), p99]
        return f"| {' | '.join(cells)} |"


HEAD = [
    "| phase | F | R | F + R | 10 ready | 1 again | steps | lost | p99 ms |",
    "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
]
MEANING = (
    "Seconds. Phase: how long before the first request the HPA's controller had looked. F: from the first request until the "
    "metrics API asks for 10 pods. R: from the HPA's decision until 10 are ready. Steps: in how many the HPA got there. "
    "Lost: requests failed or never sent. 1 again: counted from the last request."
)


def seconds(value: float | None) -> str:
    """A time as a cell."""
    return "-" if value is None else f"{value:.1f}"


def spread(name: str, values: list[float | None]) -> str:
    """Least, middle and most."""
    known = [value for value in values if value is not None]
    if not known:
        return f"{name}: none of {len(values)}"
    missing = "" if len(known) == len(values) else f", {len(values) - len(known)} never"
    middle = statistics.median(known)
    return f"{name} {min(known):.1f}, {middle:.1f}, {max(known):.1f}{missing}"


def summary(runs: list[Run]) -> str:
    """What the runs have in common."""
    parts = [
        spread("F + R", [run.own for run in runs]),
        spread("10 ready after", [run.ready for run in runs]),
        spread("1 again after", [run.back for run in runs]),
    ]
    single = sum(run.steps == 1 for run in runs)
    lost = sum(run.lost for run in runs)
    return (
        f"Least, median, most: {'; '.join(parts)}. One step in {single} of {len(runs)} runs; "
        f"{lost} requests lost in all."
    )


def distance(found: float, wanted: float) -> float:
    """How far one phase is behind another, from half a period before to half a period after."""
    return (found - wanted + PERIOD / 2) % PERIOD - PERIOD / 2


def fast(bench: Bench, starts: int) -> list[Run]:
    """Starts spread evenly over the period; what a start misses its phase by is made up for by the next ones."""
    runs: list[Run] = []
    misses: list[float] = []
    for start in range(starts):
        wanted = (start + 0.5) * PERIOD / starts
        aim = (wanted - (statistics.median(misses) if misses else 0.0)) % PERIOD
        picture = bench.pictures / f"fast-{start}.svg"
        arguments = ["--rate", "100", "--duration", "60s", "--until-scaled"]
        arguments += ["--start-phase", f"{aim:.2f}", "--picture", str(picture)]
        run = Run.of(bench.load(arguments), picture)
        print(run.row(), file=sys.stderr, flush=True)
        if run.phase is not None:
            misses.append(distance(run.phase, aim))
        runs.append(run)
    return runs


def seed(bench: Bench, starts: int) -> list[Run]:
    """Starts as they come: the seed's window of a minute hides the phase."""
    runs = []
    for start in range(starts):
        picture = bench.pictures / f"seed-{start}.svg"
        arguments = [
            "--rate",
            "100",
            "--duration",
            "5m",
            "--until-scaled",
            "--picture",
            str(picture),
        ]
        runs.append(Run.of(bench.load(arguments), picture))
        print(runs[-1].row(), file=sys.stderr, flush=True)
    return runs


def keep_middle(runs: list[Run], to: Path) -> None:
    """Keeps the picture of the run in the middle."""
    scaled = sorted((run for run in runs if run.ready is not None), key=lambda run: run.ready or 0)
    if scaled and scaled[len(scaled) // 2].picture.is_file():
        shutil.copyfile(scaled[len(scaled) // 2].picture, to)


def steady(bench: Bench, given: argparse.Namespace) -> list[str]:
    """Constant rates: how often the number of wanted pods changes after it had time to settle. Rows of the page that are
    not measured this time are kept."""
    row = re.compile(r"^\| (\d+) \| (\w+) \|.*$", re.MULTILINE)
    before = row.finditer(read_section(bench.page, STEADY))
    rows = {(int(kept[1]), kept[2]): kept[0] for kept in before}
    for rate in given.rates:
        for arrivals in given.arrivals:
            duration = f"{given.minutes * 60:.0f}s"
            arguments = ["--rate", str(rate), "--duration", duration, "--arrivals", arrivals]
            result = bench.load(arguments)
            rows[rate, arrivals] = steady_row(result, rate, arrivals, given.minutes * 60)
            print(rows[rate, arrivals], file=sys.stderr, flush=True)
    head = [
        "| requests/s | arrivals | pods settled | changes after | pods then | lost | p99 ms |",
        "| ---: | --- | ---: | ---: | --- | ---: | ---: |",
    ]
    return [*head, *(rows[key] for key in sorted(rows))]


def steady_row(result: dict[str, Any], rate: int, arrivals: str, duration: float) -> str:
    """One constant rate as a row."""
    wanted = [(look["t_s"], look["pods"]) for look in result["wanted"] if look["t_s"] < duration]
    settled = [pods for at, pods in wanted if at <= SETTLED]
    later = [pods for at, pods in wanted if at > SETTLED]
    then = ", ".join(map(str, later)) or "-"
    lost = result["failed"] + result["dropped"]
    p99 = result["p99_s"]
    cells = [
        str(rate),
        arrivals,
        str(settled[-1] if settled else "-"),
        str(len(later)),
        then,
        str(lost),
        "-" if p99 is None else f"{p99 * 1e3:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def killed(bench: Bench, minutes: float) -> list[str]:
    """Pods that go at random, asked to or forced: what of a load is lost with them."""
    rows = kills.HEAD[:]
    for way in kills.WAYS:
        with kills.Kills(way, len(rows)) as done:
            result = bench.load(["--rate", "100", "--duration", f"{minutes * 60:.0f}s"])
        rows.append(kills.row(way, done.count, result))
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def stamp(what: str) -> str:
    """What was run, when and on what."""
    return f"`make bench-scaling` ({what}) on {datetime.date.today()}: {machine()}; the sandbox."


def measure(bench: Bench, given: argparse.Namespace) -> None:
    """Measures the parts that were asked for."""
    if set(given.parts) - {"seed"}:
        bench.bootstrap("fast")
    if "fast" in given.parts:
        runs = fast(bench, given.starts)
        keep_middle(runs, bench.docs / "scaling-fast.svg")
        picture = "![A load of 100 requests/s in the fast profile](scaling-fast.svg)"
        head = ["## Scaling, `--reaction fast`", "", stamp(f"fast, {given.starts} starts"), MEANING]
        table = ["", *HEAD, *[run.row() for run in runs], "", summary(runs), "", picture]
        write_section(bench.page, "scaling", "\n".join([*head, *table]))
    if "steady" in given.parts:
        rows = steady(bench, given)
        what = stamp(f"steady, {given.minutes:g} minutes each")
        meaning = (
            f"Changes after: of the number of pods that the HPA wants, from {SETTLED:.0f} s on."
        )
        write_section(
            bench.page,
            STEADY,
            "\n".join(["## Constant rates", "", what, meaning, "", *rows]),
        )
    if "kills" in given.parts:
        rows = killed(bench, given.minutes)
        what = stamp(f"kills, {given.minutes:g} minutes each")
        least, most = kills.EVERY
        meaning = (
            f"100 requests/s in the fast profile; every {least:g} to {most:g} s one ready pod goes. Deleted: asked to go, as by an "
            "eviction or a drained node. Forced: its object is gone at once, and the kubelet gives its process two seconds."
        )
        text = ["## Pods killed under load", "", what, meaning, "", *rows]
        write_section(bench.page, "scaling-kills", "\n".join(text))
    if "seed" in given.parts:
        bench.bootstrap("seed")
        runs = seed(bench, given.seed_starts)
        keep_middle(runs, bench.docs / "scaling-seed.svg")
        picture = "![The same load with the seed's settings](scaling-seed.svg)"
        head = ["## Scaling, `--reaction seed`", "", stamp(f"seed, {given.seed_starts} starts")]
        table = ["", *HEAD, *[run.row() for run in runs], "", summary(runs), "", picture]
        write_section(bench.page, "scaling-seed", "\n".join([*head, *table]))
        bench.bootstrap("fast")


def numbers(text: str) -> list[int]:
    """Rates, separated by commas."""
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise argparse.ArgumentTypeError("give numbers like 15,55,100")
    return [int(number) for number in text.split(",")]


def parts(text: str) -> list[str]:
    """Parts, separated by commas."""
    named = text.split(",")
    if unknown := [name for name in named if name not in PARTS]:
        raise argparse.ArgumentTypeError(f"no such part: {', '.join(unknown)}")
    return named


def main() -> None:
    """Reads what to measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--provisioner", default=str(ROOT / "target/debug/provisioner"))
    parser.add_argument("--cluster", default="demo")
    parser.add_argument("--parts", type=parts, default=["fast", "seed"], help=",".join(PARTS))
    parser.add_argument("--steady", action="store_true", help="the same as --parts steady")
    parser.add_argument("--starts", type=int, default=10)
    parser.add_argument("--seed-starts", type=int, default=3)
    parser.add_argument("--rates", type=numbers, default=[15, 55, 100])
    parser.add_argument("--arrivals", nargs="+", choices=ARRIVALS, default=ARRIVALS)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    if given.steady:
        given.parts = ["steady"]
    if not os.environ.get("AWS_ENDPOINT_URL"):
        sys.exit(
            'AWS_ENDPOINT_URL is not set: run `make bench-scaling`, or env=$(sandbox env) && eval "$env"'
        )
    options = ["--create-cluster", "--without", "grafana", "--poll-interval", "1s"]
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(
            [given.provisioner],
            ["--cluster", given.cluster],
            options,
            given.page.parent,
            given.page,
            Path(name),
        )
        measure(bench, given)


if __name__ == "__main__":
    main()
