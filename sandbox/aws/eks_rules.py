"""What CreateCluster refuses, in the order in which it is checked here.

Modelled from the EKS API reference and from the error texts that Terraform's provider retries on.
Assumptions: the order, and the exact words where neither quotes them.
"""

from __future__ import annotations

import fnmatch
import json
import re
from dataclasses import dataclass
from typing import Any

from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends
from moto.iam.models import Role, iam_backends

from eks_store import bad_parameter
from eks_versions import VERSIONS, supported_versions
from errors import Refusal
from state import PARTITION, STATE

NAME = re.compile(r"[0-9A-Za-z][A-Za-z0-9\-_]{0,99}")
ROLE_ARN = re.compile(r"arn:aws[\w-]*:iam::\d{12}:role/(?:.*/)?([\w+=,.@-]+)")
POLICY = "arn:aws:iam::aws:policy/"
CLUSTER_POLICY = f"{POLICY}AmazonEKSClusterPolicy"
AUTO_MODE_POLICIES = tuple(
    f"{POLICY}AmazonEKS{name}Policy"
    for name in ("Compute", "BlockStorage", "LoadBalancing", "Networking")
)
NOT_ASSUMABLE = (
    "Role with arn: {arn}, could not be assumed because it does not exist or the trusted entity is "
    "not correct"
)
TRIO = (
    "For EKS Auto Mode, please ensure that all required configs, including computeConfig, "
    "kubernetesNetworkConfig, and blockStorage are all either fully enabled or fully disabled."
)


@dataclass(frozen=True)
class Network:
    """Where the cluster lives: the VPC and the zones of its subnets."""

    vpc_id: str
    subnet_ids: tuple[str, ...]


def check_name(name: str) -> None:
    if not NAME.fullmatch(name or ""):
        raise bad_parameter(
            f"The name {name!r} must match {NAME.pattern}: letters, digits, - and _, 100 at most"
        )


def check_version(version: str) -> None:
    if version not in supported_versions():
        raise bad_parameter(f"unsupported Kubernetes version {version}")


def check_control_plane(request: dict[str, Any], version: str) -> None:
    """The version takes the settings of the control plane that are asked for."""
    wanted = request.get("kubeControllerManagerConfig") or {}
    offered = next(v.controller_manager for v in VERSIONS if v.name == version)
    if unknown := sorted(set(wanted) - set(offered)):
        raise bad_parameter(f"{unknown[0]} is not supported for Kubernetes version {version}")


def visible_role(arn: str, account: str) -> Role | None:
    """The IAM role, None while it is missing or younger than ``iam_propagation_s``."""
    match = ROLE_ARN.fullmatch(arn or "")
    if not match:
        raise bad_parameter(f"The role ARN {arn!r} is not valid")
    roles = iam_backends[account][PARTITION].roles.values()
    role = next((role for role in roles if role.arn == arn), None)
    if role and (utcnow() - role.create_date).total_seconds() < STATE.config.iam_propagation_s:
        return None
    return role


def check_role(arn: str, account: str, service: str, action: str = "sts:AssumeRole") -> Role:
    """The role exists and trusts `service` ("eks" or "ec2") with `action`."""
    role = visible_role(arn, account)
    if role is None or not trusts(role, f"{service}.amazonaws.com", action):
        raise bad_parameter(NOT_ASSUMABLE.format(arn=arn))
    return role


def trusts(role: Role, service: str, action: str) -> bool:
    """Whether a statement of the role's trust policy allows `action` to the service."""
    statements = json.loads(role.assume_role_policy_document or "{}").get("Statement", [])
    for statement in listed(statements):
        principal = statement.get("Principal")
        services = principal.get("Service", []) if isinstance(principal, dict) else []
        actions = [a.lower() for a in listed(statement.get("Action", []))]
        allowed = any(fnmatch.fnmatchcase(action.lower(), a) for a in actions)
        if statement.get("Effect") == "Allow" and service in listed(services) and allowed:
            return True
    return False


