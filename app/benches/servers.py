"""Servers under test, each on a core of its own, and what the kernel says of them."""

import contextlib
import http.client
import http.server
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SERVER_CORE, LOAD_CORE = 0, 1


@dataclass(frozen=True)
class Contender:
    """A server: its name in the tables and how it is started on a port."""

    name: str
    command: Callable[[int], list[str]]
    variables: dict[str, str] = field(default_factory=dict)


class Sink(http.server.BaseHTTPRequestHandler):
    """A collector that takes everything and keeps nothing."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """One batch."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class Collector(http.server.ThreadingHTTPServer):
    """Where the sink listens."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of a connection that a stopped server cut."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def collector() -> str:
    """Starts the sink; its URL."""
    server = Collector(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


class Server:
    """A running server on a core of its own."""

    def __init__(self, contender: Contender) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = ["taskset", "-c", str(SERVER_CORE), *contender.command(self.port)]
        environment = {**os.environ, "POD_NAME": "bench", **contender.variables}
        started = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            env=environment,
            cwd=Path(__file__).parent,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while not self.ready():
            if self.process.poll() is not None or time.perf_counter() - started > 60:
                sys.exit(f"{contender.name} does not start: {' '.join(command)}")
            time.sleep(0.0005)
        self.ready_s = time.perf_counter() - started

    def ready(self) -> bool:
        """Whether the probe is answered with 200."""
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def get(self, path: str) -> tuple[int, bytes]:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def processes(self) -> list[Path]:
        """The process and those it started: gunicorn has a worker."""
        found = [Path(f"/proc/{self.process.pid}")]
        for process in found:
            children = (process / f"task/{process.name}/children").read_text().split()
            found.extend(Path(f"/proc/{child}") for child in children)
        return found

    def processor_s(self) -> float:
        """Processor time so far. Threads that ended in between are not counted; a thread pool's stay for seconds."""
        threads = [thread for process in self.processes() for thread in process.glob("task/*")]
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9

    def memory(self) -> int:
        """Resident memory of all processes."""
        found = [
            re.search(r"VmRSS:\s*(\d+)", (of / "status").read_text()) for of in self.processes()
        ]
        return sum(int(match.group(1)) * 1024 for match in found if match)

    def stop(self) -> None:
        """Ends it, without waiting for a drain."""
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def running(contender: Contender) -> Iterator[Server]:
    """A server that is there for a while."""
    server = Server(contender)
    try:
        yield server
    finally:
        server.stop()
