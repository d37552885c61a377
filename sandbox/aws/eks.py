"""EKS: the clusters themselves, and the assembly of all EKS operations.

One real Kubernetes stands behind every cluster name. Modelled: CREATING, then ACTIVE or FAILED with
health issues; DELETING, then gone; endpoint and CA only when ACTIVE; the cluster security group
and the control plane's network interfaces in the VPC; idempotency by clientRequestToken; what may
not be deleted. When a cluster goes, the wipe command cleans the real one while it is DELETING.
"""

from __future__ import annotations

import base64
import re
import secrets
from typing import Any

from moto.core.responses import ActionResult
from moto.eks import urls

import eks_leftovers
import eks_network
import eks_nodes
import eks_rules as rules
import wipe
from eks_access import AccessCalls, add_creator
from eks_addons import AddonCalls
from eks_nodegroups import NodegroupCalls
from eks_pods import PodIdentityCalls
from eks_store import (
    CLUSTERS,
    Cluster,
    Document,
    EksCalls,
    Lifecycle,
    bad_request,
    clusters_in,
    in_use,
    now,
    write_access_map,
)
from eks_tags import TagCalls
from eks_updates import UpdateCalls
from eks_versions import DEFAULT_VERSION
from state import STATE, Alive

LOG_TYPES = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
KEPT = ("computeConfig", "storageConfig", "encryptionConfig", "zonalShiftConfig")
KEPT += ("remoteNetworkConfig", "kubeControllerManagerConfig", "kubeApiServerConfig")
ISSUE = {"code": "InternalFailure", "message": "Cluster creation failed (injected)"}


class ClusterCalls(EksCalls):
    """CreateCluster, DescribeCluster, ListClusters, DeleteCluster."""

    def create_cluster(self) -> ActionResult:
        request = dict(self.params)
        name = request["name"]
        rules.check_name(name)
        existing = CLUSTERS.get((self.current_account, self.region, name))
        if existing:
            if request.get("clientRequestToken") and request == existing.request:
                return ActionResult({"cluster": existing.view()})
            raise in_use(f"Cluster already exists with name: {name}", clusterName=name)
        version = request.get("version") or DEFAULT_VERSION
        rules.check_version(version)
        rules.check_control_plane(request, version)
        rules.check_auto_mode(request, self.current_account)
        auto = rules.auto_mode(request)
        rules.check_cluster_role(request.get("roleArn"), self.current_account, auto)
        cluster = self._made(request)
        if (request.get("accessConfig") or {}).get("bootstrapClusterCreatorAdminPermissions", True):
            add_creator(cluster, self.caller().principal_arn)
        CLUSTERS[self.current_account, self.region, name] = cluster
        write_access_map()
        eks_nodes.settle()
        eks_nodes.settle(cluster.life.create_s)
        return ActionResult({"cluster": cluster.view()})

    def _made(self, request: dict[str, Any]) -> Cluster:
        name, account, region = request["name"], self.current_account, self.region
        wanted = request.get("resourcesVpcConfig") or {}
        subnet_ids = list(wanted.get("subnetIds") or [])
        network = rules.check_subnets(subnet_ids, account, region, name)
        vpc = vpc_config(wanted, network)
        rules.check_endpoint_access(vpc)
        fail = STATE.config.eks_create_fail
        failed = "FAILED" if fail and re.search(fail, name) else None
        document = cluster_document(request, vpc, account, region)
        life = Lifecycle(STATE.config.eks_create_s, failed)
        cluster = Cluster(account, region, document, request, life, health=[ISSUE])
        eks_network.create(cluster, network)
        eks_leftovers.write_logs(cluster)
        return cluster

    def describe_cluster(self) -> ActionResult:
        return ActionResult({"cluster": self.cluster().view()})

    def list_clusters(self) -> ActionResult:
        names, token = self.page([c.name for c in clusters_in(self.current_account, self.region)])
        return ActionResult({"clusters": names, "nextToken": token})

    def delete_cluster(self) -> ActionResult:
        """Assumption: deleting a cluster that is DELETING already is answered like the first time."""
        cluster = self.cluster()
        status = cluster.life.status
        if status == "DELETING":
            return ActionResult({"cluster": cluster.view()})
        if status in ("CREATING", "UPDATING"):
            text = f"Cannot delete because cluster {cluster.name} is currently {status.lower()}"
            raise in_use(text, clusterName=cluster.name)
        if cluster.document["deletionProtection"] and status == "ACTIVE":
            raise bad_request(
                f"Cannot delete cluster {cluster.name} because deletion protection is enabled. "
                "Disable it with UpdateClusterConfig first"
            )
        if cluster.nodegroups:
            names = ",".join(cluster.nodegroups)
            raise in_use("Cluster has nodegroups attached", nodegroupName=names)
        cluster.life.deleting = True
        write_access_map()
        STATE.in_background(lambda alive: finish_delete(cluster, alive), f"delete {cluster.name}")
        return ActionResult({"cluster": cluster.view()})


