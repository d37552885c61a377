//! What this program applied of an object, read back from the server: so that one field of it can be changed and all of
//! it applied again, without the manifests and flags that it came from.
//!
//! The server keeps for each field manager the set of fields that it owns (`metadata.managedFields`, format `FieldsV1`:
//! <https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>). Of a live object these fields
//! are what an apply of the same manager has to send again: what it left out would be removed.

use kube::core::DynamicObject;
use serde_json::{Map, Value};

use super::object::ObjectRef;
use crate::names::FIELD_MANAGER;

/// The fields that this program applied and still owns, as they are now; none where the server remembers none.
pub(super) fn of(live: &DynamicObject) -> Option<DynamicObject> {
    let object = ObjectRef::of(live);
    let mut applied = part(fields(live)?.as_object()?, &serde_json::to_value(live).ok()?);
    applied["apiVersion"] = object.api_version.into();
    applied["kind"] = object.kind.into();
    applied["metadata"]["name"] = object.name.into();
    if let Some(namespace) = object.namespace {
        applied["metadata"]["namespace"] = namespace.into();
    }
    serde_json::from_value(applied).ok()
}

/// The set of fields that this program applied and still owns, in the version of the object; none where the server
/// remembers none.
pub(super) fn fields(live: &DynamicObject) -> Option<&Value> {
    let version = live.types.as_ref().map(|types| &types.api_version);
    let managers = live.metadata.managed_fields.iter().flatten();
    let ours = managers
        .filter(|entry| entry.operation.as_deref() == Some("Apply") && entry.subresource.is_none())
        .filter(|entry| entry.api_version.as_ref() == version)
        .find(|entry| entry.manager.as_deref() == Some(FIELD_MANAGER))?;
    Some(&ours.fields_v1.as_ref()?.0)
}

/// Who owns the field that a path of `FieldsV1` keys leads to.
pub(super) fn managers_of(live: &DynamicObject, path: &[&str]) -> Vec<String> {
    let owns = |fields: &Value| path.iter().try_fold(fields, |at, key| at.get(*key)).is_some();
    let managers = live.metadata.managed_fields.iter().flatten();
    let owners = managers.filter(|entry| entry.fields_v1.as_ref().is_some_and(|fields| owns(&fields.0)));
    owners.filter_map(|entry| entry.manager.clone()).collect()
}

/// The part of a value that a set of fields names.
fn part(fields: &Map<String, Value>, live: &Value) -> Value {
    if fields.is_empty() {
        // A leaf: a scalar, or a map or list that is owned as a whole.
        return live.clone();
    }
    match live {
        Value::Object(all) => fields
            .iter()
            .filter_map(|(key, inner)| {
                let name = key.strip_prefix("f:")?;
                Some((name.to_owned(), part(inner.as_object()?, all.get(name)?)))
            })
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().filter_map(|item| item_of(fields, item)).collect(),
        other => other.clone(),
    }
}

