"""EKS add-ons and the versions on offer.

Modelled: CREATING, ACTIVE or CREATE_FAILED, UPDATING, DELETING, gone. Nothing is installed in the
real cluster. Assumption: an add-on needs no node to become ACTIVE.
"""

from __future__ import annotations

import re
import time

from moto.core.responses import ActionResult

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
from eks_versions import ADDONS, VERSIONS, addon_view
from state import STATE

ISSUE = {"code": "InsufficientNumberOfReplicas", "message": "The add-on is unhealthy (injected)"}


class AddonCalls(EksCalls):
    """Add-ons of a cluster, and the two catalogues."""

    def create_addon(self) -> ActionResult:
        cluster, name = self.cluster(active=True), self.arg("addonName")
        if name in cluster.addons:
            existing, token = cluster.addons[name], self.arg("clientRequestToken")
            if token and token == existing.document["_token"]:
                return ActionResult({"addon": existing.view()})
            raise in_use("Addon already exists.", clusterName=cluster.name, addonName=name)
        version = self._version(name)
        fail = STATE.config.addon_create_fail
        failed = "CREATE_FAILED" if fail and re.search(fail, name) else None
        document = self._addon_document(cluster, name, version)
        part = Part(document, Lifecycle(STATE.config.addon_create_s, failed), [ISSUE])
        cluster.addons[name] = part
        return ActionResult({"addon": part.view()})

    def _version(self, name: str) -> str:
        """The version asked for, or the default one."""
        if name not in ADDONS:
            raise bad_parameter(f"Addon {name} specified is not supported", addonName=name)
        version = self.arg("addonVersion", ADDONS[name].builds[0])
        if version not in ADDONS[name].builds:
            text = f"Addon version specified is not supported: {version}"
            raise bad_parameter(text, addonName=name)
        return version

    def _addon_document(self, cluster: Cluster, name: str, version: str) -> Document:
        return {
            "_token": self.arg("clientRequestToken"),
            "addonName": name,
            "clusterName": cluster.name,
            "addonVersion": version,
            "addonArn": cluster.arn_of("addon", name, new_id()),
            "createdAt": now(),
            "modifiedAt": now(),
            "serviceAccountRoleArn": self.arg("serviceAccountRoleArn"),
            "tags": dict(self.arg("tags", {})),
            "publisher": "eks",
            "owner": ADDONS[name].owner,
            "configurationValues": self.arg("configurationValues"),
        }

    def describe_addon(self) -> ActionResult:
        return ActionResult({"addon": self._addon()[1].view()})

    def list_addons(self) -> ActionResult:
        names, token = self.page(sorted(self.cluster().addons))
        return ActionResult({"addons": names, "nextToken": token})

    def update_addon(self) -> ActionResult:
        """Also the way out of CREATE_FAILED."""
        _, part = self._addon()
        if self.arg("addonVersion"):
            part.document["addonVersion"] = self._version(self.arg("addonName"))
        if self.arg("configurationValues") is not None:
            part.document["configurationValues"] = self.arg("configurationValues")
        part.document["modifiedAt"] = now()
        part.life.failed = None
        part.life.busy_until = time.monotonic() + STATE.config.eks_update_s
        version = {"type": "AddonVersion", "value": part.document["addonVersion"]}
        update = {"id": new_id(), "status": "InProgress", "type": "AddonUpdate"}
        update |= {"params": [version], "createdAt": now(), "errors": []}
        return ActionResult({"update": update})

    def delete_addon(self) -> ActionResult:
        cluster, _ = self._addon()
        delay = STATE.config.addon_delete_s
        part = delete_part(cluster.addons, self.arg("addonName"), delay)
        return ActionResult({"addon": part.view()})

    def describe_addon_versions(self) -> ActionResult:
        version, name = self.arg("kubernetesVersion"), self.arg("addonName")
        if name and name not in ADDONS:
            raise not_found(f"Addon {name} specified is not supported")
        kinds = [kind for kind in ADDONS.values() if name in (None, kind.name)]
        page, token = self.page([addon_view(kind, version) for kind in kinds])
        return ActionResult({"addons": page, "nextToken": token})

    def describe_cluster_versions(self) -> ActionResult:
        """Without `includeAll` only versions that are supported."""
        names, status = self.arg("clusterVersions"), self.arg("versionStatus")
        shown = [version.view() for version in VERSIONS]
        if not self.arg("includeAll"):
            shown = [v for v in shown if v["versionStatus"] != "UNSUPPORTED"]
        if self.arg("defaultOnly"):
            shown = [v for v in shown if v["defaultVersion"]]
        if names:
            shown = [v for v in shown if v["clusterVersion"] in names]
        status = status or (self.arg("status") or "").upper().replace("-", "_")
        if status:
            shown = [v for v in shown if v["versionStatus"] == status]
        page, token = self.page(shown)
        return ActionResult({"clusterVersions": page, "nextToken": token})

    def _addon(self) -> tuple[Cluster, Part]:
        cluster, name = self.cluster(), self.arg("addonName")
        if name not in cluster.addons:
            raise not_found(f"No addon: {name} found in cluster: {cluster.name}")
        return cluster, cluster.addons[name]
