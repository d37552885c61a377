"""Applies of the same objects by provisioner and by kubectl, side by side, to the sandbox's cluster.

Run by `make bench-apply`. The objects are the stack's own, and with them 100 and 500 further ones (ConfigMaps, headless
Services, Deployments of no pods) in the app's namespace. `first`: the objects in question are absent; `again`: nothing
has changed. The tools take turns, and which begins changes from run to run.

What kubectl applies is read back from the cluster: of each object the fields that provisioner applied. It applies them
under the same field manager, so that the server does the same with both, and goes through the same front, which counts
the requests. Of kubectl the whole program is timed, of provisioner what it does with Kubernetes: from its first request
to its last before anything is built or pushed, and then from its phase `stack` on. The result is a section of
docs/benchmarks.md.
"""

import argparse
import datetime
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import page
import sandbox
from objects import HOME, MANAGER, Object, as_applied, further

NAME = "demo"
TOOLS = ("provisioner", "kubectl")
CASES = ("first", "again")
KINDS = "applyset.kubernetes.io/contains-group-kinds"
# Grafana's image cannot be had here.
COMMAND = ["bootstrap", "--cluster", NAME, "--create-cluster", "--without", "grafana", "--yes"]
TEARDOWN = ["teardown", "--cluster", NAME, "--keep-images", "--yes"]


@dataclass(frozen=True)
class Cost:
    """What one apply took."""

    # Until everything is applied.
    seconds: float
    # And seen to be ready; kubectl does not look.
    ready: float | None
    requests: int
    dry_runs: int
    usage: sandbox.Usage


@dataclass
class Heard:
    """When each phase of a bootstrap began."""

    phases: dict[str, float] = field(default_factory=dict)

    def line(self, at: float, text: str) -> None:
        """One line of what the program says."""
        try:
            event = json.loads(text)
        except json.JSONDecodeError:
            return
        if isinstance(event, dict) and event.get("event") == "phase":
            self.phases.setdefault(event["name"], at)


def cost_of_bootstrap(
    heard: Heard, calls: list[dict[str, Any]], ended: float, usage: sandbox.Usage
) -> Cost:
    """The part of a bootstrap that is Kubernetes, without the proof of the metric chain."""
    phases = heard.phases
    missing = [name for name in ("cluster and image", "stack", "ready") if name not in phases]
    if missing:
        sys.exit(f"a bootstrap did not tell of its phases {missing}, only of {sorted(phases)}")
    built, stack, ready = (phases[name] for name in ("cluster and image", "stack", "ready"))
    done = phases.get("metrics", ended)
    of_apply = [call for call in calls if call["time"] < ready]
    early = [call["time"] for call in of_apply if call["time"] < built]
    check = built - min(early) if early else 0.0
    dry_runs = sum(" dryRun" in call["operation"] for call in of_apply)
    applied = check + ready - stack
    return Cost(applied, check + done - stack, len(of_apply), dry_runs, usage)


