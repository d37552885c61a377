"""CloudFormation stacks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conftest import (
    Endpoint,
    cluster_request,
    cluster_status,
    code_of,
    until,
)
from conftest import Ground as ClusterGround
from templates import CLUSTER_POLICIES, Template, foundation, managed, one_vpc

ALLOWED = ["CAPABILITY_IAM"]


class Stack:
    """A stack under test."""

    def __init__(self, client: Any, name: str = "provisioner-demo") -> None:
        self.client, self.name = client, name

    def create(self, template: Template, **more: Any) -> str:
        request = {"StackName": self.name, "TemplateBody": json.dumps(template), **more}
        self.id = self.client.create_stack(**request)["StackId"]
        return self.id

    def describe(self) -> Template:
        return self.client.describe_stacks(StackName=self.id)["Stacks"][0]

    def reaches(self, status: str) -> Template:
        until(lambda: self.describe()["StackStatus"] == status)
        return self.describe()

    def events(self) -> list[Template]:
        """Oldest first."""
        return self.client.describe_stack_events(StackName=self.id)["StackEvents"][::-1]

    def said(self, logical_id: str) -> list[str]:
        mine = [e for e in self.events() if e["LogicalResourceId"] == logical_id]
        return [event["ResourceStatus"] for event in mine]

    def outputs(self) -> dict[str, str]:
        return {o["OutputKey"]: o["OutputValue"] for o in self.describe()["Outputs"]}


@pytest.fixture
def stack(endpoint: Endpoint) -> Stack:
    return Stack(endpoint.client("cloudformation"))


def test_whole_round_leaves_nothing(endpoint: Endpoint, stack: Stack) -> None:
    ecr, eks = endpoint.client("ecr"), endpoint.client("eks")
    ecr.create_repository(repositoryName="demo/web-app")
    endpoint.registry.put("demo/web-app", "v1")
    stack.create(foundation(), Capabilities=ALLOWED, Tags=[{"Key": "owner", "Value": "us"}])
    stack.reaches("CREATE_COMPLETE")
    made = stack.outputs()
    ground = ClusterGround(
        made["SubnetIds"].split(","), made["ClusterRoleArn"], made["NodeRoleArn"], made["VpcId"]
    )
    eks.create_cluster(**cluster_request(ground))
    until(lambda: cluster_status(eks) == "ACTIVE")
    assert set(endpoint.control("GET", "inventory")) >= {"eks", "ecr", "cloudformation", "vpc"}
    eks.delete_cluster(name="demo")
    until(lambda: cluster_status(eks) == "gone")
    stack.client.delete_stack(StackName=stack.name)
    stack.reaches("DELETE_COMPLETE")
    ecr.delete_repository(repositoryName="demo/web-app", force=True)
    assert endpoint.control("GET", "inventory") == {}
    with pytest.raises(ClientError, match="does not exist"):
        stack.client.describe_stacks(StackName=stack.name)


def test_create_in_progress_then_complete_with_events_per_resource(
    endpoint: Endpoint, stack: Stack
) -> None:
    stack.create(foundation(), Capabilities=ALLOWED, ClientRequestToken="create-1")
    first = stack.describe()
    assert first["StackStatus"] == "CREATE_IN_PROGRESS" and "Outputs" not in first
    stack.reaches("CREATE_COMPLETE")
    assert stack.said("Vpc") == ["CREATE_IN_PROGRESS", "CREATE_COMPLETE"]
    assert stack.said(stack.name) == ["CREATE_IN_PROGRESS", "CREATE_COMPLETE"]
    assert {e["ClientRequestToken"] for e in stack.events()} == {"create-1"}
    order = [e["LogicalResourceId"] for e in stack.events()]
    assert order.index("Attachment") < order.index("Route")
    rows = stack.client.describe_stack_resources(StackName=stack.name)["StackResources"]
    vpc = next(r for r in rows if r["LogicalResourceId"] == "Vpc")
    assert vpc["PhysicalResourceId"] == stack.outputs()["VpcId"]
    assert (vpc["ResourceType"], vpc["ResourceStatus"]) == ("AWS::EC2::VPC", "CREATE_COMPLETE")


def test_functions_roles_and_tags_are_right(endpoint: Endpoint) -> None:
    stack = Stack(endpoint.client("cloudformation", region_name="eu-central-1"))
    tags = [{"Key": "provisioner:stack", "Value": "demo"}]
    stack.create(foundation(), Capabilities=ALLOWED, Tags=tags)
    stack.reaches("CREATE_COMPLETE")
    ec2 = endpoint.client("ec2", region_name="eu-central-1")
    vpc = [{"Name": "vpc-id", "Values": [stack.outputs()["VpcId"]]}]
    subnets = ec2.describe_subnets(Filters=vpc)["Subnets"]
    assert {(s["CidrBlock"], s["AvailabilityZone"]) for s in subnets} == {
        ("10.42.0.0/20", "eu-central-1a"),
        ("10.42.16.0/20", "eu-central-1b"),
    }
    assert {"Key": "provisioner:stack", "Value": "demo"} in subnets[0]["Tags"]
    iam = endpoint.client("iam")
    name = stack.outputs()["ClusterRoleArn"].rsplit("/", 1)[-1]
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    wanted = {f"AmazonEKS{name}Policy" for name in CLUSTER_POLICIES}
    assert {p["PolicyName"] for p in attached} == wanted
    inline = iam.get_role_policy(RoleName=name, PolicyName="logs")["PolicyDocument"]
    assert inline["Statement"][0]["Action"] == "logs:*"
    assert tags[0] in iam.list_role_tags(RoleName=name)["Tags"]


def test_failing_resource_ends_in_rollback_complete(endpoint: Endpoint, stack: Stack) -> None:
    template = foundation()
    template["Resources"]["SubnetB"]["Properties"]["CidrBlock"] = "10.42.0.0/20"
    stack.create(template, Capabilities=ALLOWED)
    seen = stack.reaches("ROLLBACK_COMPLETE")
    assert "Outputs" not in seen
    failed = [e for e in stack.events() if e["ResourceStatus"] == "CREATE_FAILED"]
    real = [e for e in failed if e["ResourceStatusReason"] != "Resource creation cancelled"]
    assert [e["LogicalResourceId"] for e in real] == ["SubnetB"]
    assert "InvalidSubnet.Conflict" in real[0]["ResourceStatusReason"]
    assert failed[0] == real[0]
    assert "ROLLBACK_IN_PROGRESS" in stack.said(stack.name)
    assert endpoint.control("GET", "inventory") == {"cloudformation": [stack.name]}
    with pytest.raises(ClientError, match="ROLLBACK_COMPLETE state and can not be updated"):
        stack.client.update_stack(StackName=stack.name, TemplateBody=json.dumps(one_vpc()))
    stack.client.delete_stack(StackName=stack.name)
    stack.reaches("DELETE_COMPLETE")
    assert endpoint.control("GET", "inventory") == {}


def test_missing_managed_policy_rolls_back_the_role_too(endpoint: Endpoint, stack: Stack) -> None:
    template = foundation()
    policies = template["Resources"]["NodeRole"]["Properties"]["ManagedPolicyArns"]
    policies.append(managed("NoSuchPolicy"))
    stack.create(template, Capabilities=ALLOWED)
    stack.reaches("ROLLBACK_COMPLETE")
    assert "iam_roles" not in endpoint.control("GET", "inventory")


@pytest.mark.parametrize(
    ("on_failure", "status", "left"),
    [("DO_NOTHING", "CREATE_FAILED", True), ("DELETE", "DELETE_COMPLETE", False)],
)
def test_on_failure(
    endpoint: Endpoint, stack: Stack, on_failure: str, status: str, left: bool
) -> None:
    endpoint.control("POST", "config", {"cfn_create_fail": "^Bad$"})
    bad = {"Type": "AWS::EC2::InternetGateway", "DependsOn": "Vpc"}
    stack.create(one_vpc(Bad=bad), OnFailure=on_failure)
    stack.reaches(status)
    assert ("vpc" in endpoint.control("GET", "inventory")) == left


def test_blocked_delete_keeps_the_stack(endpoint: Endpoint, stack: Stack) -> None:
    stack.create(foundation(), Capabilities=ALLOWED)
    stack.reaches("CREATE_COMPLETE")
    subnet_id = stack.outputs()["SubnetIds"].split(",")[1]
    ec2 = endpoint.client("ec2")
    blocker = ec2.create_network_interface(SubnetId=subnet_id)["NetworkInterface"]
    stack.client.delete_stack(StackName=stack.name)
    seen = stack.reaches("DELETE_FAILED")
    assert "SubnetB" in seen["StackStatusReason"]
    failed = [e for e in stack.events() if e["ResourceStatus"] == "DELETE_FAILED"]
    assert failed[0]["LogicalResourceId"] == "SubnetB"
    assert "DependencyViolation" in failed[0]["ResourceStatusReason"]
    left = endpoint.control("GET", "inventory")
    assert left["cloudformation"] == [stack.name] and len(left["subnet"]) == 1 and left["vpc"]
    ec2.delete_network_interface(NetworkInterfaceId=blocker["NetworkInterfaceId"])
    stack.client.delete_stack(StackName=stack.name)
    stack.reaches("DELETE_COMPLETE")
    assert endpoint.control("GET", "inventory") == {}


def test_foreign_security_group_blocks_the_vpc(endpoint: Endpoint, stack: Stack) -> None:
    stack.create(one_vpc() | {"Outputs": {"VpcId": {"Value": {"Ref": "Vpc"}}}})
    stack.reaches("CREATE_COMPLETE")
    endpoint.client("ec2").create_security_group(
        GroupName="leak", Description="leak", VpcId=stack.outputs()["VpcId"]
    )
    stack.client.delete_stack(StackName=stack.name)
    assert "Vpc" in stack.reaches("DELETE_FAILED")["StackStatusReason"]


def test_injected_delete_failure_and_retain(endpoint: Endpoint, stack: Stack) -> None:
    stack.create(one_vpc())
    stack.reaches("CREATE_COMPLETE")
    endpoint.control("POST", "config", {"cfn_delete_fail": "Vpc"})
    stack.client.delete_stack(StackName=stack.name)
    stack.reaches("DELETE_FAILED")
    stack.client.delete_stack(StackName=stack.name, RetainResources=["Vpc"])
    stack.reaches("DELETE_COMPLETE")
    assert set(endpoint.control("GET", "inventory")) == {"vpc"}


def test_delete_while_creating(endpoint: Endpoint, stack: Stack) -> None:
    endpoint.control("POST", "config", {"cfn_create_s": 3})
    stack.create(foundation(), Capabilities=ALLOWED)
    until(lambda: stack.said("Vpc"))
    stack.client.delete_stack(StackName=stack.name)
    stack.reaches("DELETE_COMPLETE")
    assert endpoint.control("GET", "inventory") == {}


def test_termination_protection(stack: Stack) -> None:
    stack.create(one_vpc(), EnableTerminationProtection=True)
    stack.reaches("CREATE_COMPLETE")
    assert stack.describe()["EnableTerminationProtection"] is True
    with pytest.raises(ClientError, match="TerminationProtection") as refused:
        stack.client.delete_stack(StackName=stack.name)
    assert code_of(refused) == ("ValidationError", 400)
    stack.client.update_termination_protection(
        StackName=stack.name, EnableTerminationProtection=False
    )
    stack.client.delete_stack(StackName=stack.name)
    stack.reaches("DELETE_COMPLETE")


def test_update_adds_removes_and_refuses_nothing(endpoint: Endpoint, stack: Stack) -> None:
    gateway = {"Type": "AWS::EC2::InternetGateway"}
    stack.create(one_vpc(Gateway=gateway))
    stack.reaches("CREATE_COMPLETE")
    with pytest.raises(ClientError, match="No updates are to be performed.") as refused:
        stack.client.update_stack(
            StackName=stack.name, TemplateBody=json.dumps(one_vpc(Gateway=gateway))
        )
    assert code_of(refused) == ("ValidationError", 400)
    table = {"Type": "AWS::EC2::RouteTable", "Properties": {"VpcId": {"Ref": "Vpc"}}}
    template = json.dumps(one_vpc(Table=table))
    stack.client.update_stack(StackName=stack.name, TemplateBody=template)
    assert stack.describe()["StackStatus"] == "UPDATE_IN_PROGRESS"
    stack.reaches("UPDATE_COMPLETE")
    left = endpoint.control("GET", "inventory")
    assert len(left["route_table"]) == 1 and "internet_gateway" not in left
    rows = stack.client.list_stack_resources(StackName=stack.name)["StackResourceSummaries"]
    assert {row["LogicalResourceId"] for row in rows} == {"Vpc", "Table"}
    stack.client.delete_stack(StackName=stack.name)
    stack.reaches("DELETE_COMPLETE")
    assert endpoint.control("GET", "inventory") == {}


def test_update_changes_policies_of_a_role(endpoint: Endpoint, stack: Stack) -> None:
    template = foundation()
    stack.create(template, Capabilities=ALLOWED)
    stack.reaches("CREATE_COMPLETE")
    role = template["Resources"]["ClusterRole"]["Properties"]
    role["ManagedPolicyArns"] = [managed("AmazonEKSClusterPolicy")]
    stack.client.update_stack(
        StackName=stack.name, TemplateBody=json.dumps(template), Capabilities=ALLOWED
    )
    stack.reaches("UPDATE_COMPLETE")
    name = stack.outputs()["ClusterRoleArn"].rsplit("/", 1)[-1]
    attached = endpoint.client("iam").list_attached_role_policies(RoleName=name)
    assert len(attached["AttachedPolicies"]) == 1


def test_capabilities_are_required(stack: Stack) -> None:
    with pytest.raises(ClientError, match="CAPABILITY_IAM") as refused:
        stack.create(foundation())
    assert code_of(refused) == ("InsufficientCapabilitiesException", 400)
    template = foundation()
    template["Resources"]["NodeRole"]["Properties"]["RoleName"] = "mine"
    with pytest.raises(ClientError, match="CAPABILITY_NAMED_IAM"):
        stack.create(template, Capabilities=ALLOWED)
    assert stack.client.describe_stacks()["Stacks"] == []


def test_token_makes_create_idempotent(stack: Stack) -> None:
    first = stack.create(one_vpc(), ClientRequestToken="one")
    assert stack.create(one_vpc(), ClientRequestToken="one") == first
    with pytest.raises(ClientError) as refused:
        stack.create(one_vpc(), ClientRequestToken="two")
    assert code_of(refused) == ("AlreadyExistsException", 400)


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ({"Resources": {}}, "At least one Resources member"),
        (one_vpc(Odd={"Type": "AWS::EKS::Cluster"}), "Unrecognized resource types"),
        (
            one_vpc(T={"Type": "AWS::EC2::RouteTable", "Properties": {"VpcId": {"Ref": "No"}}}),
            "Unresolved resource dependencies \\[No\\]",
        ),
        (
            one_vpc(
                A={"Type": "AWS::EC2::InternetGateway", "DependsOn": "B"},
                B={"Type": "AWS::EC2::InternetGateway", "DependsOn": "A"},
            ),
            "Circular dependency",
        ),
    ],
)
def test_wrong_template_is_refused_at_once(stack: Stack, template: Template, words: str) -> None:
    with pytest.raises(ClientError, match=words) as refused:
        stack.create(template)
    assert code_of(refused) == ("ValidationError", 400)


def test_parameters_and_conditions(endpoint: Endpoint, stack: Stack) -> None:
    template = one_vpc({"Ref": "Block"}, Maybe={"Type": "AWS::EC2::EIP", "Condition": "Private"})
    template["Parameters"] = {
        "Block": {"Type": "String", "Default": "10.7.0.0/16"},
        "Nat": {"Type": "String", "Default": "false"},
    }
    template["Conditions"] = {"Private": {"Fn::Equals": [{"Ref": "Nat"}, "true"]}}
    stack.create(template)
    stack.reaches("CREATE_COMPLETE")
    assert "elastic_ip" not in endpoint.control("GET", "inventory")
    stack.client.delete_stack(StackName=stack.name)
    stack.reaches("DELETE_COMPLETE")
    stack.create(template, Parameters=[{"ParameterKey": "Nat", "ParameterValue": "true"}])
    stack.reaches("CREATE_COMPLETE")
    assert len(endpoint.control("GET", "inventory")["elastic_ip"]) == 1


def test_deleting_no_stack_is_fine(stack: Stack) -> None:
    stack.client.delete_stack(StackName="none")


def test_validate_template(stack: Stack) -> None:
    answer = stack.client.validate_template(TemplateBody=json.dumps(foundation()))
    assert answer["Capabilities"] == ["CAPABILITY_IAM"]
    with pytest.raises(ClientError, match="Template format error") as refused:
        stack.client.validate_template(TemplateBody="{")
    assert code_of(refused) == ("ValidationError", 400)


def test_regular_errors_carry_a_request_id(stack: Stack) -> None:
    with pytest.raises(ClientError) as refused:
        stack.client.validate_template(TemplateBody="{")
    assert refused.value.response["ResponseMetadata"]["RequestId"]
