//! What a stack no longer has goes, and nothing else.

use std::time::Duration;

use serde_json::{Value, json};

use super::certificate::Certificates;
use super::changes::{self, Change, Options, Planned};
use super::fixtures::{Run, stack, values};
use super::manifest::{self, Component};
use super::wire::Wire;
use super::{ClusterError, apply, preview, prune};
use crate::report::{Outcome, Record, Silent};

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/monitoring/deployments/grafana";
const SECRET: &str = "/api/v1/namespaces/monitoring/secrets/grafana-admin";
const RECORD: &str = "/api/v1/namespaces/web-app/secrets/provisioner-demo";

pub(super) fn without(names: &[&str]) -> Vec<Component> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    manifest::load(None, &names, &values(), &Certificates::default()).expect("the manifests load")
}

async fn plan(wire: &Wire, wanted: &[Component]) -> Vec<Planned> {
    let planned = changes::plan(&wire.cluster(), &stack(), wanted, Options::default()).await;
    planned.expect("planned")
}

/// What a bootstrap does, but for the waiting.
async fn run(wire: &Wire, wanted: &[Component]) -> Result<Vec<Change>, ClusterError> {
    let mut changes = apply::apply(&wire.cluster(), &stack(), wanted, Options::default(), &Silent).await?;
    changes.extend(prune(wire, wanted).await?);
    Ok(changes)
}

pub(super) async fn prune(wire: &Wire, wanted: &[Component]) -> Result<Vec<Change>, ClusterError> {
    let run = Run::new();
    Box::pin(prune::prune(
        &wire.cluster(),
        run.terms(),
        wanted,
        Duration::from_secs(1),
        &Silent,
    ))
    .await
}

fn of(planned: &[Planned], outcome: Outcome) -> Vec<String> {
    let some = planned.iter().filter(|p| p.change.outcome == outcome);
    some.map(|p| p.object.to_string()).collect()
}

fn annotation(wire: &Wire, name: &str) -> String {
    let annotation = &wire.state().objects[RECORD]["metadata"]["annotations"][name];
    annotation.as_str().unwrap_or_default().to_owned()
}

/// An object as the stack applied it once.
pub(super) fn member(wire: &Wire, kind: &str, path: &str, metadata: &Value) {
    let id = wire.state().objects[DEPLOYMENT]["metadata"]["labels"]["applyset.kubernetes.io/part-of"].clone();
    let mut object = json!({"apiVersion": "v1", "kind": kind, "metadata": {
        "name": path.rsplit('/').next(), "labels": {
            "app.kubernetes.io/managed-by": "provisioner", "app.kubernetes.io/part-of": "demo",
            "app.kubernetes.io/component": "mine", "applyset.kubernetes.io/part-of": id},
        "managedFields": [{"manager": "provisioner", "operation": "Apply", "apiVersion": "v1",
            "fieldsType": "FieldsV1", "fieldsV1": {}}]}});
    for (key, value) in metadata.as_object().into_iter().flatten() {
        object["metadata"][key] = value.clone();
    }
    if let Some((_, rest)) = path.split_once("/namespaces/").filter(|(_, rest)| rest.contains('/')) {
        object["metadata"]["namespace"] = rest.split('/').next().into();
    }
    wire.put(path, object);
}

