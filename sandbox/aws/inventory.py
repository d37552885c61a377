"""What is left in the account, over all regions: the proof that a teardown left nothing.

What AWS itself puts there is not counted: the default VPC with its parts, default security groups,
main route tables, service-linked roles; nor are the users of the sandbox.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from moto.backends import get_backend
from moto.ec2.models import EC2Backend
from moto.iam.models import IAMBackend

from eks_store import CLUSTERS
from state import ACCOUNT, PARTITION

Found = dict[str, list[str]]


def inventory() -> Found:
    """Names or ids by kind; kinds of which nothing is left do not appear."""
    found: Found = defaultdict(list)
    for account, _, name in CLUSTERS:
        if account == ACCOUNT:
            found["eks"].append(name)
    for ecr in regional("ecr"):
        found["ecr"] += ecr.repositories
    for stacks in regional("cloudformation"):
        found["cloudformation"] += [stack.name for stack in stacks.stacks.values()]
    for balancers in regional("elbv2"):
        found["load_balancer"] += balancers.load_balancers
        found["target_group"] += balancers.target_groups
    for logs in regional("logs"):
        found["log_group"] += logs.groups
    for ec2 in regional("ec2"):
        add_ec2(found, ec2)
    add_iam(found, get_backend("iam")[ACCOUNT][PARTITION])
    return {kind: sorted(names) for kind, names in sorted(found.items()) if names}


def regional(service: str) -> list[Any]:
    """The backends of all regions that were used."""
    return list(get_backend(service)[ACCOUNT].values())  # type: ignore[call-overload]


def add_ec2(found: Found, ec2: EC2Backend) -> None:
    default = {vpc.id for vpc in ec2.vpcs.values() if vpc.is_default in (True, "true")}
    subnets = [subnet for zone in ec2.subnets.values() for subnet in zone.values()]
    gateways = ec2.internet_gateways.values()
    found["vpc"] += [vpc for vpc in ec2.vpcs if vpc not in default]
    found["subnet"] += [subnet.id for subnet in subnets if subnet.vpc_id not in default]
    found["security_group"] += [
        group.id
        for groups in ec2.groups.values()
        for group in groups.values()
        if group.name != "default"
    ]
    found["internet_gateway"] += [g.id for g in gateways if not g.vpc or g.vpc.id not in default]
    found["route_table"] += [
        table.id
        for table in ec2.route_tables.values()
        if table.vpc_id not in default and table.main_association_id is None
    ]
    found["network_interface"] += ec2.enis
    found["volume"] += ec2.volumes
    found["nat_gateway"] += [n.id for n in ec2.nat_gateways.values() if n.state != "deleted"]
    found["elastic_ip"] += [address.allocation_id or address.public_ip for address in ec2.addresses]
    instances = [i for r in ec2.reservations.values() for i in r.instances]
    found["instance"] += [i.id for i in instances if i.state_name != "terminated"]


def add_iam(found: Found, iam: IAMBackend) -> None:
    own = f"arn:aws:iam::{ACCOUNT}:"
    roles = iam.roles.values()
    found["iam_roles"] += [r.name for r in roles if ":role/aws-service-role/" not in r.arn]
    found["iam_policies"] += [arn for arn in iam.managed_policies if arn.startswith(own)]
    found["iam_instance_profiles"] += [p.name for p in iam.instance_profiles.values()]
    found["iam_oidc_providers"] += list(iam.open_id_providers)
