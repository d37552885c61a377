"""The tool's own template, in every shape that its parameters give it, and its updates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conftest import Endpoint, cluster_status, code_of, until
from test_cloudformation import ALLOWED, Stack

FILE = Path(__file__).parents[3] / "provisioner/src/aws/foundation.json"
TEMPLATE = json.loads(FILE.read_text())


@pytest.fixture
def stack(endpoint: Endpoint) -> Stack:
    return Stack(endpoint.client("cloudformation"))


def create(stack: Stack, **parameters: str) -> dict[str, str]:
    given = [{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()]
    tags = [{"Key": "provisioner:stack", "Value": "demo"}]
    stack.create(TEMPLATE, Capabilities=ALLOWED, Parameters=given, Tags=tags)
    stack.reaches("CREATE_COMPLETE")
    return stack.outputs() if stack.describe().get("Outputs") else {}


def remove(endpoint: Endpoint, stack: Stack) -> None:
    stack.client.delete_stack(StackName=stack.name)
    stack.reaches("DELETE_COMPLETE")
    assert endpoint.control("GET", "inventory") == {}


def counts(endpoint: Endpoint) -> dict[str, int]:
    inventory = endpoint.control("GET", "inventory")
    return {kind: len(names) for kind, names in inventory.items() if kind != "cloudformation"}


def policies(endpoint: Endpoint, arn: str) -> set[str]:
    attached = endpoint.client("iam").list_attached_role_policies(RoleName=arn.rsplit("/", 1)[-1])
    return {policy["PolicyName"] for policy in attached["AttachedPolicies"]}


def test_public_network_and_roles_by_default(endpoint: Endpoint, stack: Stack) -> None:
    outputs = create(stack)
    assert set(outputs) == {"VpcId", "SubnetIds", "ClusterRoleArn", "NodeRoleArn"}
    found = counts(endpoint)
    assert (found["subnet"], found["iam_roles"]) == (2, 2)
    assert not {"nat_gateway", "elastic_ip"} & set(found)
    assert len(policies(endpoint, outputs["ClusterRoleArn"])) == 5
    remove(endpoint, stack)


def test_private_nodes_are_behind_a_nat_gateway(endpoint: Endpoint, stack: Stack) -> None:
    outputs = create(stack, PrivateNodes="true", Compute="nodegroup")
    found = counts(endpoint)
    assert (found["subnet"], found["nat_gateway"], found["elastic_ip"]) == (4, 1, 1)
    ec2 = endpoint.client("ec2")
    nodes = outputs["SubnetIds"].split(",")
    subnets = ec2.describe_subnets(SubnetIds=nodes)["Subnets"]
    assert [subnet["MapPublicIpOnLaunch"] for subnet in subnets] == [False, False]
    assert len({subnet["AvailabilityZone"] for subnet in subnets}) == 2
    tables = ec2.describe_route_tables()["RouteTables"]
    private = [t for t in tables if any(a.get("SubnetId") in nodes for a in t["Associations"])]
    assert [len(t["Associations"]) for t in private] == [2]
    assert any(route.get("NatGatewayId") for route in private[0]["Routes"])
    assert policies(endpoint, outputs["NodeRoleArn"]) == {
        "AmazonEKSWorkerNodePolicy",
        "AmazonEKS_CNI_Policy",
        "AmazonEC2ContainerRegistryPullOnly",
    }
    assert policies(endpoint, outputs["ClusterRoleArn"]) == {"AmazonEKSClusterPolicy"}
    remove(endpoint, stack)


def test_what_is_brought_along_is_not_made(endpoint: Endpoint, stack: Stack) -> None:
    outputs = create(stack, Network="false", PrivateNodes="true", MakeClusterRole="false")
    assert set(outputs) == {"NodeRoleArn"}
    assert counts(endpoint) == {"iam_roles": 1}
    remove(endpoint, stack)


def test_zones_can_be_chosen(endpoint: Endpoint, stack: Stack) -> None:
    outputs = create(stack, ZoneA="us-east-1d", ZoneB="us-east-1f")
    subnets = endpoint.client("ec2").describe_subnets(SubnetIds=outputs["SubnetIds"].split(","))
    zones = {subnet["AvailabilityZone"] for subnet in subnets["Subnets"]}
    assert zones == {"us-east-1d", "us-east-1f"}
    remove(endpoint, stack)


def test_parameters_can_be_read_back(stack: Stack) -> None:
    create(stack, PrivateNodes="true")
    shown = {p["ParameterKey"]: p["ParameterValue"] for p in stack.describe()["Parameters"]}
    assert shown["PrivateNodes"] == "true" and shown["Network"] == "true"
    assert set(shown) == set(TEMPLATE["Parameters"])


def propose(stack: Stack, template: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A change set, as described."""
    previous = [{"ParameterKey": key, "UsePreviousValue": True} for key in TEMPLATE["Parameters"]]
    stack.client.create_change_set(
        StackName=stack.name,
        ChangeSetName="next",
        ChangeSetType="UPDATE",
        TemplateBody=json.dumps(template),
        Parameters=previous,
        Capabilities=ALLOWED,
        **more,
    )
    return stack.client.describe_change_set(StackName=stack.name, ChangeSetName="next")


