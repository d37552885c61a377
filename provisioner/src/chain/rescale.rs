//! What the HPA's controller told of late, as events of the cluster: they are kept for about an hour.

use std::cmp::Reverse;

use http::Request;
use jiff::Timestamp;
use serde_json::Value;

use super::HPA;
use super::readings::WITHIN;
use crate::cluster::Cluster;
use crate::cluster::error::Failure;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rescale {
    /// When it happened last.
    pub at: Timestamp,
    /// What the controller says.
    pub says: String,
    /// Whether it could not do what it wanted.
    pub is_trouble: bool,
}

/// What happened to the HPA, the newest first. All of it is asked for: a list that is cut has the oldest, since events are
/// named by their time; the recorder lets a controller tell of one object about twelve times an hour, and 25 at once.
pub(crate) async fn rescales(cluster: &Cluster, namespace: &str) -> Result<Vec<Rescale>, Failure> {
    let selector = format!("involvedObject.kind%3DHorizontalPodAutoscaler%2CinvolvedObject.name%3D{HPA}");
    let path = format!("/api/v1/namespaces/{namespace}/events?fieldSelector={selector}");
    let answer = cluster.ask(Request::get(path).body(Vec::new()), WITHIN).await?;
    Ok(of_list(&answer))
}

fn of_list(list: &Value) -> Vec<Rescale> {
    let mut found: Vec<Rescale> = list["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(of_event)
        .collect();
    found.sort_by_key(|one| Reverse(one.at));
    found
}

/// None where it has no time.
fn of_event(event: &Value) -> Option<Rescale> {
    // Recorders of the older API write the first, those of the newer one the others.
    let times = [
        &event["lastTimestamp"],
        &event["series"]["lastObservedTime"],
        &event["eventTime"],
    ];
    let at = times.into_iter().find_map(|time| time.as_str()?.parse().ok())?;
    let message = event["message"].as_str().unwrap_or_default();
    let is_trouble = event["type"] == "Warning";
    let reason = event["reason"].as_str().unwrap_or_default();
    Some(Rescale {
        at,
        says: if is_trouble {
            format!("{reason}: {message}")
        } else {
            message.to_owned()
        },
        is_trouble,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn the_newest_is_told_however_many_there_are() {
        // By name, as the API server lists them.
        let event = |minute: usize| {
            let time = format!("2026-11-28T{:02}:{:02}:00Z", minute / 60, minute % 60);
            json!({"metadata": {"name": format!("web-app-hpa.{minute:04}")}, "type": "Normal",
                "reason": "SuccessfulRescale", "message": format!("New size: {minute}"), "lastTimestamp": time})
        };
        let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            let query = request.uri().query().unwrap_or_default();
            let limit = query.split('&').find_map(|pair| pair.strip_prefix("limit="));
            let limit = limit.map_or(usize::MAX, |limit| limit.parse().expect("a number"));
            let items: Vec<Value> = (0..1000).take(limit).map(event).collect();
            let body = json!({"metadata": {}, "items": items}).to_string().into_bytes();
            async move { Ok::<_, std::convert::Infallible>(http::Response::new(kube::client::Body::from(body))) }
        });
        let cluster = Cluster::from_client(kube::Client::new(service, "default"));
        let found = rescales(&cluster, "web-app").await.expect("answered");
        assert_eq!(found[0].says, "New size: 999");
    }

    #[test]
    fn the_newest_stands_first_by_whichever_time_it_has() {
        let size = |message: &str| json!({"type": "Normal", "reason": "SuccessfulRescale", "message": message});
        let with = |mut event: Value, field: &str, time: Value| {
            event[field] = time;
            event
        };
        let failed = json!({"type": "Warning", "reason": "FailedGetPodsMetric", "message": "no value"});
        let list = json!({"items": [
            with(size("New size: 10"), "lastTimestamp", "2026-11-28T10:00:00Z".into()),
            with(size("New size: 1"), "eventTime", "2026-11-28T10:02:00.5Z".into()),
            with(failed, "series", json!({"lastObservedTime": "2026-11-28T10:01:00Z"})),
            size("of no time"),
        ]});
        let found = of_list(&list);
        let says: Vec<&str> = found.iter().map(|one| one.says.as_str()).collect();
        assert_eq!(says, ["New size: 1", "FailedGetPodsMetric: no value", "New size: 10"]);
        assert!(found[1].is_trouble && !found[0].is_trouble);
    }
}
