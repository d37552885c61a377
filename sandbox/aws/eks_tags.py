"""Tags of everything in EKS that has an ARN."""

from __future__ import annotations

from collections.abc import Iterator

from moto.core.responses import ActionResult, EmptyResult

from eks_store import Cluster, Document, EksCalls, clusters_in, not_found


class TagCalls(EksCalls):
    """TagResource, UntagResource, ListTagsForResource."""

    def tag_resource(self) -> ActionResult:
        self._tags().update(self.arg("tags", {}))
        return EmptyResult()

    def untag_resource(self) -> ActionResult:
        tags = self._tags()
        for key in self.arg("tagKeys", []):
            tags.pop(key, None)
        return EmptyResult()

    def list_tags_for_resource(self) -> ActionResult:
        return ActionResult({"tags": self._tags()})

    def _tags(self) -> dict[str, str]:
        wanted = self.arg("resourceArn")
        for cluster in clusters_in(self.current_account, self.region):
            for arn, document in documents(cluster):
                if arn == wanted:
                    return document["tags"]
        raise not_found("Resource was not found")


def documents(cluster: Cluster) -> Iterator[tuple[str, Document]]:
    """Everything taggable with its ARN."""
    yield cluster.document["arn"], cluster.document
    for part in cluster.nodegroups.values():
        yield part.document["nodegroupArn"], part.document
    for part in cluster.addons.values():
        yield part.document["addonArn"], part.document
    for entry in cluster.entries.values():
        yield entry.document["accessEntryArn"], entry.document
    for association in cluster.associations.values():
        yield association["associationArn"], association
