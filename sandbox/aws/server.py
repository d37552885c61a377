"""The sandbox's local AWS: one process, one port on 127.0.0.1, state in memory.

    python server.py --port 5556 --state DIR --kube-endpoint https://10.200.0.1:6444 --kube-ca FILE \
        --registry http://127.0.0.1:5000 [--proxy-endpoint http://127.0.0.1:5001] \
        --registry-password SECRET [--wipe-command CMD]

The port answers AWS calls, which in the sandbox come through its front, ``/_sandbox/*`` (control.py),
and ``CONNECT sts.*.amazonaws.com:443``, where it ends TLS itself: with this port as HTTPS_PROXY and
``DIR/aws-ca.pem`` as its CA, the real aws-iam-authenticator asks here who a token belongs to.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import socketserver
import sys
import time
import warnings
from http import HTTPStatus
from pathlib import Path

os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"  # a second per region, for nothing here

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import ThreadedWSGIServer

import cfn_resources
import cfn_template
import cloudformation
import ec2_rules
import ecr
import eks
import gate
import identity
import managed_interfaces
from certificates import Authority
from errors import Answer
from faults import ConnectionLost, reset_connection
from journal import JOURNAL
from shell import Shell
from state import STATE, Options

STS_HOST = re.compile(r"(sts\.(?:[a-z0-9-]+\.)?amazonaws\.com):443")
HOST = "127.0.0.1"


class Server(ThreadedWSGIServer):
    """A thread per connection. werkzeug's handler would close every connection; this one keeps it."""

    daemon_threads = True
    authority: Authority
    shell: Shell


class Handler(MotoRequestHandler):
    """HTTP/1.1 with keep-alive, and TLS inside CONNECT."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def run_wsgi(self) -> None:
        """Every method but CONNECT comes here."""
        try:
            answer = self.server.shell.answer(self.make_environ())
        except ConnectionLost:
            reset_connection(self.connection)
            self.close_connection = True
            return
        self._send(answer)

    def _send(self, answer: Answer) -> None:
        """Status, headers and body in one write."""
        lines = [f"HTTP/1.1 {answer.status} {phrase(answer.status)}"]
        lines += [f"{name}: {value}" for name, value in answer.headers]
        lines += [f"Content-Length: {len(answer.body)}", f"Date: {self.date_time_string()}"]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        self.wfile.write(head + (b"" if self.command == "HEAD" else answer.body))

    def do_CONNECT(self) -> None:
        match = STS_HOST.fullmatch(self.path)
        if not match:
            self._send(Answer.of_json({"error": f"no tunnel to {self.path}, only to STS"}, 403))
            return
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        context = self.server.authority.context(match[1])
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = socketserver._SocketWriter(self.connection)
        self.close_connection = False

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """The journal is the log."""


def phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def install(options: Options) -> None:
    """Extend moto in process; order does not matter."""
    warnings.filterwarnings("ignore", message=".*does not match an error shape.*")
    STATE.options = options
    options.directory.mkdir(parents=True, exist_ok=True)
    JOURNAL.open(options.directory / "journal.jsonl")
    for module in (
        identity,
        gate,
        ec2_rules,
        managed_interfaces,
        cfn_template,
        cfn_resources,
        cloudformation,
        ecr,
        eks,
    ):
        module.install()
    identity.seed()
    eks.reset()


def arguments(argv: list[str] | None = None) -> Options:
    """The command line, checked."""
    parser = argparse.ArgumentParser(description="The sandbox's local AWS endpoint")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True, help="directory for CA, map, journal")
    parser.add_argument("--kube-endpoint", required=True, help="URL of the real API server")
    parser.add_argument("--kube-ca", type=Path, required=True, help="its CA, PEM")
    parser.add_argument("--registry", required=True, help="URL of the distribution registry")
    parser.add_argument("--proxy-endpoint", help="its URL for clients, where that is another")
    parser.add_argument("--registry-password", required=True, help="of its user AWS")
    parser.add_argument("--wipe-command", help="run by a shell when an EKS cluster goes")
    parser.add_argument("--nodes-command", help="the same with cordon or uncordon added")
    given = parser.parse_args(argv)
    if not given.kube_ca.is_file():
        parser.error(f"--kube-ca: no file {given.kube_ca}")
    return Options(
        port=given.port,
        directory=given.state.resolve(),
        kube_endpoint=given.kube_endpoint.rstrip("/"),
        kube_ca=given.kube_ca.resolve(),
        registry=given.registry.rstrip("/"),
        proxy_endpoint=(given.proxy_endpoint or given.registry).rstrip("/"),
        registry_password=given.registry_password,
        wipe_command=given.wipe_command,
        nodes_command=given.nodes_command,
    )


def check_port(port: int) -> None:
    """Exit 1 when somebody listens there, before the slow part of the start."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            sys.exit(f"cannot listen on {HOST}:{port}: {error.strerror}")


def main(argv: list[str] | None = None) -> None:
    started = time.monotonic()
    options = arguments(argv)
    check_port(options.port)
    install(options)
    server = Server(HOST, options.port, app=None, handler=Handler)  # type: ignore[arg-type]
    server.authority, server.shell = Authority(options.directory), Shell()
    took = time.monotonic() - started
    print(f"ready: AWS endpoint on http://{HOST}:{options.port} ({took:.1f} s)", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
