//! What a run waits for, how it ends without it, and what it says then.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::ClusterError;
use super::fixtures::stack;
use super::manifest::Component;
use super::wait::wait;
use super::wire::Wire;
use crate::report::Record;

/// A Deployment of which no pod is available, with one pod.
fn lagging(wire: &Wire, name: &str, policy: &str, container: &Value) -> Component {
    let labels = json!({"app": name});
    let metadata = json!({"name": name, "namespace": "a", "annotations": {"provisioner/wait": policy}});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}}});
    let mut live = deployment.clone();
    live["status"] = json!({"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 0});
    wire.put(&format!("/apis/apps/v1/namespaces/a/deployments/{name}"), live);
    let mut status = container.clone();
    status["name"] = "app".into();
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("{name}-1"), "namespace": "a", "labels": labels},
        "status": {"conditions": [{"type": "Ready", "status": "False"}], "containerStatuses": [status]}});
    wire.put(&format!("/api/v1/namespaces/a/pods/{name}-1"), pod);
    Component {
        name: name.to_owned(),
        objects: vec![serde_json::from_value(deployment).expect("an object")],
    }
}

fn running() -> Value {
    json!({"state": {"running": {}}})
}

/// The kubelet's word on the readiness probe of a pod.
fn probe_failed(wire: &Wire, name: &str) {
    let uid = wire.state().objects[&format!("/api/v1/namespaces/a/pods/{name}-1")]["metadata"]["uid"].clone();
    for (event, at, code) in [("e1", "2026-01-01T00:00:00Z", 500), ("e2", "2026-01-01T00:01:00Z", 503)] {
        let message = format!("Readiness probe failed: HTTP probe failed with statuscode: {code}\n");
        let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": format!("{name}-{event}"), "namespace": "a"},
            "involvedObject": {"uid": uid}, "reason": "Unhealthy", "lastTimestamp": at, "message": message});
        let path = event["metadata"]["name"].as_str().expect("a name").to_owned();
        wire.put(&format!("/api/v1/namespaces/a/events/{path}"), event);
    }
}

async fn waited(wire: &Wire, components: &[Component], seconds: u64) -> (Result<(), ClusterError>, Vec<String>) {
    let report = Record::default();
    let result = wait(
        (&wire.cluster(), &stack()),
        components,
        Duration::from_secs(seconds),
        &report,
    )
    .await;
    (result, report.warnings())
}

#[tokio::test]
async fn what_is_only_reported_is_a_warning_and_what_is_not_waited_for_is_not_looked_at() {
    let wire = Wire::default();
    let all = [
        lagging(&wire, "told", "reported", &running()),
        lagging(&wire, "ignored", "none", &running()),
    ];
    probe_failed(&wire, "told");
    let (result, warnings) = waited(&wire, &all, 60).await;
    result.expect("nothing is required");
    assert_eq!(
        warnings,
        [
            "not waited for, Deployment `a/told`: 0 of 1 pods available; pod `told-1`: Readiness probe failed: \
          HTTP probe failed with statuscode: 503"
        ]
    );
    assert!(!wire.state().log.iter().any(|call| call.contains("/ignored")));
}

#[tokio::test]
async fn the_deadline_names_every_laggard_that_is_required_with_what_its_probes_say() {
    let wire = Wire::default();
    let all = [
        lagging(&wire, "one", "required", &running()),
        lagging(
            &wire,
            "two",
            "required",
            &json!({"state": {"waiting": {"reason": "ContainerCreating"}}}),
        ),
        lagging(&wire, "told", "reported", &running()),
    ];
    probe_failed(&wire, "one");
    let (result, _) = waited(&wire, &all, 1).await;
    let Err(ClusterError::NotReady { laggards, .. }) = result else {
        panic!("not ready");
    };
    assert_eq!(
        laggards,
        [
            "Deployment `a/one`: 0 of 1 pods available; pod `one-1`: Readiness probe failed: HTTP probe failed with statuscode: 503",
            "Deployment `a/two`: 0 of 1 pods available; pod `two-1`: ContainerCreating"
        ]
    );
}

