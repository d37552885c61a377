//! What the pods of a workload that does not get ready said last: the end of a crashed container's log, the probes that
//! failed. All of it is best effort: an explanation that cannot be had must not hide what it was to explain.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, LogParams, ResourceExt as _};
use kube::core::DynamicObject;
use serde_json::Value;

use super::connect::Cluster;
use super::error::ClusterError;
use super::object::ObjectRef;
use super::retry;
use super::trouble::{Pods, newest_pods};

/// Lines of a log.
const LINES: i64 = 5;
/// A line may be as long as its writer likes.
const BYTES: i64 = 2000;

/// What the pods of an object said last; none where they said nothing, or make no trouble.
pub(super) async fn of(cluster: &Cluster, object: &ObjectRef) -> Option<String> {
    let live = cluster.get(object).await.ok()??;
    let pods = pods(cluster, &live).await.ok()?;
    for pod in &pods {
        if let Some(crashed) = crashed(&pod.data["status"])
            && let Some(log) = log(cluster, pod, &crashed).await
        {
            let name = pod.name_any();
            return Some(format!(
                "pod `{name}`, container `{}` said last:\n{log}",
                crashed.container
            ));
        }
    }
    probes(cluster, &pods).await
}

/// What failing probes of the pods of an object say.
pub(super) async fn of_probes(cluster: &Cluster, live: &DynamicObject) -> Option<String> {
    let pods = pods(cluster, live).await.ok()?;
    probes(cluster, &pods).await
}

async fn pods(cluster: &Cluster, live: &DynamicObject) -> Result<Vec<DynamicObject>, ClusterError> {
    match newest_pods(cluster, live).await? {
        Pods::Refused(_) => Ok(Vec::new()),
        Pods::There(pods) => Ok(pods),
    }
}

/// A container that ended with an error.
#[derive(Debug, PartialEq, Eq)]
struct Crashed {
    container: String,
    /// Whether another run of it has begun or is to begin, so that the log is that of the one before.
    again: bool,
}

/// The first container that ended with an error. Pure.
fn crashed(status: &Value) -> Option<Crashed> {
    let containers = ["initContainerStatuses", "containerStatuses"].into_iter();
    let mut containers = containers.filter_map(|field| status[field].as_array()).flatten();
    let failed = |state: &Value| state["terminated"]["exitCode"].as_i64().is_some_and(|code| code != 0);
    containers.find_map(|container| {
        let (now, before) = (failed(&container["state"]), failed(&container["lastState"]));
        (now || before).then(|| Crashed {
            container: container["name"].as_str().unwrap_or_default().to_owned(),
            again: !now,
        })
    })
}

/// The end of a container's log, indented.
async fn log(cluster: &Cluster, pod: &DynamicObject, crashed: &Crashed) -> Option<String> {
    let api: Api<Pod> = Api::namespaced(cluster.client(), &pod.namespace()?);
    let params = LogParams {
        container: Some(crashed.container.clone()),
        previous: crashed.again,
        tail_lines: Some(LINES),
        limit_bytes: Some(BYTES),
        ..LogParams::default()
    };
    let name = pod.name_any();
    let text = retry::once(api.logs(&name, &params)).await.ok()?;
    let lines: Vec<String> = text.lines().map(|line| format!("      {line}")).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// The newest event of a probe that failed. The kubelet counts repetitions in one event.
async fn probes(cluster: &Cluster, pods: &[DynamicObject]) -> Option<String> {
    for pod in pods.iter().filter(|pod| !is_ready(&pod.data["status"])) {
        let events = ObjectRef {
            api_version: "v1".to_owned(),
            kind: "Event".to_owned(),
            namespace: pod.namespace(),
            name: String::new(),
        };
        let uid = pod.uid().unwrap_or_default();
        let params = ListParams::default().fields(&format!("involvedObject.uid={uid},reason=Unhealthy"));
        let api = cluster.api_of(&events).await.ok()?;
        let all = retry::once(api.list(&params)).await.ok()?;
        let of_pod =
            |event: &&DynamicObject| event.data["involvedObject"]["uid"] == *uid && event.data["reason"] == "Unhealthy";
        let newest = all
            .items
            .iter()
            .filter(of_pod)
            .max_by_key(|event| event.data["lastTimestamp"].to_string());
        if let Some(said) = newest.and_then(|event| event.data["message"].as_str()) {
            return Some(format!("pod `{}`: {}", pod.name_any(), said.trim_end()));
        }
    }
    None
}

fn is_ready(status: &Value) -> bool {
    super::ready::condition(status, "Ready").is_some_and(|condition| condition["status"] == "True")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_log_is_that_of_the_run_that_ended_with_an_error() {
        let ended = json!({"terminated": {"exitCode": 2}});
        let status = |state: &Value, last: &Value| {
            json!({"containerStatuses": [
            {"name": "side", "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 0}}},
            {"name": "app", "state": state, "lastState": last}]})
        };
        let waiting = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        let app = |again| {
            Some(Crashed {
                container: "app".to_owned(),
                again,
            })
        };
        assert_eq!(crashed(&status(&waiting, &ended)), app(true));
        assert_eq!(crashed(&status(&json!({"running": {}}), &ended)), app(true));
        assert_eq!(crashed(&status(&ended, &ended)), app(false));
        assert_eq!(crashed(&status(&waiting, &json!({}))), None);
    }
}
