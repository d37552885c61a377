"""The distribution registry that holds the images of all ECR repositories."""

from __future__ import annotations

import base64
import hashlib
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from state import STATE

TIMEOUT_S = 3.0
INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
ACCEPT = ", ".join(
    (
        *INDEX_TYPES,
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)


class RegistryError(Exception):
    """The registry cannot be reached or answers what it should not."""


@dataclass(frozen=True)
class Manifest:
    """A manifest or index; `size` is what it describes, in bytes."""

    digest: str
    media_type: str
    text: str

    @property
    def document(self) -> dict[str, Any]:
        return json.loads(self.text)

    @property
    def size(self) -> int:
        layers = [self.document.get("config") or {}, *self.document.get("layers", [])]
        return sum(layer.get("size", 0) for layer in layers)

    @property
    def children(self) -> list[str]:
        return [child["digest"] for child in self.document.get("manifests", [])]


def call(method: str, path: str, body: bytes | None = None, **headers: str) -> Any:
    """One request with the registry's password; None for 404."""
    secret = base64.b64encode(f"AWS:{STATE.options.registry_password}".encode()).decode()
    request = urllib.request.Request(f"{STATE.options.registry}/v2/{path}", body, method=method)
    request.add_header("Authorization", f"Basic {secret}")
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        return opener.open(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise RegistryError(f"{method} {path}: {error.code} {error.read()[:300]!r}") from error
    except OSError as error:
        raise RegistryError(f"{method} {path}: {error}") from error


def tags(name: str) -> list[str]:
    """Tags of a repository, empty when the registry has none of it."""
    answer = call("GET", f"{name}/tags/list")
    return sorted(json.load(answer).get("tags") or []) if answer else []


def manifest(name: str, reference: str) -> Manifest | None:
    """A manifest by tag or digest."""
    answer = call("GET", f"{name}/manifests/{reference}", Accept=ACCEPT)
    if answer is None:
        return None
    headers, text = answer.headers, answer.read().decode()
    return Manifest(headers["Docker-Content-Digest"], headers["Content-Type"], text)


def images(name: str) -> dict[str, tuple[Manifest, list[str]]]:
    """Tagged manifests by digest, with their tags; untagged ones the registry cannot list."""
    found: dict[str, tuple[Manifest, list[str]]] = {}
    for tag in tags(name):
        if one := manifest(name, tag):
            found.setdefault(one.digest, (one, []))[1].append(tag)
    return found


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def put(name: str, reference: str, text: str, media_type: str) -> str:
    """Store a manifest; its digest."""
    path = f"{name}/manifests/{reference}"
    answer = call("PUT", path, text.encode(), Content_Type=media_type)
    if answer is None:
        raise RegistryError(f"PUT {path}: 404")
    return answer.headers["Docker-Content-Digest"]


def delete(name: str, reference: str) -> None:
    """Delete a manifest by digest, or a tag."""
    call("DELETE", f"{name}/manifests/{reference}")


def delete_all(name: str) -> None:
    """Delete every tagged manifest and the manifests of its platforms."""
    for digest, (one, _) in images(name).items():
        for reference in [digest, *one.children]:
            delete(name, reference)
