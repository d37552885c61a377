"""ECR in front of the local distribution registry.

Modelled: the token is Basic authentication (user AWS) for 12 hours at `proxyEndpoint`, which is the
local registry, while repositoryUri keeps AWS's form; images are what the registry holds, so a
repository that was pushed to is not empty. Assumptions: the registry does not list untagged
manifests, so neither does this, but by its digest one is found; push times are when an image was
first seen here.
"""

from __future__ import annotations

import base64
import datetime
import re
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ecr import urls
from moto.ecr.exceptions import ImageNotFoundException, RepositoryNotEmptyException
from moto.ecr.models import Repository, ecr_backends
from moto.ecr.responses import ECRResponse

import registry
from errors import Refusal
from registry import Manifest, RegistryError
from state import STATE

SEEN: dict[tuple[str, str], datetime.datetime] = {}
Images = dict[str, tuple[Manifest, list[str]]]


class EcrCalls(ECRResponse):
    """moto's repositories, the registry's images."""

    def get_authorization_token(self) -> ActionResult:
        secret = f"AWS:{STATE.options.registry_password}".encode()
        data = {
            "authorizationToken": base64.b64encode(secret).decode(),
            "expiresAt": utcnow() + datetime.timedelta(hours=12),
            "proxyEndpoint": STATE.options.proxy_endpoint,
        }
        count = len(self._get_param("registryIds") or [self.current_account])
        return ActionResult({"authorizationData": [data] * count})

    def delete_repository(self) -> ActionResult:
        name, force = self._get_param("repositoryName"), bool(self._get_param("force"))
        self._repository()
        gone = delete_repository(self.current_account, self.region, name, force)
        return ActionResult({"repository": gone})

    def list_images(self) -> ActionResult:
        images, wanted = self._images(), (self._get_param("filter") or {}).get("tagStatus", "ANY")
        ids = [
            {"imageDigest": digest, "imageTag": tag}
            for digest, (_, tags) in images.items()
            for tag in tags
        ]
        return ActionResult({"imageIds": [] if wanted == "UNTAGGED" else ids})

    def describe_images(self) -> ActionResult:
        repository, images = self._repository(), self._images()
        wanted = self._get_param("imageIds")
        self._add_untagged(images, wanted or [])
        digests = [self._found(images, one) for one in wanted] if wanted else list(images)
        details = [image_view(repository, *images[digest]) for digest in dict.fromkeys(digests)]
        return ActionResult({"imageDetails": details})

    def _found(self, images: Images, wanted: dict[str, str]) -> str:
        digest = find(images, wanted)
        if digest is None:
            tag, number = wanted.get("imageTag", "null"), wanted.get("imageDigest", "null")
            text = f"{{imageDigest:'{number}', imageTag:'{tag}'}}"
            name, owner = self._get_param("repositoryName"), self.current_account
            raise ImageNotFoundException(text, name, owner)
        return digest

    def batch_get_image(self) -> ActionResult:
        repository, images = self._repository(), self._images()
        found, failures = [], []
        self._add_untagged(images, self._get_param("imageIds") or [])
        for wanted in self._get_param("imageIds") or []:
            digest = find(images, wanted)
            if digest is None:
                failures.append(failure(wanted))
                continue
            image_id = {"imageDigest": digest, "imageTag": wanted.get("imageTag")}
            found.append(image_document(repository, images[digest][0], image_id))
        return ActionResult({"images": found, "failures": failures})

    def batch_delete_image(self) -> ActionResult:
        """By digest the image with all its tags; by tag the tag, and the image with its last one."""
        name, images = self._repository().name, self._images()
        gone, failures = [], []
        self._add_untagged(images, self._get_param("imageIds") or [])
        for wanted in self._get_param("imageIds") or []:
            digest, tag = find(images, wanted), wanted.get("imageTag")
            if digest is None:
                failures.append(failure(wanted))
                continue
            tags = images[digest][1]
            by_tag = tag is not None and len(tags) > 1 and "imageDigest" not in wanted
            reachable(lambda r=tag if by_tag else digest: registry.delete(name, r))
            removed = [tag] if by_tag else list(tags)
            gone += [{"imageDigest": digest, "imageTag": one} for one in removed or [None]]
            images[digest] = (images[digest][0], [one for one in tags if one not in removed])
        return ActionResult({"imageIds": gone, "failures": failures})

    def put_image(self) -> ActionResult:
        """Adds a tag to a manifest; its layers must be in the registry already."""
        repository, images = self._repository(), self._images()
        text, tag = self._get_param("imageManifest"), self._get_param("imageTag")
        media = re.search(r'"mediaType"\s*:\s*"([^"]+)"', text)
        kind = self._get_param("imageManifestMediaType") or (media[1] if media else "")
        holder = find(images, {"imageTag": tag}) if tag else None
        if holder and images[holder][0].text == text:
            message = f"Image with digest '{holder}' and tag '{tag}' already exists in the"
            message += f" repository with name '{repository.name}'"
            raise Refusal("ImageAlreadyExistsException", message, 400)
        if holder and immutable(repository, tag):
            message = f"The image tag '{tag}' already exists in the '{repository.name}' repository"
            message += " and cannot be overwritten because the tag is immutable."
            raise Refusal("ImageTagAlreadyExistsException", message, 400)
        try:
            reference = tag or f"sha256:{registry.sha256(text)}"
            digest = registry.put(repository.name, reference, text, kind)
        except RegistryError as error:
            raise Refusal("LayersNotFoundException", str(error), 400) from error
        stored = Manifest(digest, kind, text)
        image_id = {"imageDigest": digest, "imageTag": tag}
        return ActionResult({"image": image_document(repository, stored, image_id)})

    def _repository(self) -> Repository:
        name = self._get_param("repositoryName")
        return self.ecr_backend._get_repository(name, self._get_param("registryId"))

    def _images(self) -> Images:
        name = self._repository().name
        return reachable(lambda: registry.images(name))

    def _add_untagged(self, images: Images, wanted: list[dict[str, str]]) -> None:
        """What is asked for by its digest alone, and has no tag: the platforms of an index, say."""
        name = self._repository().name
        for digest in {one["imageDigest"] for one in wanted if "imageDigest" in one} - set(images):
            if found := reachable(lambda one=digest: registry.manifest(name, one)):
                images[digest] = (found, [])


