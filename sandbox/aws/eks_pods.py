"""EKS Pod Identity associations: kept and shown; pods of the real cluster get no credentials."""

from __future__ import annotations

import secrets

from moto.core.responses import ActionResult

import eks_rules as rules
from eks_store import Cluster, Document, EksCalls, in_use, not_found, now

SUMMARY = ("clusterName", "namespace", "serviceAccount", "associationArn", "associationId")


class PodIdentityCalls(EksCalls):
    """One association per service account of a cluster."""

    def create_pod_identity_association(self) -> ActionResult:
        cluster = self.cluster(active=True)
        account = (self.arg("namespace"), self.arg("serviceAccount"))
        for existing in cluster.associations.values():
            if (existing["namespace"], existing["serviceAccount"]) == account:
                text = f"Association already exists: {existing['associationId']}"
                raise in_use(text, clusterName=cluster.name)
        rules.check_role(self.arg("roleArn"), self.current_account, "pods.eks")
        document = self._association_document(cluster)
        cluster.associations[document["associationId"]] = document
        return ActionResult({"association": document})

    def _association_document(self, cluster: Cluster) -> Document:
        number = f"a-{secrets.token_hex(9)[:17]}"
        return {
            "clusterName": cluster.name,
            "namespace": self.arg("namespace"),
            "serviceAccount": self.arg("serviceAccount"),
            "roleArn": self.arg("roleArn"),
            "associationId": number,
            "associationArn": cluster.arn_of("podidentityassociation", number),
            "tags": dict(self.arg("tags", {})),
            "createdAt": now(),
            "modifiedAt": now(),
        }

    def describe_pod_identity_association(self) -> ActionResult:
        return ActionResult({"association": self._association()})

    def list_pod_identity_associations(self) -> ActionResult:
        found = list(self.cluster().associations.values())
        for key in ("namespace", "serviceAccount"):
            if self.arg(key):
                found = [a for a in found if a[key] == self.arg(key)]
        page, token = self.page([{key: a[key] for key in SUMMARY} for a in found])
        return ActionResult({"associations": page, "nextToken": token})

    def update_pod_identity_association(self) -> ActionResult:
        association = self._association()
        if self.arg("roleArn"):
            rules.check_role(self.arg("roleArn"), self.current_account, "pods.eks")
            association["roleArn"] = self.arg("roleArn")
        association["modifiedAt"] = now()
        return ActionResult({"association": association})

    def delete_pod_identity_association(self) -> ActionResult:
        association = self._association()
        del self.cluster().associations[association["associationId"]]
        return ActionResult({"association": association})

    def _association(self) -> Document:
        number = self.arg("associationId")
        found = self.cluster().associations.get(number)
        if found is None:
            raise not_found(f"The association ID {number} does not exist")
        return found
