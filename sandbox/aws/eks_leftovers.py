"""What EKS leaves behind when a cluster goes, because it belongs to the account and not to the cluster.

Modelled: the log group of the control plane, made as soon as a type of log is enabled and once more
by the last lines that are written while the cluster goes; with ``eks_leak_volumes`` a volume of Auto
Mode's storage, as a volume claim leaves it that is not deleted before the cluster.
"""

from __future__ import annotations

from moto.ec2.models import ec2_backends
from moto.logs.models import logs_backends

from eks_store import Cluster
from state import STATE


def write_logs(cluster: Cluster) -> None:
    """Make the log group where the cluster has logs."""
    setups = (cluster.document.get("logging") or {}).get("clusterLogging") or []
    if not any(setup.get("enabled") for setup in setups):
        return
    logs, name = logs_backends[cluster.account][cluster.region], f"/aws/eks/{cluster.name}/cluster"
    if name not in logs.groups:
        logs.create_log_group(name, {})


def leave(cluster: Cluster) -> None:
    """At the end of a cluster."""
    write_logs(cluster)
    storage = cluster.document.get("storageConfig") or {}
    if STATE.config.eks_leak_volumes and (storage.get("blockStorage") or {}).get("enabled"):
        ec2 = ec2_backends[cluster.account][cluster.region]
        subnet = ec2.get_subnet(cluster.document["resourcesVpcConfig"]["subnetIds"][0])
        volume = ec2.create_volume(size=1, zone_name=subnet.availability_zone)
        tags = {
            f"kubernetes.io/cluster/{cluster.name}": "owned",
            "eks:eks-cluster-name": cluster.name,
            "kubernetes.io/created-for/pvc/namespace": "default",
            "kubernetes.io/created-for/pvc/name": "data",
        }
        volume.add_tags(tags)
