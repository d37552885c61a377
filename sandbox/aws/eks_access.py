"""EKS access entries and access policies; every change is published to the authenticator.

Modelled: entries need an authenticationMode with API; the creator of a cluster is its administrator
unless it asked not to be; associating a policy again replaces its scope.
"""

from __future__ import annotations

import re

from moto.core.responses import ActionResult, EmptyResult

from eks_store import (
    Cluster,
    Document,
    EksCalls,
    Entry,
    bad_parameter,
    bad_request,
    in_use,
    new_id,
    not_found,
    now,
    write_access_map,
)

POLICY_ARN = "arn:aws:eks::aws:cluster-access-policy/"
POLICIES = tuple(
    f"AmazonEKS{name}Policy" for name in ("ClusterAdmin", "Admin", "AdminView", "Edit", "View")
)
PRINCIPAL = re.compile(r"arn:aws[\w-]*:iam::\d{12}:(user|role)/.+")


class AccessCalls(EksCalls):
    """Access entries and the policies associated with them."""

    def create_access_entry(self) -> ActionResult:
        cluster, arn = self._open_cluster(), self.arg("principalArn")
        if not PRINCIPAL.fullmatch(arn or ""):
            raise bad_parameter("The principalArn parameter format is not valid")
        if arn in cluster.entries:
            existing, token = cluster.entries[arn].document, self.arg("clientRequestToken")
            if token and token == existing.get("_token"):
                return ActionResult({"accessEntry": existing})
            raise in_use("The specified access entry resource is already in use on this cluster.")
        groups = self.arg("kubernetesGroups", [])
        if bad := [group for group in groups if group.startswith(("system:", "eks:"))]:
            raise bad_parameter(f"The kubernetes group name {bad[0]} is invalid")
        document = entry_document(cluster, arn)
        document |= {"kubernetesGroups": list(groups), "tags": dict(self.arg("tags", {}))}
        document |= {"type": self.arg("type", "STANDARD"), "_token": self.arg("clientRequestToken")}
        document["username"] = self.arg("username", document["username"])
        cluster.entries[arn] = Entry(document)
        write_access_map()
        return ActionResult({"accessEntry": document})

    def describe_access_entry(self) -> ActionResult:
        return ActionResult({"accessEntry": self._entry().document})

    def list_access_entries(self) -> ActionResult:
        entries, policy = self.cluster().entries, self.arg("associatedPolicyArn")
        arns = sorted(a for a, e in entries.items() if policy is None or policy in e.policies)
        page, token = self.page(arns)
        return ActionResult({"accessEntries": page, "nextToken": token})

    def update_access_entry(self) -> ActionResult:
        document = self._entry().document
        document["kubernetesGroups"] = self.arg("kubernetesGroups", document["kubernetesGroups"])
        document["username"] = self.arg("username", document["username"])
        document["modifiedAt"] = now()
        write_access_map()
        return ActionResult({"accessEntry": document})

    def delete_access_entry(self) -> ActionResult:
        self._entry()
        del self.cluster().entries[self.arg("principalArn")]
        write_access_map()
        return EmptyResult()

    def associate_access_policy(self) -> ActionResult:
        entry, arn, scope = self._entry(), self.arg("policyArn"), self.arg("accessScope", {})
        if arn not in [POLICY_ARN + name for name in POLICIES]:
            raise bad_parameter("The policyArn parameter format is not valid")
        if scope.get("type") == "namespace" and not scope.get("namespaces"):
            raise bad_parameter("The accessScope of type namespace requires namespaces")
        associated = entry.policies.get(arn, {}).get("associatedAt", now())
        answer = {"policyArn": arn, "accessScope": scope}
        entry.policies[arn] = answer | {"associatedAt": associated, "modifiedAt": now()}
        write_access_map()
        return ActionResult(self._names() | {"associatedAccessPolicy": entry.policies[arn]})

    def disassociate_access_policy(self) -> ActionResult:
        if self._entry().policies.pop(self.arg("policyArn"), None) is None:
            raise not_found("The specified policyArn is not associated with the principal.")
        write_access_map()
        return EmptyResult()

    def list_associated_access_policies(self) -> ActionResult:
        policies, token = self.page(list(self._entry().policies.values()))
        listed = {"associatedAccessPolicies": policies, "nextToken": token}
        return ActionResult(self._names() | listed)

    def list_access_policies(self) -> ActionResult:
        listed = [{"name": name, "arn": POLICY_ARN + name} for name in POLICIES]
        return ActionResult({"accessPolicies": listed})

    def _names(self) -> Document:
        return {"clusterName": self.cluster().name, "principalArn": self.arg("principalArn")}

    def _open_cluster(self) -> Cluster:
        cluster = self.cluster(active=True)
        if "API" not in cluster.document["accessConfig"]["authenticationMode"]:
            raise bad_request(
                "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] "
                "to perform this operation."
            )
        return cluster

    def _entry(self) -> Entry:
        entry = self.cluster().entries.get(self.arg("principalArn"))
        if entry is None:
            raise not_found(
                "The specified principalArn could not be found. You can view your "
                "available access entries with 'list-access-entries'."
            )
        return entry


def entry_document(cluster: Cluster, arn: str) -> Document:
    """A STANDARD entry; a role's default user name is that of its session, as in the API."""
    kind, _, name = arn.split(":", 5)[5].partition("/")
    username = arn
    if kind == "role":
        account = arn.split(":")[4]
        username = (
            f"arn:aws:sts::{account}:assumed-role/{name.rsplit('/', 1)[-1]}/{{{{SessionName}}}}"
        )
    return {
        "clusterName": cluster.name,
        "principalArn": arn,
        "kubernetesGroups": [],
        "accessEntryArn": cluster.arn_of("access-entry", kind, cluster.account, name, new_id()),
        "createdAt": now(),
        "modifiedAt": now(),
        "tags": {},
        "username": username,
        "type": "STANDARD",
    }


def add_creator(cluster: Cluster, arn: str) -> None:
    """The entry that the creator of a cluster gets: cluster administrator."""
    scope = {"type": "cluster", "namespaces": []}
    policy = POLICY_ARN + "AmazonEKSClusterAdminPolicy"
    answer = {"policyArn": policy, "accessScope": scope}
    answer |= {"associatedAt": now(), "modifiedAt": now()}
    cluster.entries[arn] = Entry(entry_document(cluster, arn), {policy: answer})
