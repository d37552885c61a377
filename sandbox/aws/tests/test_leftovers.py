"""What stays in the account when a cluster or load balancer goes, and what a sweep may do with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conftest import (
    ADMIN,
    NOBODY,
    Endpoint,
    Ground,
    cluster_request,
    cluster_status,
    code_of,
    until,
)

LOGGING = {"clusterLogging": [{"types": ["api"], "enabled": True}]}


def in_vpc(ground: Ground) -> list[dict[str, Any]]:
    return [{"Name": "vpc-id", "Values": [ground.vpc]}]


def interfaces(ec2: Any, ground: Ground) -> list[dict[str, Any]]:
    return ec2.describe_network_interfaces(Filters=in_vpc(ground))["NetworkInterfaces"]


def gone(eks: Any) -> None:
    eks.delete_cluster(name="demo")
    until(lambda: cluster_status(eks) == "gone")


def test_a_load_balancer_owns_an_interface_in_every_subnet(
    endpoint: Endpoint, ground: Ground
) -> None:
    ec2, elb = endpoint.client("ec2"), endpoint.client("elbv2")
    made = elb.create_load_balancer(Name="lb", Subnets=ground.subnets, Type="application")
    arn = made["LoadBalancers"][0]["LoadBalancerArn"]
    found = interfaces(ec2, ground)
    assert sorted(one["SubnetId"] for one in found) == sorted(ground.subnets)
    assert {one["Description"] for one in found} == {f"ELB {arn.split(':loadbalancer/')[1]}"}
    assert {(one["Status"], one["RequesterManaged"]) for one in found} == {("in-use", True)}
    with pytest.raises(ClientError) as error:
        ec2.delete_network_interface(NetworkInterfaceId=found[0]["NetworkInterfaceId"])
    assert code_of(error)[0] == "AuthFailure"
    elb.delete_load_balancer(LoadBalancerArn=arn)
    assert interfaces(ec2, ground) == []
    ec2.delete_subnet(SubnetId=ground.subnets[0])


def test_interfaces_follow_their_load_balancer_later(endpoint: Endpoint, ground: Ground) -> None:
    endpoint.control("POST", "config", {"elb_release_s": 0.2})
    ec2, elb = endpoint.client("ec2"), endpoint.client("elbv2")
    made = elb.create_load_balancer(Name="lb", Subnets=ground.subnets)["LoadBalancers"][0]
    elb.delete_load_balancer(LoadBalancerArn=made["LoadBalancerArn"])
    with pytest.raises(ClientError) as error:
        ec2.delete_subnet(SubnetId=ground.subnets[0])
    assert code_of(error) == ("DependencyViolation", 400)
    until(lambda: not interfaces(ec2, ground))


def test_a_protected_load_balancer_stays(endpoint: Endpoint, ground: Ground) -> None:
    elb = endpoint.client("elbv2")
    made = elb.create_load_balancer(Name="lb", Subnets=ground.subnets)["LoadBalancers"][0]
    protect = [{"Key": "deletion_protection.enabled", "Value": "true"}]
    elb.modify_load_balancer_attributes(LoadBalancerArn=made["LoadBalancerArn"], Attributes=protect)
    with pytest.raises(ClientError) as error:
        elb.delete_load_balancer(LoadBalancerArn=made["LoadBalancerArn"])
    assert code_of(error) == ("OperationNotPermitted", 400)


def test_the_control_planes_interfaces_are_free_once_they_are_leaked(
    endpoint: Endpoint, cluster: Any, ground: Ground
) -> None:
    ec2 = endpoint.client("ec2")
    endpoint.control("POST", "config", {"eks_leak_network_interfaces": True})
    owned = interfaces(ec2, ground)
    assert {one["Status"] for one in owned} == {"in-use"}
    with pytest.raises(ClientError) as error:
        ec2.delete_network_interface(NetworkInterfaceId=owned[0]["NetworkInterfaceId"])
    assert code_of(error)[0] == "AuthFailure"
    gone(cluster)
    left = interfaces(ec2, ground)
    assert {one["Status"] for one in left} == {"available"}
    # they keep the cluster's group, and both keep the VPC
    (group,) = {group["GroupId"] for one in left for group in one["Groups"]}
    with pytest.raises(ClientError) as error:
        ec2.delete_security_group(GroupId=group)
    assert code_of(error) == ("DependencyViolation", 400)
    for one in left:
        ec2.delete_network_interface(NetworkInterfaceId=one["NetworkInterfaceId"])
    for subnet in ground.subnets:
        ec2.delete_subnet(SubnetId=subnet)
    with pytest.raises(ClientError) as error:
        ec2.delete_vpc(VpcId=ground.vpc)
    assert code_of(error) == ("DependencyViolation", 400)
    ec2.delete_security_group(GroupId=group)
    ec2.delete_vpc(VpcId=ground.vpc)


def test_the_clusters_group_stays_while_an_interface_of_others_uses_it(
    endpoint: Endpoint, cluster: Any, ground: Ground
) -> None:
    ec2 = endpoint.client("ec2")
    described = cluster.describe_cluster(name="demo")["cluster"]
    group = described["resourcesVpcConfig"]["clusterSecurityGroupId"]
    ec2.create_network_interface(SubnetId=ground.subnets[0], Groups=[group])
    gone(cluster)
    left = endpoint.control("GET", "inventory")
    assert left["security_group"] == [group] and len(left["network_interface"]) == 1


def test_groups_that_name_each_other_need_their_rules_revoked(
    endpoint: Endpoint, ground: Ground
) -> None:
    ec2 = endpoint.client("ec2")
    one, two = (
        ec2.create_security_group(GroupName=name, Description="d", VpcId=ground.vpc)["GroupId"]
        for name in ("one", "two")
    )
    rules = {}
    for group, other in ((one, two), (two, one)):
        permission = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80}
        rules[group] = [{**permission, "UserIdGroupPairs": [{"GroupId": other}]}]
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=rules[group])
    with pytest.raises(ClientError) as error:
        ec2.delete_security_group(GroupId=one)
    assert code_of(error) == ("DependencyViolation", 400)
    ec2.revoke_security_group_ingress(GroupId=two, IpPermissions=rules[two])
    ec2.delete_security_group(GroupId=one)


def test_logs_of_a_cluster_outlive_it_and_come_back(endpoint: Endpoint, ground: Ground) -> None:
    eks, logs = endpoint.client("eks"), endpoint.client("logs")
    eks.create_cluster(**cluster_request(ground, logging=LOGGING))
    until(lambda: cluster_status(eks) == "ACTIVE")
    name = "/aws/eks/demo/cluster"
    assert endpoint.control("GET", "inventory")["log_group"] == [name]
    logs.delete_log_group(logGroupName=name)
    gone(eks)
    found = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    assert [group["logGroupName"] for group in found] == [name]


def test_logs_begin_when_they_are_switched_on(endpoint: Endpoint, cluster: Any) -> None:
    assert "log_group" not in endpoint.control("GET", "inventory")
    cluster.update_cluster_config(name="demo", logging=LOGGING)
    assert endpoint.control("GET", "inventory")["log_group"] == ["/aws/eks/demo/cluster"]


def test_a_volume_of_auto_mode_is_left_with_its_tags(endpoint: Endpoint, cluster: Any) -> None:
    endpoint.control("POST", "config", {"eks_leak_volumes": True})
    gone(cluster)
    ec2 = endpoint.client("ec2")
    filters = [{"Name": "tag-key", "Values": ["kubernetes.io/cluster/demo"]}]
    (volume,) = ec2.describe_volumes(Filters=filters)["Volumes"]
    assert volume["State"] == "available"
    ec2.delete_volume(VolumeId=volume["VolumeId"])
    assert "volume" not in endpoint.control("GET", "inventory")


def test_what_an_instance_uses_cannot_be_deleted(endpoint: Endpoint, ground: Ground) -> None:
    ec2 = endpoint.client("ec2")
    run = ec2.run_instances(
        ImageId="ami-12345678", MinCount=1, MaxCount=1, SubnetId=ground.subnets[0]
    )
    instance = run["Instances"][0]["InstanceId"]
    made = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    ec2.attach_volume(VolumeId=made, InstanceId=instance, Device="/dev/sdf")
    (one,) = interfaces(ec2, ground)
    for refused, code in (
        (lambda: ec2.delete_volume(VolumeId=made), "VolumeInUse"),
        (
            lambda: ec2.delete_network_interface(NetworkInterfaceId=one["NetworkInterfaceId"]),
            "InvalidParameterValue",
        ),
    ):
        with pytest.raises(ClientError) as error:
            refused()
        assert code_of(error) == (code, 400)


def calls(endpoint: Endpoint, key: str) -> list[tuple[str, str, Callable[[], Any]]]:
    """Every operation of a sweep, on things that do not exist: service, operation, call."""
    clients = {name: endpoint.client(name, key=key) for name in ("ec2", "elbv2", "logs")}
    ec2, elb, logs = clients.values()
    arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:{}/app/x/0123456789abcdef"
    group, balancer = "sg-0123456789abcdef0", arn.format("loadbalancer")
    return [
        ("ec2", "DescribeNetworkInterfaces", ec2.describe_network_interfaces),
        (
            "ec2",
            "DeleteNetworkInterface",
            lambda: ec2.delete_network_interface(NetworkInterfaceId="eni-0123456789abcdef0"),
        ),
        ("ec2", "DescribeSecurityGroups", ec2.describe_security_groups),
        ("ec2", "DeleteSecurityGroup", lambda: ec2.delete_security_group(GroupId=group)),
        (
            "ec2",
            "RevokeSecurityGroupIngress",
            lambda: ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[]),
        ),
        (
            "ec2",
            "RevokeSecurityGroupEgress",
            lambda: ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[]),
        ),
        ("ec2", "DescribeVolumes", ec2.describe_volumes),
        ("ec2", "DeleteVolume", lambda: ec2.delete_volume(VolumeId="vol-0123456789abcdef0")),
        ("elbv2", "DescribeLoadBalancers", elb.describe_load_balancers),
        ("elbv2", "DescribeTargetGroups", elb.describe_target_groups),
        ("elbv2", "DescribeTags", lambda: elb.describe_tags(ResourceArns=[balancer])),
        (
            "elbv2",
            "DeleteLoadBalancer",
            lambda: elb.delete_load_balancer(LoadBalancerArn=balancer),
        ),
        (
            "elbv2",
            "DeleteTargetGroup",
            lambda: elb.delete_target_group(TargetGroupArn=arn.format("targetgroup")),
        ),
        ("logs", "DescribeLogGroups", logs.describe_log_groups),
        ("logs", "DeleteLogGroup", lambda: logs.delete_log_group(logGroupName="/x")),
    ]


NAMES = (
    [f"Describe{kind}" for kind in ("NetworkInterfaces", "SecurityGroups", "Volumes")]
    + ["DeleteNetworkInterface", "DeleteSecurityGroup", "DeleteVolume"]
    + ["RevokeSecurityGroupIngress", "RevokeSecurityGroupEgress"]
    + ["DescribeLoadBalancers", "DescribeTargetGroups", "DescribeTags"]
    + ["DeleteLoadBalancer", "DeleteTargetGroup", "DescribeLogGroups", "DeleteLogGroup"]
)


def failure(call: Callable[[], Any]) -> str | None:
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


@pytest.mark.parametrize("name", NAMES)
def test_a_sweeps_operation_is_written_down_faultable_and_guarded(
    endpoint: Endpoint, name: str
) -> None:
    (service, _, call) = next(one for one in calls(endpoint, ADMIN) if one[1] == name)
    assert failure(call) not in ("NotImplemented", "InternalFailure")
    fault = {"service": service, "operation": name, "kind": "error", "code": "Injected"}
    endpoint.control("POST", "faults", [fault])
    assert failure(call) == "Injected"
    endpoint.control("POST", "config", {"enforce_iam": True})
    (_, _, forbidden) = next(one for one in calls(endpoint, NOBODY) if one[1] == name)
    assert failure(forbidden) in ("UnauthorizedOperation", "AccessDenied", "AccessDeniedException")
    entries = endpoint.control("GET", "requests")
    assert [(e["service"], e["operation"]) for e in entries] == [(service, name)] * 3


def test_a_filter_by_tag_keys_takes_what_has_one_of_them(endpoint: Endpoint) -> None:
    ec2 = endpoint.client("ec2")
    tags = [{"Key": key, "Value": "x"} for key in ("one", "two", "three")]
    specification = [{"ResourceType": "volume", "Tags": tags}]
    ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, TagSpecifications=specification)
    for keys, count in ((["two"], 1), (["two", "four"], 1), (["four", "five"], 0)):
        found = ec2.describe_volumes(Filters=[{"Name": "tag-key", "Values": keys}])
        assert len(found["Volumes"]) == count, keys