class Bench:
    """The cluster, and the two tools."""

    def __init__(self, provisioner: str, folder: Path, control: str) -> None:
        self.provisioner, self.folder, self.control = provisioner, folder, control
        self.administrator = sandbox.kubectl()
        self.kubectl = self.administrator[0]
        self.environment = {**os.environ, "PROVISIONER_POLL_INTERVAL": "1s"}
        self.environment.pop("KUBECONFIG")

    def done(self, command: list[str], environment: dict[str, str] | None = None) -> str:
        """Runs a program that is not measured; its output."""
        environment = environment or self.environment
        ended = subprocess.run(
            command,
            check=False,
            env=environment,
            cwd=page.ROOT,
            capture_output=True,
            text=True,
        )
        if ended.returncode != 0:
            sys.exit(f"{command}: {ended.returncode}: {ended.stderr}{ended.stdout}")
        return ended.stdout

    def tool(self, arguments: list[str]) -> str:
        """Runs provisioner."""
        return self.done([self.provisioner, *arguments])

    def administrate(self, arguments: list[str]) -> str:
        """Runs kubectl as the administrator, past the front."""
        return self.done([*self.administrator, *arguments])

    def applied(self) -> list[Object]:
        """All that provisioner applied, namespaces first."""
        record = ["get", "secret", f"provisioner-{NAME}", "-n", HOME, "-o", "json"]
        recorded = json.loads(self.administrate(record))["metadata"]["annotations"][KINDS]
        # What was left out because the cluster does not know it is recorded too.
        kinds = ",".join(sorted(self.known_kinds & {*recorded.split(","), "Secret"}))
        marks = f"app.kubernetes.io/managed-by=provisioner,app.kubernetes.io/part-of={NAME}"
        get = ["get", kinds, "-A", "-l", marks, "-o", "json", "--show-managed-fields"]
        live = json.loads(self.administrate(get))["items"]
        wanted = [one for item in live if (one := as_applied(item)) is not None]
        return sorted(wanted, key=lambda one: one["kind"] != "Namespace")

    @functools.cached_property
    def known_kinds(self) -> set[str]:
        """The kinds of the cluster, as `Deployment.apps`: asked once all is ready, since kubectl fails where one API
        does not answer."""
        listed = self.administrate(["api-resources", "--verbs=list", "--no-headers"])
        kinds = set()
        for line in listed.splitlines():
            # NAME [SHORTNAMES] APIVERSION NAMESPACED KIND
            version, _, kind = line.split()[-3:]
            group, slash, _ = version.partition("/")
            kinds.add(f"{kind}.{group}" if slash else kind)
        return kinds

    def file(self, name: str, objects: list[Object]) -> str:
        """Objects as a file that kubectl reads."""
        path = self.folder / name
        path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
        path.chmod(0o600)
        return str(path)

    def through_the_front(self) -> str:
        """A kubeconfig as provisioner connects: the endpoint of DescribeCluster, and a token that is good for now."""
        raw = self.folder / "raw.yaml"
        raw.write_text(self.tool(["kubeconfig", "--cluster", NAME, "--stdout"]))
        view = [self.kubectl, "--kubeconfig", str(raw), "config", "view", "--raw", "-o", "json"]
        config = json.loads(self.done(view))
        token = json.loads(self.tool(["token", "--cluster", NAME]))["status"]["token"]
        for user in config["users"]:
            user["user"] = {"token": token}
        path = self.folder / "kubeconfig.json"
        path.write_text(json.dumps(config))
        path.chmod(0o600)
        return str(path)

    def bootstrap(self, more: list[str]) -> Cost:
        """One measured run of provisioner."""
        heard = Heard()
        sandbox.forget_calls(self.control)
        command = [self.provisioner, *COMMAND, *more, "--output", "json"]
        usage = sandbox.run(command, self.environment, heard.line)
        ended = time.time()
        calls = sandbox.calls(self.control, "kubernetes")
        return cost_of_bootstrap(heard, calls, ended, usage)

    def apply(self, file: str) -> Cost:
        """One measured run of kubectl."""
        config = self.through_the_front()
        sandbox.forget_calls(self.control)
        how = ["apply", "--server-side", f"--field-manager={MANAGER}", "-f", file]
        usage = sandbox.run([self.kubectl, "--kubeconfig", config, *how], self.environment)
        calls = sandbox.calls(self.control, "kubernetes")
        return Cost(usage.seconds, None, len(calls), 0, usage)


@dataclass(frozen=True)
class Set:
    """The objects of one comparison, on a cluster that has them all."""

    bench: Bench
    # Flags that make a bootstrap want them.
    flags: list[str]
    # All of them, for kubectl.
    file: str
    count: int
    # Those that are absent before a first apply; none where it is all.
    absent: str | None

    def clear(self) -> None:
        """Removes what a first apply is to make, and waits until it is gone."""
        if self.absent is None:
            self.bench.tool(TEARDOWN)
        else:
            gone = ["delete", "--wait", "--ignore-not-found", "-f", self.absent]
            self.bench.administrate(gone)

    def one(self, tool: str) -> Cost:
        """One apply by one tool, after which all is there."""
        made = self.bench.bootstrap(self.flags) if tool == TOOLS[0] else self.bench.apply(self.file)
        there = len(self.bench.applied())
        if there != self.count:
            sys.exit(f"{tool}: {there} objects are there, not {self.count}")
        return made

    def runs(self, number: int) -> Iterator[tuple[str, str, Cost]]:
        """Every case by every tool, in turn."""
        for run in range(number):
            for tool in TOOLS if run % 2 == 0 else TOOLS[::-1]:
                self.clear()
                yield CASES[0], tool, self.one(tool)
                before = self.versions()
                yield CASES[1], tool, self.one(tool)
                if self.versions() != before:
                    sys.exit(f"{tool}: a second apply changed objects")

    def versions(self) -> dict[str, str]:
        """The versions of those objects that only an apply changes."""
        kinds = "configmaps,services,serviceaccounts,roles,rolebindings,clusterroles,secrets"
        listed = self.bench.administrate(
            ["get", kinds, "-A", "-l", f"app.kubernetes.io/part-of={NAME}", "-o", "json"]
        )
        items = json.loads(listed)["items"]
        return {item["metadata"]["uid"]: item["metadata"]["resourceVersion"] for item in items}


