"""What one Prometheus and one adapter carry: 1, 10, 100 and 1000 pods of the app on the sandbox's cluster.

Run by `make bench-scale`. The pods are objects on a node that no kubelet runs, whose status the benchmark writes; every
address is answered by one process (scale_pods.py) with the series of the real app. Everything else is what is shipped:
discovery, scrape configuration, rules, adapter, limits. A component that its limit kills is told, given four times as
much by `--manifests`, and measured again. The app itself is left out, so that nothing scales. Results become a section
of docs/scale.md; all of it is removed in the end.
"""

import argparse
import datetime
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import sandbox
import scale_pods
import scale_readings
from page import ROOT, machine, write_section
from scale_cluster import Api, Fleet, Part, Refused
from scale_readings import NO_ANSWER, Answer, Ended, Prometheus, Window
from scale_tables import Kill, Row, section

NAME = "demo"
TARGET = ["--cluster", NAME]
LEFT_OUT = ["--without", "app", "--without", "grafana"]
# How much more a component gets that its limit killed.
MORE = 4
# So often at most with the same number of pods.
TRIES = 4
# New pods whose first value is waited for, with each number of pods.
NEW = 3


@dataclass
class Stack:
    """The stack as it is shipped, but for limits that turned out to be too low."""

    provisioner: str
    folder: Path
    limits: dict[str, int] = field(default_factory=dict)

    def run(self, arguments: list[str]) -> None:
        """Runs provisioner to success; what it says is seen."""
        subprocess.run([self.provisioner, *arguments], check=True, cwd=ROOT, stdout=sys.stderr)

    def bootstrap(self, reaction: str) -> None:
        """Applies it, and waits until it is ready."""
        arguments = ["bootstrap", *TARGET, "--create-cluster", *LEFT_OUT, "--poll-interval", "1s"]
        if self.limits:
            arguments += ["--manifests", str(self.folder)]
        self.run([*arguments, "--reaction", reaction, "--yes"])

    def enlarge(self, part: Part, limit_mi: int, reaction: str) -> None:
        """Gives a component another limit of memory, as a user would: by its manifests."""
        print(f"{part.name} gets {limit_mi} MiB", file=sys.stderr, flush=True)
        self.limits[part.name] = limit_mi
        copy = self.folder / part.folder
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(ROOT / "manifests" / part.folder, copy)
        file = copy / "deployment.yaml"
        text, places = re.subn(
            r"(limits: \{.*memory: ).*\}", rf"\g<1>{limit_mi}Mi}}", file.read_text()
        )
        if places != 1:
            sys.exit(f"{file} has {places} limits of memory, not one")
        file.write_text(text)
        self.bootstrap(reaction)

    def teardown(self) -> None:
        """Removes it with its cluster."""
        self.run(["teardown", *TARGET, "--delete-cluster", "--yes", "--poll-interval", "1s"])


@dataclass
class Bench:
    """The cluster with the stack and the pods on it."""

    api: Api
    fleet: Fleet
    stack: Stack
    reaction: str
    span: float
    queries: int
    patience: float
    # The next pod that nobody had before.
    fresh: int
    kills: list[Kill] = field(default_factory=list)

    @property
    def prometheus(self) -> Prometheus:
        """Where Prometheus is by now."""
        return Prometheus(scale_readings.instances(self.api)["Prometheus"].address)

    def at(self, count: int) -> Row:
        """Measures with so many pods, with larger limits where it takes them."""
        for _ in range(TRIES):
            try:
                return self.once(count)
            except Ended as ended:
                print(ended, file=sys.stderr, flush=True)
                self.kills.append(Kill(count, ended.part.name, ended.limit_mi, ended.reason))
                self.stack.enlarge(ended.part, ended.limit_mi * MORE, self.reaction)
        raise RuntimeError(f"with {count} pods components ended {TRIES} times")

    def once(self, count: int) -> Row:
        """Measures with so many pods; a figure that cannot be had since a component ended is that component's end."""
        before = scale_readings.instances(self.api)
        limits = {name: one.limit_mi for name, one in before.items()}
        try:
            print(f"{count} pods", file=sys.stderr, flush=True)
            self.fleet.grow(count)
            took = self.settle(count)
            window = scale_readings.watch(self.api, self.prometheus, self.span, self.queries)
            row = self.row(count, took, window, limits)
            scale_readings.look_out(self.api, before)
            return row
        except (Refused, *NO_ANSWER):
            # The kubelet tells of an end some seconds later.
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                scale_readings.look_out(self.api, before)
                time.sleep(1)
            raise

    def settle(self, count: int) -> float | None:
        """Waits until all pods are scraped and have the value that they should; how long it took, none where it did not
        get there."""
        before = scale_readings.instances(self.api)
        began = time.monotonic()
        told, seen = began, "nothing yet"
        while time.monotonic() - began < self.patience:
            scale_readings.look_out(self.api, before)
            try:
                up = round(self.prometheus.number(f"count(up{scale_readings.JOB} == 1)"))
                right = scale_readings.ask_metrics(self.api).right(range(count))
                seen = f"{up} targets up, {right} values right"
                if up == right == count:
                    return time.monotonic() - began
            except (Refused, *NO_ANSWER) as error:
                seen = str(error)
            if time.monotonic() - told > 10:
                told = time.monotonic()
                print(f"  {seen}", file=sys.stderr, flush=True)
            time.sleep(0.5)
        print(f"not settled: {seen}", file=sys.stderr, flush=True)
        return None

    def row(self, count: int, took: float | None, window: Window, limits: dict[str, int]) -> Row:
        """All that is known of so many pods."""
        prometheus = self.prometheus
        query = scale_readings.adapter_query(self.api, list(range(count)))
        return Row(
            pods=count,
            settled=took,
            limits=limits,
            window=window,
            scrapes=scale_readings.scrapes(prometheus, round(self.span)),
            due=count * self.span / scale_readings.scrape_interval(self.api),
            right=max((answer.right(range(count)) for answer in window.answers), default=0),
            query=query,
            query_ms=prometheus.milliseconds(query),
            fresh=[self.first_value() for _ in range(NEW)],
        )

    def first_value(self) -> float | None:
        """Seconds from a new pod's readiness until the metrics API has its value; none where it never came."""
        index = self.fresh
        self.fresh += 1
        began = self.fleet.make(index)
        path = scale_readings.LIST.partition("?")[0].replace("*", scale_pods.name(index))
        try:
            while time.monotonic() - began < self.patience:
                try:
                    answer: Answer = scale_readings.ask_metrics(self.api, path)
                    if answer.values:
                        return time.monotonic() - began
                except Refused:
                    pass
                time.sleep(0.1)
            return None
        finally:
            self.fleet.remove(index)


