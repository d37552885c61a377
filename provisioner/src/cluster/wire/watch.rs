//! Watches: what became of a list since it was last told of, in one answer; the client then asks again.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Response;
use kube::client::Body;
use serde_json::{Value, json};

use super::Wire;

/// Between two looks whether anything became of it.
const EVERY: Duration = Duration::from_millis(5);

pub(super) fn is_asked(query: &str) -> bool {
    query.split('&').any(|pair| pair == "watch=true")
}

/// Lists of one path differ by their selectors.
pub(super) fn key(path: &str, query: &str) -> String {
    let selectors = query.split('&').filter(|pair| pair.contains("Selector="));
    selectors.fold(path.to_owned(), |key, selector| format!("{key}&{selector}"))
}

pub(super) fn by_name(items: &[Value]) -> BTreeMap<String, Value> {
    let name = |item: &Value| item["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    items.iter().map(|item| (name(item), item.clone())).collect()
}

/// Answers once something has changed.
pub(super) async fn answer(wire: &Wire, path: &str, query: &str) -> Response<Body> {
    loop {
        if let Some(events) = news(wire, path, query) {
            return Response::new(Body::from(events.into_bytes()));
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn news(wire: &Wire, path: &str, query: &str) -> Option<String> {
    let mut state = wire.state();
    let now = by_name(&state.list(path, query, false));
    let before = state.told.insert(key(path, query), now.clone()).unwrap_or_default();
    let event = |kind: &str, object: &Value| {
        let mut object = object.clone();
        object["metadata"]["resourceVersion"] = "1".into();
        format!("{}\n", json!({"type": kind, "object": object}))
    };
    let changed = now.iter().filter(|(name, object)| before.get(*name) != Some(object));
    let changed = changed.map(|(name, object)| {
        let kind = if before.contains_key(name) { "MODIFIED" } else { "ADDED" };
        event(kind, object)
    });
    let gone = before.iter().filter(|(name, _)| !now.contains_key(*name));
    let events: String = changed
        .chain(gone.map(|(_, object)| event("DELETED", object)))
        .collect();
    (!events.is_empty()).then_some(events)
}
