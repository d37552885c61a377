//! Which kinds of changing calls were the last that a killed run made: a sweep over numbers may jump over some, since
//! each run finds more done than the one before.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::control::is_mutating;
use crate::support::Sandbox;

/// A kind of changing call: service, and a pattern for the operation, in which names are left open.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kind {
    service: String,
    operation: String,
}

impl Kind {
    /// The kind of a journal's entry; none for a call that changes nothing.
    fn of(entry: &Value) -> Option<Self> {
        let (service, operation) = (entry["service"].as_str()?, entry["operation"].as_str()?);
        let operation = match service {
            "sandbox" => return None,
            "kubernetes" | "registry" => open(operation)?,
            _ if is_mutating(operation) => operation.to_owned(),
            _ => return None,
        };
        Some(Self {
            service: service.to_owned(),
            operation,
        })
    }

    /// Whether calls of this kind delete.
    pub(crate) fn is_deletion(&self) -> bool {
        self.operation.starts_with("DELETE ")
    }

    /// A fault that holds the first call of this kind when its work is done, longer than any test waits.
    pub(crate) fn held(&self) -> Value {
        json!({
            "service": self.service, "operation": self.operation, "kind": "timeout", "after": true, "delay_s": 600
        })
    }
}

/// `METHOD /path` with its names left open; none for what only reads or tries.
fn open(operation: &str) -> Option<String> {
    let (method, path) = operation.split_once(' ')?;
    if path.ends_with(" dryRun") || path.ends_with("reviews") || !["POST", "PUT", "PATCH", "DELETE"].contains(&method) {
        return None;
    }
    let mut parts: Vec<&str> = path.split('/').collect();
    let last = parts.len() - 1;
    for index in 1..parts.len() {
        let is_name = parts[index - 1] == "namespaces" || (index == last && method != "POST");
        if is_name && !parts[index].is_empty() {
            parts[index] = "[^/]+";
        }
    }
    Some(format!("{method} {}", parts.join("/")))
}

impl Sandbox {
    /// The kinds of changing calls since they were forgotten.
    pub(crate) fn changes(&self) -> BTreeSet<Kind> {
        let journal = self.requests();
        journal
            .as_array()
            .expect("an array")
            .iter()
            .filter_map(Kind::of)
            .collect()
    }

    /// The kind of the last call since they were forgotten, where it changed something.
    pub(crate) fn last_change(&self) -> Option<Kind> {
        let journal = self.requests();
        let is_the_tools = |entry: &&Value| {
            entry["operation"]
                .as_str()
                .is_some_and(|name| !name.starts_with("Presigned"))
        };
        journal
            .as_array()
            .expect("an array")
            .iter()
            .rfind(is_the_tools)
            .and_then(Kind::of)
    }

    /// Whether a fault was met since the calls were forgotten.
    pub(crate) fn met_fault(&self) -> bool {
        let journal = self.requests();
        journal
            .as_array()
            .expect("an array")
            .iter()
            .any(|entry| entry["fault"].is_string())
    }
}

#[test]
fn names_are_left_open() {
    for (operation, kind) in [
        ("GET /api/v1/namespaces/web-app", None),
        ("PATCH /api/v1/namespaces/web-app dryRun", None),
        (
            "PATCH /api/v1/namespaces/web-app",
            Some("PATCH /api/v1/namespaces/[^/]+"),
        ),
        (
            "POST /api/v1/namespaces/a/secrets",
            Some("POST /api/v1/namespaces/[^/]+/secrets"),
        ),
        (
            "PUT /v2/demo/load/blobs/uploads/01a2",
            Some("PUT /v2/demo/load/blobs/uploads/[^/]+"),
        ),
    ] {
        assert_eq!(open(operation).as_deref(), kind, "{operation}");
    }
}
