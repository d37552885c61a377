"""Control paths, the start of the process, and what nobody implements."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError
from conftest import HERE, Endpoint, Ground, cluster_request, code_of


def test_health(endpoint: Endpoint) -> None:
    assert endpoint.control("GET", "health") == {"status": "ok"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "nothing", None, 404),
        ("POST", "inventory", b"{}", 405),
        ("POST", "config", b"{", 400),
        ("POST", "config", b'{"eks_create": 1}', 400),
        ("POST", "config", b'{"eks_create_s": "1"}', 400),
        ("POST", "config", b"[]", 400),
        ("POST", "faults", b"nonsense", 400),
    ],
)
def test_wrong_control_requests(
    endpoint: Endpoint, method: str, path: str, body: bytes | None, status: int
) -> None:
    answered, value = endpoint.raw(method, path, body)
    assert answered == status and value["error"]


def test_config_is_merged(endpoint: Endpoint) -> None:
    before = endpoint.control("GET", "config")
    after = endpoint.control("POST", "config", {"eks_create_s": 7, "eks_create_fail": "x"})
    assert after == {**before, "eks_create_s": 7.0, "eks_create_fail": "x"}


def test_reset_forgets_everything(endpoint: Endpoint, ground: Ground) -> None:
    endpoint.client("ecr").create_repository(repositoryName="one")
    endpoint.client("eks").create_cluster(**cluster_request(ground))
    endpoint.client("logs", region_name="eu-west-1").create_log_group(logGroupName="/a/b")
    left = endpoint.control("GET", "inventory")
    assert left["ecr"] == ["one"] and left["eks"] == ["demo"] and left["log_group"] == ["/a/b"]
    assert left["vpc"] == [ground.vpc] and left["subnet"] == sorted(ground.subnets)
    assert left["iam_roles"] == ["cluster", "node"]
    assert len(left["security_group"]) == 1 and len(left["network_interface"]) == 2
    endpoint.control("POST", "faults", [{"service": "sts"}])
    endpoint.control("POST", "reset")
    assert endpoint.control("GET", "inventory") == {}
    assert endpoint.control("GET", "requests") == []
    assert endpoint.control("GET", "faults") == []
    assert endpoint.control("GET", "config")["eks_create_s"] == 3.0
    assert endpoint.access()["mapUsers"] == []
    assert endpoint.client("sts").get_caller_identity()["Arn"].endswith("/sandbox-admin")


def test_inventory_sees_what_hinders_a_vpc(endpoint: Endpoint, ground: Ground) -> None:
    ec2, elb = endpoint.client("ec2"), endpoint.client("elbv2")
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=ground.vpc)
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    nat = ec2.create_nat_gateway(SubnetId=ground.subnets[0], AllocationId=address)
    nat_id = nat["NatGateway"]["NatGatewayId"]
    ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)
    table = ec2.create_route_table(VpcId=ground.vpc)["RouteTable"]["RouteTableId"]
    balancer = elb.create_load_balancer(Name="lb", Subnets=ground.subnets)["LoadBalancers"][0]
    left = endpoint.control("GET", "inventory")
    assert (left["internet_gateway"], left["nat_gateway"]) == ([gateway], [nat_id])
    assert (left["elastic_ip"], left["route_table"]) == ([address], [table])
    assert len(left["volume"]) == len(left["load_balancer"]) == 1
    for refused in (
        lambda: ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=ground.vpc),
        lambda: ec2.delete_subnet(SubnetId=ground.subnets[0]),
        lambda: ec2.delete_vpc(VpcId=ground.vpc),
    ):
        with pytest.raises(ClientError) as error:
            refused()
        assert code_of(error) == ("DependencyViolation", 400)
    with pytest.raises(ClientError, match="InvalidIPAddress.InUse"):
        ec2.release_address(AllocationId=address)
    elb.delete_load_balancer(LoadBalancerArn=balancer["LoadBalancerArn"])
    ec2.delete_nat_gateway(NatGatewayId=nat_id)
    ec2.release_address(AllocationId=address)
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=ground.vpc)
    ec2.delete_subnet(SubnetId=ground.subnets[0])


def test_vpc_and_group_rules(endpoint: Endpoint, ground: Ground) -> None:
    ec2 = endpoint.client("ec2")
    group = ec2.create_security_group(GroupName="g", Description="d", VpcId=ground.vpc)["GroupId"]
    for subnet in ground.subnets[1:]:
        ec2.delete_subnet(SubnetId=subnet)
    interface = ec2.create_network_interface(SubnetId=ground.subnets[0], Groups=[group])
    number = interface["NetworkInterface"]["NetworkInterfaceId"]
    for refused in (
        lambda: ec2.delete_security_group(GroupId=group),
        lambda: ec2.delete_subnet(SubnetId=ground.subnets[0]),
    ):
        with pytest.raises(ClientError) as error:
            refused()
        assert code_of(error) == ("DependencyViolation", 400)
    ec2.delete_network_interface(NetworkInterfaceId=number)
    ec2.delete_subnet(SubnetId=ground.subnets[0])
    with pytest.raises(ClientError) as error:
        ec2.delete_vpc(VpcId=ground.vpc)
    assert code_of(error) == ("DependencyViolation", 400)
    ec2.delete_security_group(GroupId=group)
    ec2.delete_vpc(VpcId=ground.vpc)


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("eks", "list_insights", {"clusterName": "a"}),
        ("eks", "list_fargate_profiles", {"clusterName": "a"}),
        ("ecr", "describe_pull_through_cache_rules", {}),
        ("iam", "list_service_specific_credentials", {}),
        ("cloudformation", "detect_stack_drift", {"StackName": "a"}),
        ("cloudformation", "create_change_set", {"StackName": "a"}),
        ("sts", "get_session_token", {}),
        ("ec2", "describe_fleet_history", {}),
        ("accessanalyzer", "list_analyzers", {}),
        ("translate", "list_languages", {}),
    ],
)
def test_what_is_missing_is_a_proper_error(
    endpoint: Endpoint, service: str, operation: str, arguments: dict[str, Any]
) -> None:
    client = endpoint.client(service)
    needed = client.meta.service_model.operation_model(
        client.meta.method_to_api_mapping[operation]
    ).input_shape.required_members
    for name in needed:
        arguments.setdefault(name, "2020-01-01" if "Time" in name else "value-1")
    with pytest.raises(ClientError) as refused:
        getattr(client, operation)(**arguments)
    assert code_of(refused) == ("NotImplemented", 400)


def test_connection_is_kept(endpoint: Endpoint) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(endpoint.url).port)
    connection.request("GET", "/_sandbox/health")
    connection.getresponse().read()
    before = connection.sock
    connection.request("GET", "/_sandbox/health")
    assert connection.getresponse().read() and connection.sock is before
    connection.close()


def test_chunked_body_is_read(endpoint: Endpoint) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(endpoint.url).port)
    connection.request("POST", "/_sandbox/config", iter([b'{"eks_create_s"', b": 9}"]))
    assert connection.getresponse().status == 200
    connection.close()
    assert endpoint.control("GET", "config")["eks_create_s"] == 9.0


def test_parallel_creates_have_one_winner(endpoint: Endpoint) -> None:
    results: list[str] = []

    def create() -> None:
        try:
            endpoint.client("ecr").create_repository(repositoryName="one")
            results.append("ok")
        except ClientError as error:
            results.append(error.response["Error"]["Code"])

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["RepositoryAlreadyExistsException"] * 7 + ["ok"]


def test_taken_port_is_a_clear_error(endpoint: Endpoint, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ca = endpoint.directory / "kube-ca.pem"
        command = [sys.executable, str(HERE.parent / "server.py"), "--port", port]
        command += [
            "--state",
            str(tmp_path),
            "--kube-endpoint",
            "https://k",
            "--registry",
            "http://r",
        ]
        command += ["--registry-password", "p", "--kube-ca", str(ca)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr and "Traceback" not in done.stderr
