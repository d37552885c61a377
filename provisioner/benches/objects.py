"""The objects that applies are measured with: what provisioner applied of those in the cluster, and further ones."""

import json
from typing import Any

HOME = "web-app"
MANAGER = "provisioner"

Object = dict[str, Any]


def as_applied(live: Object) -> Object | None:
    """What provisioner applied of an object and still owns; none where it applied nothing of it."""
    for entry in live["metadata"].get("managedFields", []):
        ours = entry["manager"] == MANAGER and entry["operation"] == "Apply"
        if ours and "subresource" not in entry:
            wanted = part(entry["fieldsV1"], live)
            wanted.update({key: live[key] for key in ("apiVersion", "kind")})
            names = {key: live["metadata"].get(key) for key in ("name", "namespace")}
            wanted.setdefault("metadata", {}).update({k: v for k, v in names.items() if v})
            return wanted
    return None


def part(fields: Object, live: Any) -> Any:
    """The part of a value that a set of fields (FieldsV1) names."""
    if not fields:
        return live
    if isinstance(live, dict):
        named = ((key[2:], inner) for key, inner in fields.items() if key.startswith("f:"))
        return {name: part(inner, live[name]) for name, inner in named if name in live}
    if isinstance(live, list):
        return [found for item in live if (found := item_of(fields, item)) is not None]
    return live


def item_of(fields: Object, item: Any) -> Any:
    """An item of a list where the set names it, by its value or by keys of its fields; else none."""
    for key, inner in fields.items():
        if key.startswith("v:") and json.loads(key[2:]) == item:
            return item
        if key.startswith("k:"):
            keys = json.loads(key[2:])
            if all(item.get(name) == value for name, value in keys.items()):
                return {**part(inner, item), **keys}
    return None


def further(count: int) -> list[Object]:
    """So many objects, none of which makes a pod."""
    made = []
    for number in range(count):
        metadata = {"name": f"bench-{number}", "namespace": HOME}
        labels = {"bench": str(number)}
        match number % 3:
            case 0:
                data = {"key": "value", "number": str(number)}
                made.append(
                    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
                )
            case 1:
                ports = [{"name": "http", "port": 8080, "protocol": "TCP"}]
                spec = {"clusterIP": "None", "selector": labels, "ports": ports}
                made.append(
                    {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
                )
            case _:
                made.append(deployment(metadata, labels))
    return made


def deployment(metadata: Object, labels: Object) -> Object:
    """A Deployment of no pods."""
    resources = {"requests": {"cpu": "10m", "memory": "16Mi"}}
    container = {"name": "app", "image": "registry.invalid/none:1", "resources": resources}
    spec = {
        "replicas": 0,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
