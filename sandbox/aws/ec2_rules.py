"""EC2 dependency rules that moto does not enforce: what blocks a deletion on AWS.

Modelled: subnets with network interfaces or load balancers, VPCs with anything in them, gateways
of a VPC with public addresses, security groups in use, addresses in use, interfaces of instances and
of AWS's own services; deleting a NAT gateway
removes its interface and frees its address (at once, on AWS after about a minute). A filter by several
tag keys takes what has one of them; moto wants all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import moto.ec2.utils
from moto.ec2.models import EC2Backend
from moto.elbv2.models import elbv2_backends

from errors import Refusal


def violation(kind: str, name: str) -> Refusal:
    text = f"The {kind} '{name}' has dependencies and cannot be deleted."
    return Refusal("DependencyViolation", text, 400)


def install() -> None:
    """Put each rule before (or after) moto's own method."""
    before("delete_subnet", check_subnet)
    before("delete_vpc", check_vpc)
    before("delete_security_group", check_security_group)
    before("delete_network_interface", check_interface)
    before("detach_internet_gateway", check_detach)
    before("release_address", check_release)
    matching = moto.ec2.utils.is_filter_matching

    def is_filter_matching(found: Any, name: str, values: Any) -> bool:
        if name == "tag-key" and isinstance(values, list):
            return any(matching(found, name, [value]) for value in values)
        return matching(found, name, values)

    moto.ec2.utils.is_filter_matching = is_filter_matching
    delete_nat = EC2Backend.delete_nat_gateway

    def delete_nat_gateway(self: EC2Backend, nat_gateway_id: str) -> Any:
        if nat_gateway_id not in self.nat_gateways:
            text = f"The Nat Gateway {nat_gateway_id} was not found"
            raise Refusal("NatGatewayNotFound", text, 400)
        gateway = delete_nat(self, nat_gateway_id)
        for address in self.addresses:
            if address.eni is gateway._eni:
                address.eni = address.association_id = None
        self.enis.pop(gateway._eni.id, None)
        return gateway

    EC2Backend.delete_nat_gateway = delete_nat_gateway


def before(name: str, check: Callable[..., None]) -> None:
    original = getattr(EC2Backend, name)

    def checked(self: EC2Backend, *args: Any, **kwargs: Any) -> Any:
        check(self, *args, **kwargs)
        return original(self, *args, **kwargs)

    setattr(EC2Backend, name, checked)


def check_subnet(ec2: EC2Backend, subnet_id: str) -> None:
    used = any(eni.subnet.id == subnet_id for eni in ec2.enis.values())
    if used or any(subnet_id in subnets for _, subnets in load_balancers(ec2)):
        raise violation("subnet", subnet_id)


def load_balancers(ec2: EC2Backend) -> list[tuple[str, set[str]]]:
    """VPC and subnets of every load balancer in the region."""
    found = elbv2_backends[ec2.account_id][ec2.region_name].load_balancers.values()
    return [(b.vpc_id, {subnet.id for subnet in b.subnets}) for b in found]


def check_vpc(ec2: EC2Backend, vpc_id: str) -> None:
    ec2.get_vpc(vpc_id)  # a wrong id is the first error
    groups = [g for g in ec2.groups.get(vpc_id, {}).values() if g.name != "default"]
    gateways = [g for g in ec2.internet_gateways.values() if g.vpc and g.vpc.id == vpc_id]
    nats = [n for n in ec2.nat_gateways.values() if n.vpc_id == vpc_id and n.state != "deleted"]
    interfaces = [eni for eni in ec2.enis.values() if eni.subnet.vpc_id == vpc_id]
    if groups or gateways or nats or interfaces:
        raise violation("vpc", vpc_id)


def check_security_group(
    ec2: EC2Backend, name: str | None = None, group_id: str | None = None
) -> None:
    """A group is in use by an interface or by a rule of another group."""
    if group_id is None:
        return
    used = any(group_id in (g.id for g in eni.group_set) for eni in ec2.enis.values())
    others = (g for groups in ec2.groups.values() for g in groups.values() if g.id != group_id)
    if used or any(group_id in referenced(group) for group in others):
        raise Refusal("DependencyViolation", f"resource {group_id} has a dependent object", 400)


def check_interface(ec2: EC2Backend, eni_id: str) -> None:
    """An interface that something uses stays; one that AWS manages belongs to it as long as it is used."""
    interface = ec2.enis.get(eni_id)
    if interface is None:
        return
    if interface.requester_managed and interface.status == "in-use":
        text = "You do not have permission to access the specified resource."
        raise Refusal("AuthFailure", text, 401)
    if interface.attachment_id:
        text = f"Network interface '{eni_id}' is currently in use."
        raise Refusal("InvalidParameterValue", text, 400)


def referenced(group: Any) -> set[str]:
    """Ids of the groups that the rules of `group` name."""
    rules = [*group.ingress_rules, *group.egress_rules]
    return {(rule.source_group or {}).get("GroupId", "") for rule in rules}


def check_detach(ec2: EC2Backend, internet_gateway_id: str, vpc_id: str) -> None:
    nats = [n for n in ec2.nat_gateways.values() if n.vpc_id == vpc_id and n.state != "deleted"]
    if nats or vpc_id in (vpc for vpc, _ in load_balancers(ec2)):
        text = (
            f"Network {vpc_id} has some mapped public address(es). Please unmap those public "
            "address(es) before detaching the gateway."
        )
        raise Refusal("DependencyViolation", text, 400)


def check_release(
    ec2: EC2Backend, address: str | None = None, allocation_id: str | None = None
) -> None:
    for eip in ec2.addresses:
        named = allocation_id == eip.allocation_id if allocation_id else address == eip.public_ip
        if named and eip.association_id:
            text = f"Address {eip.public_ip} is in use."
            raise Refusal("InvalidIPAddress.InUse", text, 400)
