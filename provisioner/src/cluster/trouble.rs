//! Why a workload does not get on: what its newest pods say.

use kube::api::{ListParams, ResourceExt as _};
use kube::core::DynamicObject;
use serde_json::Value;

use super::connect::Cluster;
use super::error::ClusterError;
use super::object::ObjectRef;
use super::ready::condition;
use super::retry;

/// What a pod says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It may still come right by itself.
    Slow(String),
    /// It does not come right by itself, most likely.
    Stuck(String),
}

/// Reasons of a waiting container that waiting rarely mends.
const STUCK: [&str; 8] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
];

/// The trouble of one pod, none where it has none. Pure.
pub(super) fn of_pod(pod: &Value) -> Option<Trouble> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let status = &pod["status"];
    let containers = ["initContainerStatuses", "containerStatuses"]
        .iter()
        .filter_map(|field| status[*field].as_array())
        .flatten();
    for container in containers {
        let waiting = &container["state"]["waiting"];
        let reason = waiting["reason"].as_str().unwrap_or_default();
        if STUCK.contains(&reason) {
            let said = waiting["message"].as_str().unwrap_or_default();
            return Some(Trouble::Stuck(format!(
                "pod `{name}`: {reason}{}{}",
                colon(said),
                last_exit(container)
            )));
        }
        let ended = &container["state"]["terminated"];
        if let Some(code) = ended["exitCode"].as_i64().filter(|c| *c != 0) {
            let reason = ended["reason"].as_str().unwrap_or("Error");
            return Some(Trouble::Slow(format!("pod `{name}`: {reason}, exit code {code}")));
        }
    }
    let unplaced = condition(status, "PodScheduled").filter(|c| c["status"] == "False")?;
    let said = unplaced["message"].as_str().unwrap_or_default();
    Some(Trouble::Slow(format!("pod `{name}` has no node yet{}", colon(said))))
}

fn colon(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!(": {text}")
    }
}

fn last_exit(container: &Value) -> String {
    let last = &container["lastState"]["terminated"];
    match last["exitCode"].as_i64() {
        Some(code) => format!(
            " (last exit code {code}, {})",
            last["reason"].as_str().unwrap_or("Error")
        ),
        None => String::new(),
    }
}

/// The trouble of a Deployment's newest pods; older pods are on their way out and do not count.
pub(super) async fn of_deployment(
    cluster: &Cluster,
    deployment: &DynamicObject,
) -> Result<Option<Trouble>, ClusterError> {
    let Some(selector) = selector(&deployment.data) else {
        return Ok(None);
    };
    let namespace = deployment.namespace();
    let sets = list(cluster, "apps/v1", "ReplicaSet", namespace.as_deref(), &selector).await?;
    let revision = deployment.annotations().get("deployment.kubernetes.io/revision");
    let newest = sets
        .iter()
        .find(|s| revision.is_some() && s.annotations().get("deployment.kubernetes.io/revision") == revision);
    if let Some(message) = newest.and_then(refused_pods) {
        return Ok(Some(Trouble::Stuck(message)));
    }
    let hash = newest.and_then(|s| s.labels().get("pod-template-hash"));
    let selector = match hash {
        Some(hash) => format!("{selector},pod-template-hash={hash}"),
        None => selector,
    };
    let pods = list(cluster, "v1", "Pod", namespace.as_deref(), &selector).await?;
    let mut troubles: Vec<Trouble> = pods
        .iter()
        .filter(|p| p.metadata.deletion_timestamp.is_none())
        .filter_map(|p| of_pod(&serde_json::json!({"metadata": {"name": p.name_any()}, "status": p.data["status"]})))
        .collect();
    troubles.sort_by_key(|t| matches!(t, Trouble::Slow(_)));
    Ok(troubles.into_iter().next())
}

/// Pods that the API server refuses (quota, Pod Security) never exist; their set says why.
fn refused_pods(set: &DynamicObject) -> Option<String> {
    let failure = condition(&set.data["status"], "ReplicaFailure").filter(|c| c["status"] == "True")?;
    failure["message"].as_str().map(ToOwned::to_owned)
}

pub(super) fn selector(data: &Value) -> Option<String> {
    let labels = data.pointer("/spec/selector/matchLabels")?.as_object()?;
    let pairs = labels.iter().filter_map(|(k, v)| Some(format!("{k}={}", v.as_str()?)));
    Some(pairs.collect::<Vec<_>>().join(","))
}

pub(super) async fn list(
    cluster: &Cluster,
    api_version: &str,
    kind: &str,
    namespace: Option<&str>,
    selector: &str,
) -> Result<Vec<DynamicObject>, ClusterError> {
    let any = ObjectRef {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.map(ToOwned::to_owned),
        name: selector.to_owned(),
    };
    let api = cluster.api_of(&any).await?;
    let params = ListParams::default().labels(selector);
    let found = retry::call(|| api.list(&params)).await;
    Ok(found.map_err(|f| ClusterError::on("list", &any, f))?.items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(status: &Value) -> Option<Trouble> {
        of_pod(&json!({"metadata": {"name": "p"}, "status": status}))
    }

    #[test]
    fn pods_say_why_they_do_not_get_on() {
        let waiting = |reason: &str| {
            json!({"containerStatuses": [{"state": {"waiting": {"reason": reason, "message": "m"}},
                "lastState": {"terminated": {"exitCode": 2, "reason": "Error"}}}]})
        };
        let stuck = |text: &str| Some(Trouble::Stuck(text.to_owned()));
        let slow = |text: &str| Some(Trouble::Slow(text.to_owned()));
        let cases = [
            (json!({}), None),
            (json!({"containerStatuses": [{"state": {"running": {}}}]}), None),
            (waiting("ContainerCreating"), None),
            (
                waiting("ImagePullBackOff"),
                stuck("pod `p`: ImagePullBackOff: m (last exit code 2, Error)"),
            ),
            (
                waiting("CrashLoopBackOff"),
                stuck("pod `p`: CrashLoopBackOff: m (last exit code 2, Error)"),
            ),
            (
                json!({"containerStatuses": [{"state": {"terminated": {"exitCode": 1, "reason": "OOMKilled"}}}]}),
                slow("pod `p`: OOMKilled, exit code 1"),
            ),
            (
                json!({"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes"}]}),
                slow("pod `p` has no node yet: 0/1 nodes"),
            ),
        ];
        for (status, want) in cases {
            assert_eq!(pod(&status), want, "{status}");
        }
    }
}
