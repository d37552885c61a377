"""Network interfaces that AWS makes for its own services and that their users cannot delete.

Modelled: those of load balancers (one per subnet, gone ``elb_release_s`` after the balancer) and of
NAT gateways, with the descriptions that AWS writes; the control plane's are made by eks_network.
"""

from __future__ import annotations

from typing import Any

from moto.ec2.models import EC2Backend, ec2_backends
from moto.elbv2.models import ELBv2Backend, FakeLoadBalancer

from errors import Refusal
from state import STATE, Alive


def install() -> None:
    """Put the interfaces beside moto's load balancers and NAT gateways."""
    create, delete = ELBv2Backend.create_load_balancer, ELBv2Backend.delete_load_balancer
    create_nat = EC2Backend.create_nat_gateway

    def create_load_balancer(self: ELBv2Backend, *args: Any, **kwargs: Any) -> FakeLoadBalancer:
        balancer = create(self, *args, **kwargs)
        ec2 = ec2_backends[self.account_id][self.region_name]
        for subnet in balancer.subnets:
            groups = list(balancer.security_groups or [])
            make(ec2, subnet, groups, description(balancer.arn))
        return balancer

    def delete_load_balancer(self: ELBv2Backend, arn: str) -> None:
        balancer = self.load_balancers.get(arn)
        if balancer and balancer.attrs.get("deletion_protection.enabled") == "true":
            text = f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled"
            raise Refusal("OperationNotPermitted", text, 400)
        delete(self, arn)
        release(ec2_backends[self.account_id][self.region_name], arn)

    def create_nat_gateway(self: EC2Backend, *args: Any, **kwargs: Any) -> Any:
        gateway = create_nat(self, *args, **kwargs)
        take(gateway._eni, f"Interface for NAT Gateway {gateway.id}")
        return gateway

    ELBv2Backend.create_load_balancer = create_load_balancer  # type: ignore[method-assign]
    ELBv2Backend.delete_load_balancer = delete_load_balancer  # type: ignore[method-assign]
    EC2Backend.create_nat_gateway = create_nat_gateway  # type: ignore[method-assign]


def make(ec2: EC2Backend, subnet: Any, groups: list[str], text: str) -> Any:
    """One interface of a service."""
    interface = ec2.create_network_interface(
        subnet=subnet, private_ip_address=None, group_ids=groups, description=text
    )
    take(interface, text)
    return interface


def take(interface: Any, text: str) -> None:
    """The interface is a service's from now on, and in use."""
    interface.description, interface.requester_managed = text, True
    interface.status = "in-use"


def description(arn: str) -> str:
    """``ELB app/NAME/ID``."""
    return f"ELB {arn.partition(':loadbalancer/')[2]}"


def release(ec2: EC2Backend, arn: str) -> None:
    """Remove the interfaces of a load balancer that was deleted."""

    def drop() -> None:
        for interface in list(ec2.enis.values()):
            if interface.description == description(arn):
                del ec2.enis[interface.id]

    def later(alive: Alive) -> None:
        if alive.sleep(STATE.config.elb_release_s):
            with STATE.lock:
                drop()

    if STATE.config.elb_release_s:
        STATE.in_background(later, f"release {arn}")
    else:
        drop()