#[tokio::test]
async fn a_container_that_crashes_over_and_over_is_told_with_the_last_lines_of_its_log() {
    let wire = Wire::default();
    let crashing = json!({"restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 101, "reason": "Error"}}});
    let all = [lagging(&wire, "app", "required", &crashing)];
    let path = "/api/v1/namespaces/a/pods/app-1/log";
    wire.state()
        .logs
        .insert(path.to_owned(), "starting\ncannot open `/data`\n".to_owned());
    let (result, _) = waited(&wire, &all, 60).await;
    let Err(ClusterError::Failed(failed)) = result else {
        panic!("failed");
    };
    assert_eq!(
        failed,
        [
            "Deployment `a/app`: 0 of 1 pods available; pod `app-1`: CrashLoopBackOff (last exit code 101, Error); \
          pod `app-1`, container `app` said last:\n      starting\n      cannot open `/data`"
        ]
    );
    let asked = wire
        .state()
        .log
        .iter()
        .find(|call| call.contains(path))
        .cloned()
        .expect("asked");
    for part in ["previous=true", "tailLines=5", "limitBytes=2000", "container=app"] {
        assert!(asked.contains(part), "{asked}");
    }
}

/// The requests so far; watches are one each, however long they last.
fn requests(wire: &Wire) -> usize {
    wire.state().log.len()
}

#[tokio::test]
async fn a_long_wait_asks_seldom_in_its_namespaces_alone_and_sees_a_change_at_once() {
    let wire = Wire::default();
    let component = lagging(&wire, "app", "required", &running());
    let path = "/apis/apps/v1/namespaces/a/deployments/app";
    let all = [component];
    let began = std::time::Instant::now();
    let waits = waited(&wire, &all, 60);
    let meanwhile = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let before = requests(&wire);
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(requests(&wire), before, "{:#?}", wire.state().log);
        wire.state().objects.get_mut(path).expect("there")["status"]["availableReplicas"] = 1.into();
    };
    let ((result, _), ()) = tokio::join!(waits, meanwhile);
    result.expect("ready");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    let log = wire.state().log.clone();
    let elsewhere = log.iter().filter(|line| !line.contains("/namespaces/a/"));
    assert_eq!(elsewhere.count(), 0, "{log:#?}");
}

#[tokio::test]
async fn where_nothing_can_be_watched_a_wait_goes_on_looking() {
    let wire = Wire::default();
    let all = [lagging(&wire, "app", "required", &running())];
    let path = "/apis/apps/v1/namespaces/a/deployments/app";
    wire.state()
        .outages
        .insert("/apis/apps/v1/namespaces/a/deployments".to_owned());
    let waits = waited(&wire, &all, 60);
    let meanwhile = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        wire.state().objects.get_mut(path).expect("there")["status"]["availableReplicas"] = 1.into();
    };
    let began = std::time::Instant::now();
    let ((result, _), ()) = tokio::join!(waits, meanwhile);
    result.expect("ready");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

/// A Job's pods are known by labels that its manifest does not give: nothing tells that they are well again.
#[tokio::test]
async fn a_failure_that_is_over_by_the_time_it_would_count_ends_no_wait() {
    let wire = Wire::default();
    let (path, pod) = (
        "/apis/batch/v1/namespaces/a/jobs/once",
        "/api/v1/namespaces/a/pods/once-1",
    );
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once", "namespace": "a"}});
    let mut live = job.clone();
    live["spec"]["selector"]["matchLabels"] = json!({"job": "once"});
    wire.put(path, live);
    let crashing = json!({"restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}}});
    let metadata = json!({"name": "once-1", "namespace": "a", "labels": {"job": "once"}});
    wire.put(
        pod,
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": {"containerStatuses": [crashing]}}),
    );
    let all = [Component {
        name: "once".to_owned(),
        objects: vec![serde_json::from_value(job).expect("an object")],
    }];
    let waits = waited(&wire, &all, 60);
    let meanwhile = async {
        // After the last look, and before the failure has stood for three seconds.
        tokio::time::sleep(Duration::from_millis(2400)).await;
        wire.state().objects.get_mut(pod).expect("there")["status"]["containerStatuses"] = json!([running()]);
        tokio::time::sleep(Duration::from_secs(2)).await;
        wire.state().objects.get_mut(path).expect("there")["status"]["conditions"] =
            json!([{"type": "Complete", "status": "True"}]);
    };
    let ((result, _), ()) = tokio::join!(waits, meanwhile);
    result.expect("ready");
}

#[tokio::test]
async fn however_much_lags_in_a_namespace_each_kind_there_is_watched_once() {
    let wire = Wire::default();
    let names: Vec<String> = (0..50).map(|index| format!("app-{index}")).collect();
    let all: Vec<Component> = names
        .iter()
        .map(|name| lagging(&wire, name, "required", &running()))
        .collect();
    let (result, _) = waited(&wire, &all, 3).await;
    let Err(ClusterError::NotReady { laggards, .. }) = result else {
        panic!("not ready");
    };
    assert_eq!(laggards.len(), names.len());
    let log = wire.state().log.clone();
    // A watch that told something is asked for again.
    let watches: BTreeSet<&String> = log.iter().filter(|call| call.contains("watch=true")).collect();
    assert_eq!(watches.len(), 2, "{watches:#?}");
}
