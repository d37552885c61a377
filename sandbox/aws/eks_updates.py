"""EKS updates: UpdateClusterConfig, UpdateClusterVersion, and the list of updates.

Modelled: one kind of change per request; a cluster is UPDATING meanwhile. Assumption: switching
deletion protection, tags or the upgrade policy takes no time.
"""

from __future__ import annotations

import json
import time
from typing import Any

from moto.core.responses import ActionResult

import eks_leftovers
import eks_nodes
import eks_rules as rules
from eks_store import (
    Cluster,
    Document,
    EksCalls,
    Lifecycle,
    bad_parameter,
    in_use,
    new_id,
    not_found,
    now,
)
from eks_versions import VERSIONS
from state import STATE

# request member -> (update type, name of its parameter)
KINDS = {
    "resourcesVpcConfig": ("EndpointAccessUpdate", "EndpointPublicAccess"),
    "logging": ("LoggingUpdate", "ClusterLogging"),
    "accessConfig": ("AccessConfigUpdate", "AuthenticationMode"),
    "upgradePolicy": ("UpgradePolicyUpdate", "UpgradePolicy"),
    "zonalShiftConfig": ("ZonalShiftConfigUpdate", "ZonalShiftConfig"),
    "remoteNetworkConfig": ("RemoteNetworkConfigUpdate", "RemoteNetworkConfig"),
    "deletionProtection": ("DeletionProtectionUpdate", "DeletionProtection"),
    "computeConfig": ("AutoModeUpdate", "ComputeConfig"),
    "storageConfig": ("AutoModeUpdate", "StorageConfig"),
    "kubernetesNetworkConfig": ("AutoModeUpdate", "KubernetesNetworkConfig"),
    "kubeControllerManagerConfig": (
        "ControlPlaneComponentConfigUpdate",
        "KubeControllerManagerConfig",
    ),
}
AT_ONCE = {"DeletionProtectionUpdate", "UpgradePolicyUpdate"}


class UpdateCalls(EksCalls):
    """The operations that change a cluster, and those that show how far the change is."""

    def update_cluster_config(self) -> ActionResult:
        cluster = self._changeable()
        changes = {key: self.arg(key) for key in KINDS if self.arg(key) is not None}
        kinds = {KINDS[key][0] for key in changes}
        if not kinds:
            raise bad_parameter("The type for cluster update was not provided.")
        if len(kinds) > 1:
            raise bad_parameter("Only one type of update can be allowed.")
        if kinds == {"AutoModeUpdate"}:
            access = cluster.document["accessConfig"]
            rules.check_auto_mode({**changes, "accessConfig": access}, self.current_account)
            if rules.auto_mode(changes):
                role = cluster.document["roleArn"]
                rules.check_cluster_role(role, self.current_account, auto=True)
        for key, value in changes.items():
            apply(cluster, key, value)
        eks_leftovers.write_logs(cluster)
        params = [{"type": KINDS[k][1], "value": as_text(v)} for k, v in changes.items()]
        return ActionResult({"update": recorded(cluster, kinds.pop(), params)})

    def update_cluster_version(self) -> ActionResult:
        """Only to the next minor version."""
        cluster, wanted = self._changeable(), self.arg("version")
        names = [version.name for version in VERSIONS]
        rules.check_version(wanted)
        if names.index(wanted) != names.index(cluster.document["version"]) - 1:
            raise bad_parameter(f"Unsupported Kubernetes minor version update to {wanted}")
        cluster.document["version"] = wanted
        params = [{"type": "Version", "value": wanted}]
        return ActionResult({"update": recorded(cluster, "VersionUpdate", params)})

    def describe_update(self) -> ActionResult:
        update = self.cluster().updates.get(self.arg("updateId"))
        if update is None:
            raise not_found(f"No update found for ID: {self.arg('updateId')}")
        return ActionResult({"update": shown(*update)})

    def list_updates(self) -> ActionResult:
        ids, token = self.page(list(self.cluster().updates))
        return ActionResult({"updateIds": ids, "nextToken": token})

    def _changeable(self) -> Cluster:
        if self.cluster().life.status == "UPDATING":
            raise in_use("Cannot update because cluster is currently being updated")
        return self.cluster(active=True)


def apply(cluster: Cluster, key: str, value: Any) -> None:
    """Change one member of the cluster."""
    old = cluster.document.get(key)
    if key == "resourcesVpcConfig":
        merged = old | {k: v for k, v in value.items() if v is not None}
        rules.check_endpoint_access(merged)
        cluster.document[key] = merged
    elif isinstance(old, dict) and isinstance(value, dict) and key != "logging":
        cluster.document[key] = old | value
    else:
        cluster.document[key] = value


def recorded(cluster: Cluster, kind: str, params: list[Document]) -> Document:
    """A new update of the cluster, which is UPDATING until it is done."""
    seconds = 0.0 if kind in AT_ONCE else STATE.config.eks_update_s
    cluster.life.busy_until = time.monotonic() + seconds
    document = {"id": new_id(), "type": kind, "params": params, "createdAt": now(), "errors": []}
    update = (document, Lifecycle(seconds))
    eks_nodes.settle(seconds)
    cluster.updates[document["id"]] = update
    return shown(*update)


def shown(document: Document, life: Lifecycle) -> Document:
    return {**document, "status": "Successful" if life.status == "ACTIVE" else "InProgress"}


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