def reachable(work: Any) -> Any:
    """The registry's answer, or ECR's ServerException."""
    try:
        return work()
    except RegistryError as error:
        raise Refusal("ServerException", f"the registry failed: {error}", 500) from error


def delete_repository(account: str, region: str, name: str, force: bool) -> Repository:
    """Delete a repository, its images first with `force`; ServerException where the registry fails."""
    if force:
        reachable(lambda: registry.delete_all(name))
    elif reachable(lambda: registry.tags(name)):
        raise RepositoryNotEmptyException(name, account)
    return ecr_backends[account][region].delete_repository(name, None, force)


def immutable(repository: Repository, tag: str) -> bool:
    """Whether the repository forbids moving this tag; exclusion filters turn the rule around."""
    filters = repository.image_tag_mutability_exclusion_filters or []
    patterns = [re.escape(f["filter"]).replace(r"\*", ".*") for f in filters]
    excluded = any(re.fullmatch(pattern, tag) for pattern in patterns)
    return repository.is_tag_immutable() != excluded


def find(images: Images, wanted: dict[str, str]) -> str | None:
    """The digest of the image that an imageId names."""
    for digest, (_, tags) in images.items():
        if wanted.get("imageDigest", digest) != digest:
            continue
        if "imageTag" not in wanted or wanted["imageTag"] in tags:
            return digest
    return None


def failure(wanted: dict[str, str]) -> dict[str, Any]:
    reason = "Requested image not found"
    return {"imageId": wanted, "failureCode": "ImageNotFound", "failureReason": reason}


def image_view(repository: Repository, one: Manifest, tags: list[str]) -> dict[str, Any]:
    """As DescribeImages shows it."""
    return {
        "registryId": repository.registry_id,
        "repositoryName": repository.name,
        "imageDigest": one.digest,
        "imageTags": tags or None,
        "imageSizeInBytes": one.size,
        "imagePushedAt": SEEN.setdefault((repository.name, one.digest), utcnow()),
        "imageManifestMediaType": one.media_type,
    }


def image_document(
    repository: Repository, one: Manifest, image_id: dict[str, str | None]
) -> dict[str, Any]:
    """As BatchGetImage and PutImage show it."""
    return {
        "registryId": repository.registry_id,
        "repositoryName": repository.name,
        "imageId": image_id,
        "imageManifest": one.text,
        "imageManifestMediaType": one.media_type,
    }


def install() -> None:
    urls.url_paths["{0}/$"] = EcrCalls.dispatch
