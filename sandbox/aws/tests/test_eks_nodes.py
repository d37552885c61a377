"""Roles that let nodes join, and when the real cluster's node takes pods."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from conftest import (
    CLUSTER_POLICIES,
    NODE_POLICIES,
    Endpoint,
    Ground,
    cluster_request,
    cluster_status,
    code_of,
    make_role,
    until,
)

import eks_nodes
from state import STATE, Options


def by_hand(ground: Ground, **more: Any) -> dict[str, Any]:
    """A cluster without Auto Mode."""
    request = cluster_request(ground, **more)
    for part in ("computeConfig", "storageConfig", "kubernetesNetworkConfig"):
        del request[part]
    return request


def told(endpoint: Endpoint) -> list[str]:
    file = endpoint.directory / "nodes"
    return file.read_text().split() if file.exists() else []


@pytest.fixture
def nodes(endpoint: Endpoint) -> Endpoint:
    """The endpoint once the node is open again after the test before."""
    until(lambda: not (endpoint.directory / eks_nodes.MARK).exists())
    (endpoint.directory / "nodes").unlink(missing_ok=True)
    return endpoint


def test_the_node_is_shut_until_an_auto_mode_cluster_is_made(
    nodes: Endpoint, ground: Ground
) -> None:
    eks = nodes.client("eks")
    eks.create_cluster(**cluster_request(ground))
    until(lambda: cluster_status(eks) == "ACTIVE")
    until(lambda: told(nodes) == ["cordon", "uncordon"])


def test_a_cluster_made_by_hand_has_nodes_once_a_node_group_is_active(
    nodes: Endpoint, ground: Ground
) -> None:
    eks = nodes.client("eks")
    eks.create_cluster(**by_hand(ground))
    until(lambda: cluster_status(eks) == "ACTIVE")
    until(lambda: told(nodes) == ["cordon"])
    group = {"clusterName": "demo", "nodegroupName": "ng"}
    eks.create_nodegroup(**group, nodeRole=ground.node_role, subnets=ground.subnets)
    until(lambda: told(nodes) == ["cordon", "uncordon"])
    eks.delete_nodegroup(**group)
    until(lambda: told(nodes) == ["cordon", "uncordon", "cordon"])
    eks.delete_cluster(name="demo")
    until(lambda: told(nodes) == ["cordon", "uncordon", "cordon", "uncordon"])


@pytest.mark.parametrize("missing", NODE_POLICIES)
def test_instances_whose_role_lacks_a_policy_do_not_join(
    nodes: Endpoint, ground: Ground, missing: str
) -> None:
    eks = nodes.client("eks")
    eks.create_cluster(**by_hand(ground))
    until(lambda: cluster_status(eks) == "ACTIVE")
    policies = [policy for policy in NODE_POLICIES if policy != missing]
    role = make_role(nodes.client("iam"), "poor", "ec2", policies)
    group = {"clusterName": "demo", "nodegroupName": "ng"}
    eks.create_nodegroup(**group, nodeRole=role, subnets=ground.subnets)
    seen = until(
        lambda: [
            g
            for g in [eks.describe_nodegroup(**group)["nodegroup"]]
            if g["status"] == "CREATE_FAILED"
        ]
    )[0]
    assert seen["health"]["issues"][0]["code"] == "NodeCreationFailure"
    assert told(nodes) == ["cordon"]


@pytest.mark.parametrize("missing", CLUSTER_POLICIES)
def test_auto_mode_needs_every_policy(nodes: Endpoint, ground: Ground, missing: str) -> None:
    policies = [policy for policy in CLUSTER_POLICIES if policy != missing]
    role = make_role(nodes.client("iam"), "poor", "eks", policies)
    with pytest.raises(ClientError) as refused:
        nodes.client("eks").create_cluster(**cluster_request(ground, roleArn=role))
    assert code_of(refused) == ("InvalidParameterException", 400)
    assert f"[arn:aws:iam::aws:policy/{missing}]" in str(refused.value)


def test_auto_mode_tags_its_session(nodes: Endpoint, ground: Ground) -> None:
    iam, eks = nodes.client("iam"), nodes.client("eks")
    role = make_role(iam, "plain", "eks", CLUSTER_POLICIES, ("sts:AssumeRole",))
    with pytest.raises(ClientError, match="trusted entity is not correct"):
        eks.create_cluster(**cluster_request(ground, roleArn=role))
    eks.create_cluster(**by_hand(ground, roleArn=role))


def test_switching_auto_mode_on_needs_its_policies(nodes: Endpoint, ground: Ground) -> None:
    iam, eks = nodes.client("iam"), nodes.client("eks")
    role = make_role(iam, "poor", "eks", ["AmazonEKSClusterPolicy"])
    eks.create_cluster(**by_hand(ground, roleArn=role))
    until(lambda: cluster_status(eks) == "ACTIVE")
    parts = ("computeConfig", "storageConfig", "kubernetesNetworkConfig")
    switches = {key: cluster_request(ground)[key] for key in parts}
    with pytest.raises(ClientError, match="AmazonEKSComputePolicy"):
        eks.update_cluster_config(name="demo", **switches)


def test_a_node_command_that_fails_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    options = Options(1, tmp_path, "", tmp_path, "", "", "", nodes_command="false; :")
    monkeypatch.setattr(STATE, "_options", options)
    answers = iter([False, False, True])
    monkeypatch.setattr(eks_nodes, "is_open", lambda: next(answers))
    failing = iter(["no API server", None, None])
    monkeypatch.setattr("wipe.failure", lambda _: next(failing))
    assert eks_nodes.told() == "no API server"
    assert not (tmp_path / eks_nodes.MARK).exists()
    assert eks_nodes.told() is None
    assert (tmp_path / eks_nodes.MARK).exists()
    assert eks_nodes.told() is None
    assert not (tmp_path / eks_nodes.MARK).exists()
