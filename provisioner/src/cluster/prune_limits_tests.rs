//! What is not deleted although a stack no longer has it, and is not lost from sight.

use serde_json::{Value, json};

use super::apply;
use super::changes::{self, Options, Planned};
use super::fixtures::stack;
use super::prune_tests::{member, prune, without};
use super::wire::Wire;
use crate::report::{Outcome, Silent};

const KINDS: &str = "applyset.kubernetes.io/contains-group-kinds";
const RECORD: &str = "/api/v1/namespaces/web-app/secrets/provisioner-demo";
const SPACE: &str = "Namespace `custom-metrics`";

async fn installed() -> Wire {
    let wire = Wire::default();
    run(&wire, &[]).await;
    wire
}

async fn run(wire: &Wire, left_out: &[&str]) {
    let wanted = without(left_out);
    let applied = apply::apply(&wire.cluster(), &stack(), &wanted, Options::default(), &Silent).await;
    applied.expect("applied");
    prune(wire, &wanted).await.expect("pruned");
}

/// What of a stack that has these no longer stays, with the reason.
async fn kept(wire: &Wire, left_out: &[&str]) -> Vec<String> {
    let planned = changes::plan(&wire.cluster(), &stack(), &without(left_out), Options::default()).await;
    let planned = planned.expect("planned");
    let kept = planned.iter().filter(|p| p.change.outcome == Outcome::Kept);
    kept.map(|p| format!("{} {}", p.object, p.change.fields.join("")))
        .collect()
}

fn of_space(kept: &[String]) -> Option<&String> {
    kept.iter().find(|said| said.starts_with(SPACE))
}

#[tokio::test]
async fn a_kind_that_the_cluster_does_not_know_at_the_moment_stays_recorded() {
    let wire = installed().await;
    if let Some(record) = wire.state().objects.get_mut(RECORD) {
        let kinds = &mut record["metadata"]["annotations"][KINDS];
        *kinds = format!("{},Widget.example.com", kinds.as_str().unwrap_or_default()).into();
    }
    let recorded = || wire.state().objects[RECORD]["metadata"]["annotations"][KINDS].to_string();
    run(&wire, &["kube-state-metrics"]).await;
    assert!(recorded().contains("Widget.example.com"), "{}", recorded());
    let planned = changes::plan(
        &wire.cluster(),
        &stack(),
        &without(&["kube-state-metrics"]),
        Options::default(),
    )
    .await;
    assert!(
        planned.expect("planned").iter().all(Planned::is_as_wanted),
        "the next run finds nothing to do"
    );
    // It is known again, and what there is of it is found.
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"}, "spec": {"group": "example.com", "scope": "Namespaced",
        "names": {"kind": "Widget", "plural": "widgets"}, "versions": [{"name": "v1", "served": true}]}});
    wire.put(
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com",
        definition,
    );
    let widget = "/apis/example.com/v1/namespaces/monitoring/widgets/former";
    member(&wire, "Widget", widget, &json!({}));
    run(&wire, &["kube-state-metrics"]).await;
    assert!(!wire.state().objects.contains_key(widget));
}

#[tokio::test]
async fn a_stateful_set_whose_claims_would_go_with_it_stays() {
    let wire = installed().await;
    let path = "/apis/apps/v1/namespaces/monitoring/statefulsets/data";
    for (when, stays) in [("Delete", true), ("Retain", false)] {
        member(&wire, "StatefulSet", path, &json!({}));
        if let Some(set) = wire.state().objects.get_mut(path) {
            set["apiVersion"] = "apps/v1".into();
            set["spec"] = json!({"persistentVolumeClaimRetentionPolicy": {"whenDeleted": when}});
        }
        if let Some(record) = wire.state().objects.get_mut(RECORD) {
            let kinds = &mut record["metadata"]["annotations"][KINDS];
            *kinds = format!("{},StatefulSet.apps", kinds.as_str().unwrap_or_default()).into();
        }
        let kept = kept(&wire, &[]).await;
        assert_eq!(
            kept.iter().any(|said| said.starts_with("StatefulSet ")),
            stays,
            "{when}: {kept:?}"
        );
        run(&wire, &[]).await;
        assert_eq!(wire.state().objects.contains_key(path), stays, "{when}");
    }
}

#[tokio::test]
async fn a_namespace_stays_for_what_belongs_elsewhere_and_where_an_api_does_not_answer() {
    let left = ["namespaces", "adapter", "kube-state-metrics"];
    let wire = installed().await;
    assert_eq!(of_space(&kept(&wire, &left).await), None, "nothing is in it");
    let put = |name: &str, uid: &str| {
        let path = format!("/api/v1/namespaces/custom-metrics/configmaps/{name}");
        wire.put(
            &path,
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name,
            "namespace": "custom-metrics", "ownerReferences": [{"uid": uid}]}}),
        );
        path
    };
    let deployment = "/apis/apps/v1/namespaces/custom-metrics/deployments/custom-metrics-apiserver";
    let owner = wire.state().objects[deployment]["metadata"]["uid"]
        .as_str()
        .expect("an id")
        .to_owned();
    put("made-here", &owner);
    assert_eq!(of_space(&kept(&wire, &left).await), None, "it goes with its owner");
    let elsewhere = put("of-something-of-the-cluster", "elsewhere");
    let said = kept(&wire, &left).await;
    let want = format!("{SPACE} holds ConfigMap `custom-metrics/of-something-of-the-cluster`");
    assert_eq!(of_space(&said), Some(&want));
    wire.state().objects.remove(&elsewhere);
    let api = |group: &str| {
        let path = format!("/apis/apiregistration.k8s.io/v1/apiservices/v1.{group}");
        let broken = json!([{"type": "Available", "status": "False", "message": "no backend"}]);
        wire.put(
            &path,
            json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": {"name": format!("v1.{group}")}, "status": {"conditions": broken},
            "spec": {"group": group, "version": "v1", "service": {"namespace": "a", "name": "b"}}}),
        );
    };
    api("metrics.k8s.io");
    assert_eq!(of_space(&kept(&wire, &left).await), None, "metrics are kept nowhere");
    api("others.example");
    let said = kept(&wire, &left).await;
    let said: Value = of_space(&said).cloned().into();
    assert!(
        said.as_str().is_some_and(|said| said.contains("`others.example/v1`")),
        "{said}"
    );
}
