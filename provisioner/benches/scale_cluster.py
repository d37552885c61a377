"""The cluster of `scale.py`: a node that no kubelet runs, pods on it that are ready, and what becomes of the stack's own."""

import base64
import http.client
import json
import platform
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sandbox
import scale_pods

Object = dict[str, Any]

NODE = "bench-scale"
LABELS = {"app": "web-app", "bench": "scale"}
OURS = urllib.parse.quote("bench=scale")
PODS = f"/api/v1/namespaces/{scale_pods.NAMESPACE}/pods"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
# The node's controller takes a node for lost that is silent for 40 s or more.
HEARTBEAT = 5.0
MERGE = "application/merge-patch+json"
WRITERS = 4
# What `bootstrap` looks at: whether the nodes can run its image.
PLATFORM = {
    "kubernetes.io/os": "linux",
    "kubernetes.io/arch": "arm64" if platform.machine() == "aarch64" else "amd64",
}
NAMES = {"POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace"}


class Refused(Exception):
    """The API server answered with an error."""

    def __init__(self, what: str, status: int, text: str) -> None:
        super().__init__(f"{what}: {status}: {text[:300]}")
        self.status = status


class Api:
    """The API server, as the administrator; each thread has a connection that it keeps."""

    def __init__(self, folder: Path) -> None:
        view = [*sandbox.kubectl(), "config", "view", "--raw", "--flatten", "-o", "json"]
        config = json.loads(subprocess.check_output(view))
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        files = [folder / "client.crt", folder / "client.key"]
        for file, key in zip(files, ("client-certificate-data", "client-key-data"), strict=True):
            file.touch(0o600)
            file.write_bytes(base64.b64decode(user[key]))
        self.context = ssl.create_default_context(cadata=authority)
        self.context.load_cert_chain(files[0], files[1])
        self.place = urllib.parse.urlsplit(cluster["server"]).netloc
        self.own = threading.local()

    def _ask(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        connection: http.client.HTTPSConnection | None = getattr(self.own, "connection", None)
        if connection is None:
            connection = http.client.HTTPSConnection(self.place, context=self.context, timeout=60)
            self.own.connection = connection
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def raw(
        self, method: str, path: str, body: Any = None, kind: str = "application/json"
    ) -> bytes:
        """Sends a request; what the server answers. Once more where a kept connection has been closed."""
        sent = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": kind, "Accept": "application/json"}
        try:
            status, answer = self._ask(method, path, sent, headers)
        except (http.client.HTTPException, OSError):
            self.own.connection = None
            status, answer = self._ask(method, path, sent, headers)
        if status >= 400:
            raise Refused(f"{method} {path}", status, answer.decode(errors="replace"))
        return answer

    def get(self, path: str) -> Object:
        """An object."""
        found: Object = json.loads(self.raw("GET", path))
        return found

    def ensure(self, collection: str, wanted: Object) -> None:
        """Makes an object anew."""
        self.forget(f"{collection}/{wanted['metadata']['name']}")
        self.raw("POST", collection, wanted)

    def forget(self, path: str) -> None:
        """Deletes at once, also what is not there; nobody runs these pods, so that nobody has to end them."""
        try:
            self.raw("DELETE", path, {"gracePeriodSeconds": 0, "propagationPolicy": "Background"})
        except Refused as refused:
            if refused.status != 404:
                raise


def now() -> str:
    """The time as Leases have it."""
    seconds, fraction = divmod(time.time_ns() // 1000, 1_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{fraction:06d}Z"


def node() -> Object:
    """A node that is ready, and on which nothing is scheduled: pods name it themselves."""
    room = {"cpu": "1k", "memory": "1Ti", "pods": "100k"}
    fine = {"status": "True", "reason": "Bench", "message": "renewed by the benchmark"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": NODE, "labels": {"bench": "scale", **PLATFORM}},
        "spec": {
            "unschedulable": True,
            "taints": [{"key": "bench", "value": "scale", "effect": "NoSchedule"}],
        },
        "status": {
            "capacity": room,
            "allocatable": room,
            "conditions": [{"type": "Ready", "lastHeartbeatTime": now()[:19] + "Z", **fine}],
        },
    }


class Heart(threading.Thread):
    """Renews the Lease of the node, as its kubelet would."""

    def __init__(self, api: Api) -> None:
        super().__init__(daemon=True)
        self.api, self.stopped = api, threading.Event()

    def run(self) -> None:
        """Beats until it is stopped."""
        while not self.stopped.wait(HEARTBEAT):
            try:
                self.api.raw("PATCH", f"{LEASES}/{NODE}", {"spec": {"renewTime": now()}}, MERGE)
            except (Refused, OSError, http.client.HTTPException) as error:
                print(f"no heartbeat: {error}", file=sys.stderr, flush=True)


def pod(index: int) -> Object:
    """A pod as the stack's Prometheus looks for: the app's label, a port of that name; Pod Security `restricted` lets it in."""
    port = {"name": "http", "containerPort": scale_pods.PORT, "protocol": "TCP"}
    container = {
        "name": "app",
        "image": "registry.invalid/web-app:bench",
        "ports": [port],
        "env": [
            {"name": "PORT", "value": str(scale_pods.PORT)},
            *(
                {"name": variable, "valueFrom": {"fieldRef": {"fieldPath": path}}}
                for variable, path in NAMES.items()
            ),
        ],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 1},
        "livenessProbe": {"httpGet": {"path": "/livez", "port": "http"}, "periodSeconds": 10},
        "resources": {
            "requests": {"cpu": "20m", "memory": "16Mi"},
            "limits": {"cpu": "500m", "memory": "64Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    secure = {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": scale_pods.name(index), "labels": LABELS},
        "spec": {
            "nodeName": NODE,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": secure,
            "containers": [container],
        },
    }


def running(index: int) -> Object:
    """The status that a kubelet would report."""
    since = now()[:19] + "Z"
    kinds = ("Initialized", "Ready", "ContainersReady", "PodScheduled")
    container = {
        "name": "app",
        "image": "registry.invalid/web-app:bench",
        "imageID": "",
        "ready": True,
        "started": True,
        "restartCount": 0,
        "state": {"running": {"startedAt": since}},
    }
    ours = scale_pods.address(index)
    return {
        "status": {
            "phase": "Running",
            "startTime": since,
            "podIP": ours,
            "podIPs": [{"ip": ours}],
            "conditions": [
                {"type": kind, "status": "True", "lastTransitionTime": since} for kind in kinds
            ],
            "containerStatuses": [container],
        }
    }


class Fleet:
    """The pods, on their node."""

    def __init__(self, api: Api) -> None:
        self.api, self.heart = api, Heart(api)
        self.there: set[int] = set()

    def prepare(self) -> None:
        """Makes the node, in place of what a killed run left."""
        self.clear()
        self.api.ensure("/api/v1/nodes", node())
        spec = {"holderIdentity": NODE, "leaseDurationSeconds": 40, "renewTime": now()}
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
        self.api.ensure(LEASES, {**lease, "metadata": {"name": NODE}, "spec": spec})
        self.heart.start()

    def make(self, index: int) -> float:
        """Makes one pod; when it was said to be ready."""
        try:
            self.api.raw("POST", PODS, pod(index))
        except Refused as refused:
            # It was made, and the answer lost.
            if refused.status != 409:
                raise
        self.api.raw("PATCH", f"{PODS}/{scale_pods.name(index)}/status", running(index), MERGE)
        self.there.add(index)
        return time.monotonic()

    def remove(self, index: int) -> None:
        """Takes one pod away."""
        self.api.forget(f"{PODS}/{scale_pods.name(index)}")
        self.there.discard(index)

    def grow(self, count: int) -> None:
        """Makes pods until there are so many."""
        missing = [index for index in range(count) if index not in self.there]
        with ThreadPoolExecutor(WRITERS) as writers:
            list(writers.map(self.make, missing))

    def clear(self) -> None:
        """Deletes pods and node."""
        self.api.forget(f"{PODS}?labelSelector={OURS}")
        self.there.clear()
        self.api.forget(f"{LEASES}/{NODE}")
        self.api.forget(f"/api/v1/nodes/{NODE}")

    def close(self) -> None:
        """Ends the heartbeat and deletes all."""
        self.heart.stopped.set()
        self.clear()


@dataclass(frozen=True)
class Part:
    """A component whose container is watched."""

    name: str
    namespace: str
    # Label `app` of its pod.
    label: str
    container: str
    # Its folder of manifests.
    folder: str


PARTS = (
    Part("Prometheus", "monitoring", "prometheus", "prometheus", "20-prometheus"),
    Part("adapter", "custom-metrics", "custom-metrics-apiserver", "adapter", "40-adapter"),
    Part(
        "kube-state-metrics",
        "monitoring",
        "kube-state-metrics",
        "kube-state-metrics",
        "30-kube-state-metrics",
    ),
)


@dataclass(frozen=True)
class Instance:
    """The one pod of a component."""

    name: str
    uid: str
    node: str
    address: str
    ready: bool
    restarts: int
    # Why its container ended last, if it did.
    ended: str
    limit_mi: int
    image: str


def instance(api: Api, part: Part) -> Instance | None:
    """The pod of a component that is not going; none where there is none."""
    path = f"/api/v1/namespaces/{part.namespace}/pods?labelSelector=app%3D{part.label}"
    pods = [one for one in api.get(path)["items"] if "deletionTimestamp" not in one["metadata"]]
    if not pods:
        return None
    found = max(pods, key=lambda one: one["metadata"]["creationTimestamp"])
    container = next(c for c in found["spec"]["containers"] if c["name"] == part.container)
    statuses = found["status"].get("containerStatuses", [])
    status: Object = next((s for s in statuses if s["name"] == part.container), {})
    ended = status.get("lastState", {}) | status.get("state", {})
    return Instance(
        found["metadata"]["name"],
        found["metadata"]["uid"],
        found["spec"].get("nodeName", ""),
        found["status"].get("podIP", ""),
        status.get("ready", False),
        status.get("restartCount", 0),
        ended.get("terminated", {}).get("reason", ""),
        mebibytes(container["resources"]["limits"]["memory"]),
        container["image"].rpartition("/")[2],
    )


def mebibytes(quantity: str) -> int:
    """An amount of memory as manifests write it."""
    for unit, factor in (("Gi", 1024), ("Mi", 1)):
        if quantity.endswith(unit):
            return int(quantity.removesuffix(unit)) * factor
    sys.exit(f"`{quantity}` is no amount of memory in Mi or Gi")
