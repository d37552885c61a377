//! What must hold while things are changed or broken: order, refusals before the first change, others' broken APIs.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::authority::Authority;
use super::certificate::{self, Certificates};
use super::changes::Options;
use super::fixtures::{components, components_with, stack};
use super::manifest::Component;
use super::wire::Wire;
use super::{ClusterError, apply, delete};
use crate::report::{Record, Silent};

const DEFINITION: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com";

fn made(objects: &[Value]) -> Vec<Component> {
    let objects = objects
        .iter()
        .map(|o| serde_json::from_value(o.clone()).expect("an object"));
    vec![Component {
        name: "mine".to_owned(),
        objects: objects.collect(),
    }]
}

fn definition() -> Value {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [{"name": "v1", "served": true, "storage": true}]}})
}

fn widget(metadata: &Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": metadata})
}

async fn up(wire: &Wire, components: &[Component]) -> Result<(), ClusterError> {
    apply::apply(&wire.cluster(), &stack(), components, Options::default(), &Silent)
        .await
        .map(drop)
}

#[tokio::test]
async fn a_creation_that_the_server_refuses_is_known_before_anything_is_sent() {
    let wire = Wire::default();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web-app"}});
    wire.put("/api/v1/namespaces/web-app", namespace);
    let refusal = json!({"code": 422, "reason": "Invalid", "message": "spec.ports: required"});
    let path = "/api/v1/namespaces/web-app/services/web-app-service";
    wire.state().refusals.insert(path.to_owned(), refusal);
    let Err(ClusterError::Rejected(problems)) = up(&wire, &components()).await else {
        panic!("refused");
    };
    assert_eq!(
        problems,
        ["Service `web-app/web-app-service`: spec.ports: required (HTTP 422)"]
    );
    assert_eq!(wire.changes(), Vec::<String>::new());
}

#[tokio::test]
async fn an_object_that_does_not_say_where_it_belongs_is_refused_before_anything_is_sent() {
    let wire = Wire::default();
    let misplaced = [
        definition(),
        widget(&json!({"name": "a"})),
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "b", "namespace": "c"}}),
    ];
    let Err(ClusterError::Manifests(problems)) = up(&wire, &made(&misplaced)).await else {
        panic!("refused");
    };
    assert_eq!(
        problems,
        [
            "Widget `a` lacks `metadata.namespace`",
            "Namespace `c/b` belongs to the whole cluster, not to namespace `c`"
        ]
    );
    assert_eq!(wire.changes(), Vec::<String>::new());
}

#[tokio::test]
async fn everything_that_keeps_a_stack_from_being_applied_is_told_at_once_also_while_an_api_is_down() {
    let wire = Wire::default();
    let available = json!({"type": "Available", "status": "False", "reason": "MissingEndpoints"});
    let service = json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": "v1.example.com"}, "status": {"conditions": [available]},
        "spec": {"group": "example.com", "version": "v1", "service": {"name": "widgets", "namespace": "default"}}});
    wire.put("/apis/apiregistration.k8s.io/v1/apiservices/v1.example.com", service);
    let foreign = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web-app-service", "namespace": "web-app",
        "labels": {"app.kubernetes.io/managed-by": "Helm"}}});
    wire.put_namespace("web-app");
    wire.put("/api/v1/namespaces/web-app/services/web-app-service", foreign);
    let mut all = components();
    all[0].objects.extend(
        made(&[
            widget(&json!({"name": "a", "namespace": "default"})),
            json!({"apiVersion": "other.example/v1", "kind": "Thing", "metadata": {"name": "b"}}),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "d", "namespace": "shop"}}),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "e", "namespace": "kube-system"}}),
        ])[0]
            .objects
            .clone(),
    );
    let error = up(&wire, &all).await.expect_err("refused");
    let text = error.to_string();
    for part in [
        "Widget `default/a` (example.com/v1): its API does not answer: MissingEndpoints",
        "Thing `b` (other.example/v1)",
        "ConfigMap `c` lacks `metadata.namespace`",
        "`shop`: ConfigMap `shop/d`",
        "Service `web-app/web-app-service` is managed by `Helm`",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("kube-system"), "{text}");
    assert!(error.is_refusal());
    assert_eq!(wire.changes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_definition_and_its_first_object_go_out_in_one_apply_though_discovery_is_late() {
    let wire = Wire::default();
    wire.state().lag = 3;
    let both = [definition(), widget(&json!({"name": "a", "namespace": "default"}))];
    up(&wire, &made(&both)).await.expect("applied");
    let path = "/apis/example.com/v1/namespaces/default/widgets/a";
    assert!(wire.state().objects.contains_key(path));
    assert_eq!(wire.state().lag, 0);
}

#[tokio::test]
async fn a_broken_api_of_others_does_not_keep_a_stack_from_being_removed() {
    let wire = Wire::default();
    up(&wire, &components()).await.expect("applied");
    wire.put(DEFINITION, definition());
    wire.state().outages.insert("/apis/example.com/v1/widgets".to_owned());
    let available = json!({"type": "Available", "status": "False", "reason": "MissingEndpoints"});
    let service = json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": "v1.example.com"}, "status": {"conditions": [available]},
        "spec": {"group": "example.com", "version": "v1", "service": {"name": "widgets", "namespace": "default"}}});
    wire.put("/apis/apiregistration.k8s.io/v1/apiservices/v1.example.com", service);
    let report = Record::default();
    let minute = Duration::from_mins(1);
    let receipt = delete::delete_stack(&wire.cluster(), &stack(), minute, &report).await;
    let receipt = receipt.expect("removed");
    assert_eq!(receipt.left, []);
    let left: Vec<String> = wire.state().objects.keys().cloned().collect();
    assert_eq!(left.len(), 2, "only what others own is left: {left:?}");
    assert_eq!(
        report.warnings(),
        ["nothing is looked for in an API that does not answer, `example.com/v1`: MissingEndpoints"]
    );
}

