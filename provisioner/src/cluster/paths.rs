//! Which fields of an object differ, by path: pure. What servers and controllers write does not count.

use std::collections::BTreeSet;

use kube::core::DynamicObject;
use serde_json::{Map, Value};

/// Paths that differ between an object and itself after an apply, without what servers and controllers write. An
/// autoscaler may act between the two: replicas count only where the manifest states them.
pub(super) fn difference(wanted: &DynamicObject, before: &DynamicObject, after: &DynamicObject) -> Vec<String> {
    let scaled = wanted.data.pointer("/spec/replicas").is_none();
    let (mut paths, before, after) = (Vec::new(), comparable(before, scaled), comparable(after, scaled));
    compare("", &before, &after, 3, &mut paths);
    paths
}

/// An object as far as it counts; `scaled`: an autoscaler has its replicas.
pub(super) fn comparable(object: &DynamicObject, scaled: bool) -> Value {
    let mut value = object.data.clone();
    if let Some(fields) = value.as_object_mut() {
        fields.remove("status");
    }
    if scaled && let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("replicas");
    }
    value["metadata"]["labels"] = serde_json::json!(object.metadata.labels.clone().unwrap_or_default());
    let mut annotations = object.metadata.annotations.clone().unwrap_or_default();
    annotations.remove("deployment.kubernetes.io/revision");
    value["metadata"]["annotations"] = serde_json::json!(annotations);
    value
}

/// Descends `depth` levels; below, the parent's path is enough for people.
fn compare(path: &str, before: &Value, after: &Value, depth: u8, paths: &mut Vec<String>) {
    if before == after {
        return;
    }
    let (Some(old), Some(new)) = (before.as_object(), after.as_object()) else {
        paths.push(path.to_owned());
        return;
    };
    if depth == 0 {
        paths.push(path.to_owned());
        return;
    }
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for key in keys {
        let at = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        let value = |side: &Map<String, Value>| side.get(key).cloned().unwrap_or_default();
        compare(&at, &value(old), &value(new), depth - 1, paths);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> DynamicObject {
        serde_json::from_value(value).expect("an object")
    }

    #[test]
    fn what_controllers_write_is_no_difference() {
        let before = object(serde_json::json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "x", "resourceVersion": "1", "generation": 1,
                "annotations": {"deployment.kubernetes.io/revision": "1"}},
            "spec": {"replicas": 1, "template": {"a": 1}}, "status": {"replicas": 1}}));
        let after = object(serde_json::json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "x", "resourceVersion": "2", "generation": 1, "annotations": {}},
            "spec": {"replicas": 4, "template": {"a": 1}}, "status": {"replicas": 2}}));
        let unsaid =
            object(serde_json::json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}}));
        assert!(difference(&unsaid, &before, &after).is_empty());
        assert_eq!(difference(&after, &before, &after), ["spec.replicas"]);
    }

    #[test]
    fn differences_are_named_by_path() {
        let before = object(serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "x", "labels": {"a": "1"}}, "data": {"k": "v", "same": "s"}}));
        let after = object(serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "x", "labels": {"a": "2"}}, "data": {"k": "w", "same": "s", "new": "n"}}));
        assert_eq!(
            difference(&after, &before, &after),
            ["data.k", "data.new", "metadata.labels.a"]
        );
    }
}