def prepared(bench: Bench, count: int) -> Set:
    """The stack with so many further objects, once it is ready."""
    flags: list[str] = []
    absent = None
    if count:
        more = further(count)
        folder = bench.folder / f"manifests-{count}"
        (folder / "60-bench").mkdir(parents=True)
        # JSON is YAML.
        text = "\n---\n".join(json.dumps(one) for one in more)
        (folder / "60-bench/all.yaml").write_text(text)
        flags = ["--manifests", str(folder)]
        absent = bench.file(f"absent-{count}.json", more)
    bench.tool([*COMMAND, *flags])
    objects = bench.applied()
    return Set(bench, flags, bench.file(f"all-{count}.json", objects), len(objects), absent)


def rows(of: Set, number: int, label: str) -> Iterator[str]:
    """The comparison of one set as rows of a table."""
    found: dict[tuple[str, str], list[Cost]] = {}
    for case, tool, cost in of.runs(number):
        found.setdefault((case, tool), []).append(cost)
        print(f"{label} {case} {tool}: {cost}", file=sys.stderr)
    for case in CASES:
        theirs = statistics.median(cost.seconds for cost in found[case, TOOLS[1]])
        for tool in TOOLS:
            yield row((label, case, tool), found[case, tool], theirs)


def row(names: tuple[str, str, str], costs: list[Cost], theirs: float) -> str:
    """Medians, of times with the least and the most; the ratio is that of the medians of the time until applied."""

    def middle(name: str) -> str:
        return f"{statistics.median(getattr(cost, name) for cost in costs):.0f}"

    ready = [cost.ready for cost in costs if cost.ready is not None]
    seconds = [cost.seconds for cost in costs]
    cells = [
        *names,
        sandbox.spread(seconds),
        f"{statistics.median(seconds) / theirs:.2f}",
        sandbox.spread(ready) if ready else "",
        middle("requests"),
        middle("dry_runs"),
        f"{statistics.median(cost.usage.seconds for cost in costs):.2f}",
        f"{statistics.median(cost.usage.processor for cost in costs):.2f}",
        f"{statistics.median(cost.usage.memory for cost in costs) / 1e6:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def section(bench: Bench, numbers: list[int], runs: int) -> str:
    """Measures all, and tells it."""
    table = []
    for count in numbers:
        of = prepared(bench, count)
        label = f"stack ({of.count})" if count == 0 else f"stack and {count} ({of.count})"
        table.extend(rows(of, runs, label))
    ours = sandbox.version([bench.provisioner, "--version"])
    theirs = sandbox.version([bench.kubectl, "version", "--client"])
    build = sandbox.build(bench.provisioner)
    head = [
        "## Applies",
        "",
        f"`make bench-apply` on {datetime.date.today()}: {page.machine()}.",
        f"provisioner {ours} ({build} build) beside `kubectl apply --server-side` {theirs}, in turn, {runs} times each; the",
        "sandbox's cluster on the same machine. Median, of times also the least and the most. The same objects with the same",
        "fields under the same field manager, through the same proxy, which counts requests. `applied`: of kubectl the whole",
        "program; of provisioner its work with Kubernetes, from its first request on, without AWS, image and registry. `ready`:",
        "with the wait until all is, which kubectl does not do; pods that start are in it. `whole`: the whole program.",
        "",
        "| objects | apply | by | applied, s | ratio | ready, s | requests | dry runs | whole, s | CPU s | peak MB |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    return "\n".join([*head, *table])


def main() -> None:
    """Measures, and writes down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--provisioner", default=str(page.ROOT / "target/debug/provisioner"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument(
        "--objects",
        type=int,
        nargs="+",
        default=[0, 100, 500],
        help="how many further objects, each a comparison",
    )
    parser.add_argument("--page", type=Path, default=page.PAGE)
    given = parser.parse_args()
    control = sandbox.endpoint("bench-apply")
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(given.provisioner, Path(name), control)
        text = section(bench, given.objects, given.runs)
        bench.tool(["teardown", "--cluster", NAME, "--delete-cluster", "--yes"])
    page.write_section(given.page, "apply", text)


if __name__ == "__main__":
    main()
