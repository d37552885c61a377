"""Whether the real cluster's one node takes pods: an EKS cluster has nodes from its node pools or from
an ACTIVE node group, else its pods stay Pending.

The nodes command (`COMMAND cordon`, `COMMAND uncordon`) is run whenever the answer changes. Without
any EKS cluster the node is open: then the real one stands for a cluster that is not on AWS.
Assumption: a node joins when its role has one policy of each group below; which ones DescribeCluster
and DescribeNodegroup would blame is left open.
"""

from __future__ import annotations

import sys
import threading

from moto.iam.models import Role, iam_backends

import wipe
from eks_store import CLUSTERS, Cluster
from state import PARTITION, STATE, Alive

POLICY = "arn:aws:iam::aws:policy/"
PULL = ("AmazonEC2ContainerRegistryPullOnly", "AmazonEC2ContainerRegistryReadOnly")
AUTO_MODE = (("AmazonEKSWorkerNodeMinimalPolicy", "AmazonEKSWorkerNodePolicy"), PULL)
NODE_GROUP = (("AmazonEKSWorkerNodePolicy",), PULL)
CNI = ("AmazonEKS_CNI_Policy",)
# the file is there while the node is cordoned, also for the next server
MARK = "cordoned"
RETRY_S = 1.0
ATTEMPTS = 60
TURN = threading.Lock()


def has_policies(role: Role, groups: tuple[tuple[str, ...], ...]) -> bool:
    """Whether the role has one policy of each group."""
    attached = role.managed_policies
    return all(any(POLICY + name in attached for name in group) for group in groups)


def joins(role: Role, cluster: Cluster) -> bool:
    """Whether a node group's instances join; the CNI may have a role of its own."""
    own = any(a["serviceAccount"] == "aws-node" for a in cluster.associations.values())
    return has_policies(role, NODE_GROUP if own else (*NODE_GROUP, CNI))


def has_nodes(cluster: Cluster) -> bool:
    """Whether pods of the cluster can run."""
    if cluster.life.status in ("CREATING", "FAILED"):
        return False
    if any(part.life.status == "ACTIVE" for part in cluster.nodegroups.values()):
        return True
    compute = cluster.document.get("computeConfig") or {}
    if not (compute.get("enabled") and compute.get("nodePools")):
        return False
    roles = iam_backends[cluster.account][PARTITION].roles.values()
    role = next((r for r in roles if r.arn == compute.get("nodeRoleArn")), None)
    return role is not None and has_policies(role, AUTO_MODE)


def is_open() -> bool:
    """Whether the node should take pods."""
    return not CLUSTERS or any(has_nodes(cluster) for cluster in CLUSTERS.values())


def settle(after_s: float = 0.0) -> None:
    """Look again in `after_s` seconds, and tell the node if the answer is another one."""
    if STATE.options.nodes_command:
        STATE.in_background(lambda alive: alive.sleep(after_s) and tell(alive), "nodes")


def tell(alive: Alive) -> None:
    """One at a time; tried again for a minute, since the API server may still be starting."""
    for _ in range(ATTEMPTS):
        with TURN:
            if not alive or not (problem := told()):
                return
        if not alive.sleep(RETRY_S):
            return
    print(f"cannot open or shut the node: {problem}", file=sys.stderr, flush=True)


def told() -> str | None:
    """Run the command unless the node is as it should be; what went wrong."""
    mark = STATE.options.directory / MARK
    with STATE.lock:
        wanted = is_open()
    if wanted != mark.exists():
        return None
    mark.touch()  # first: whoever is killed after the command leaves a node that is opened again
    problem = wipe.failure(f"{STATE.options.nodes_command} {'uncordon' if wanted else 'cordon'}")
    if wanted != bool(problem):
        mark.unlink()
    return problem
