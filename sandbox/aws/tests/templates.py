"""Templates of the stacks under test."""

from __future__ import annotations

from typing import Any

Template = dict[str, Any]
CLUSTER_POLICIES = ("Cluster", "Compute", "BlockStorage", "LoadBalancing", "Networking")


def trust(service: str) -> Template:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def managed(name: str) -> Template:
    return {"Fn::Sub": f"arn:${{AWS::Partition}}:iam::aws:policy/{name}"}


def subnet(index: int, region: Any) -> Template:
    blocks = {"Fn::Cidr": [{"Fn::GetAtt": ["Vpc", "CidrBlock"]}, 4, 12]}
    return {
        "VpcId": {"Ref": "Vpc"},
        "CidrBlock": {"Fn::Select": [index, blocks]},
        "AvailabilityZone": {"Fn::Select": [str(index), {"Fn::GetAZs": region}]},
        "MapPublicIpOnLaunch": True,
    }


def network() -> Template:
    """A VPC with two subnets, routes, and a NAT gateway."""
    table, gateway, vpc = {"Ref": "Table"}, {"Ref": "Gateway"}, {"Ref": "Vpc"}
    name = [{"Key": "Name", "Value": {"Fn::Sub": "${AWS::StackName}"}}]
    to_internet = {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": gateway}
    address = {"Fn::GetAtt": ["Address", "AllocationId"]}
    attachment = {"VpcId": vpc, "InternetGatewayId": gateway}
    parts = {
        "Route": ("Route", {"RouteTableId": table, **to_internet}),
        "Vpc": ("VPC", {"CidrBlock": "10.42.0.0/16", "Tags": name}),
        "Gateway": ("InternetGateway", {}),
        "Attachment": ("VPCGatewayAttachment", attachment),
        "Table": ("RouteTable", {"VpcId": vpc}),
        "SubnetA": ("Subnet", subnet(0, {"Ref": "AWS::Region"})),
        "SubnetB": ("Subnet", subnet(1, "")),
        "Address": ("EIP", {"Domain": "vpc"}),
        "Nat": ("NatGateway", {"SubnetId": {"Ref": "SubnetA"}, "AllocationId": address}),
    }
    for letter in "AB":
        ends = {"SubnetId": {"Ref": f"Subnet{letter}"}, "RouteTableId": table}
        parts[f"Association{letter}"] = ("SubnetRouteTableAssociation", ends)
    resources = {
        name: {"Type": f"AWS::EC2::{kind}", "Properties": properties}
        for name, (kind, properties) in parts.items()
    }
    for dependent in ("Route", "Nat"):
        resources[dependent]["DependsOn"] = "Attachment"
    return resources


def roles() -> Template:
    """A cluster role with managed and inline policies, and a node role."""
    allow = {"Effect": "Allow", "Action": "logs:*", "Resource": "*"}
    cluster = {
        "AssumeRolePolicyDocument": trust("eks"),
        "ManagedPolicyArns": [managed(f"AmazonEKS{name}Policy") for name in CLUSTER_POLICIES],
        "Policies": [{"PolicyName": "logs", "PolicyDocument": {"Statement": [allow]}}],
    }
    node = {
        "AssumeRolePolicyDocument": trust("ec2"),
        "ManagedPolicyArns": [
            managed("AmazonEKSWorkerNodeMinimalPolicy"),
            managed("AmazonEC2ContainerRegistryPullOnly"),
        ],
    }
    return {
        "ClusterRole": {"Type": "AWS::IAM::Role", "Properties": cluster},
        "NodeRole": {"Type": "AWS::IAM::Role", "Properties": node},
    }


def foundation() -> Template:
    """Everything that a cluster stands on, with what has to be deleted in the right order."""
    subnets = [",", [{"Ref": "SubnetA"}, {"Ref": "SubnetB"}]]
    outputs: Template = {
        "VpcId": {"Value": {"Ref": "Vpc"}},
        "SubnetIds": {"Value": {"Fn::Join": subnets}},
        "ClusterRoleArn": {"Value": {"Fn::GetAtt": ["ClusterRole", "Arn"]}},
        "NodeRoleArn": {"Value": {"Fn::GetAtt": ["NodeRole", "Arn"]}},
    }
    return {"Resources": {**network(), **roles()}, "Outputs": outputs}


def one_vpc(cidr: str = "10.1.0.0/16", **more: Template) -> Template:
    vpc = {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": cidr}}
    return {"Resources": {"Vpc": vpc, **more}}
