//! Flows over the wire: what is asked, what is sent, what is left after a crash at any point.

use std::time::Duration;

use serde_json::{Value, json};

use super::certificate::Certificates;
use super::changes::{self, Change, Options};
use super::fixtures::{components, stack, values};
use super::manifest;
use super::wire::Wire;
use super::{ClusterError, apply, delete};
use crate::report::{Outcome, Silent};

const MINUTE: Duration = Duration::from_mins(1);

async fn up(wire: &Wire) -> Result<Vec<Change>, ClusterError> {
    apply::apply(&wire.cluster(), &stack(), &components(), Options::default(), &Silent).await
}

async fn down(wire: &Wire) -> Result<delete::DeleteReceipt, ClusterError> {
    delete::delete_stack(&wire.cluster(), &stack(), MINUTE, &Silent).await
}

fn foreign(kind: &str, name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "web-app"}})
}

#[tokio::test]
async fn a_second_run_asks_and_sends_nothing() {
    let wire = Wire::default();
    let first = up(&wire).await.expect("applied");
    assert!(
        first
            .iter()
            .all(|c| matches!(c.outcome, Outcome::Created | Outcome::Skipped))
    );
    wire.state().log.clear();
    let second = up(&wire).await.expect("applied");
    assert!(
        second
            .iter()
            .all(|c| matches!(c.outcome, Outcome::Unchanged | Outcome::Skipped)),
        "{second:#?}"
    );
    assert_eq!(wire.changes(), Vec::<String>::new());
    // One dry run for each object that is there, one list for each kind.
    let objects = wire.state().objects.len();
    let log = wire.state().log.clone();
    let (lists, others): (Vec<&String>, Vec<&String>) = log.iter().partition(|call| call.contains("labelSelector"));
    assert_eq!(others.len(), objects, "{others:#?}");
    let mut kinds: Vec<&str> = second.iter().map(|change| change.kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert!(lists.len() <= kinds.len(), "{lists:#?}");
}

#[tokio::test]
async fn what_is_needed_is_sent_first() {
    let wire = Wire::default();
    up(&wire).await.expect("applied");
    changed_in_order(
        &wire,
        &[
            "/namespaces/web-app?",
            "/secrets/cm-adapter-serving-certs",
            "/rolebindings/",
            "/deployments/",
            "/horizontalpodautoscalers/",
        ],
    );
}

/// The first change of each of these comes after that of the one before.
#[track_caller]
fn changed_in_order(wire: &Wire, parts: &[&str]) {
    let sent = wire.changes();
    let at = |part: &&str| {
        sent.iter()
            .position(|l| l.contains(part))
            .unwrap_or_else(|| panic!("{part}"))
    };
    let order: Vec<usize> = parts.iter().map(at).collect();
    assert!(order.is_sorted(), "{order:?} {sent:#?}");
}

#[tokio::test]
async fn foreign_objects_are_all_named_and_nothing_is_sent() {
    let wire = Wire::default();
    wire.put(
        "/api/v1/namespaces/web-app/services/web-app-service",
        foreign("Service", "web-app-service"),
    );
    let mut other = foreign("Deployment", "prometheus");
    other["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "Helm"});
    wire.put("/apis/apps/v1/namespaces/monitoring/deployments/prometheus", other);
    let Err(ClusterError::Foreign(named)) = up(&wire).await else {
        panic!("refused");
    };
    let want = [
        "Deployment `monitoring/prometheus` is managed by `Helm`",
        "Service `web-app/web-app-service`",
    ];
    let mut named = named;
    named.sort();
    assert_eq!(named, want);
    assert_eq!(wire.changes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_conflict_names_field_and_manager_before_anything_is_sent() {
    let wire = Wire::default();
    up(&wire).await.expect("applied");
    let path = "/apis/apps/v1/namespaces/web-app/deployments/web-app";
    let refusal = json!({"code": 409, "reason": "Conflict", "details": {"causes": [{"reason": "FieldManagerConflict",
        "field": ".spec.template", "message": "conflict with \"other\""}]}});
    wire.state().refusals.insert(path.to_owned(), refusal);
    wire.state().log.clear();
    let Err(ClusterError::Rejected(problems)) = up(&wire).await else {
        panic!("refused");
    };
    assert_eq!(
        problems,
        ["Deployment `web-app/web-app`: field `.spec.template`: conflict with \"other\""]
    );
    assert_eq!(wire.changes(), Vec::<String>::new());
    let force = Options {
        force_conflicts: true,
        ..Options::default()
    };
    changes::plan(&wire.cluster(), &stack(), &components(), force)
        .await
        .expect("planned");
}

#[tokio::test]
async fn a_change_of_configuration_is_named_and_only_it_is_sent() {
    let wire = Wire::default();
    up(&wire).await.expect("applied");
    wire.state().log.clear();
    let mut values = values();
    values.app_image = "r/web-app@sha256:01".to_owned();
    values.reaction = super::reaction::Reaction::Fast;
    let wanted = manifest::load(None, &[], &values, &Certificates::default()).expect("loads");
    let changed = apply::apply(&wire.cluster(), &stack(), &wanted, Options::default(), &Silent)
        .await
        .expect("applied");
    let updated: Vec<&Change> = changed.iter().filter(|c| c.outcome == Outcome::Updated).collect();
    assert_eq!(updated.len(), 1);
    assert_eq!(
        (updated[0].name.as_str(), updated[0].fields.join(",")),
        ("web-app", "spec.template.spec".to_owned())
    );
    assert_eq!(wire.changes().len(), 1);
}

#[tokio::test]
async fn teardown_leaves_nothing_of_ours_and_everything_foreign() {
    let wire = Wire::default();
    wire.put(
        "/api/v1/namespaces/shop",
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}),
    );
    up(&wire).await.expect("applied");
    let receipt = down(&wire).await.expect("deleted");
    assert_eq!(receipt.left, []);
    let left: Vec<String> = wire.state().objects.keys().cloned().collect();
    assert_eq!(left, ["/api/v1/namespaces/shop"]);
    assert_eq!(
        down(&wire).await.expect("nothing to do"),
        delete::DeleteReceipt::default()
    );
}

#[tokio::test]
async fn teardown_deletes_autoscaler_and_metrics_api_before_their_backends() {
    let wire = Wire::default();
    up(&wire).await.expect("applied");
    wire.state().log.clear();
    down(&wire).await.expect("deleted");
    changed_in_order(
        &wire,
        &[
            "/horizontalpodautoscalers/",
            "/apiservices/",
            "/deployments/custom-metrics-apiserver",
            "/configmaps/",
            "/api/v1/namespaces/custom-metrics?",
        ],
    );
}

#[tokio::test]
async fn a_namespace_with_foreign_objects_stays_and_they_are_named() {
    let wire = Wire::default();
    up(&wire).await.expect("applied");
    wire.put(
        "/api/v1/namespaces/web-app/configmaps/mine",
        foreign("ConfigMap", "mine"),
    );
    wire.put(
        "/api/v1/namespaces/web-app/serviceaccounts/default",
        foreign("ServiceAccount", "default"),
    );
    let receipt = down(&wire).await.expect("deleted");
    let left: Vec<String> = receipt
        .left
        .iter()
        .map(|l| format!("{}: {}", l.object, l.reason))
        .collect();
    assert_eq!(
        left,
        ["Namespace `web-app`: holds what is not the stack's: ConfigMap `web-app/mine`"]
    );
    let remain: Vec<String> = wire.state().objects.keys().cloned().collect();
    assert_eq!(
        remain,
        [
            "/api/v1/namespaces/web-app",
            "/api/v1/namespaces/web-app/configmaps/mine",
            "/api/v1/namespaces/web-app/serviceaccounts/default"
        ]
    );
}

#[tokio::test]
async fn a_namespace_that_existed_is_used_and_neither_relabelled_nor_deleted() {
    let wire = Wire::default();
    let before = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "monitoring", "uid": "1"}});
    wire.put("/api/v1/namespaces/monitoring", before.clone());
    let applied = up(&wire).await.expect("applied");
    let namespace = applied.iter().find(|c| c.kind == "Namespace" && c.name == "monitoring");
    assert_eq!(namespace.map(|c| c.outcome), Some(Outcome::Skipped));
    down(&wire).await.expect("deleted");
    assert_eq!(wire.state().objects.get("/api/v1/namespaces/monitoring"), Some(&before));
}

