//! The app's pods one by one, for a table of them.

use http::Request;
use jiff::Timestamp;
use serde_json::Value;

use super::pods;
use super::readings::WITHIN;
use crate::cluster::Cluster;
use crate::cluster::error::Failure;
use crate::cluster::ready::condition;
use crate::names::APP;

/// Most pods that are read: the first by name.
pub(crate) const MOST_PODS: usize = 500;

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// How it is.
    pub state: PodState,
    /// How often its containers were started again.
    pub restarts: u64,
    /// When it was made.
    pub created: Option<Timestamp>,
}

/// How a pod is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PodState {
    /// It cannot start or go on; the kubelet's or scheduler's word for why.
    Stuck(String),
    /// It is not ready yet, or not any more.
    Starting,
    /// It is being deleted.
    Going,
    /// It gets requests.
    Ready,
}

/// The pods of the app: those that are stuck first, those that are ready last, each by name.
pub(crate) async fn roster(cluster: &Cluster, namespace: &str) -> Result<Vec<Pod>, Failure> {
    let path = format!("/api/v1/namespaces/{namespace}/pods?labelSelector=app%3D{APP}&limit={MOST_PODS}");
    let answer = cluster.ask(Request::get(path).body(Vec::new()), WITHIN).await?;
    Ok(of_list(&answer))
}

fn of_list(list: &Value) -> Vec<Pod> {
    let mut found: Vec<Pod> = list["items"].as_array().into_iter().flatten().map(pod).collect();
    found.sort_by(|a, b| (&a.state, &a.name).cmp(&(&b.state, &b.name)));
    found
}

fn pod(object: &Value) -> Pod {
    let restarts = containers(object).filter_map(|container| container["restartCount"].as_u64());
    Pod {
        name: pods::name(object).to_owned(),
        state: state(object),
        restarts: restarts.sum(),
        created: object["metadata"]["creationTimestamp"]
            .as_str()
            .and_then(|time| time.parse().ok()),
    }
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    let fields = ["initContainerStatuses", "containerStatuses"];
    let lists = fields
        .into_iter()
        .filter_map(move |field| pod["status"][field].as_array());
    lists.flatten()
}

fn state(pod: &Value) -> PodState {
    if pods::is_going(pod) {
        return PodState::Going;
    }
    if pods::is_ready(pod) {
        return PodState::Ready;
    }
    stuck(pod).map_or(PodState::Starting, |why| PodState::Stuck(why.to_owned()))
}

/// Why it does not get on; none where it may only need time.
fn stuck(pod: &Value) -> Option<&str> {
    // An evicted pod says so itself.
    if pod["status"]["phase"] == "Failed" {
        return pod["status"]["reason"].as_str().or(Some("Failed"));
    }
    let waiting = |container| Value::pointer(container, "/state/waiting/reason")?.as_str();
    let ended = |container: &'_ Value| container.pointer("/state/terminated/exitCode")?.as_i64();
    let on_its_way = |reason: &str| matches!(reason, "ContainerCreating" | "PodInitializing");
    let unplaced = condition(&pod["status"], "PodScheduled").filter(|placed| placed["status"] == "False");
    containers(pod)
        .filter_map(waiting)
        .find(|reason| !on_its_way(reason))
        .or_else(|| {
            let failed = containers(pod).any(|container| ended(container).is_some_and(|code| code != 0));
            failed.then_some("Error")
        })
        .or_else(|| unplaced?["reason"].as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod_with(name: &str, status: &Value) -> Value {
        json!({"metadata": {"name": name, "creationTimestamp": "2026-11-28T10:00:00Z"}, "status": status})
    }

    #[test]
    fn pods_that_need_somebody_stand_first() {
        let ready = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"restartCount": 2, "state": {"running": {}}}]});
        let waits = |reason: &str| json!({"containerStatuses": [{"restartCount": 7, "state": {"waiting": {"reason": reason}}}]});
        let unplaced = json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]});
        let exited = json!({"containerStatuses": [{"state": {"terminated": {"exitCode": 1}}}]});
        let mut going = pod_with("d", &ready);
        going["metadata"]["deletionTimestamp"] = "2026-11-28T10:01:00Z".into();
        let list = json!({"items": [pod_with("b", &ready), pod_with("a", &ready), going,
            pod_with("c", &waits("ContainerCreating")), pod_with("e", &waits("CrashLoopBackOff")),
            pod_with("f", &unplaced), pod_with("g", &exited), pod_with("h", &json!({"phase": "Failed", "reason": "Evicted"}))]});
        let found = of_list(&list);
        let stuck = |why: &str| PodState::Stuck(why.to_owned());
        let told: Vec<(&str, PodState)> = found.iter().map(|p| (p.name.as_str(), p.state.clone())).collect();
        assert_eq!(
            told,
            [
                ("e", stuck("CrashLoopBackOff")),
                ("g", stuck("Error")),
                ("h", stuck("Evicted")),
                ("f", stuck("Unschedulable")),
                ("c", PodState::Starting),
                ("d", PodState::Going),
                ("a", PodState::Ready),
                ("b", PodState::Ready)
            ]
        );
        assert_eq!((found[0].restarts, found[7].restarts), (7, 2));
        assert_eq!(found[0].created, "2026-11-28T10:00:00Z".parse().ok());
    }
}
