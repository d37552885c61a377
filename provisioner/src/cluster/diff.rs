//! What an apply changes in one object, field by field: pure, for people and for programs.
//!
//! Values of Secrets do not leave this module: that one differs is said, neither what it is nor how long.

use std::collections::BTreeSet;

use kube::core::DynamicObject;
use serde::Serialize;
use serde_json::{Map, Value};

use super::object::ObjectRef;
use super::paths::comparable;

/// Stands for what only a build tells.
pub const KNOWN_AFTER_BUILD: &str = "(known after build)";
/// Keys by which items of a list are told apart, where each item has another value of it.
const KEYS: [&str; 4] = ["name", "mountPath", "type", "key"];
/// Fields of a Secret with what is secret.
const SECRET: [&str; 2] = ["data", "stringData"];
/// The annotation in which kubectl keeps a whole object, a Secret's data too.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Field {
    /// Where, e.g. `spec.template.spec.containers[app].image`.
    pub path: String,
    /// In what way.
    pub change: How,
    /// As it is; none where it is absent or not to be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// As it will be; none where it goes or is not to be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
    /// Whether the values are secret, and so not given.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
}

/// In what way a field differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// It was absent.
    Added,
    /// It goes.
    Removed,
    /// It gets another value.
    Changed,
}

/// The fields in which `before` and `after` differ, without what servers and controllers write. Strings that hold
/// `unbuilt`, which stands for a digest that is not known yet, are told as [`KNOWN_AFTER_BUILD`].
pub fn fields(wanted: &DynamicObject, before: &DynamicObject, after: &DynamicObject, unbuilt: &str) -> Vec<Field> {
    let scaled = wanted.data.pointer("/spec/replicas").is_none();
    let mut after = comparable(after, scaled);
    name_unbuilt(&mut after, unbuilt);
    let mut found = Found {
        secret: ObjectRef::of(wanted).kind == "Secret",
        fields: Vec::new(),
    };
    found.walk("", &comparable(before, scaled), &after);
    found.fields
}

fn name_unbuilt(value: &mut Value, unbuilt: &str) {
    match value {
        Value::String(text) if text.contains(unbuilt) => KNOWN_AFTER_BUILD.clone_into(text),
        Value::Object(fields) => fields.values_mut().for_each(|field| name_unbuilt(field, unbuilt)),
        Value::Array(items) => items.iter_mut().for_each(|item| name_unbuilt(item, unbuilt)),
        _ => {}
    }
}

struct Found {
    secret: bool,
    fields: Vec<Field>,
}

impl Found {
    fn walk(&mut self, path: &str, old: &Value, new: &Value) {
        if old == new {
            return;
        }
        let empty = Map::new();
        match (old, new) {
            (Value::Object(old), Value::Object(new)) => self.objects(path, old, new),
            // Each key by itself, so that it is told which secrets come or go.
            (Value::Null, Value::Object(new)) if self.is_hidden(path) => self.objects(path, &empty, new),
            (Value::Object(old), Value::Null) if self.is_hidden(path) => self.objects(path, old, &empty),
            (Value::Array(old), Value::Array(new)) => self.lists(path, old, new),
            _ => self.leaf(path, old, new),
        }
    }

    fn objects(&mut self, path: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let value = |side: &Map<String, Value>, key: &String| side.get(key).cloned().unwrap_or_default();
        for key in keys {
            self.walk(&joined(path, key), &value(old, key), &value(new, key));
        }
    }

    fn lists(&mut self, path: &str, old: &[Value], new: &[Value]) {
        let Some(key) = KEYS
            .into_iter()
            .find(|key| tells_apart(key, old) && tells_apart(key, new))
        else {
            return self.by_index(path, old, new);
        };
        let names = |items: &[Value]| items.iter().map(|item| item[key].clone()).collect::<Vec<Value>>();
        let (was, will) = (names(old), names(new));
        let found = self.fields.len();
        let added = will.iter().filter(|name| !was.contains(name));
        for name in was.iter().chain(added) {
            let of = |items: &[Value]| {
                items
                    .iter()
                    .find(|item| item[key] == *name)
                    .cloned()
                    .unwrap_or_default()
            };
            let at = format!("{path}[{}]", name.as_str().unwrap_or_default());
            self.walk(&at, &of(old), &of(new));
        }
        if self.fields.len() == found {
            // Nothing but the order.
            self.leaf(path, &was.into(), &will.into());
        }
    }

    /// What stands between what both begin and end with: side by side where that is as long in both.
    fn by_index(&mut self, path: &str, old: &[Value], new: &[Value]) {
        let same = |pairs: &mut dyn Iterator<Item = (&Value, &Value)>| pairs.take_while(|(a, b)| a == b).count();
        let start = same(&mut old.iter().zip(new));
        let (rest_old, rest_new) = (&old[start..], &new[start..]);
        let end = same(&mut rest_old.iter().rev().zip(rest_new.iter().rev()));
        let (rest_old, rest_new) = (&rest_old[..rest_old.len() - end], &rest_new[..rest_new.len() - end]);
        let at = |index: usize| format!("{path}[{}]", start + index);
        if rest_old.len() == rest_new.len() {
            for (index, (old, new)) in rest_old.iter().zip(rest_new).enumerate() {
                self.walk(&at(index), old, new);
            }
            return;
        }
        for (index, old) in rest_old.iter().enumerate() {
            self.leaf(&at(index), old, &Value::Null);
        }
        for (index, new) in rest_new.iter().enumerate() {
            self.leaf(&at(index), &Value::Null, new);
        }
    }

    fn leaf(&mut self, path: &str, old: &Value, new: &Value) {
        let change = match (old, new) {
            (Value::Null, _) => How::Added,
            (_, Value::Null) => How::Removed,
            _ => How::Changed,
        };
        let hidden = self.is_hidden(path);
        let shown = |value: &Value| (!hidden && !value.is_null()).then(|| value.clone());
        self.fields.push(Field {
            path: path.to_owned(),
            change,
            old: shown(old),
            new: shown(new),
            hidden,
        });
    }

    fn is_hidden(&self, path: &str) -> bool {
        let below = |top: &&str| {
            let rest = path.strip_prefix(top);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.secret && (SECRET.iter().any(below) || path.contains(LAST_APPLIED))
    }
}

/// Whether every item is an object with a text of its own under `key`.
fn tells_apart(key: &str, items: &[Value]) -> bool {
    let names: Option<BTreeSet<&str>> = items.iter().map(|item| item[key].as_str()).collect();
    names.is_some_and(|names| names.len() == items.len())
}

/// The path of a field; a name that is no word stands in brackets, so that it reads in one way.
fn joined(path: &str, key: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match (key.is_empty() || !key.chars().all(word), path.is_empty()) {
        (true, _) => format!("{path}[{}]", Value::from(key)),
        (false, true) => key.to_owned(),
        (false, false) => format!("{path}.{key}"),
    }
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