#[tokio::test]
async fn a_crash_at_any_point_of_an_apply_is_mended_by_the_next_run() {
    let wire = Wire::default();
    up(&wire).await.expect("applied");
    let calls = wire.state().log.len();
    let want = wire.state().objects.clone();
    for answers in 0..calls {
        let wire = Wire::default();
        Box::pin(wire.until_silent(answers, up(&wire))).await;
        up(&wire).await.expect("applied");
        assert!(
            wire.state().objects.keys().eq(want.keys()),
            "after {answers} of {calls} calls"
        );
    }
}

#[tokio::test]
async fn a_crash_at_any_point_of_a_teardown_is_mended_by_the_next_run() {
    let wire = Wire::default();
    up(&wire).await.expect("applied");
    wire.state().log.clear();
    down(&wire).await.expect("deleted");
    let calls = wire.state().log.len();
    for answers in 0..calls {
        let wire = Wire::default();
        up(&wire).await.expect("applied");
        wire.put(
            "/api/v1/namespaces/monitoring/configmaps/mine",
            foreign("ConfigMap", "mine"),
        );
        Box::pin(wire.until_silent(answers, down(&wire))).await;
        down(&wire).await.expect("deleted");
        let left: Vec<String> = wire.state().objects.keys().cloned().collect();
        let want = [
            "/api/v1/namespaces/monitoring",
            "/api/v1/namespaces/monitoring/configmaps/mine",
        ];
        assert_eq!(left, want, "after {answers} of {calls} calls");
    }
}
