//! What a request asks for in its query and headers.

use http::HeaderValue;
use serde_json::{Value, json};

/// A list, cut where the query says so.
pub(super) fn page(mut items: Vec<Value>, query: &str) -> Value {
    let limit = parameter(query, "limit").parse().unwrap_or(usize::MAX);
    let more = if items.len() > limit { "more" } else { "" };
    items.truncate(limit);
    json!({"kind": "List", "apiVersion": "v1", "metadata": {"continue": more, "resourceVersion": "1"}, "items": items})
}

pub(super) fn parameter(query: &str, name: &str) -> String {
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    let found = pairs.find(|(key, _)| key == name);
    found.map_or_else(String::new, |(_, value)| value.into_owned())
}

pub(super) fn asks_for_names(accept: &HeaderValue) -> bool {
    accept
        .to_str()
        .is_ok_and(|kinds| kinds.contains("PartialObjectMetadataList"))
}

pub(super) fn selects(selector: &str, object: &Value) -> bool {
    let label = |key: &str| object["metadata"]["labels"][key].as_str();
    selector
        .split(',')
        .filter(|term| !term.is_empty())
        .all(|term| match term.split_once("!=") {
            Some((key, value)) => label(key) != Some(value),
            None => term
                .split_once('=')
                .is_some_and(|(key, value)| label(key) == Some(value)),
        })
}
