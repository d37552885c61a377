"""Who may call: keys, sessions, signatures, presigned tokens, the tunnel to STS."""

from __future__ import annotations

import datetime
import json
import socket
import ssl
import stat
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from conftest import ADMIN, NOBODY, SECRET, Endpoint, code_of, make_role

HOST = "sts.us-east-1.amazonaws.com"
ADMIN_ARN = "arn:aws:iam::123456789012:user/sandbox-admin"
UNKNOWN = "AKIA" + "X" * 16


def presign(
    cluster: str = "demo", key: str = ADMIN, secret: str = SECRET, token: str | None = None
) -> str:
    """Path and query of an EKS token's URL."""
    request = AWSRequest(
        "GET",
        f"https://{HOST}/?Action=GetCallerIdentity&Version=2011-06-15",
        headers={"x-k8s-aws-id": cluster},
    )
    SigV4QueryAuth(Credentials(key, secret, token), "sts", "us-east-1", 60).add_auth(request)
    parts = urlsplit(request.url)
    return f"{parts.path}?{parts.query}"


def presigned_ago(seconds: int, monkeypatch: pytest.MonkeyPatch) -> str:
    """As if signed in the past."""
    then = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=seconds)
    with monkeypatch.context() as patch:
        patch.setattr("botocore.auth.get_current_datetime", lambda *_a, **_k: then)
        return presign()


def ask(endpoint: Endpoint, path: str, cluster: str = "demo", **headers: str) -> tuple[int, str]:
    sent = {"Host": HOST, "x-k8s-aws-id": cluster, "Accept": "application/json", **headers}
    request = urllib.request.Request(endpoint.url + path, headers=sent)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def arn_in(body: str) -> str:
    document = json.loads(body)["GetCallerIdentityResponse"]["GetCallerIdentityResult"]
    assert document["Account"] == "123456789012" and document["UserId"]
    return document["Arn"]


def test_static_keys_are_users(endpoint: Endpoint) -> None:
    assert len(ADMIN) == len(NOBODY) == 20
    identity = endpoint.client("sts").get_caller_identity()
    assert (identity["Arn"], identity["Account"]) == (ADMIN_ARN, "123456789012")
    nobody = endpoint.client("sts", key=NOBODY).get_caller_identity()
    assert nobody["Arn"] == "arn:aws:iam::123456789012:user/nobody"


@pytest.mark.parametrize(
    ("service", "operation", "code", "status"),
    [
        ("sts", "get_caller_identity", "InvalidClientTokenId", 403),
        ("iam", "list_roles", "InvalidClientTokenId", 403),
        ("cloudformation", "list_stacks", "InvalidClientTokenId", 403),
        ("ecr", "describe_repositories", "UnrecognizedClientException", 400),
        ("eks", "list_clusters", "UnrecognizedClientException", 400),
        ("logs", "describe_log_groups", "UnrecognizedClientException", 400),
        ("ec2", "describe_vpcs", "AuthFailure", 401),
        ("inspector2", "list_findings", "UnrecognizedClientException", 400),
    ],
)
def test_unknown_key_is_refused(
    endpoint: Endpoint, service: str, operation: str, code: str, status: int
) -> None:
    with pytest.raises(ClientError) as refused:
        getattr(endpoint.client(service, key=UNKNOWN), operation)()
    assert code_of(refused) == (code, status)


def test_wrong_secret_is_refused_unless_switched_off(endpoint: Endpoint) -> None:
    sts = endpoint.client("sts", aws_secret_access_key="wrong")
    with pytest.raises(ClientError) as refused:
        sts.get_caller_identity()
    assert code_of(refused) == ("SignatureDoesNotMatch", 403)
    endpoint.control("POST", "config", {"check_signatures": False})
    assert sts.get_caller_identity()["Arn"] == ADMIN_ARN