def listed(value: Any) -> list[Any]:
    """IAM writes a list of one as its only member."""
    return value if isinstance(value, list) else [value]


def check_cluster_role(arn: str, account: str, auto: bool) -> None:
    """Auto Mode acts by the cluster's role: it needs four more policies, and to tag its session.

    Assumption: a trust without sts:TagSession is refused like one without sts:AssumeRole."""
    role = check_role(arn, account, "eks")
    if auto:
        check_role(arn, account, "eks", "sts:TagSession")
    needed = (CLUSTER_POLICY, *(AUTO_MODE_POLICIES if auto else ()))
    if missing := [policy for policy in needed if policy not in role.managed_policies]:
        raise bad_parameter(
            "The provided role doesn't have the Amazon EKS Managed Policies associated with it. "
            f"Please ensure the following policies [{', '.join(missing)}] are attached"
        )


def check_subnets(ids: list[str], account: str, region: str, cluster: str) -> Network:
    """All subnets exist in one VPC and lie in at least two zones that EKS serves."""
    known = {s.id: s for s in ec2_backends[account][region].describe_subnets()}
    if missing := [name for name in ids if name not in known]:
        raise bad_parameter(f"The subnet ID '{missing[0]}' does not exist")
    subnets = [known[name] for name in ids]
    zones = {s.availability_zone for s in subnets}
    unsupported = sorted(zones & set(STATE.config.eks_unsupported_zones))
    if unsupported:
        everywhere = [f"{region}{z}" for z in "abcdef"]
        valid = [zone for zone in everywhere if zone not in STATE.config.eks_unsupported_zones]
        raise Refusal(
            "UnsupportedAvailabilityZoneException",
            f"Cannot create cluster '{cluster}' because EKS does not support creating control plane "
            f"instances in {unsupported[0]}, the targeted availability zone. Retry cluster creation "
            "using control plane subnets that span at least two of these availability zones: "
            + ", ".join(valid),
            clusterName=cluster,
            validZones=valid,
        )
    if len(zones) < 2:
        raise bad_parameter("Subnets specified must be in at least two different AZs")
    vpcs = {s.vpc_id for s in subnets}
    if len(vpcs) > 1:
        raise bad_parameter("Subnets must all belong to the same VPC")
    return Network(vpcs.pop(), tuple(ids))


def auto_mode(params: dict[str, Any]) -> bool:
    """Whether the request asks for Auto Mode; refused unless its three switches agree."""
    network = params.get("kubernetesNetworkConfig") or {}
    switches = {
        enabled(params.get("computeConfig")),
        enabled((params.get("storageConfig") or {}).get("blockStorage")),
        enabled(network.get("elasticLoadBalancing")),
    }
    if len(switches) > 1:
        raise bad_parameter(TRIO)
    return switches.pop()


def enabled(section: dict[str, Any] | None) -> bool:
    return bool((section or {}).get("enabled"))


def check_auto_mode(params: dict[str, Any], account: str) -> None:
    """Auto Mode needs access entries; node pools and their role come together."""
    compute = params.get("computeConfig") or {}
    if auto_mode(params):
        mode = (params.get("accessConfig") or {}).get("authenticationMode", "CONFIG_MAP")
        if "API" not in mode:
            raise bad_parameter(
                "EKS Auto Mode requires authenticationMode to be API or API_AND_CONFIG_MAP"
            )
    pools, role = compute.get("nodePools") or [], compute.get("nodeRoleArn")
    if bool(pools) != bool(role):
        raise bad_parameter("nodePools and nodeRoleArn must be given together")
    if unknown := set(pools) - {"general-purpose", "system"}:
        raise bad_parameter(f"Invalid node pool: {min(unknown)}")
    if role:
        check_role(role, account, "ec2")


def check_endpoint_access(vpc: dict[str, Any]) -> None:
    if not vpc["endpointPublicAccess"] and not vpc["endpointPrivateAccess"]:
        raise bad_parameter("Private and public endpoint access cannot both be disabled")