def changed(answer: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    changes = [change["ResourceChange"] for change in answer["Changes"]]
    return {c["LogicalResourceId"]: (c["Action"], c.get("Replacement")) for c in changes}


def copy() -> dict[str, Any]:
    return json.loads(json.dumps(TEMPLATE))


def test_change_set_tells_what_is_replaced_and_changes_nothing(stack: Stack) -> None:
    create(stack)
    template = copy()
    resources = template["Resources"]
    resources["SubnetA"]["Properties"]["CidrBlock"] = "10.42.128.0/19"
    resources["SubnetB"]["Properties"]["MapPublicIpOnLaunch"] = False
    resources["Extra"] = {"Type": "AWS::EC2::InternetGateway"}
    resources["NodeRole"]["Properties"]["ManagedPolicyArns"] = []
    answer = propose(stack, template)
    assert answer["Status"] == "CREATE_COMPLETE"
    assert changed(answer) == {
        "SubnetA": ("Modify", "True"),
        "SubnetB": ("Modify", "False"),
        "NodeRole": ("Modify", "False"),
        "Extra": ("Add", None),
    }
    assert stack.describe()["StackStatus"] == "CREATE_COMPLETE"
    stack.client.delete_change_set(StackName=stack.name, ChangeSetName="next")
    with pytest.raises(ClientError) as gone:
        stack.client.describe_change_set(StackName=stack.name, ChangeSetName="next")
    assert code_of(gone) == ("ChangeSetNotFound", 404)


def test_executed_change_set_updates_the_stack_and_keeps_parameters(
    endpoint: Endpoint, stack: Stack
) -> None:
    outputs = create(stack, PrivateNodes="true")
    template = copy()
    branches = template["Resources"]["NodeRole"]["Properties"]["ManagedPolicyArns"]["Fn::If"]
    branches[1].pop(0)
    tags = [{"Key": "provisioner:template", "Value": "new"}]
    answer = propose(stack, template, Tags=tags)
    assert changed(answer)["NodeRole"] == ("Modify", "False")
    assert {replaced for _, replaced in changed(answer).values()} == {"False"}
    stack.client.execute_change_set(StackName=stack.name, ChangeSetName="next")
    stack.reaches("UPDATE_COMPLETE")
    assert stack.describe()["Tags"] == tags
    assert stack.outputs() == outputs
    assert policies(endpoint, outputs["NodeRoleArn"]) == {"AmazonEC2ContainerRegistryPullOnly"}
    assert counts(endpoint)["nat_gateway"] == 1
    remove(endpoint, stack)


def test_change_set_without_changes_fails(stack: Stack) -> None:
    create(stack)
    answer = propose(stack, TEMPLATE)
    assert answer["Status"] == "FAILED" and "didn't contain changes" in answer["StatusReason"]
    with pytest.raises(ClientError) as refused:
        stack.client.execute_change_set(StackName=stack.name, ChangeSetName="next")
    assert code_of(refused)[0] == "InvalidChangeSetStatus"


def test_cluster_with_nodes_on_it(endpoint: Endpoint, stack: Stack) -> None:
    """Roles and subnets of the template are what EKS accepts, for a node group too."""
    outputs = create(stack, Compute="nodegroup", PrivateNodes="true")
    eks, subnets = endpoint.client("eks"), outputs["SubnetIds"].split(",")
    eks.create_cluster(
        name="demo",
        roleArn=outputs["ClusterRoleArn"],
        resourcesVpcConfig={"subnetIds": subnets},
        accessConfig={"authenticationMode": "API"},
    )
    until(lambda: cluster_status(eks) == "ACTIVE")
    nodes = {"clusterName": "demo", "nodegroupName": "provisioner"}
    eks.create_nodegroup(**nodes, subnets=subnets, nodeRole=outputs["NodeRoleArn"])
    until(lambda: eks.describe_nodegroup(**nodes)["nodegroup"]["status"] == "ACTIVE")