def finish_delete(cluster: Cluster, alive: Alive) -> None:
    """The end of a cluster: the real one is wiped while this one is still DELETING."""
    if not alive.sleep(STATE.config.eks_delete_s):
        return
    wipe.run(f"cluster {cluster.name}")
    with STATE.lock:
        if alive:
            eks_network.delete(cluster)
            eks_leftovers.leave(cluster)
            CLUSTERS.pop((cluster.account, cluster.region, cluster.name), None)
            eks_nodes.settle()


def vpc_config(wanted: dict[str, Any], network: rules.Network) -> Document:
    """With AWS's defaults: public endpoint, open to all."""
    public = wanted.get("endpointPublicAccess")
    public = True if public is None else public
    return {
        "subnetIds": list(network.subnet_ids),
        "securityGroupIds": list(wanted.get("securityGroupIds") or []),
        "vpcId": network.vpc_id,
        "endpointPublicAccess": public,
        "endpointPrivateAccess": bool(wanted.get("endpointPrivateAccess")),
        "publicAccessCidrs": (wanted.get("publicAccessCidrs") or ["0.0.0.0/0"]) if public else [],
    }


def cluster_document(request: Document, vpc: Document, account: str, region: str) -> Document:
    """What DescribeCluster will show, with the API's defaults filled in."""
    network = request.get("kubernetesNetworkConfig") or {}
    balancing = network.get("elasticLoadBalancing") or {"enabled": False}
    mode = (request.get("accessConfig") or {}).get("authenticationMode") or "CONFIG_MAP"
    issuer = f"https://oidc.eks.{region}.amazonaws.com/id/{secrets.token_hex(16).upper()}"
    ca = base64.b64encode(STATE.options.kube_ca.read_bytes()).decode()
    document = {
        "name": request["name"],
        "arn": f"arn:aws:eks:{region}:{account}:cluster/{request['name']}",
        "createdAt": now(),
        "version": request.get("version") or DEFAULT_VERSION,
        "endpoint": STATE.options.kube_endpoint,
        "certificateAuthority": {"data": ca},
        "identity": {"oidc": {"issuer": issuer}},
        "roleArn": request["roleArn"],
        "resourcesVpcConfig": vpc,
        "kubernetesNetworkConfig": {
            "serviceIpv4Cidr": network.get("serviceIpv4Cidr") or "172.20.0.0/16",
            "ipFamily": network.get("ipFamily") or "ipv4",
            "elasticLoadBalancing": balancing,
        },
        "logging": request.get("logging")
        or {"clusterLogging": [{"types": LOG_TYPES, "enabled": False}]},
        "clientRequestToken": request.get("clientRequestToken"),
        "platformVersion": "eks.5",
        "tags": dict(request.get("tags") or {}),
        # bootstrapClusterCreatorAdminPermissions cannot be read back
        "accessConfig": {"authenticationMode": mode},
        "upgradePolicy": request.get("upgradePolicy") or {"supportType": "EXTENDED"},
        "deletionProtection": bool(request.get("deletionProtection")),
    }
    return document | {key: request[key] for key in KEPT if request.get(key)}


class EksResponse(
    ClusterCalls,
    UpdateCalls,
    NodegroupCalls,
    AccessCalls,
    AddonCalls,
    PodIdentityCalls,
    TagCalls,
):
    """All EKS operations; what is missing here is refused by the gate as NotImplemented."""


def install() -> None:
    """Route every EKS path to the operations above instead of moto's."""
    urls.url_paths.clear()
    urls.url_paths["{0}/(?P<path>.+)$"] = EksResponse.dispatch


def reset() -> None:
    """Forget all clusters, and with them everybody's access."""
    CLUSTERS.clear()
    write_access_map()
    eks_nodes.settle()
