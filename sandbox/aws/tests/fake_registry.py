"""A registry that keeps manifests by digest and tags, as far as the endpoint asks for them."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
Stored = dict[str, tuple[str, str]]


class FakeRegistry:
    """`put` stands for a push."""

    def __init__(self, password: str) -> None:
        self.manifests: dict[str, Stored] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.broken = False
        self.authorization = "Basic " + base64.b64encode(f"AWS:{password}".encode()).decode()
        handler = type("Handler", (Handler,), {"registry": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def put(self, name: str, tag: str, content: str = "one") -> str:
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {"size": 10},
            "layers": [{"size": 90}],
            "annotations": {"content": content},
        }
        return self.store(name, tag, json.dumps(document), MANIFEST_TYPE)

    def store(self, name: str, reference: str, text: str, kind: str) -> str:
        digest = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
        self.manifests.setdefault(name, {})[digest] = (text, kind)
        if not reference.startswith("sha256:"):
            self.tags.setdefault(name, {})[reference] = digest
        return digest

    def delete(self, name: str, reference: str) -> bool:
        tags = self.tags.get(name, {})
        if reference in tags:
            del tags[reference]
            return True
        for tag in [tag for tag, digest in tags.items() if digest == reference]:
            del tags[tag]
        return self.manifests.get(name, {}).pop(reference, None) is not None

    def clear(self) -> None:
        self.manifests.clear()
        self.tags.clear()
        self.broken = False

    def close(self) -> None:
        self._server.shutdown()


class Handler(BaseHTTPRequestHandler):
    registry: FakeRegistry

    def do_GET(self) -> None:
        if match := re.fullmatch(r"/v2/(.+)/tags/list", self.path):
            tags = self.registry.tags.get(match[1])
            if tags is None:
                return self._answer(404)
            return self._answer(200, json.dumps({"name": match[1], "tags": list(tags) or None}))
        name, reference = self._manifest()
        digest = self.registry.tags.get(name, {}).get(reference, reference)
        found = self.registry.manifests.get(name, {}).get(digest)
        return self._answer(200, found[0], found[1], digest) if found else self._answer(404)

    def do_PUT(self) -> None:
        name, reference = self._manifest()
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        digest = self.registry.store(name, reference, text, self.headers["Content-Type"])
        self._answer(201, digest=digest)

    def do_DELETE(self) -> None:
        self._answer(202 if self.registry.delete(*self._manifest()) else 404)

    def _manifest(self) -> tuple[str, str]:
        match = re.fullmatch(r"/v2/(.+)/manifests/([^/]+)", self.path)
        assert match, self.path
        return match[1], match[2]

    def _answer(
        self, status: int, text: str = "", kind: str = "application/json", digest: str = ""
    ) -> None:
        if self.headers["Authorization"] != self.registry.authorization:
            status, text = 401, ""
        elif self.registry.broken:
            status, text = 500, "no space left"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        if digest:
            self.send_header("Docker-Content-Digest", digest)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Quiet."""
