"""What an EKS cluster puts into the VPC of its owner: its security group, and the control plane's
network interfaces, which keep the subnets from being deleted."""

from __future__ import annotations

import contextlib
import secrets

from moto.ec2.models import EC2Backend, ec2_backends

import managed_interfaces
from eks_rules import Network
from eks_store import Cluster
from errors import Refusal
from state import STATE


def backend(cluster: Cluster) -> EC2Backend:
    return ec2_backends[cluster.account][cluster.region]


def create(cluster: Cluster, network: Network) -> None:
    """Make the group and one interface per subnet."""
    ec2, name = backend(cluster), cluster.name
    tags = {
        "Name": f"eks-cluster-sg-{name}",
        "aws:eks:cluster-name": name,
        f"kubernetes.io/cluster/{name}": "owned",
    }
    group = ec2.create_security_group(
        name=f"eks-cluster-sg-{name}-{secrets.randbelow(10**10):010d}",
        description="EKS created security group applied to ENI that is attached to EKS Control "
        "Plane master nodes, as well as any managed workloads.",
        vpc_id=network.vpc_id,
        tags=tags,
    )
    cluster.document["resourcesVpcConfig"]["clusterSecurityGroupId"] = group.id
    for subnet_id in network.subnet_ids:
        subnet = ec2.get_subnet(subnet_id)
        interface = managed_interfaces.make(ec2, subnet, [group.id], f"Amazon EKS {name}")
        cluster.network_interfaces.append(interface.id)


def delete(cluster: Cluster) -> None:
    """Remove them again, but for what the configuration wants leaked. AWS is known to leave both
    behind, the interfaces then free to be deleted."""
    ec2 = backend(cluster)
    for interface_id in cluster.network_interfaces:
        if STATE.config.eks_leak_network_interfaces and interface_id in ec2.enis:
            ec2.enis[interface_id].status = "available"
        else:
            ec2.enis.pop(interface_id, None)
    if not STATE.config.eks_leak_security_group:
        group_id = cluster.document["resourcesVpcConfig"]["clusterSecurityGroupId"]
        if ec2.get_security_group_from_id(group_id):
            with contextlib.suppress(Refusal):  # used by somebody else: it stays, as on AWS
                ec2.delete_security_group(group_id=group_id)