#[tokio::test]
async fn clients_trust_a_new_authority_before_anything_is_served_with_it() {
    let wire = Wire::default();
    let with = |text: &str| Certificates {
        ca_bundle: text.to_owned(),
        serving_certificate: text.to_owned(),
        ..Certificates::default()
    };
    let at = |part: &str| wire.changes().iter().position(|l| l.contains(part)).expect("sent");
    up(&wire, &components_with(&with("old"))).await.expect("applied");
    // The first time there is no backend yet: it comes before what leads to it.
    assert!(at("/secrets/cm-adapter-serving-certs") < at("/apiservices/"));
    wire.state().log.clear();
    up(&wire, &components_with(&with("new and old")))
        .await
        .expect("applied");
    assert!(at("/apiservices/") < at("/secrets/cm-adapter-serving-certs"));
    wire.state().log.clear();
    // A changed backend is one that has to be there first.
    let path = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.custom.metrics.k8s.io";
    if let Some(service) = wire.state().objects.get_mut(path) {
        service["spec"]["service"]["name"] = "other".into();
    }
    up(&wire, &components_with(&with("newer"))).await.expect("applied");
    assert!(at("/secrets/cm-adapter-serving-certs") < at("/apiservices/"));
}

#[tokio::test]
async fn where_the_authority_was_lost_the_one_that_clients_trust_stays_in_the_bundle() {
    let wire = Wire::default();
    let now: Timestamp = "2026-01-10T12:00:00Z".parse().expect("a time");
    let prepare = || async {
        certificate::prepare(&wire.cluster(), "custom-metrics", Authority::Own, now)
            .await
            .expect("made")
    };
    let first = prepare().await;
    up(&wire, &components_with(&first)).await.expect("applied");
    assert_eq!(prepare().await, first);
    let secret = "/api/v1/namespaces/custom-metrics/secrets/provisioner-ca";
    wire.state().objects.remove(secret).expect("was there");
    let second = prepare().await;
    assert_eq!(pem::parse_many(&second.ca_bundle).expect("PEM").len(), 2);
    assert!(second.ca_bundle.ends_with(&first.ca_bundle) && second.ca_certificate != first.ca_certificate);
    // Interrupted after the bundle was sent and before the Secret was: both may be in use.
    let path = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.custom.metrics.k8s.io";
    if let Some(service) = wire.state().objects.get_mut(path) {
        service["spec"]["caBundle"] = STANDARD.encode(&second.ca_bundle).into();
    }
    assert!(prepare().await.ca_bundle.ends_with(&second.ca_bundle));
    // What another put there is trusted by nobody of ours.
    if let Some(service) = wire.state().objects.get_mut(path) {
        service["metadata"]["labels"] = json!({});
    }
    assert_eq!(pem::parse_many(&prepare().await.ca_bundle).expect("PEM").len(), 1);
}
