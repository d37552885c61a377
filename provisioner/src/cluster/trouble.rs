//! Why a workload does not get on: what its newest pods say.

use std::time::Duration;

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
pub(crate) enum Trouble {
    /// It may still come right by itself.
    Slow(String),
    /// The kubelet tries again, with growing pauses: it may come right, but it failed.
    Failing(String),
    /// No further try can mend it.
    Hopeless(String),
}

impl Trouble {
    /// The sentence.
    pub(crate) fn why(&self) -> &str {
        let (Self::Slow(why) | Self::Failing(why) | Self::Hopeless(why)) = self;
        why
    }

    /// How long it must stand before it is final; none where it never is. The kubelet pauses 10 s after the first failed
    /// pull or start and 20 s after the second (<https://kubernetes.io/docs/concepts/containers/images/#imagepullbackoff>):
    /// a registry or a dependency that is back by then must not fail the run.
    pub(super) fn patience(&self) -> Option<Duration> {
        match self {
            Self::Slow(_) => None,
            Self::Failing(_) => Some(Duration::from_secs(45)),
            Self::Hopeless(_) => Some(Duration::from_secs(3)),
        }
    }
}

/// Reasons of a waiting container after which the kubelet tries again.
const FAILING: [&str; 6] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
];
/// Reasons that only another manifest mends.
const HOPELESS: [&str; 2] = ["InvalidImageName", "ErrImageNeverPull"];
/// Reasons of a container that is on its way: its image is being pulled, a volume mounted.
const STARTING: [&str; 2] = ["ContainerCreating", "PodInitializing"];
/// A container that failed after so many starts has been given more than half a minute.
const STARTS: i64 = 3;

/// The trouble of one pod, the worst where there is more than one, none where it has none. Pure.
pub(crate) fn of_pod(pod: &Value) -> Option<Trouble> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let status = &pod["status"];
    let containers = ["initContainerStatuses", "containerStatuses"]
        .iter()
        .filter_map(|field| status[*field].as_array())
        .flatten();
    let troubles = containers.filter_map(|container| of_container(name, container));
    troubles.min_by_key(rank).or_else(|| {
        let unplaced = condition(status, "PodScheduled").filter(|c| c["status"] == "False")?;
        let said = unplaced["message"].as_str().unwrap_or_default();
        Some(Trouble::Slow(format!("pod `{name}` has no node yet{}", colon(said))))
    })
}

/// The worst first.
fn rank(trouble: &Trouble) -> u8 {
    match trouble {
        Trouble::Hopeless(_) => 0,
        Trouble::Failing(_) => 1,
        Trouble::Slow(_) => 2,
    }
}

