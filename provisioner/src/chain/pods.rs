//! What pods and workloads say of themselves. Pure.

use jiff::Timestamp;
use serde_json::Value;

use super::code::Code;
use super::readings::Answer;
use crate::cluster::ready::condition;
use crate::cluster::trouble;
use crate::names::APP;

/// How long a pod may take to be ready before that is worth telling, where others are.
const START_S: f64 = 30.0;

/// The objects of a list.
pub(super) fn items(answer: &Answer) -> &[Value] {
    let items = answer.as_ref().ok().and_then(|list| list["items"].as_array());
    items.map_or(&[], Vec::as_slice)
}

/// The pods that the app's Deployment made, without those that are going.
pub(super) fn of_app(pods: &Answer) -> Vec<&Value> {
    let ours = |pod: &&Value| is_of(pod, APP) && !is_going(pod);
    items(pods).iter().filter(ours).collect()
}

/// Whether the Deployment of this name made the pod, by way of its `ReplicaSet`.
pub(super) fn is_of(pod: &Value, deployment: &str) -> bool {
    let hash = pod
        .pointer("/metadata/labels/pod-template-hash")
        .and_then(Value::as_str);
    let owners = pod.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    let set = hash.map(|hash| format!("{deployment}-{hash}"));
    set.is_some_and(|set| {
        let mut owners = owners.into_iter().flatten();
        owners.any(|owner| owner["kind"] == "ReplicaSet" && owner["name"] == set)
    })
}

pub(super) fn is_going(pod: &Value) -> bool {
    pod.pointer("/metadata/deletionTimestamp").is_some()
}

pub(super) fn is_ready(pod: &Value) -> bool {
    condition(&pod["status"], "Ready").is_some_and(|ready| ready["status"] == "True")
}

/// The port that Prometheus and Service look for: that of the name `http`.
pub(super) fn port(pod: &Value) -> Option<u64> {
    let containers = pod.pointer("/spec/containers")?.as_array()?;
    let mut ports = containers.iter().filter_map(|c| c["ports"].as_array()).flatten();
    ports.find(|port| port["name"] == "http")?["containerPort"].as_u64()
}

pub(super) fn name(object: &Value) -> &str {
    object
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Seconds since a time that the server wrote.
pub(super) fn age(time: &Value, now: Timestamp) -> Option<f64> {
    let time: Timestamp = time.as_str()?.parse().ok()?;
    Some(now.duration_since(time).as_secs_f64().max(0.0))
}

/// Seconds since a condition became what it is.
pub(super) fn since(condition: &Value, now: Timestamp) -> Option<f64> {
    age(&condition["lastTransitionTime"], now)
}

/// Why pods are not ready: the worst of it, with a pod that says so. `others` are ready: then one that has just begun is none.
pub(super) fn trouble(pods: &[&Value], others: bool, now: Timestamp) -> Option<(Code, String)> {
    let mut found: Vec<(Code, String)> = pods
        .iter()
        .filter(|pod| !is_ready(pod))
        .filter_map(|pod| of_pod(pod, others, now))
        .collect();
    // What names a cause says more than that a pod is not ready.
    found.sort_by_key(|(code, _)| *code == Code::NotReady);
    found.into_iter().next()
}

fn of_pod(pod: &Value, others: bool, now: Timestamp) -> Option<(Code, String)> {
    let code = class(&pod["status"]);
    let young = age(&pod["metadata"]["creationTimestamp"], now).is_none_or(|age| age < START_S);
    let starting = matches!(code, Code::NotReady | Code::Unschedulable);
    if others && young && starting {
        return None;
    }
    let said = trouble::of_pod(pod).map(|trouble| trouble.why().to_owned());
    let said = said.unwrap_or_else(|| {
        let ready = condition(&pod["status"], "Ready");
        let message = ready
            .and_then(|ready| ready["message"].as_str())
            .unwrap_or("is not ready");
        format!("pod `{}`: {message}", name(pod))
    });
    Some((code, said))
}

fn class(status: &Value) -> Code {
    let fields = ["initContainerStatuses", "containerStatuses"];
    let containers = fields.iter().filter_map(|field| status[*field].as_array()).flatten();
    for container in containers {
        let waiting = container.pointer("/state/waiting/reason").and_then(Value::as_str);
        match waiting {
            Some("CrashLoopBackOff" | "RunContainerError") => return Code::CrashLoop,
            Some("CreateContainerConfigError" | "CreateContainerError") => return Code::Configuration,
            Some(reason) if reason.contains("Image") => return Code::ImagePull,
            _ => {}
        }
        let ended = container.pointer("/state/terminated/exitCode").and_then(Value::as_i64);
        if ended.is_some_and(|code| code != 0) {
            return Code::CrashLoop;
        }
    }
    let unplaced = condition(status, "PodScheduled").is_some_and(|c| c["status"] == "False");
    if unplaced { Code::Unschedulable } else { Code::NotReady }
}

/// Who beside us has changed a field, as the server remembers it; `path` are the field's names.
pub(super) fn changed_by<'a>(object: &'a Value, path: &[&str]) -> Option<&'a str> {
    let managers = object.pointer("/metadata/managedFields")?.as_array()?;
    let other = managers.iter().find(|entry| {
        let has = path
            .iter()
            .try_fold(&entry["fieldsV1"], |at, name| at.get(format!("f:{name}")));
        entry["manager"] != crate::names::FIELD_MANAGER && entry["subresource"] != "status" && has.is_some()
    });
    other?["manager"].as_str()
}