#[tokio::test]
async fn a_component_that_is_left_out_after_it_was_installed_goes_and_all_else_stays() {
    let wire = Wire::default();
    run(&wire, &without(&[])).await.expect("applied");
    let before = wire.state().objects.clone();
    let left = without(&["grafana"]);
    let planned = plan(&wire, &left).await;
    let going = of(&planned, Outcome::Deleted);
    assert!(
        going.contains(&"Deployment `monitoring/grafana`".to_owned()),
        "{going:?}"
    );
    let changes = run(&wire, &left).await.expect("applied");
    let deleted: Vec<String> = changes
        .iter()
        .filter(|change| change.outcome == Outcome::Deleted)
        .map(|change| format!("{} `monitoring/{}`", change.kind, change.name))
        .collect();
    assert_eq!(deleted, going, "what was planned, in that order");
    let gone: Vec<String> = before
        .keys()
        .filter(|path| !wire.state().objects.contains_key(*path))
        .cloned()
        .collect();
    assert_eq!(gone.len(), going.len());
    assert!(gone.iter().all(|path| path.contains("grafana")), "{gone:?}");
    // Nothing is left to do, and what is recorded is what a stack without it would record.
    assert!(plan(&wire, &left).await.iter().all(Planned::is_as_wanted));
}

#[tokio::test]
async fn kinds_are_recorded_before_objects_of_them_are_applied_and_until_all_of_them_are_gone() {
    let wire = Wire::default();
    run(&wire, &without(&[])).await.expect("applied");
    let sent = wire.changes();
    let record = sent.iter().position(|call| call.contains(RECORD)).expect("sent");
    let others = sent
        .iter()
        .position(|call| call.contains("/custom-metrics/"))
        .expect("sent");
    assert!(record < others, "{sent:#?}");
    let kinds = "applyset.kubernetes.io/contains-group-kinds";
    assert!(annotation(&wire, kinds).contains("APIService.apiregistration.k8s.io"));
    let all = manifest::components();
    let all: Vec<&str> = all
        .iter()
        .map(String::as_str)
        .filter(|name| *name != "namespaces")
        .collect();
    let bare = without(&all);
    apply::apply(&wire.cluster(), &stack(), &bare, Options::default(), &Silent)
        .await
        .expect("applied");
    assert!(
        annotation(&wire, kinds).contains("APIService.apiregistration.k8s.io"),
        "still to be found"
    );
    prune(&wire, &bare).await.expect("pruned");
    // What the cluster does not know cannot be known to be gone.
    assert_eq!(
        annotation(&wire, kinds),
        "Namespace,PrometheusRule.monitoring.coreos.com,ServiceMonitor.monitoring.coreos.com"
    );
    assert_eq!(annotation(&wire, "applyset.kubernetes.io/additional-namespaces"), "");
}

#[tokio::test]
async fn a_run_that_dies_at_any_point_is_gone_on_with_by_the_next() {
    let wire = Wire::default();
    run(&wire, &without(&["grafana"])).await.expect("applied");
    let want = wire.state().objects.clone();
    let installed = Wire::default();
    run(&installed, &without(&[])).await.expect("applied");
    installed.state().log.clear();
    run(&installed, &without(&["grafana"])).await.expect("applied");
    let calls = installed.state().log.len();
    for answers in (0..calls).step_by(4) {
        let wire = Wire::default();
        run(&wire, &without(&[])).await.expect("applied");
        let left = without(&["grafana"]);
        Box::pin(wire.until_silent(answers, run(&wire, &left))).await;
        wire.state().objects.retain(|path, _| !path.contains("/leases/"));
        run(&wire, &left).await.expect("applied");
        assert!(
            wire.state().objects.keys().eq(want.keys()),
            "after {answers} of {calls} calls"
        );
        assert!(
            plan(&wire, &left).await.iter().all(Planned::is_as_wanted),
            "after {answers}"
        );
    }
}

#[tokio::test]
async fn what_is_to_be_kept_stays_is_told_and_is_no_change() {
    let wire = Wire::default();
    run(&wire, &without(&[])).await.expect("applied");
    if let Some(secret) = wire.state().objects.get_mut(SECRET) {
        secret["metadata"]["annotations"] = json!({"provisioner/keep": "true"});
    }
    let claim = "/api/v1/namespaces/monitoring/persistentvolumeclaims/data";
    member(&wire, "PersistentVolumeClaim", claim, &json!({}));
    let left = without(&["grafana"]);
    run(&wire, &left).await.expect("applied");
    assert!(wire.state().objects.contains_key(SECRET) && wire.state().objects.contains_key(claim));
    assert!(!wire.state().objects.contains_key(DEPLOYMENT));
    let planned = plan(&wire, &left).await;
    assert!(planned.iter().all(Planned::is_as_wanted));
    assert_eq!(of(&planned, Outcome::Kept), ["Secret `monitoring/grafana-admin`"]);
    let kept = planned.iter().find(|p| p.change.outcome == Outcome::Kept);
    assert_eq!(
        kept.map(|p| p.change.fields.join("")),
        Some("annotation `provisioner/keep`".to_owned())
    );
}

