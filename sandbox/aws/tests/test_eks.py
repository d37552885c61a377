"""EKS clusters: lifecycle, rules, idempotency, deletion."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conftest import (
    CA,
    Endpoint,
    Ground,
    cluster_request,
    cluster_status,
    code_of,
    make_role,
    until,
)


def test_cluster_is_creating_then_active_with_endpoint_and_ca(
    endpoint: Endpoint, ground: Ground
) -> None:
    eks = endpoint.client("eks")
    made = eks.create_cluster(**cluster_request(ground, tags={"a": "b"}))["cluster"]
    assert made["status"] == "CREATING"
    assert "endpoint" not in made and "certificateAuthority" not in made
    until(lambda: cluster_status(eks) == "ACTIVE")
    seen = eks.describe_cluster(name="demo")["cluster"]
    assert seen["endpoint"] == "https://10.200.0.1:6443"
    assert base64.b64decode(seen["certificateAuthority"]["data"]).decode() == CA
    assert seen["version"] == "1.35"
    assert seen["health"] == {"issues": []}
    assert seen["computeConfig"]["nodePools"] == ["general-purpose"]
    assert seen["storageConfig"] == {"blockStorage": {"enabled": True}}
    assert seen["kubernetesNetworkConfig"]["elasticLoadBalancing"] == {"enabled": True}
    assert seen["accessConfig"] == {"authenticationMode": "API"}
    assert seen["upgradePolicy"] == {"supportType": "EXTENDED"}
    assert seen["deletionProtection"] is False
    assert seen["tags"] == {"a": "b"}
    assert seen["platformVersion"] and seen["logging"]["clusterLogging"]
    assert seen["arn"] == "arn:aws:eks:us-east-1:123456789012:cluster/demo"


def test_cluster_security_group_is_real_and_goes_with_the_cluster(
    endpoint: Endpoint, cluster: Any, ground: Ground
) -> None:
    ec2 = endpoint.client("ec2")
    vpc = cluster.describe_cluster(name="demo")["cluster"]["resourcesVpcConfig"]
    assert vpc["vpcId"] == ground.vpc
    group = ec2.describe_security_groups(GroupIds=[vpc["clusterSecurityGroupId"]])
    assert group["SecurityGroups"][0]["GroupName"].startswith("eks-cluster-sg-demo-")
    with pytest.raises(ClientError) as refused:
        ec2.delete_subnet(SubnetId=ground.subnets[0])
    assert code_of(refused) == ("DependencyViolation", 400)
    cluster.delete_cluster(name="demo")
    until(lambda: cluster_status(cluster) == "gone")
    left = endpoint.control("GET", "inventory")
    assert "security_group" not in left and "network_interface" not in left


def test_leaked_security_group_stays(endpoint: Endpoint, cluster: Any) -> None:
    endpoint.control("POST", "config", {"eks_leak_security_group": True})
    cluster.delete_cluster(name="demo")
    until(lambda: cluster_status(cluster) == "gone")
    assert len(endpoint.control("GET", "inventory")["security_group"]) == 1


def test_delete_wipes_the_real_cluster_while_deleting(endpoint: Endpoint, cluster: Any) -> None:
    wipes = endpoint.directory / "wipes"
    wipes.unlink(missing_ok=True)
    assert cluster.delete_cluster(name="demo")["cluster"]["status"] == "DELETING"
    assert cluster_status(cluster) == "DELETING"
    until(lambda: cluster_status(cluster) == "gone")
    assert wipes.read_text() == "wiped\n"
    row = next(r for r in endpoint.control("GET", "requests") if r["service"] == "sandbox")
    assert (row["operation"], row["status"]) == ("Wipe", 200)


def test_failed_cluster_has_health_issues_and_can_be_deleted(
    endpoint: Endpoint, ground: Ground
) -> None:
    endpoint.control("POST", "config", {"eks_create_fail": "^demo$"})
    eks = endpoint.client("eks")
    eks.create_cluster(**cluster_request(ground))
    until(lambda: cluster_status(eks) == "FAILED")
    seen = eks.describe_cluster(name="demo")["cluster"]
    assert seen["health"]["issues"][0]["message"] and "endpoint" not in seen
    eks.delete_cluster(name="demo")
    until(lambda: cluster_status(eks) == "gone")


def test_delete_is_refused_while_creating(endpoint: Endpoint, ground: Ground) -> None:
    eks = endpoint.client("eks")
    eks.create_cluster(**cluster_request(ground))
    with pytest.raises(ClientError) as refused:
        eks.delete_cluster(name="demo")
    assert code_of(refused) == ("ResourceInUseException", 409)


def test_delete_is_refused_under_deletion_protection(endpoint: Endpoint, ground: Ground) -> None:
    eks = endpoint.client("eks")
    eks.create_cluster(**cluster_request(ground, deletionProtection=True))
    until(lambda: cluster_status(eks) == "ACTIVE")
    with pytest.raises(ClientError) as refused:
        eks.delete_cluster(name="demo")
    assert code_of(refused) == ("InvalidRequestException", 400)
    update = eks.update_cluster_config(name="demo", deletionProtection=False)["update"]
    assert (update["type"], update["status"]) == ("DeletionProtectionUpdate", "Successful")
    assert eks.describe_update(name="demo", updateId=update["id"])["update"]["id"] == update["id"]
    eks.delete_cluster(name="demo")
    until(lambda: cluster_status(eks) == "gone")


def test_update_makes_the_cluster_updating(cluster: Any) -> None:
    change = {"endpointPrivateAccess": True, "publicAccessCidrs": ["10.0.0.0/8"]}
    update = cluster.update_cluster_config(name="demo", resourcesVpcConfig=change)["update"]
    assert update["status"] == "InProgress"
    assert cluster_status(cluster) == "UPDATING"
    with pytest.raises(ClientError) as refused:
        cluster.update_cluster_config(name="demo", logging={"clusterLogging": []})
    assert code_of(refused) == ("ResourceInUseException", 409)
    until(lambda: cluster_status(cluster) == "ACTIVE")
    vpc = cluster.describe_cluster(name="demo")["cluster"]["resourcesVpcConfig"]
    assert vpc["publicAccessCidrs"] == ["10.0.0.0/8"] and vpc["endpointPrivateAccess"]
    assert vpc["clusterSecurityGroupId"]
    assert cluster.list_updates(name="demo")["updateIds"] == [update["id"]]


def test_same_token_gives_the_same_cluster_another_is_in_use(
    endpoint: Endpoint, ground: Ground
) -> None:
    eks = endpoint.client("eks")
    request = cluster_request(ground, clientRequestToken="t" * 36)
    first = eks.create_cluster(**request)["cluster"]
    assert eks.create_cluster(**request)["cluster"]["createdAt"] == first["createdAt"]
    with pytest.raises(ClientError) as refused:
        eks.create_cluster(**cluster_request(ground))
    assert code_of(refused) == ("ResourceInUseException", 409)


def changed(request: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {k: v for k, v in {**request, **more}.items() if v is not None}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"storageConfig": None}, "all either fully enabled or fully disabled"),
        ({"accessConfig": None}, "authenticationMode"),
        ({"version": "1.19"}, "unsupported Kubernetes version 1.19"),
        ({"roleArn": "arn:aws:iam::123456789012:role/none"}, "does not exist"),
        ({"roleArn": "none"}, "is not valid"),
        ({"resourcesVpcConfig": {"subnetIds": ["subnet-0"]}}, "does not exist"),
        ({"computeConfig": {"enabled": True, "nodePools": ["system"]}}, "nodeRoleArn"),
    ],
)
def test_wrong_parameters_are_refused(
    endpoint: Endpoint, ground: Ground, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(ClientError) as refused:
        endpoint.client("eks").create_cluster(**changed(cluster_request(ground), **change))
    assert code_of(refused) == ("InvalidParameterException", 400)
    assert words in str(refused.value)
    assert endpoint.client("eks").list_clusters()["clusters"] == []


def test_subnets_in_one_zone_are_refused(endpoint: Endpoint, ground: Ground) -> None:
    request = cluster_request(ground, resourcesVpcConfig={"subnetIds": ground.subnets[:1]})
    with pytest.raises(ClientError, match="at least two different AZs"):
        endpoint.client("eks").create_cluster(**request)


def test_unsupported_zone_names_the_valid_ones(endpoint: Endpoint, ground: Ground) -> None:
    endpoint.control("POST", "config", {"eks_unsupported_zones": ["us-east-1b"]})
    with pytest.raises(ClientError) as refused:
        endpoint.client("eks").create_cluster(**cluster_request(ground))
    assert code_of(refused) == ("UnsupportedAvailabilityZoneException", 400)
    assert "us-east-1a" in refused.value.response["validZones"]


def test_young_role_is_not_visible_yet(endpoint: Endpoint, ground: Ground) -> None:
    endpoint.control("POST", "config", {"iam_propagation_s": 60})
    with pytest.raises(ClientError, match="could not be assumed"):
        endpoint.client("eks").create_cluster(**cluster_request(ground))


def test_role_without_the_cluster_policy_is_refused(endpoint: Endpoint, ground: Ground) -> None:
    bare = make_role(endpoint.client("iam"), "bare", "eks", [])
    with pytest.raises(ClientError, match="Amazon EKS Managed Policies"):
        endpoint.client("eks").create_cluster(**cluster_request(ground, roleArn=bare))


def test_regions_are_apart(endpoint: Endpoint, cluster: Any) -> None:
    there = endpoint.client("eks", region_name="eu-central-1")
    assert there.list_clusters()["clusters"] == []
    assert cluster.list_clusters()["clusters"] == ["demo"]
    assert endpoint.control("GET", "inventory")["eks"] == ["demo"]


def test_missing_cluster_is_not_found(endpoint: Endpoint) -> None:
    with pytest.raises(ClientError) as refused:
        endpoint.client("eks").describe_cluster(name="none")
    assert code_of(refused) == ("ResourceNotFoundException", 404)


SYNC_PERIOD = {
    "horizontalPodAutoscalerControllerConfig": {"horizontalPodAutoscalerSyncPeriod": "10s"}
}


def test_sync_period_only_where_the_version_offers_it(endpoint: Endpoint, ground: Ground) -> None:
    eks = endpoint.client("eks")
    offers = {
        v["clusterVersion"]: v["controlPlaneComponentConfig"]["kubeControllerManagerConfig"]
        for v in eks.describe_cluster_versions()["clusterVersions"]
    }
    assert "horizontalPodAutoscalerControllerConfig" in offers["1.35"]
    assert offers["1.34"] == {}
    wanted = {"kubeControllerManagerConfig": SYNC_PERIOD}
    with pytest.raises(ClientError) as refused:
        eks.create_cluster(**cluster_request(ground, version="1.34", **wanted))
    assert code_of(refused) == ("InvalidParameterException", 400)
    eks.create_cluster(**cluster_request(ground, version="1.35", **wanted))
    shown = eks.describe_cluster(name="demo")["cluster"]
    assert shown["kubeControllerManagerConfig"] == SYNC_PERIOD
