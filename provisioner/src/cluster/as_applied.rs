//! Whether an apply would change nothing, told from what was read: without asking the server. Pure.
//!
//! The server records which fields a manager applied (`metadata.managedFields`, format `FieldsV1`). An apply that states
//! exactly the fields that are recorded of us, each with the value that it has, changes neither values nor owners
//! (<https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy>). A value that somebody else
//! changed is ours no longer, and one that the server writes in another way than we do differs: then it has to be asked.

use kube::core::DynamicObject;
use serde_json::{Map, Value};

use super::applied;

/// Whether the object is known to be as wanted. False says nothing.
pub(super) fn holds(wanted: &DynamicObject, live: &DynamicObject) -> bool {
    if live.types != wanted.types || live.metadata.deletion_timestamp.is_some() {
        return false;
    }
    let values = |object: &DynamicObject| serde_json::to_value(object).ok();
    let fields = applied::fields(live).and_then(Value::as_object);
    let (Some(fields), Some(mut wanted), Some(live)) = (fields, values(wanted), values(live)) else {
        return false;
    };
    if let Some(stated) = wanted.as_object_mut() {
        stated.retain(|name, _| name != "apiVersion" && name != "kind");
        if let Some(metadata) = stated.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.retain(|name, _| name != "name" && name != "namespace");
        }
        if stated.get("metadata") == Some(&Value::Object(Map::new())) {
            stated.remove("metadata");
        }
    }
    is_same(fields, &wanted, &live)
}

/// Whether `wanted` states exactly these fields, with the values that they have.
fn is_same(fields: &Map<String, Value>, wanted: &Value, live: &Value) -> bool {
    // A leaf: a scalar, or a map or list that is owned as a whole.
    if fields.is_empty() {
        return wanted == live;
    }
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => {
            let owned = fields.keys().filter(|key| *key != ".").count();
            let same = |(name, wanted): (&String, &Value)| {
                let inner = fields.get(&format!("f:{name}")).and_then(Value::as_object);
                inner
                    .zip(live.get(name))
                    .is_some_and(|(inner, live)| is_same(inner, wanted, live))
            };
            owned == wanted.len() && wanted.iter().all(same)
        }
        (Value::Array(wanted), Value::Array(live)) => {
            let owned = fields.keys().filter(|key| *key != ".").count();
            let places: Option<Vec<usize>> = wanted.iter().map(|item| place(fields, item, live)).collect();
            // Where the order is another, the server decides which it keeps.
            owned == wanted.len() && places.is_some_and(|places| places.is_sorted_by(|a, b| a < b))
        }
        _ => false,
    }
}

/// Where a list has an item that is as wanted, and ours: by its value (`v:`), or by keys of its fields (`k:`), of which
/// those that the server added by default need not be stated.
fn place(fields: &Map<String, Value>, wanted: &Value, live: &[Value]) -> Option<usize> {
    fields.iter().find_map(|(key, inner)| {
        if let Some(value) = key.strip_prefix("v:") {
            let value: Value = serde_json::from_str(value).ok()?;
            return live.iter().position(|item| value == *wanted && item == wanted);
        }
        let keys: Map<String, Value> = serde_json::from_str(key.strip_prefix("k:")?).ok()?;
        let is_it = |item: &Value| keys.iter().all(|(name, value)| item.get(name) == Some(value));
        let stated = |(name, value): (&String, &Value)| wanted.get(name).is_none_or(|stated| stated == value);
        let at = live.iter().position(is_it).filter(|_| keys.iter().all(stated))?;
        is_same(inner.as_object()?, wanted, &live[at]).then_some(at)
    })
}

#[cfg(test)]
#[path = "as_applied_tests.rs"]
mod tests;
