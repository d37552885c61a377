"""Injected faults and the journal."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError
from conftest import Endpoint, code_of


@pytest.mark.parametrize(
    ("service", "operation", "code", "status"),
    [
        ("eks", "list_clusters", "ThrottlingException", 429),
        ("ecr", "describe_repositories", "ThrottlingException", 400),
        ("sts", "get_caller_identity", "Throttling", 400),
        ("iam", "list_roles", "Throttling", 400),
        ("cloudformation", "list_stacks", "Throttling", 400),
        ("ec2", "describe_vpcs", "RequestLimitExceeded", 503),
    ],
)
def test_throttling_is_each_services_own(
    endpoint: Endpoint, service: str, operation: str, code: str, status: int
) -> None:
    endpoint.control("POST", "faults", [{"service": service, "kind": "throttle"}])
    with pytest.raises(ClientError) as refused:
        getattr(endpoint.client(service), operation)()
    assert code_of(refused) == (code, status)
    getattr(endpoint.client(service), operation)()


def test_sdk_retries_over_the_fault_and_the_journal_counts(endpoint: Endpoint) -> None:
    endpoint.control("POST", "faults", [{"service": "eks", "operation": "List.*", "times": 2}])
    retrying = Config(retries={"mode": "standard", "max_attempts": 4})
    endpoint.client("eks", config=retrying).list_clusters()
    rows = endpoint.control("GET", "requests")
    assert [(r["operation"], r["status"], r["attempt"], r["fault"]) for r in rows] == [
        ("ListClusters", 429, 1, "throttle"),
        ("ListClusters", 429, 2, "throttle"),
        ("ListClusters", 200, 3, None),
    ]
    assert all(abs(r["time"] - time.time()) < 60 for r in rows)
    assert set(rows[0]) == {"time", "service", "operation", "status", "attempt", "fault"}
    endpoint.control("DELETE", "requests")
    assert endpoint.control("GET", "requests") == []
    lines = (endpoint.directory / "journal.jsonl").read_text().splitlines()
    assert '"operation": "ListClusters"' in lines[-1]


def test_with_each_every_operation_meets_the_fault(endpoint: Endpoint) -> None:
    endpoint.control("POST", "faults", [{"kind": "error", "each": True}])
    calls = [("eks", "list_clusters"), ("ecr", "describe_repositories"), ("eks", "list_clusters")]
    for service, operation in [*calls, *calls]:
        with contextlib.suppress(ClientError):
            getattr(endpoint.client(service), operation)()
    rows = endpoint.control("GET", "requests")
    assert [row["fault"] for row in rows] == ["error", "error", None, None, None, None]


def test_error_with_own_code_and_message(endpoint: Endpoint) -> None:
    fault = {"operation": "DescribeRepositories", "kind": "error", "status": 403}
    fault |= {"code": "AccessDeniedException", "message": "not you"}
    endpoint.control("POST", "faults", [fault])
    with pytest.raises(ClientError, match="not you") as refused:
        endpoint.client("ecr").describe_repositories()
    assert code_of(refused) == ("AccessDeniedException", 403)


def test_plain_error_is_a_500(endpoint: Endpoint) -> None:
    endpoint.control("POST", "faults", [{"service": "sts", "kind": "error"}])
    with pytest.raises(ClientError) as refused:
        endpoint.client("sts").get_caller_identity()
    assert code_of(refused) == ("InternalFailure", 500)


def test_reset_before_the_work(endpoint: Endpoint) -> None:
    endpoint.control("POST", "faults", [{"service": "ecr", "kind": "reset"}])
    ecr = endpoint.client("ecr")
    with pytest.raises(ConnectionClosedError, match="reset by peer|Connection was closed"):
        ecr.create_repository(repositoryName="one")
    assert ecr.describe_repositories()["repositories"] == []
    assert endpoint.control("GET", "requests")[0]["status"] == 0


def test_reset_is_a_tcp_rst(endpoint: Endpoint) -> None:
    endpoint.control("POST", "faults", [{"service": "sts", "kind": "reset"}])
    body = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15"
    head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    port = urlsplit(endpoint.url).port
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        with pytest.raises(ConnectionResetError):
            connection.recv(100)


@pytest.mark.parametrize("kind", ["reset", "error"])
def test_answer_lost_after_the_work(endpoint: Endpoint, kind: str) -> None:
    endpoint.control("POST", "faults", [{"service": "ecr", "kind": kind, "after": True}])
    ecr = endpoint.client("ecr")
    with pytest.raises((ClientError, ConnectionClosedError)):
        ecr.create_repository(repositoryName="one")
    with pytest.raises(ecr.exceptions.RepositoryAlreadyExistsException):
        ecr.create_repository(repositoryName="one")


def test_delay_answers_late(endpoint: Endpoint) -> None:
    endpoint.control("POST", "faults", [{"service": "sts", "kind": "delay", "delay_s": 0.4}])
    start = time.monotonic()
    endpoint.client("sts").get_caller_identity()
    assert time.monotonic() - start > 0.4
    assert endpoint.control("GET", "requests")[0]["fault"] == "delay"


def test_timeout_never_answers(endpoint: Endpoint) -> None:
    endpoint.control("POST", "faults", [{"service": "sts", "kind": "timeout", "delay_s": 2}])
    config = Config(read_timeout=0.3, retries={"mode": "standard", "total_max_attempts": 1})
    with pytest.raises(ReadTimeoutError):
        endpoint.client("sts", config=config).get_caller_identity()


def test_percent_zero_never_hits_and_no_times_is_without_end(endpoint: Endpoint) -> None:
    never = {"service": "sts", "percent": 0}
    endpoint.control("POST", "faults", [never])
    endpoint.client("sts").get_caller_identity()
    endpoint.control("POST", "faults", [never, {"service": "sts", "times": None}])
    for _ in range(3):
        with pytest.raises(ClientError):
            endpoint.client("sts").get_caller_identity()
    endpoint.control("POST", "faults", [])
    endpoint.client("sts").get_caller_identity()


def test_fault_for_tokens_is_apart_from_the_callers_own(endpoint: Endpoint) -> None:
    fault = {"service": "sts", "operation": "PresignedGetCallerIdentity"}
    endpoint.control("POST", "faults", [fault])
    endpoint.client("sts").get_caller_identity()
    assert endpoint.control("GET", "faults")[0]["times"] == 1


@pytest.mark.parametrize(
    "bad",
    [
        {"not": "a list"},
        [{"service": "eks", "kind": "earthquake"}],
        [{"service": "eks", "operation": "("}],
        [{"servise": "eks"}],
        ["eks"],
    ],
)
def test_wrong_fault_is_refused(endpoint: Endpoint, bad: Any) -> None:
    status, answer = endpoint.raw("POST", "faults", json.dumps(bad).encode())
    assert status == 400 and answer["error"]
    assert endpoint.control("GET", "faults") == []