def test_created_key_and_session_work(endpoint: Endpoint) -> None:
    iam, sts = endpoint.client("iam"), endpoint.client("sts")
    iam.create_user(UserName="dev")
    key = iam.create_access_key(UserName="dev")["AccessKey"]
    dev = endpoint.client(
        "sts", key=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"]
    )
    assert dev.get_caller_identity()["Arn"].endswith(":user/dev")
    role = make_role(iam, "ci", "ec2", [])
    session = sts.assume_role(RoleArn=role, RoleSessionName="run")["Credentials"]
    settings = {
        "key": session["AccessKeyId"],
        "aws_secret_access_key": session["SecretAccessKey"],
    }
    good = endpoint.client("sts", aws_session_token=session["SessionToken"], **settings)
    assert good.get_caller_identity()["Arn"].endswith("assumed-role/ci/run")
    with pytest.raises(ClientError) as refused:
        endpoint.client("sts", **settings).get_caller_identity()
    assert code_of(refused) == ("InvalidClientTokenId", 403)
    iam.update_access_key(UserName="dev", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    with pytest.raises(ClientError) as refused:
        dev.get_caller_identity()
    assert code_of(refused) == ("InvalidClientTokenId", 403)


def test_unsigned_request_is_refused(endpoint: Endpoint) -> None:
    status, body = ask(endpoint, "/clusters")
    assert status == 403 and "MissingAuthenticationToken" in body


def test_good_token_names_its_user(endpoint: Endpoint) -> None:
    status, body = ask(endpoint, presign())
    assert (status, arn_in(body)) == (200, ADMIN_ARN)
    assert endpoint.operations("sts") == ["PresignedGetCallerIdentity"]


def test_token_in_xml_without_accept(endpoint: Endpoint) -> None:
    status, body = ask(endpoint, presign(), Accept="*/*")
    assert status == 200 and f"<Arn>{ADMIN_ARN}</Arn>" in body


def test_token_of_a_session_names_the_session(endpoint: Endpoint) -> None:
    role = make_role(endpoint.client("iam"), "ci", "ec2", [])
    session = endpoint.client("sts").assume_role(RoleArn=role, RoleSessionName="run")["Credentials"]
    keys = session["AccessKeyId"], session["SecretAccessKey"]
    status, body = ask(endpoint, presign("demo", *keys, session["SessionToken"]))
    assert status == 200 and arn_in(body).endswith(":assumed-role/ci/run")
    assert ask(endpoint, presign("demo", *keys))[0] == 403


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (presign("other"), "SignatureDoesNotMatch"),
        (presign(secret="wrong"), "SignatureDoesNotMatch"),
        (presign(key=UNKNOWN), "InvalidClientTokenId"),
        (presign().replace("Version=2011", "Version=2012"), "SignatureDoesNotMatch"),
        (presign()[:-1] + "g", "SignatureDoesNotMatch"),
    ],
    ids=["other cluster", "wrong secret", "unknown key", "changed query", "changed signature"],
)
def test_bad_token_is_refused(endpoint: Endpoint, path: str, code: str) -> None:
    status, body = ask(endpoint, path)
    assert (status, json.loads(body)["Error"]["Code"]) == (403, code)


def test_bad_token_is_refused_without_other_signature_checks(endpoint: Endpoint) -> None:
    endpoint.control("POST", "config", {"check_signatures": False})
    assert ask(endpoint, presign(secret="wrong"))[0] == 403


@pytest.mark.parametrize(("age", "status"), [(800, 200), (1000, 403)])
def test_token_lasts_15_minutes(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, age: int, status: int
) -> None:
    path = presigned_ago(age, monkeypatch)
    answered, body = ask(endpoint, path)
    assert answered == status
    assert status == 200 or "expired" in body


def tunnel(endpoint: Endpoint, host: str) -> Any:
    connection = socket.create_connection(("127.0.0.1", urlsplit(endpoint.url).port), 5)
    connection.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
    return connection, connection.recv(1000)


@pytest.mark.parametrize("host", [HOST, "sts.eu-central-1.amazonaws.com", "sts.amazonaws.com"])
def test_tunnel_to_sts_speaks_tls_under_our_ca(endpoint: Endpoint, host: str) -> None:
    connection, answer = tunnel(endpoint, host)
    assert b" 200 " in answer
    context = ssl.create_default_context(cafile=str(endpoint.directory / "aws-ca.pem"))
    with context.wrap_socket(connection, server_hostname=host) as secure:
        for close in ("", "Connection: close\r\n"):
            head = f"GET {presign()} HTTP/1.1\r\nHost: {HOST}\r\nAccept: application/json\r\n"
            secure.sendall(f"{head}x-k8s-aws-id: demo\r\n{close}\r\n".encode())
            text = secure.recv(4000)
            assert text.startswith(b"HTTP/1.1 200 ") and ADMIN_ARN.encode() in text


def test_no_tunnel_elsewhere(endpoint: Endpoint) -> None:
    connection, answer = tunnel(endpoint, "example.com")
    connection.close()
    assert b" 403 " in answer


def test_keys_are_private_and_the_ca_is_not_made_twice(endpoint: Endpoint) -> None:
    mode = (endpoint.directory / "aws-ca-key.pem").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert not list(endpoint.directory.glob("aws-server-*"))


def test_enforced_policies_refuse_with_a_code(endpoint: Endpoint) -> None:
    endpoint.control("POST", "config", {"enforce_iam": True})
    endpoint.client("ecr").describe_repositories()
    with pytest.raises(ClientError) as missing:
        endpoint.client("eks").describe_cluster(name="demo")
    assert code_of(missing) == ("ResourceNotFoundException", 404)
    with pytest.raises(ClientError) as refused:
        endpoint.client("eks", key=NOBODY).describe_cluster(name="demo")
    assert code_of(refused) == ("AccessDeniedException", 400)
    with pytest.raises(ClientError) as refused:
        endpoint.client("ecr", key=NOBODY).describe_repositories()
    assert code_of(refused) == ("AccessDeniedException", 400)
    with pytest.raises(ClientError) as refused:
        endpoint.client("iam", key=NOBODY).list_roles()
    assert code_of(refused) == ("AccessDenied", 403)
