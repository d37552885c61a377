"""The real server on a free port, beside a small in-memory OCI registry."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from fake_registry import FakeRegistry

HERE = Path(__file__).parent
ADMIN, NOBODY, SECRET = "AKIASANDBOX000000DEV", "AKIASANDBOX000NOBODY", "sandbox-secret"
CLUSTER_POLICIES = [
    f"AmazonEKS{name}Policy"
    for name in ("Cluster", "Compute", "BlockStorage", "LoadBalancing", "Networking")
]
NODE_POLICIES = [
    "AmazonEKSWorkerNodePolicy",
    "AmazonEC2ContainerRegistryPullOnly",
    "AmazonEKS_CNI_Policy",
]
PROXY_ENDPOINT = "http://127.0.0.1:9"
CA = "-----BEGIN CERTIFICATE-----\nbm90IGEgcmVhbCBvbmU=\n-----END CERTIFICATE-----\n"
QUICK = {
    "eks_create_s": 0.3,
    "eks_delete_s": 0.2,
    "eks_update_s": 0.2,
    "nodegroup_create_s": 0.2,
    "nodegroup_delete_s": 0.2,
    "addon_create_s": 0.2,
    "addon_delete_s": 0.2,
    "cfn_create_s": 0.2,
    "cfn_update_s": 0.1,
    "cfn_delete_s": 0.1,
}


@dataclass
class Endpoint:
    """The running server and what a test needs to talk to it."""

    url: str
    directory: Path
    registry: FakeRegistry

    def client(self, service: str, key: str = ADMIN, **more: Any) -> Any:
        settings = {
            "region_name": "us-east-1",
            "endpoint_url": self.url,
            "aws_access_key_id": key,
            "aws_secret_access_key": SECRET,
            "config": Config(retries={"mode": "standard", "total_max_attempts": 1}),
        }
        return boto3.client(service, **{**settings, **more})

    def control(self, method: str, path: str, body: Any = None) -> Any:
        status, value = self.raw(method, path, None if body is None else json.dumps(body).encode())
        assert status == 200, value
        return value

    def raw(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        request = urllib.request.Request(f"{self.url}/_sandbox/{path}", body, method=method)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def operations(self, service: str) -> list[str]:
        return [r["operation"] for r in self.control("GET", "requests") if r["service"] == service]

    def access(self) -> dict[str, Any]:
        return json.loads((self.directory / "access.json").read_text())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition: Callable[[], Any], seconds: float = 5.0) -> Any:
    """The first truthy value of `condition`; fails after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError("did not happen in time")


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """One server for all tests."""
    directory = tmp_path_factory.mktemp("state")
    registry = FakeRegistry("registry-secret")
    (directory / "kube-ca.pem").write_text(CA)
    port = free_port()
    command = [sys.executable, str(HERE.parent / "server.py"), "--port", str(port)]
    command += ["--state", str(directory), "--kube-endpoint", "https://10.200.0.1:6443"]
    command += ["--kube-ca", str(directory / "kube-ca.pem"), "--registry", registry.url]
    command += ["--proxy-endpoint", PROXY_ENDPOINT]
    command += ["--registry-password", "registry-secret"]
    command += ["--wipe-command", f"sleep 0.3; echo wiped >> {directory}/wipes"]
    command += ["--nodes-command", f"sh -c 'echo $0 >> {directory}/nodes'"]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MOTO_"))}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("ready: "), line
    yield Endpoint(f"http://127.0.0.1:{port}", directory, registry)
    process.terminate()
    process.wait(10)
    registry.close()


@pytest.fixture
def endpoint(running: Endpoint) -> Iterator[Endpoint]:
    """The server as after its start, but quick."""
    running.control("POST", "reset")
    running.control("POST", "config", QUICK)
    running.registry.clear()
    yield running


@dataclass
class Ground:
    """What a cluster stands on."""

    subnets: list[str]
    role: str
    node_role: str
    vpc: str


@pytest.fixture
def ground(endpoint: Endpoint) -> Ground:
    """A VPC with subnets in two zones, a cluster role and a node role, made by direct calls."""
    ec2, iam = endpoint.client("ec2"), endpoint.client("iam")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.9.{n}.0/24", AvailabilityZone=zone)
        for n, zone in enumerate(("us-east-1a", "us-east-1b"))
    ]
    ids = [subnet["Subnet"]["SubnetId"] for subnet in subnets]
    role = make_role(iam, "cluster", "eks", CLUSTER_POLICIES)
    return Ground(ids, role, make_role(iam, "node", "ec2", NODE_POLICIES), vpc)


def make_role(
    iam: Any,
    name: str,
    service: str,
    policies: list[str],
    actions: tuple[str, ...] = ("sts:AssumeRole", "sts:TagSession"),
) -> str:
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": f"{service}.amazonaws.com"},
                "Action": list(actions),
            }
        ],
    }
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    for policy in policies:
        iam.attach_role_policy(RoleName=name, PolicyArn=f"arn:aws:iam::aws:policy/{policy}")
    return made["Role"]["Arn"]


def cluster_request(ground: Ground, name: str = "demo", **more: Any) -> dict[str, Any]:
    """An Auto Mode cluster."""
    return {
        "name": name,
        "roleArn": ground.role,
        "resourcesVpcConfig": {"subnetIds": ground.subnets},
        "accessConfig": {"authenticationMode": "API"},
        "computeConfig": {
            "enabled": True,
            "nodePools": ["general-purpose"],
            "nodeRoleArn": ground.node_role,
        },
        "storageConfig": {"blockStorage": {"enabled": True}},
        "kubernetesNetworkConfig": {"elasticLoadBalancing": {"enabled": True}},
        **more,
    }


def cluster_status(eks: Any, name: str = "demo") -> str:
    try:
        return eks.describe_cluster(name=name)["cluster"]["status"]
    except eks.exceptions.ResourceNotFoundException:
        return "gone"


@pytest.fixture
def cluster(endpoint: Endpoint, ground: Ground) -> Any:
    """An ACTIVE cluster `demo`; the value is the EKS client."""
    eks = endpoint.client("eks")
    eks.create_cluster(**cluster_request(ground))
    until(lambda: cluster_status(eks) == "ACTIVE")
    return eks


def code_of(error: pytest.ExceptionInfo[Any]) -> tuple[str, int]:
    answer = error.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]
