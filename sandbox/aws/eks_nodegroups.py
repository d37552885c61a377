"""EKS managed node groups: CREATING, ACTIVE or CREATE_FAILED, DELETING, gone.

No nodes are made: the real cluster has its own, which takes pods while a node group is ACTIVE.
Instances whose role lacks a policy do not join: CREATE_FAILED. Assumption: a node group's subnets
only need to exist.
"""

from __future__ import annotations

import re
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends

import eks_nodes
import eks_rules as rules
from eks_store import (
    Cluster,
    Document,
    EksCalls,
    Lifecycle,
    Part,
    bad_parameter,
    delete_part,
    in_use,
    new_id,
    not_found,
    now,
)
from state import STATE

DEFAULT_SCALING = {"minSize": 1, "maxSize": 2, "desiredSize": 2}
ISSUE = {
    "code": "NodeCreationFailure",
    "message": "Instances failed to join the kubernetes cluster",
}


class NodegroupCalls(EksCalls):
    """Create, describe, list, update and delete node groups."""

    def create_nodegroup(self) -> ActionResult:
        cluster, name = self.cluster(), self.arg("nodegroupName")
        if name in cluster.nodegroups:
            existing = cluster.nodegroups[name]
            token = self.arg("clientRequestToken")
            if token and token == existing.document["_token"]:
                return ActionResult({"nodegroup": existing.view()})
            text = f"NodeGroup already exists with name {name} and cluster name {cluster.name}"
            raise in_use(text, clusterName=cluster.name, nodegroupName=name)
        cluster = self.cluster(active=True)
        role = rules.check_role(self.arg("nodeRole"), self.current_account, "ec2")
        known = {s.id for s in ec2_backends[cluster.account][cluster.region].describe_subnets()}
        for subnet in self.arg("subnets", []):
            if subnet not in known:
                raise bad_parameter(f"The subnet ID '{subnet}' does not exist")
        fail = STATE.config.nodegroup_create_fail
        broken = (fail and re.search(fail, name)) or not eks_nodes.joins(role, cluster)
        failed = "CREATE_FAILED" if broken else None
        life = Lifecycle(STATE.config.nodegroup_create_s, failed)
        part = Part(nodegroup_document(cluster, dict(self.params)), life, [ISSUE])
        cluster.nodegroups[name] = part
        eks_nodes.settle(life.create_s)
        return ActionResult({"nodegroup": part.view()})

    def describe_nodegroup(self) -> ActionResult:
        return ActionResult({"nodegroup": self._nodegroup()[1].view()})

    def list_nodegroups(self) -> ActionResult:
        names, token = self.page(sorted(self.cluster().nodegroups))
        return ActionResult({"nodegroups": names, "nextToken": token})

    def update_nodegroup_config(self) -> ActionResult:
        _, part = self._nodegroup()
        document, labels = part.document, self.arg("labels", {})
        document["scalingConfig"] |= self.arg("scalingConfig", {})
        document["labels"] |= labels.get("addOrUpdateLabels") or {}
        for key in labels.get("removeLabels") or []:
            document["labels"].pop(key, None)
        if self.arg("updateConfig"):
            document["updateConfig"] = self.arg("updateConfig")
        document["modifiedAt"] = now()
        update = {"id": new_id(), "type": "ConfigUpdate", "status": "Successful"}
        return ActionResult({"update": update | {"params": [], "createdAt": now(), "errors": []}})

    def delete_nodegroup(self) -> ActionResult:
        cluster, _ = self._nodegroup()
        name, delay = self.arg("nodegroupName"), STATE.config.nodegroup_delete_s
        part = delete_part(cluster.nodegroups, name, delay, eks_nodes.settle)
        return ActionResult({"nodegroup": part.view()})

    def _nodegroup(self) -> tuple[Cluster, Part]:
        cluster, name = self.cluster(), self.arg("nodegroupName")
        if name not in cluster.nodegroups:
            raise not_found(f"No node group found for name: {name}.")
        return cluster, cluster.nodegroups[name]


def nodegroup_document(cluster: Cluster, request: dict[str, Any]) -> Document:
    """As the API shows it, with its defaults."""
    name, version = request["nodegroupName"], request.get("version") or cluster.document["version"]
    return {
        "_token": request.get("clientRequestToken"),
        "nodegroupName": name,
        "nodegroupArn": cluster.arn_of("nodegroup", name, new_id()),
        "clusterName": cluster.name,
        "version": version,
        "releaseVersion": request.get("releaseVersion") or f"{version}.0-20260901",
        "createdAt": now(),
        "modifiedAt": now(),
        "capacityType": request.get("capacityType") or "ON_DEMAND",
        "scalingConfig": dict(request.get("scalingConfig") or DEFAULT_SCALING),
        "instanceTypes": request.get("instanceTypes") or ["t3.medium"],
        "subnets": list(request.get("subnets") or []),
        "remoteAccess": request.get("remoteAccess"),
        "amiType": request.get("amiType") or "AL2023_x86_64_STANDARD",
        "nodeRole": request["nodeRole"],
        "labels": dict(request.get("labels") or {}),
        "taints": list(request.get("taints") or []),
        "resources": {"autoScalingGroups": [{"name": f"eks-{name}-{new_id()}"}]},
        "diskSize": request.get("diskSize") or 20,
        "updateConfig": request.get("updateConfig") or {"maxUnavailable": 1},
        "launchTemplate": request.get("launchTemplate"),
        "tags": dict(request.get("tags") or {}),
    }
