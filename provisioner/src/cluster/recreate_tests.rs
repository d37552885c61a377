//! What cannot be changed in place is named, or made anew where that is asked for.

use serde_json::{Value, json};

use super::changes::{self, Options};
use super::fixtures::{components, stack};
use super::wire::Wire;
use super::{ClusterError, apply};
use crate::report::{Outcome, Silent};

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/monitoring/deployments/grafana";
const PROBE: &str = "/apis/apps/v1/namespaces/monitoring/deployments/provisioner-probe";

fn recreate() -> Options {
    Options {
        recreate: true,
        ..Options::default()
    }
}

fn refusal(message: &str) -> Value {
    json!({"code": 422, "reason": "Invalid", "message": "Deployment is invalid",
        "details": {"causes": [{"reason": "FieldValueInvalid", "field": "spec.selector", "message": message}]}})
}

/// A stack whose Grafana cannot be changed, with what the server refuses.
async fn installed(refused: &[&str]) -> Wire {
    let wire = Wire::default();
    apply::apply(&wire.cluster(), &stack(), &components(), Options::default(), &Silent)
        .await
        .expect("applied");
    for path in refused {
        let refusal = refusal("Invalid value: {}: field is immutable");
        wire.state().refusals.insert((*path).to_owned(), refusal);
        wire.forget_managers(path);
    }
    wire.state().log.clear();
    wire
}

#[tokio::test]
async fn a_field_that_cannot_be_changed_is_named_and_nothing_is_sent() {
    let wire = installed(&[DEPLOYMENT]).await;
    let planned = changes::plan(&wire.cluster(), &stack(), &components(), Options::default()).await;
    let Err(ClusterError::Immutable(fields)) = planned else {
        panic!("refused");
    };
    assert_eq!(
        fields,
        ["Deployment `monitoring/grafana`: field `spec.selector`: Invalid value: {}: field is immutable"]
    );
    assert_eq!(wire.changes(), Vec::<String>::new());
}

#[tokio::test]
async fn on_request_the_object_is_deleted_with_its_pods_and_made_anew() {
    let wire = installed(&[DEPLOYMENT]).await;
    let former = wire.state().objects[DEPLOYMENT]["metadata"]["uid"].clone();
    wire.state().refused_once = true;
    let changes = apply::apply(&wire.cluster(), &stack(), &components(), recreate(), &Silent).await;
    let changes = changes.expect("applied");
    let made: Vec<&str> = changes
        .iter()
        .filter(|change| change.outcome == Outcome::Recreated)
        .map(|change| change.name.as_str())
        .collect();
    assert_eq!(made, ["grafana"]);
    let sent = wire.changes();
    assert_eq!(sent.len(), 2, "{sent:#?}");
    assert!(
        sent[0].starts_with(&format!("DELETE {DEPLOYMENT}")) && sent[1].starts_with(&format!("PATCH {DEPLOYMENT}"))
    );
    assert_ne!(wire.state().objects[DEPLOYMENT]["metadata"]["uid"], former);
    assert!(!wire.state().objects.contains_key(PROBE));
}

#[tokio::test]
async fn what_would_be_refused_anew_too_is_never_deleted() {
    let wire = installed(&[DEPLOYMENT, PROBE]).await;
    let planned = changes::plan(&wire.cluster(), &stack(), &components(), recreate()).await;
    let Err(ClusterError::Rejected(problems)) = planned else {
        panic!("refused");
    };
    assert_eq!(
        problems,
        ["Deployment `monitoring/grafana`: Deployment is invalid (HTTP 422)"]
    );
    assert_eq!(wire.changes(), Vec::<String>::new());
}

#[tokio::test]
async fn what_holds_others_is_refused_also_on_request() {
    let path = "/api/v1/namespaces/monitoring";
    let wire = installed(&[path]).await;
    let planned = changes::plan(&wire.cluster(), &stack(), &components(), recreate()).await;
    let error = planned.expect_err("refused");
    assert!(matches!(error, ClusterError::Immutable(_)), "{error}");
    // What was given already is no advice.
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("by hand") && !hint.contains("--recreate"))
    );
}

#[tokio::test]
async fn conflicts_and_fields_that_cannot_be_changed_are_told_together() {
    let wire = installed(&[DEPLOYMENT]).await;
    let conflict = json!({"code": 409, "reason": "Conflict", "details": {"causes": [{"reason": "FieldManagerConflict",
        "field": ".spec.template", "message": "conflict with \"other\""}]}});
    let app = "/apis/apps/v1/namespaces/web-app/deployments/web-app";
    wire.state().refusals.insert(app.to_owned(), conflict);
    wire.forget_managers(app);
    let planned = changes::plan(&wire.cluster(), &stack(), &components(), Options::default()).await;
    let error = planned.expect_err("refused");
    let text = error.to_string();
    for part in [
        "`web-app/web-app`: field `.spec.template`",
        "\nerror: cannot change",
        "`spec.selector`",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(error.is_refusal() && error.hint().is_some());
}
