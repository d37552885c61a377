"""Many pods in one process, for `scale.py`: each address answers `/metrics` as the app does.

The series are the app's own: it is started once, asked on its routes, and what it exposes is the text that every pod
repeats under its own name, with counters that grow by the pod's rate. It ends with its standard input, so that nothing is
left whatever ends the benchmark.
"""

import argparse
import asyncio
import functools
import os
import re
import resource
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

# A range for benchmarks (RFC 2544), which is no network of anybody's.
RANGE = "198.18.0.0/16"
PORT = 8080
PATH = "/metrics"
NAMESPACE = "web-app"
# Of the kind that a Deployment gives: the adapter's query names every one of them.
STEM = "web-app-6c9f7d5b84"
LETTERS = "bcdfghjklmnpqrstvwxz2456789"
# How the captured text names its pod.
MODEL = "model-of-all-pods"
# A free port on loopback for the app that is captured.
CAPTURE = "127.0.0.1:18080"
ROUTES = ("/", "/api/data", "/health", "/nothing")


def address(pod: int) -> str:
    """Where a pod answers."""
    return f"198.18.{pod // 250}.{pod % 250 + 1}"


def name(pod: int) -> str:
    """A pod's name."""
    suffix = ""
    for _ in range(5):
        pod, letter = divmod(pod, len(LETTERS))
        suffix += LETTERS[letter]
    return f"{STEM}-{suffix}"


def rate(pod: int) -> int:
    """Requests a second of a pod: not the same for all, so that a value of another one is noticed."""
    return 5 + pod % 10


@dataclass(frozen=True)
class Exposition:
    """What a pod exposes: a text with a place for each value that grows, and by how much it does for each request."""

    content_type: str
    text: str
    integers: tuple[bool, ...]
    shares: tuple[float, ...]

    @property
    def series(self) -> int:
        """How many series it has."""
        return sum(bool(line) and not line.startswith("#") for line in self.text.splitlines())

    def of(self, pod: str) -> str:
        """The text of one pod."""
        return self.text.replace(MODEL, pod)

    def values(self, requests: float) -> tuple[float, ...]:
        """Its values after so many requests."""
        pairs = zip(self.integers, self.shares, strict=True)
        return tuple(int(requests * share) if whole else requests * share for whole, share in pairs)


def exposition(content_type: str, text: str) -> Exposition:
    """Reads what the app exposed after requests: counters and histograms grow, gauges stay as they are."""
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    counted = re.search(r"^http_requests_total\{.*\} (\d+)$", text, re.MULTILINE)
    if counted is None or int(counted.group(1)) == 0:
        sys.exit("the app exposes no `http_requests_total` that was counted")
    requests = int(counted.group(1))
    lines: list[str] = []
    integers: list[bool] = []
    shares: list[float] = []
    for line in text.splitlines():
        series, _, value = line.rpartition(" ")
        family = series.partition("{")[0]
        whole = family.endswith(("_bucket", "_count", "requests_total"))
        grows = kinds.get(family) == "counter" or re.sub(r"_(bucket|count|sum)$", "", family) in {
            histogram for histogram, kind in kinds.items() if kind == "histogram"
        }
        if line.startswith("#") or not grows:
            lines.append(line.replace("%", "%%"))
            continue
        lines.append(f"{series.replace('%', '%%')} {'%d' if whole else '%.6f'}")
        integers.append(whole)
        # A value of zero stays one.
        shares.append(float(value) / requests)
    return Exposition(content_type, "\n".join([*lines, ""]), tuple(integers), tuple(shares))


def captured(app: str) -> Exposition:
    """Starts the app, asks it on its routes as clients do, and keeps what it exposes."""
    environment = {
        **os.environ,
        "APP_ADDR": CAPTURE,
        "POD_NAME": MODEL,
        "POD_NAMESPACE": NAMESPACE,
    }
    child = subprocess.Popen([app, "serve"], env=environment, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while not asked("/readyz"):
            if time.monotonic() > deadline or child.poll() is not None:
                sys.exit(f"{app} does not answer at {CAPTURE}")
            time.sleep(0.02)
        for _ in range(25):
            for route in ROUTES:
                asked(route)
        with urllib.request.urlopen(f"http://{CAPTURE}{PATH}", timeout=5) as answer:
            return exposition(answer.headers["Content-Type"], answer.read().decode())
    finally:
        child.kill()
        child.wait()


def asked(route: str) -> bool:
    """Whether somebody answered, with whatever status."""
    try:
        with urllib.request.urlopen(f"http://{CAPTURE}{route}", timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


class Answering(asyncio.Protocol):
    """One connection to one pod; requests come one after another."""

    def __init__(self, exposed: Exposition, text: str, per_second: int, since: float) -> None:
        self.exposed, self.text, self.rate, self.since = exposed, text, per_second, since
        self.heard = b""
        self.transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody connected."""
        if isinstance(transport, asyncio.WriteTransport):
            self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers each request whose head is complete; a scrape has no body."""
        self.heard += data
        while b"\r\n\r\n" in self.heard and self.transport is not None:
            head, _, self.heard = self.heard.partition(b"\r\n\r\n")
            is_scrape = head.startswith(f"GET {PATH} ".encode())
            self.transport.write(self.answer() if is_scrape else NOT_FOUND)

    def answer(self) -> bytes:
        """The pod's series as they are by now."""
        requests = (time.monotonic() - self.since) * self.rate
        body = (self.text % self.exposed.values(requests)).encode()
        head = (
            "HTTP/1.1 200 OK\r\n"
            f"Content-Type: {self.exposed.content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


async def serve(pods: int, exposed: Exposition) -> None:
    """Answers for all pods until the standard input ends."""
    loop = asyncio.get_running_loop()
    since = time.monotonic()

    def answering(pod: int) -> Answering:
        return Answering(exposed, texts[pod], rate(pod), since)

    texts = [exposed.of(name(pod)) for pod in range(pods)]
    for pod in range(pods):
        await loop.create_server(functools.partial(answering, pod), address(pod), PORT)
    print(f"ready {exposed.series}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


def main() -> None:
    """Captures and serves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--app", type=Path, required=True, help="the app whose series are repeated")
    parser.add_argument("--pods", type=int, required=True, help="how many addresses answer")
    given = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(serve(given.pods, captured(str(given.app))))


if __name__ == "__main__":
    main()
