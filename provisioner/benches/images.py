"""Pushes of one image by provisioner, skopeo and crane, side by side, to the sandbox's registry.

Run by `make bench-images`. Every tool pushes images of the same form (an OCI layout of random layers, another one for
each tool and run, so that nobody profits from what somebody else pushed): to an empty repository, again, and with the
last layer changed. Requests and bytes are those that the sandbox's front wrote down; time, processor and memory are
what the kernel says of the process. The tools take turns. The result is a section of docs/benchmarks.md.
"""

import argparse
import base64
import datetime
import gzip
import hashlib
import io
import json
import os
import random
import shutil
import statistics
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import page
import sandbox

USER, PASSWORD = "AWS", "sandbox-registry"
LAYER = 512 * 1024
LAYERS = (1, 10, 100)
CASES = ("first", "again", "last layer changed")


@dataclass(frozen=True)
class Places:
    """Where the sandbox answers."""

    control: str
    # What the tools talk to: it counts.
    front: str
    # The registry itself, for looking afterwards.
    registry: str


@dataclass(frozen=True)
class Cost:
    """What one push took."""

    seconds: float
    processor: float
    memory: int
    requests: int
    sent: int


class Layout:
    """An OCI layout with one image of random layers."""

    def __init__(self, folder: Path, seeds: list[str]) -> None:
        self.folder = folder
        self.blobs = folder / "blobs" / "sha256"
        self.blobs.mkdir(parents=True)
        layers, diff_ids = [], []
        for seed in seeds:
            archive = layer(seed)
            diff_ids.append(f"sha256:{hashlib.sha256(archive).hexdigest()}")
            kind = "application/vnd.oci.image.layer.v1.tar+gzip"
            layers.append(self.put(kind, gzip.compress(archive, 1, mtime=0)))
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Entrypoint": ["/0"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
        config_type = "application/vnd.oci.image.config.v1+json"
        manifest_type = "application/vnd.oci.image.manifest.v1+json"
        manifest = {
            "schemaVersion": 2,
            "mediaType": manifest_type,
            "config": self.put(config_type, json.dumps(config).encode()),
            "layers": layers,
        }
        described = self.put(manifest_type, json.dumps(manifest).encode())
        self.digest = described["digest"]
        index = {"schemaVersion": 2, "manifests": [described]}
        (folder / "index.json").write_text(json.dumps(index))
        (folder / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))

    def put(self, kind: str, content: bytes) -> dict[str, Any]:
        """Keeps a blob; its descriptor."""
        digest = hashlib.sha256(content).hexdigest()
        (self.blobs / digest).write_bytes(content)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}


def layer(seed: str) -> bytes:
    """A tar archive with one file of bytes that no compression makes less of."""
    content = random.Random(seed).randbytes(LAYER)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(seed.replace("/", "-"))
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


class Tool:
    """A program that pushes."""

    def __init__(self, name: str, program: str, places: Places) -> None:
        self.name, self.program, self.places = name, program, places

    def command(self, layout: Path, repository: str, tag: str) -> list[str]:
        """The command line that pushes a layout to `repository/web-app`."""
        image = f"{self.places.front}/{repository}/web-app:{tag}"
        match self.name:
            case "provisioner":
                registry = f"{self.places.front}/{repository}"
                where = ["--registry", registry, "--name", "bench", "--tag", tag]
                return [self.program, "push", *where, "--oci-layout", str(layout), "--quiet"]
            case "skopeo":
                to = ["--dest-tls-verify=false", "--dest-creds", f"{USER}:{PASSWORD}"]
                source = f"oci:{layout}"
                copy = [self.program, "--insecure-policy", "copy", "--quiet"]
                return [*copy, *to, source, f"docker://{image}"]
            case _:
                return [self.program, "push", "--insecure", str(layout), image]

    def version(self) -> str:
        """What it says of itself."""
        arguments = ["version"] if self.name == "crane" else ["--version"]
        return f"{self.name} {sandbox.version([self.program, *arguments])}"


def measured(command: list[str], environment: dict[str, str], places: Places) -> Cost:
    """Runs a push and counts."""
    sandbox.forget_calls(places.control)
    usage = sandbox.run(command, environment)
    calls = sandbox.calls(places.control, "registry")
    sent = sum(call["bytes"] for call in calls)
    return Cost(usage.seconds, usage.processor, usage.memory, len(calls), sent)


def manifest(places: Places, repository: str, reference: str) -> tuple[str, dict[str, Any]]:
    """An image of the registry, asked past the front: its digest and its manifest."""
    url = f"http://{places.registry}/v2/{repository}/manifests/{reference}"
    kinds = ["image.manifest", "image.index"]
    accept = ", ".join(f"application/vnd.oci.{kind}.v1+json" for kind in kinds)
    secret = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    headers = {"Accept": accept, "Authorization": f"Basic {secret}"}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
        body = answer.read()
    return f"sha256:{hashlib.sha256(body).hexdigest()}", json.loads(body)