#[tokio::test]
async fn only_what_bears_the_marks_of_the_set_and_is_where_it_was_goes() {
    let wire = Wire::default();
    run(&wire, &without(&[])).await.expect("applied");
    let inside = "/api/v1/namespaces/monitoring/configmaps";
    member(&wire, "ConfigMap", &format!("{inside}/former"), &json!({}));
    member(
        &wire,
        "ConfigMap",
        &format!("{inside}/made-from-others"),
        &json!({"ownerReferences": [{"uid": "1"}]}),
    );
    member(
        &wire,
        "ConfigMap",
        &format!("{inside}/of-another"),
        &json!({"labels": {"app.kubernetes.io/part-of": "other"}}),
    );
    let copier = json!([{"manager": "operator", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
        "fieldsV1": {}}, {"manager": "provisioner", "operation": "Update", "apiVersion": "v1",
        "fieldsType": "FieldsV1", "fieldsV1": {}}]);
    member(
        &wire,
        "ConfigMap",
        &format!("{inside}/with-labels-that-a-controller-copied"),
        &json!({"managedFields": copier}),
    );
    member(
        &wire,
        "ConfigMap",
        "/api/v1/namespaces/elsewhere/configmaps/copy",
        &json!({}),
    );
    wire.put(
        &format!("{inside}/foreign"),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "foreign", "namespace": "monitoring"}}),
    );
    let before = wire.state().objects.len();
    run(&wire, &without(&[])).await.expect("applied");
    assert!(!wire.state().objects.contains_key(&format!("{inside}/former")));
    assert_eq!(wire.state().objects.len(), before - 1);
}

#[tokio::test]
async fn a_namespace_goes_where_nothing_else_is_in_it_and_home_never() {
    let wire = Wire::default();
    run(&wire, &without(&[])).await.expect("applied");
    let left = without(&["namespaces", "adapter", "kube-state-metrics"]);
    let others = "/api/v1/namespaces/custom-metrics/configmaps/mine";
    wire.put(
        others,
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine", "namespace": "custom-metrics"}}),
    );
    run(&wire, &left).await.expect("applied");
    let planned = plan(&wire, &left).await;
    let kept: Vec<String> = planned
        .iter()
        .filter(|p| p.change.outcome == Outcome::Kept)
        .map(|p| format!("{} {}", p.object, p.change.fields.join("")))
        .collect();
    assert_eq!(
        kept,
        [
            "Namespace `custom-metrics` holds ConfigMap `custom-metrics/mine`",
            "Namespace `monitoring` holds objects of the stack"
        ]
    );
    wire.state().objects.remove(others);
    run(&wire, &left).await.expect("applied");
    assert!(!wire.state().objects.contains_key("/api/v1/namespaces/custom-metrics"));
    assert!(wire.state().objects.contains_key("/api/v1/namespaces/web-app"));
}

