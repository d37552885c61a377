//! `teardown --dry-run`: it says what the teardown does, and does nothing.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::fake_aws::{Answers, FakeAws};
use crate::plan::World;
use crate::plan_on_aws::cluster;
use crate::run::Run;
use crate::support::kubernetes::Kubernetes;

/// Kind, name and, of what stays, the reason.
fn entries(answer: &Value, field: &str) -> BTreeSet<String> {
    let entries = answer[field]
        .as_array()
        .unwrap_or_else(|| panic!("no `{field}`: {answer}"));
    let text = |entry: &Value| {
        let reason = entry["reason"].as_str().map(|reason| format!(": {reason}"));
        let (kind, name) = (&entry["kind"], &entry["name"]);
        format!("{kind} {name}{}", reason.unwrap_or_default()).replace('"', "")
    };
    entries.iter().map(text).collect()
}

/// The receipt of a run says what the preview said.
#[track_caller]
fn as_foretold(preview: &Value, receipt: &Value) {
    assert_eq!(entries(preview, "deletes"), entries(receipt, "deleted"));
    let (mut kept, left) = (entries(receipt, "kept"), entries(receipt, "left"));
    kept.extend(left);
    assert_eq!(entries(preview, "keeps"), kept);
}

fn of_others(kind: &str, namespace: &str, spec: &Value) -> Value {
    let api_version = if kind == "Deployment" { "apps/v1" } else { "v1" };
    let metadata = json!({"name": "theirs", "namespace": namespace});
    json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec})
}

const THEIRS: &str = "/apis/apps/v1/namespaces/monitoring/deployments/theirs";

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_with_an_object_of_others_stays_in_preview_and_run() {
    let world = World::bootstrapped().await;
    world
        .kubernetes
        .put(THEIRS, of_others("Deployment", "monitoring", &json!({})));
    let ended = world.run("teardown --dry-run --delete-cluster --output json").await;
    assert_eq!(ended.code(), 3, "{}", ended.stderr());
    assert_eq!(world.kubernetes.changes(), [""; 0]);
    let preview: Value = serde_json::from_str(&ended.stdout()).unwrap();
    let keeps = entries(&preview, "keeps");
    for stays in [
        "Namespace monitoring: holds what is not the stack's: Deployment `monitoring/theirs`",
        "cluster test: the cluster of a kube-context was not created by provisioner",
    ] {
        assert!(keeps.contains(stays), "{keeps:#?}");
    }
    let ended = world.run("teardown --yes --delete-cluster --output json").await;
    assert_eq!(ended.code(), 1, "{}", ended.stderr());
    as_foretold(&preview, &serde_json::from_str(&ended.stdout()).unwrap());
    assert_ne!(world.kubernetes.get(THEIRS), Value::Null);
}

/// An EKS cluster of the stack's in a network that was brought along, and nothing left on AWS.
fn on_eks(kubernetes: &Kubernetes) -> Answers {
    let found = |name: &str| format!("<{name}Response><{name}Result/></{name}Response>");
    let mut answers: Answers = vec![("GET /clusters/demo", 200, cluster(kubernetes))];
    for name in [
        "DescribeLoadBalancers",
        "DescribeTargetGroups",
        "DescribeNetworkInterfaces",
    ] {
        answers.push((name, 200, found(name)));
    }
    answers
}

/// A stack of three objects, and a load balancer and a workload of others.
fn a_stack_among_others(kubernetes: &Kubernetes) {
    let labels = json!({"app.kubernetes.io/managed-by": "provisioner", "app.kubernetes.io/part-of": "demo"});
    for (path, kind, name) in [
        ("/api/v1/namespaces/monitoring", "Namespace", "monitoring"),
        ("/api/v1/namespaces/monitoring/services/grafana", "Service", "grafana"),
        (
            "/api/v1/namespaces/web-app/services/web-app-service",
            "Service",
            "web-app-service",
        ),
    ] {
        let mut metadata = json!({"name": name, "labels": labels});
        if let Some((_, rest)) = path.split_once("/namespaces/")
            && let Some((namespace, _)) = rest.split_once('/')
        {
            metadata["namespace"] = namespace.into();
        }
        kubernetes.put(path, json!({"apiVersion": "v1", "kind": kind, "metadata": metadata}));
    }
    kubernetes.put(THEIRS, of_others("Deployment", "monitoring", &json!({})));
    let balancer = of_others("Service", "default", &json!({"type": "LoadBalancer"}));
    kubernetes.put("/api/v1/namespaces/default/services/theirs", balancer);
}

#[test]
fn a_cluster_with_a_load_balancer_of_others_stays_in_preview_and_run() {
    let runtime = Runtime::new().unwrap();
    let kubernetes = runtime.block_on(Kubernetes::start());
    a_stack_among_others(&kubernetes);
    let aws = FakeAws::with(on_eks(&kubernetes));
    let line = "teardown --cluster demo --region eu-west-1 --delete-cluster --output json";
    let run = |flags: &str| Run::of(&format!("{line} {flags}")).aws(&aws.url).end();
    let ended = run("--dry-run");
    assert_eq!(ended.code(), 3, "{}{}", ended.stdout(), ended.stderr());
    assert_eq!(kubernetes.changes(), [""; 0]);
    let preview: Value = serde_json::from_str(&ended.stdout()).unwrap();
    let keeps = entries(&preview, "keeps");
    let balancer = "Service default/theirs: it is not the stack's, and holds load balancer, no address yet";
    assert!(keeps.contains(balancer), "{keeps:#?}");
    assert!(
        keeps
            .iter()
            .any(|kept| kept.starts_with("cluster demo: others have on it")),
        "{keeps:#?}"
    );
    let ended = run("--yes");
    assert_eq!(ended.code(), 1, "{}", ended.stderr());
    as_foretold(&preview, &serde_json::from_str(&ended.stdout()).unwrap());
}

#[test]
fn what_goes_with_the_cluster_of_others_is_foretold() {
    let runtime = Runtime::new().unwrap();
    let kubernetes = runtime.block_on(Kubernetes::start());
    a_stack_among_others(&kubernetes);
    let aws = FakeAws::with(on_eks(&kubernetes));
    let line = "teardown --cluster demo --region eu-west-1 --delete-cluster --delete-foreign --dry-run";
    let ended = Run::of(line).aws(&aws.url).end();
    assert_eq!(ended.code(), 3, "{}{}", ended.stdout(), ended.stderr());
    insta::assert_snapshot!(ended.stdout(), @"
    - delete    Service `default/theirs`
    - delete    Service `monitoring/grafana`
    - delete    Service `web-app/web-app-service`
    - delete    cluster `demo`
    - delete    Namespace `monitoring` (with the cluster, though it holds what is not the stack's: Deployment `monitoring/theirs`)

    5 to delete of stack `demo` on cluster demo
    ");
    assert_eq!(kubernetes.changes(), [""; 0]);
}
