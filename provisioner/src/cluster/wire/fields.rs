//! Server-side apply as the real server does it, as far as the tests need it: who owns which field, what goes when its
//! owner says it no longer, what is a conflict.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// A field as the keys of `FieldsV1` that lead to it.
type Path = Vec<String>;

/// The object after an apply by `manager`, or the refusal.
pub(super) fn apply(now: Value, mut wanted: Value, manager: &str, force: bool) -> Result<Value, Value> {
    let stated = &mut wanted["metadata"];
    if let Some(version) = stated
        .as_object_mut()
        .and_then(|metadata| metadata.remove("resourceVersion"))
        && version != now["metadata"]["resourceVersion"]
    {
        return Err(json!({"code": 409, "reason": "Conflict", "message": "the object has been modified"}));
    }
    let mut fields = wanted.clone();
    if let Some(fields) = fields.as_object_mut() {
        fields.retain(|name, _| name != "apiVersion" && name != "kind");
    }
    // What names an object is nobody's.
    if let Some(metadata) = fields["metadata"].as_object_mut() {
        metadata.retain(|name, _| name != "name" && name != "namespace");
    }
    let set = owned(&fields);
    let said = leaves(&set);
    let mut others = now["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let ours = others
        .iter()
        .position(|entry| entry["manager"] == manager && entry["operation"] == "Apply");
    let before = ours.map(|at| others.remove(at)).unwrap_or_default();
    let differs = |path: &&Path| value(&now, path) != value(&wanted, path);
    let mut causes = Vec::new();
    for path in said.iter().filter(differs) {
        for entry in &mut others {
            if leaves(&entry["fieldsV1"]).contains(path) && force {
                forget(&mut entry["fieldsV1"], path);
            } else if leaves(&entry["fieldsV1"]).contains(path) {
                causes.push(json!({"reason": "FieldManagerConflict", "field": written(path),
                    "message": format!("conflict with {}", entry["manager"])}));
            }
        }
    }
    if !causes.is_empty() {
        return Err(json!({"code": 409, "reason": "Conflict", "message": "conflicts", "details": {"causes": causes}}));
    }
    let mut merged = now;
    let is_stated = |path: &[String]| {
        let theirs = others.iter().flat_map(|entry| leaves(&entry["fieldsV1"]));
        said.iter().cloned().chain(theirs).any(|other| other.starts_with(path))
    };
    for path in leaves(&before["fieldsV1"]) {
        let plain = path.iter().take_while(|key| key.starts_with("f:")).count();
        if !is_stated(&path[..plain]) {
            remove(&mut merged, &path[..plain]);
        }
    }
    merge(&mut merged, &wanted);
    if wanted["kind"] == "CustomResourceDefinition" {
        merged["status"] = json!({"conditions": [{"type": "Established", "status": "True"}]});
    }
    if wanted["kind"] == "Deployment" && merged["spec"].is_object() && merged["spec"].get("replicas").is_none() {
        merged["spec"]["replicas"] = 1.into();
    }
    others.push(
        json!({"manager": manager, "operation": "Apply", "apiVersion": wanted["apiVersion"],
        "fieldsType": "FieldsV1", "fieldsV1": set}),
    );
    merged["metadata"]["managedFields"] = others.into();
    Ok(merged)
}

pub(super) fn merge(into: &mut Value, from: &Value) {
    match (into.as_object_mut(), from.as_object()) {
        (Some(into), Some(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        _ => *into = from.clone(),
    }
}

/// The fields of an apply as the server remembers them: named items of lists by their names, other lists as a whole.
fn owned(applied: &Value) -> Value {
    // Mounts have the names of their volumes: that tells no two of them apart.
    let named = |items: &[Value]| {
        let names: BTreeSet<&str> = items.iter().filter_map(|item| item["name"].as_str()).collect();
        !items.is_empty() && names.len() == items.len()
    };
    match applied {
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| (format!("f:{key}"), owned(value)))
            .collect(),
        Value::Array(items) if named(items) => {
            let key = |item: &Value| format!("k:{}", json!({ "name": item["name"] }));
            items.iter().map(|item| (key(item), owned(item))).collect()
        }
        _ => json!({}),
    }
}

fn leaves(set: &Value) -> Vec<Path> {
    let mut all = Vec::new();
    for (key, inner) in set.as_object().into_iter().flatten() {
        match leaves(inner) {
            below if below.is_empty() => all.push(vec![key.clone()]),
            below => all.extend(below.into_iter().map(|path| [vec![key.clone()], path].concat())),
        }
    }
    all
}

fn value<'a>(object: &'a Value, path: &Path) -> Option<&'a Value> {
    path.iter().try_fold(object, |at, key| {
        if let Some(name) = key.strip_prefix("f:") {
            return at.get(name);
        }
        let key: Value = serde_json::from_str(key.strip_prefix("k:")?).ok()?;
        at.as_array()?.iter().find(|item| item["name"] == key["name"])
    })
}

fn written(path: &Path) -> String {
    let keys = path.iter().map(|key| key.trim_start_matches("f:"));
    format!(".{}", keys.collect::<Vec<&str>>().join("."))
}

fn forget(set: &mut Value, path: &[String]) {
    if let [first, rest @ ..] = path
        && let Some(inner) = set.get_mut(first)
    {
        forget(inner, rest);
        if inner.as_object().is_some_and(serde_json::Map::is_empty)
            && let Some(set) = set.as_object_mut()
        {
            set.remove(first);
        }
    }
}

fn remove(object: &mut Value, path: &[String]) {
    if let [parents @ .., last] = path {
        let at = parents.iter().try_fold(object, |at, key| at.get_mut(&key[2..]));
        if let Some(fields) = at.and_then(Value::as_object_mut) {
            fields.remove(&last[2..]);
        }
    }
}