fn of_container(pod: &str, container: &Value) -> Option<Trouble> {
    let waiting = &container["state"]["waiting"];
    let reason = waiting["reason"].as_str().unwrap_or_default();
    let said = colon(waiting["message"].as_str().unwrap_or_default());
    let why = format!("pod `{pod}`: {reason}{said}{}", last_exit(container));
    let restarts = container["restartCount"].as_i64().unwrap_or_default();
    if HOPELESS.contains(&reason) || (reason == "CrashLoopBackOff" && restarts >= STARTS) {
        return Some(Trouble::Hopeless(why));
    }
    if FAILING.contains(&reason) {
        return Some(Trouble::Failing(why));
    }
    if STARTING.contains(&reason) {
        return Some(Trouble::Slow(why));
    }
    let ended = &container["state"]["terminated"];
    let code = ended["exitCode"].as_i64().filter(|code| *code != 0)?;
    let reason = ended["reason"].as_str().unwrap_or("Error");
    Some(Trouble::Slow(format!("pod `{pod}`: {reason}, exit code {code}")))
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

/// The trouble of a workload's newest pods, or of a pod by itself; older pods are on their way out and do not count.
pub(super) async fn of_workload(cluster: &Cluster, workload: &DynamicObject) -> Result<Option<Trouble>, ClusterError> {
    let pods = match newest_pods(cluster, workload).await? {
        Pods::Refused(message) => return Ok(Some(Trouble::Failing(message))),
        Pods::There(pods) => pods,
    };
    let troubles = pods
        .iter()
        .filter_map(|p| of_pod(&serde_json::json!({"metadata": {"name": p.name_any()}, "status": p.data["status"]})));
    Ok(troubles.min_by_key(rank))
}

/// The pods of a workload.
pub(super) enum Pods {
    /// The API server does not take them, for this reason.
    Refused(String),
    /// Those that are there and stay.
    There(Vec<DynamicObject>),
}

/// The pods of a workload's newest revision, without those that are going; none for what makes no pods.
pub(super) async fn newest_pods(cluster: &Cluster, workload: &DynamicObject) -> Result<Pods, ClusterError> {
    let object = ObjectRef::of(workload);
    let namespace = workload.namespace();
    let mut selector = match (object.group(), object.kind.as_str(), selector(&workload.data)) {
        ("", "Pod", _) => return Ok(Pods::There(vec![workload.clone()])),
        ("apps" | "batch", _, Some(selector)) => selector,
        _ => return Ok(Pods::There(Vec::new())),
    };
    if object.kind == "Deployment" {
        let sets = list(cluster, "apps/v1", "ReplicaSet", namespace.as_deref(), &selector).await?;
        let revision = workload.annotations().get("deployment.kubernetes.io/revision");
        let newest = sets
            .iter()
            .find(|s| revision.is_some() && s.annotations().get("deployment.kubernetes.io/revision") == revision);
        if let Some(message) = newest.and_then(refused_pods) {
            return Ok(Pods::Refused(message));
        }
        let hash = newest.and_then(|s| s.labels().get("pod-template-hash"));
        selector.extend(hash.map(|hash| format!(",pod-template-hash={hash}")));
    }
    let mut pods = list(cluster, "v1", "Pod", namespace.as_deref(), &selector).await?;
    pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
    Ok(Pods::There(pods))
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
        let slow = |text: &str| Some(Trouble::Slow(text.to_owned()));
        let failing = |text: &str| Some(Trouble::Failing(text.to_owned()));
        let hopeless = |text: &str| Some(Trouble::Hopeless(text.to_owned()));
        let mut looping = waiting("CrashLoopBackOff");
        looping["containerStatuses"][0]["restartCount"] = 3.into();
        let cases = [
            (json!({}), None),
            (json!({"containerStatuses": [{"state": {"running": {}}}]}), None),
            (
                json!({"containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]}),
                slow("pod `p`: ContainerCreating"),
            ),
            (
                waiting("ImagePullBackOff"),
                failing("pod `p`: ImagePullBackOff: m (last exit code 2, Error)"),
            ),
            (
                waiting("CrashLoopBackOff"),
                failing("pod `p`: CrashLoopBackOff: m (last exit code 2, Error)"),
            ),
            (
                looping,
                hopeless("pod `p`: CrashLoopBackOff: m (last exit code 2, Error)"),
            ),
            (
                waiting("InvalidImageName"),
                hopeless("pod `p`: InvalidImageName: m (last exit code 2, Error)"),
            ),
            (
                json!({"containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}},
                    {"state": {"waiting": {"reason": "ErrImagePull"}}}]}),
                failing("pod `p`: ErrImagePull"),
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

    #[test]
    fn one_failed_pull_is_given_time_for_the_next_try_and_a_name_that_is_none_is_not() {
        let patience = |reason: &str| {
            let status = json!({"containerStatuses": [{"state": {"waiting": {"reason": reason}}}]});
            pod(&status).and_then(|trouble| trouble.patience())
        };
        // The first pause is 10 s, then the pull itself takes time.
        for reason in ["ErrImagePull", "ImagePullBackOff", "CrashLoopBackOff"] {
            assert!(patience(reason) >= Some(Duration::from_secs(45)), "{reason}");
        }
        for reason in ["InvalidImageName", "ErrImageNeverPull"] {
            assert!(patience(reason) < Some(Duration::from_secs(10)), "{reason}");
        }
        assert_eq!(patience("ContainerCreating"), None);
    }
}
