"""EKS: what belongs to a cluster."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conftest import Endpoint, Ground, cluster_request, cluster_status, code_of, make_role, until

POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKS{}Policy"
ADMIN_ARN = "arn:aws:iam::123456789012:user/sandbox-admin"


def test_creator_is_administrator(endpoint: Endpoint, cluster: Any) -> None:
    assert cluster.list_access_entries(clusterName="demo")["accessEntries"] == [ADMIN_ARN]
    policies = cluster.list_associated_access_policies(clusterName="demo", principalArn=ADMIN_ARN)
    assert [p["policyArn"] for p in policies["associatedAccessPolicies"]] == [
        POLICY.format("ClusterAdmin")
    ]
    row = {"userarn": ADMIN_ARN, "username": ADMIN_ARN, "groups": ["system:masters"]}
    assert endpoint.access()["mapUsers"] == [row]


def test_creator_without_bootstrap_permissions_has_no_entry(
    endpoint: Endpoint, ground: Ground
) -> None:
    eks = endpoint.client("eks")
    access = {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False}
    eks.create_cluster(**cluster_request(ground, accessConfig=access))
    assert eks.list_access_entries(clusterName="demo")["accessEntries"] == []
    assert endpoint.access()["mapUsers"] == []


def test_session_that_creates_a_cluster_is_known_by_its_role(
    endpoint: Endpoint, ground: Ground
) -> None:
    role = make_role(endpoint.client("iam"), "deployer", "ec2", [])
    session = endpoint.client("sts").assume_role(RoleArn=role, RoleSessionName="ci")["Credentials"]
    eks = endpoint.client(
        "eks",
        key=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
    )
    eks.create_cluster(**cluster_request(ground))
    assert eks.list_access_entries(clusterName="demo")["accessEntries"] == [role]
    (row,) = endpoint.access()["mapRoles"]
    assert row["rolearn"] == role and row["username"].endswith("deployer/{{SessionName}}")


def test_access_entry_round(endpoint: Endpoint, cluster: Any) -> None:
    arn = "arn:aws:iam::123456789012:role/team/dev"
    inode = (endpoint.directory / "access.json").stat().st_ino
    entry = cluster.create_access_entry(
        clusterName="demo", principalArn=arn, kubernetesGroups=["devs"]
    )["accessEntry"]
    assert (entry["type"], entry["kubernetesGroups"]) == ("STANDARD", ["devs"])
    with pytest.raises(ClientError) as refused:
        cluster.create_access_entry(clusterName="demo", principalArn=arn)
    assert code_of(refused) == ("ResourceInUseException", 409)
    for name, scope in (
        ("View", {"type": "cluster"}),
        ("Edit", {"type": "namespace", "namespaces": ["web-app"]}),
    ):
        answer = cluster.associate_access_policy(
            clusterName="demo", principalArn=arn, policyArn=POLICY.format(name), accessScope=scope
        )
        assert answer["associatedAccessPolicy"]["policyArn"] == POLICY.format(name)
    (row,) = endpoint.access()["mapRoles"]
    assert row["rolearn"] == "arn:aws:iam::123456789012:role/dev"
    assert row["groups"] == [
        "devs",
        "eks-access:AmazonEKSEditPolicy:web-app",
        "eks-access:AmazonEKSViewPolicy",
    ]
    cluster.disassociate_access_policy(
        clusterName="demo", principalArn=arn, policyArn=POLICY.format("View")
    )
    listed = cluster.list_associated_access_policies(clusterName="demo", principalArn=arn)
    assert len(listed["associatedAccessPolicies"]) == 1
    assert cluster.describe_access_entry(clusterName="demo", principalArn=arn)["accessEntry"]
    cluster.delete_access_entry(clusterName="demo", principalArn=arn)
    with pytest.raises(ClientError) as refused:
        cluster.describe_access_entry(clusterName="demo", principalArn=arn)
    assert code_of(refused) == ("ResourceNotFoundException", 404)
    assert endpoint.access()["mapRoles"] == []
    assert (endpoint.directory / "access.json").stat().st_ino == inode


def test_access_ends_when_the_cluster_is_deleted(endpoint: Endpoint, cluster: Any) -> None:
    cluster.delete_cluster(name="demo")
    assert endpoint.access() == {"mapRoles": [], "mapUsers": [], "mapAccounts": []}


def test_unknown_access_policy_is_refused(cluster: Any) -> None:
    with pytest.raises(ClientError) as refused:
        cluster.associate_access_policy(
            clusterName="demo",
            principalArn=ADMIN_ARN,
            policyArn=POLICY.format("Wrong"),
            accessScope={"type": "cluster"},
        )
    assert code_of(refused) == ("InvalidParameterException", 400)


def test_nodegroup_lifecycle_blocks_the_cluster(cluster: Any, ground: Ground) -> None:
    request = {"clusterName": "demo", "nodegroupName": "ng", "nodeRole": ground.node_role}
    made = cluster.create_nodegroup(**request, subnets=ground.subnets)["nodegroup"]
    assert (made["status"], made["version"]) == ("CREATING", "1.35")

    def status() -> str:
        described = cluster.describe_nodegroup(clusterName="demo", nodegroupName="ng")
        return described["nodegroup"]["status"]

    until(lambda: status() == "ACTIVE")
    with pytest.raises(ClientError) as refused:
        cluster.delete_cluster(name="demo")
    assert code_of(refused) == ("ResourceInUseException", 409)
    assert cluster.list_nodegroups(clusterName="demo")["nodegroups"] == ["ng"]
    cluster.delete_nodegroup(clusterName="demo", nodegroupName="ng")
    assert status() == "DELETING"
    until(lambda: cluster.list_nodegroups(clusterName="demo")["nodegroups"] == [])
    cluster.delete_cluster(name="demo")


def test_failed_nodegroup_says_why(endpoint: Endpoint, cluster: Any, ground: Ground) -> None:
    endpoint.control("POST", "config", {"nodegroup_create_fail": "ng", "nodegroup_create_s": 0})
    request = {"clusterName": "demo", "nodegroupName": "ng", "nodeRole": ground.node_role}
    cluster.create_nodegroup(**request, subnets=ground.subnets)
    seen = cluster.describe_nodegroup(clusterName="demo", nodegroupName="ng")["nodegroup"]
    assert seen["status"] == "CREATE_FAILED"
    assert seen["health"]["issues"][0]["code"] == "NodeCreationFailure"


def test_addon_lifecycle(cluster: Any) -> None:
    offered = cluster.describe_addon_versions(addonName="metrics-server", kubernetesVersion="1.35")[
        "addons"
    ][0]["addonVersions"]
    default = [v for v in offered if v["compatibilities"][0]["defaultVersion"]]
    assert len(default) == 1 and len(offered) == 2
    made = cluster.create_addon(
        clusterName="demo", addonName="metrics-server", resolveConflicts="OVERWRITE"
    )["addon"]
    assert (made["status"], made["addonVersion"]) == ("CREATING", default[0]["addonVersion"])

    def status() -> str:
        described = cluster.describe_addon(clusterName="demo", addonName="metrics-server")
        return described["addon"]["status"]

    until(lambda: status() == "ACTIVE")
    with pytest.raises(ClientError) as refused:
        cluster.create_addon(clusterName="demo", addonName="metrics-server")
    assert code_of(refused) == ("ResourceInUseException", 409)
    older = offered[1]["addonVersion"]
    update = cluster.update_addon(
        clusterName="demo", addonName="metrics-server", addonVersion=older
    )
    assert update["update"]["type"] == "AddonUpdate"
    assert status() == "UPDATING"
    assert cluster.list_addons(clusterName="demo")["addons"] == ["metrics-server"]
    cluster.delete_addon(clusterName="demo", addonName="metrics-server")
    assert status() == "DELETING"
    until(lambda: cluster.list_addons(clusterName="demo")["addons"] == [])


def test_unknown_addon_is_refused(cluster: Any) -> None:
    with pytest.raises(ClientError) as refused:
        cluster.create_addon(clusterName="demo", addonName="none")
    assert code_of(refused) == ("InvalidParameterException", 400)


def test_pod_identity_round(endpoint: Endpoint, cluster: Any) -> None:
    role = make_role(endpoint.client("iam"), "pod", "pods.eks", [])
    request = {"clusterName": "demo", "namespace": "n", "serviceAccount": "s", "roleArn": role}
    made = cluster.create_pod_identity_association(**request)["association"]
    with pytest.raises(ClientError) as refused:
        cluster.create_pod_identity_association(**request)
    assert code_of(refused) == ("ResourceInUseException", 409)
    listed = cluster.list_pod_identity_associations(clusterName="demo", namespace="n")
    assert [a["associationId"] for a in listed["associations"]] == [made["associationId"]]
    ids = {"clusterName": "demo", "associationId": made["associationId"]}
    assert cluster.describe_pod_identity_association(**ids)["association"]["roleArn"] == role
    cluster.delete_pod_identity_association(**ids)
    assert not cluster.list_pod_identity_associations(clusterName="demo")["associations"]


def test_cluster_versions(endpoint: Endpoint) -> None:
    eks = endpoint.client("eks")
    versions = {v["clusterVersion"]: v for v in eks.describe_cluster_versions()["clusterVersions"]}
    assert sorted(versions) == ["1.33", "1.34", "1.35", "1.36"]
    assert [v for v, info in versions.items() if info["defaultVersion"]] == ["1.35"]
    assert versions["1.34"]["endOfStandardSupportDate"].date() == date(2026, 12, 2)
    assert versions["1.34"]["versionStatus"] == "STANDARD_SUPPORT"
    assert versions["1.33"]["status"] == "extended-support"
    one = eks.describe_cluster_versions(defaultOnly=True)["clusterVersions"]
    assert [v["clusterVersion"] for v in one] == ["1.35"]
    two = eks.describe_cluster_versions(clusterVersions=["1.34"])["clusterVersions"]
    assert [v["clusterVersion"] for v in two] == ["1.34"]


def test_tags_of_cluster_and_addon(cluster: Any) -> None:
    addon = cluster.create_addon(clusterName="demo", addonName="coredns")["addon"]["addonArn"]
    arn = cluster.describe_cluster(name="demo")["cluster"]["arn"]
    for one in (arn, addon):
        cluster.tag_resource(resourceArn=one, tags={"a": "1", "b": "2"})
        cluster.untag_resource(resourceArn=one, tagKeys=["a"])
        assert cluster.list_tags_for_resource(resourceArn=one)["tags"] == {"b": "2"}


def test_version_moves_one_minor_at_a_time(endpoint: Endpoint, ground: Ground) -> None:
    eks = endpoint.client("eks")
    eks.create_cluster(**cluster_request(ground, version="1.34"))
    until(lambda: cluster_status(eks) == "ACTIVE")
    with pytest.raises(ClientError) as refused:
        eks.update_cluster_version(name="demo", version="1.36")
    assert code_of(refused) == ("InvalidParameterException", 400)
    update = eks.update_cluster_version(name="demo", version="1.35")["update"]
    assert update["type"] == "VersionUpdate"