/// An item of a list, where the set names it: by keys of its fields (`k:`) or by its value (`v:`).
fn item_of(fields: &Map<String, Value>, item: &Value) -> Option<Value> {
    fields.iter().find_map(|(key, inner)| {
        if let Some(value) = key.strip_prefix("v:") {
            return (serde_json::from_str::<Value>(value).ok()? == *item).then(|| item.clone());
        }
        let keys: Map<String, Value> = serde_json::from_str(key.strip_prefix("k:")?).ok()?;
        if !keys.iter().all(|(name, value)| item.get(name) == Some(value)) {
            return None;
        }
        let mut owned = match part(inner.as_object()?, item) {
            Value::Object(owned) => owned,
            _ => Map::new(),
        };
        owned.extend(keys);
        Some(owned.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// As a server answers: defaults and status beside what was applied, another manager's fields, one of them taken from
    /// us.
    fn live() -> DynamicObject {
        let ours = json!({
            "f:metadata": {"f:labels": {"f:app": {}}},
            "f:spec": {
                "f:strategy": {"f:type": {}},
                "f:template": {"f:spec": {
                    "f:containers": {"k:{\"name\":\"app\"}": {
                        ".": {}, "f:name": {}, "f:image": {}, "f:args": {},
                        "f:ports": {"k:{\"containerPort\":8080,\"protocol\":\"TCP\"}": {
                            ".": {}, "f:containerPort": {}, "f:name": {}, "f:protocol": {}}},
                    }},
                    "f:volumes": {"k:{\"name\":\"tmp\"}": {".": {}, "f:emptyDir": {}, "f:name": {}}},
                }},
                "f:finalizers": {"v:\"a/b\"": {}},
            },
        });
        let theirs = json!({"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {
            "f:containers": {"k:{\"name\":\"app\"}": {"f:resources": {}}, "k:{\"name\":\"side\"}": {".": {}, "f:name": {}}}}}}});
        let entry = |manager: &str, operation: &str, fields: Value| json!({"manager": manager, "operation": operation, "apiVersion": "apps/v1", "fieldsType": "FieldsV1", "fieldsV1": fields});
        serde_json::from_value(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "x", "namespace": "n", "uid": "1", "generation": 3, "resourceVersion": "9",
                "labels": {"app": "x", "other": "y"},
                "managedFields": [entry("kubectl-edit", "Update", theirs), entry("provisioner", "Apply", ours)]},
            "spec": {
                "replicas": 4, "progressDeadlineSeconds": 600, "finalizers": ["c/d", "a/b"],
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
                "template": {"spec": {
                    "dnsPolicy": "ClusterFirst",
                    "containers": [
                        {"name": "side", "image": "s"},
                        {"name": "app", "image": "a", "args": ["serve"], "resources": {"limits": {"cpu": "1"}},
                            "ports": [{"containerPort": 9090, "protocol": "TCP"},
                                {"containerPort": 8080, "protocol": "TCP", "name": "http"}]},
                    ],
                    "volumes": [{"name": "tmp", "emptyDir": {}}],
                }},
            },
            "status": {"replicas": 4},
        }))
        .expect("an object")
    }

    #[test]
    fn what_was_applied_is_read_back_without_what_others_and_the_server_wrote() {
        let applied = serde_json::to_value(of(&live()).expect("remembered")).expect("JSON");
        let want = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"labels": {"app": "x"}, "name": "x", "namespace": "n"},
            "spec": {
                "strategy": {"type": "RollingUpdate"}, "finalizers": ["a/b"],
                "template": {"spec": {
                    "containers": [{"name": "app", "image": "a", "args": ["serve"],
                        "ports": [{"containerPort": 8080, "name": "http", "protocol": "TCP"}]}],
                    "volumes": [{"emptyDir": {}, "name": "tmp"}],
                }},
            },
        });
        assert_eq!(applied, want);
    }

    #[test]
    fn what_nobody_of_ours_applied_is_not_guessed() {
        let mut foreign = live();
        let managers = foreign.metadata.managed_fields.as_mut().expect("managers");
        managers[1].operation = Some("Update".to_owned());
        assert_eq!(of(&foreign), None);
        let mut other_version = live();
        other_version.metadata.managed_fields.as_mut().expect("managers")[1].api_version = Some("apps/v2".to_owned());
        assert_eq!(of(&other_version), None);
    }

    #[test]
    fn the_owners_of_a_field_are_named() {
        let container = ["f:spec", "f:template", "f:spec", "f:containers", "k:{\"name\":\"app\"}"];
        let owners = |field: &'static str| managers_of(&live(), &[&container[..], &[field]].concat());
        assert_eq!(owners("f:resources"), ["kubectl-edit"]);
        assert_eq!(owners("f:image"), ["provisioner"]);
        assert_eq!(owners("f:command"), [""; 0]);
    }
}