@contextmanager
def answering(app: str, pods: int) -> Iterator[int]:
    """Makes the range local, and answers in it; how many series each pod has. The route goes whatever happens."""
    route = ["local", scale_pods.RANGE, "dev", "lo"]
    subprocess.run(["ip", "route", "replace", *route], check=True)
    try:
        command = [sys.executable, scale_pods.__file__, "--app", app, "--pods", str(pods)]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            said = child.stdout.readline() if child.stdout else ""
            if not said.startswith("ready "):
                sys.exit("the pods' process did not come up")
            yield int(said.split()[1])
        finally:
            child.kill()
            child.wait()
    finally:
        subprocess.run(["ip", "route", "delete", *route], check=False)


def measure(given: argparse.Namespace, reaction: str, folder: Path) -> str:
    """Measures one profile; the section. What was measured before something failed is kept and told."""
    stack = Stack(given.provisioner, folder / f"manifests-{reaction}")
    rows: list[Row] = []
    most = max(given.pods)
    failure = None
    with answering(given.app, most + NEW * TRIES * len(given.pods)) as series:
        stack.bootstrap(reaction)
        api = Api(folder)
        fleet = Fleet(api)
        span = max(given.seconds, 4.0 * scale_readings.scrape_interval(api))
        bench = Bench(api, fleet, stack, reaction, span, given.queries, given.patience, fresh=most)
        try:
            fleet.prepare()
            for count in given.pods:
                rows.append(bench.at(count))
                print(rows[-1].said(), file=sys.stderr, flush=True)
        except Exception as error:
            if not rows:
                raise
            failure = f"{type(error).__name__}: {error}"
            print(f"stopped: {failure}", file=sys.stderr, flush=True)
        finally:
            fleet.close()
        head = headline(bench, given, series)
    return section(head, rows, bench.kills, failure)


def headline(bench: Bench, given: argparse.Namespace, series: int) -> list[str]:
    """What was run, when and on what."""
    interval = scale_readings.scrape_interval(bench.api)
    images = (one.image for one in scale_readings.instances(bench.api).values())
    return [
        f"### Measured: `--reaction {bench.reaction}`",
        "",
        f"`make bench-scale` on {datetime.date.today()}: {machine()}; the sandbox, all on that machine.",
        f"{', '.join(images)}. A scrape each {interval} s; {series} series of the app for each pod, and five that",
        f"Prometheus adds; its limit is one core. {bench.span:.0f} s for each number of pods, after all had settled, with",
        f"{given.queries} questions to the metrics API in that time.",
    ]


def numbers(text: str) -> list[int]:
    """Numbers of pods, separated by commas, from few to many."""
    if not re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", text):
        raise argparse.ArgumentTypeError("give numbers like 1,10,100")
    return sorted({int(number) for number in text.split(",")})


def reactions(text: str) -> list[str]:
    """Profiles, separated by commas."""
    named = text.split(",")
    if unknown := [name for name in named if name not in ("fast", "seed")]:
        raise argparse.ArgumentTypeError(f"no such profile: {', '.join(unknown)}")
    return named


def arguments() -> argparse.Namespace:
    """What is to be measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--provisioner", default=str(ROOT / "target/debug/provisioner"))
    parser.add_argument("--app", default=str(ROOT / "target/debug/app"))
    parser.add_argument("--pods", type=numbers, default=[1, 10, 100, 1000])
    parser.add_argument("--reactions", type=reactions, default=["fast"], help="fast,seed")
    parser.add_argument("--seconds", type=float, default=60, help="watched for each number of pods")
    parser.add_argument("--queries", type=int, default=20, help="to the metrics API in that time")
    parser.add_argument("--patience", type=float, default=180, help="seconds for pods to settle")
    parser.add_argument("--keep", action="store_true", help="leave the stack there")
    parser.add_argument("--page", type=Path, default=ROOT / "docs/scale.md")
    return parser.parse_args()


def main() -> None:
    """Measures, and writes down; what was made is removed whatever happens, also when it is told to end."""
    given = arguments()
    sandbox.endpoint("bench-scale")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))
    with tempfile.TemporaryDirectory() as name:
        try:
            for reaction in given.reactions:
                text = measure(given, reaction, Path(name))
                write_section(given.page, f"scale-{reaction}", text)
        finally:
            if not given.keep:
                Stack(given.provisioner, Path(name)).teardown()


if __name__ == "__main__":
    main()
