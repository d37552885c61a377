"""Pods that go at random while a load runs: asked to go, or forced."""

import json
import random
import subprocess
import threading
from typing import Any, Self

import sandbox

# Seconds between two kills.
EVERY = (8.0, 16.0)
PODS = ["get", "pods", "-n", "web-app", "-l", "app=web-app", "-o", "json"]
WAYS: dict[str, list[str]] = {
    "deleted": ["--wait=false"],
    "forced": ["--wait=false", "--grace-period=0", "--force"],
}


class Kills(threading.Thread):
    """Deletes a pod of the app every few seconds while others are ready, until it is stopped."""

    def __init__(self, way: str, seed: int) -> None:
        super().__init__(daemon=True)
        self.options, self.chance = WAYS[way], random.Random(seed)
        self.ended, self.count = threading.Event(), 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.join()

    def run(self) -> None:
        """Kills while more than one is ready: the only pod is no matter of chance."""
        while not self.ended.wait(self.chance.uniform(*EVERY)):
            pods = ready(json.loads(kubectl(PODS))["items"])
            if len(pods) > 1:
                kubectl(["delete", "pod", "-n", "web-app", self.chance.choice(pods), *self.options])
                self.count += 1


def ready(pods: list[dict[str, Any]]) -> list[str]:
    """Names of those that are ready and stay."""
    return [
        pod["metadata"]["name"]
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"]
        and any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in pod["status"].get("conditions", [])
        )
    ]


def kubectl(arguments: list[str]) -> str:
    """Runs kubectl to success; its output."""
    command = [*sandbox.kubectl(), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


HEAD = [
    "| pods | killed | requests | failed | never sent | sent twice | why they failed | p99 ms |",
    "| --- | ---: | ---: | ---: | ---: | ---: | --- | ---: |",
]


def row(way: str, killed: int, result: dict[str, Any]) -> str:
    """A load in which pods were killed, as a row."""
    refused = {code: count for code, count in result["status"].items() if int(code) >= 400}
    reasons = refused | {kind: n for kind, n in result["errors"].items() if kind != "status"}
    why = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items())) or "-"
    numbers = [killed, *(result[key] for key in ("requests", "failed", "dropped", "resent"))]
    p99 = "-" if result["p99_s"] is None else f"{result['p99_s'] * 1e3:.1f}"
    return f"| {' | '.join([way, *map(str, numbers), why, p99])} |"