def pushes(tool: Tool, seeds: list[str], folder: Path) -> Iterator[tuple[str, Cost]]:
    """One image by one tool: each case, checked afterwards."""
    environment = {**os.environ, "DOCKER_CONFIG": str(folder)}
    changed = [*seeds[:-1], f"{seeds[-1]}/changed"]
    repository = seeds[0].rsplit("/", 1)[0]
    steps = ((CASES[0], seeds, "v1"), (CASES[1], seeds, "v1"), (CASES[2], changed, "v2"))
    for case, of, tag in steps:
        layout = Layout(folder / "layout", of)
        command = tool.command(layout.folder, repository, tag)
        yield case, measured(command, environment, tool.places)
        pushed, _ = manifest(tool.places, f"{repository}/web-app", tag)
        if pushed != layout.digest:
            sys.exit(f"{tool.name}: {repository}:{tag} is {pushed}, not {layout.digest}")
        shutil.rmtree(layout.folder)


def growth(tools: list[Tool], runs: int, folder: Path) -> list[str]:
    """Every tool, case and number of layers as rows of a table."""
    stamp = f"bench-{int(time.time())}"
    rows = []
    for layers in LAYERS:
        found: dict[tuple[str, str], list[Cost]] = {}
        for run in range(runs):
            for tool in tools:
                seeds = [f"{stamp}/{tool.name}/{layers}/{run}/{n}" for n in range(layers)]
                for case, cost in pushes(tool, seeds, folder):
                    found.setdefault((case, tool.name), []).append(cost)
        for case in CASES:
            rows.extend(row(layers, case, tool.name, found[case, tool.name]) for tool in tools)
    return rows


def row(layers: int, case: str, tool: str, costs: list[Cost]) -> str:
    """Medians, of the time with the least and the most."""

    def middle(name: str) -> float:
        return statistics.median(getattr(cost, name) for cost in costs)

    cells = [
        str(layers),
        case,
        tool,
        sandbox.spread(cost.seconds for cost in costs),
        f"{middle('requests'):.0f}",
        f"{middle('sent') / 1e6:.2f}",
        f"{middle('processor'):.2f}",
        f"{middle('memory') / 1e6:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def own_image(program: str, places: Places, folder: Path) -> str:
    """The app's own image: its size, and a push that finds it built and pushed."""
    environment = {**os.environ, "DOCKER_CONFIG": str(folder)}
    repository = f"bench-app-{int(time.time())}"
    push = [program, "push", "--registry", f"{places.front}/{repository}", "--name", "bench"]
    push += ["--tag", "v1", "--quiet"]
    first = measured(push, environment, places)
    again = measured(push, environment, places)
    _, image = manifest(places, f"{repository}/web-app", "v1")
    if "manifests" in image:
        _, image = manifest(places, f"{repository}/web-app", image["manifests"][0]["digest"])
    sizes = [part["size"] for part in [image["config"], *image["layers"]]]
    return (
        f"The app's own image has {sum(sizes) / 1e6:.2f} MB in {len(sizes) - 1} layers. The first push sent "
        f"{first.sent / 1e6:.2f} MB in {first.requests} requests; the next one, with nothing to build or to send, took "
        f"{again.seconds:.2f} s and {again.requests} requests."
    )


def main() -> None:
    """Measures, and writes down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--provisioner", default=str(page.ROOT / "target/debug/provisioner"))
    parser.add_argument("--crane", default=str(page.ROOT / "target/bench/crane"))
    parser.add_argument("--skopeo", default="skopeo")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--front", default="127.0.0.1:5001")
    parser.add_argument("--registry", default="127.0.0.1:5000")
    parser.add_argument("--page", type=Path, default=page.PAGE)
    given = parser.parse_args()
    places = Places(sandbox.endpoint("bench-images"), given.front, given.registry)
    programs = {"provisioner": given.provisioner, "skopeo": given.skopeo, "crane": given.crane}
    tools = [Tool(name, program, places) for name, program in programs.items()]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        secret = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        config = {"auths": {places.front: {"auth": secret}}}
        (folder / "config.json").write_text(json.dumps(config))
        own = own_image(given.provisioner, places, folder)
        rows = growth(tools, given.runs, folder)
    build = sandbox.build(given.provisioner)
    versions = ", ".join(tool.version() for tool in tools)
    versions = versions.replace(",", f" ({build} build),", 1)
    head = [
        "## Images",
        "",
        f"`make bench-images` on {datetime.date.today()}: {page.machine()}.",
        f"{versions}; the sandbox's registry, on the same machine and without TLS.",
        f"Layers of {LAYER // 1024} KiB that do not compress; median of {given.runs}, of the time also the least and the",
        "most. Requests and bytes as they arrived at the registry.",
        "",
        "| layers | push | by | seconds | requests | MB sent | CPU seconds | peak MB |",
        "| ---: | --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    page.write_section(given.page, "images", "\n".join([*head, *rows, "", own]))


if __name__ == "__main__":
    main()