#[tokio::test]
async fn where_another_run_applied_other_manifests_meanwhile_nothing_goes() {
    let wire = Wire::default();
    run(&wire, &without(&[])).await.expect("applied");
    let (ours, theirs) = (without(&["grafana"]), without(&["kube-state-metrics"]));
    apply::apply(&wire.cluster(), &stack(), &ours, Options::default(), &Silent)
        .await
        .expect("applied");
    apply::apply(&wire.cluster(), &stack(), &theirs, Options::default(), &Silent)
        .await
        .expect("applied");
    wire.state().log.clear();
    let error = prune(&wire, &ours).await.expect_err("superseded");
    assert!(matches!(error, ClusterError::Superseded { .. }), "{error}");
    assert!(
        wire.state()
            .log
            .iter()
            .all(|call| !call.starts_with("DELETE") || call.contains("/leases/"))
    );
}

#[tokio::test]
async fn what_is_to_go_is_known_before_anything_is_applied() {
    let wire = Wire::default();
    let left = without(&["grafana"]);
    let going = async || {
        let checked = preview::check(&wire.cluster(), &stack(), &left, Options::default(), "unknown").await;
        checked.expect("asked").going
    };
    assert_eq!(going().await, [], "there is no stack");
    run(&wire, &without(&[])).await.expect("applied");
    if let Some(secret) = wire.state().objects.get_mut(SECRET) {
        secret["metadata"]["annotations"] = json!({"provisioner/keep": "true"});
    }
    wire.state().log.clear();
    let named: Vec<String> = going().await.iter().map(ToString::to_string).collect();
    let planned = plan(&wire, &left).await;
    assert_eq!(named, of(&planned, Outcome::Deleted));
    assert!(
        named.contains(&"Deployment `monitoring/grafana`".to_owned()),
        "{named:?}"
    );
    assert!(
        !named.iter().any(|name| name.contains("grafana-admin")),
        "it is kept: {named:?}"
    );
    assert_eq!(wire.changes(), Vec::<String>::new());
}

#[tokio::test]
async fn what_another_command_records_while_this_one_waits_is_not_taken_back() {
    let wire = Wire::default();
    run(&wire, &without(&[])).await.expect("applied");
    let left = without(&["grafana"]);
    apply::apply(&wire.cluster(), &stack(), &left, Options::default(), &Silent)
        .await
        .expect("applied");
    let image = "provisioner/load-image";
    if let Some(record) = wire.state().objects.get_mut(RECORD) {
        record["metadata"]["annotations"][image] = "registry/load@sha256:1".into();
    }
    prune(&wire, &left).await.expect("pruned");
    assert_eq!(annotation(&wire, image), "registry/load@sha256:1");
    assert!(!wire.state().objects.contains_key(DEPLOYMENT));
}

#[tokio::test]
async fn what_does_not_go_in_time_is_an_error_and_stays_recorded() {
    let wire = Wire::default();
    run(&wire, &without(&[])).await.expect("applied");
    wire.state().stuck.insert(DEPLOYMENT.to_owned());
    let left = without(&["grafana"]);
    let Err(ClusterError::NotPruned(named)) = run(&wire, &left).await else {
        panic!("it stays");
    };
    assert_eq!(named, ["Deployment `monitoring/grafana`: is being deleted"]);
    wire.state().stuck.clear();
    run(&wire, &left).await.expect("applied");
    assert!(!wire.state().objects.contains_key(DEPLOYMENT));
}

#[test]
fn a_stack_without_objects_is_refused() {
    let all: Vec<String> = manifest::components();
    let error = manifest::load(None, &all, &values(), &Certificates::default()).expect_err("refused");
    assert!(
        matches!(error, ClusterError::Empty { .. }) && error.is_configuration(),
        "{error}"
    );
}

#[tokio::test]
async fn what_stays_is_told_with_its_reason() {
    let wire = Wire::default();
    run(&wire, &without(&[])).await.expect("applied");
    let left = without(&["namespaces"]);
    let report = Record::default();
    let cluster = wire.cluster();
    let planned = plan(&wire, &left).await;
    apply::execute(&cluster, &planned, Options::default(), &report)
        .await
        .expect("applied");
    let told = format!("{:?}", report.0.lock().expect("lock"));
    assert!(told.contains("holds objects of the stack"), "{told}");
}
