use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::super::certificate::{self, CA_SECRET, Certificates};
use super::super::changes::{Change, Options};
use super::super::fixtures::{components_with, stack};
use super::super::wire::Wire;
use super::super::{apply, delete, wait};
use super::*;
use crate::report::{Outcome, Silent};

const HOME: &str = "custom-metrics";
const SERVICE: &str = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.custom.metrics.k8s.io";
const CERTIFICATES: &str = "/apis/cert-manager.io/v1/namespaces/custom-metrics/certificates";
const WEBHOOK_OF_IT: &str =
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/cert-manager-webhook";
const PROBE: &str = "/apis/cert-manager.io/v1/namespaces/default/certificates";

/// A cluster that has the namespace `default`, and the kinds of cert-manager where that is asked for.
fn wire(with_cert_manager: bool) -> Wire {
    let wire = Wire::default();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}});
    wire.put("/api/v1/namespaces/default", namespace);
    for (kind, plural) in [("Certificate", "certificates"), ("Issuer", "issuers")] {
        let name = format!("{plural}.{GROUP}");
        let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": name}, "spec": {"group": GROUP, "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural}, "versions": [{"name": "v1", "served": true}]}});
        if with_cert_manager {
            let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/";
            wire.put(&format!("{path}{name}"), definition);
        }
    }
    if with_cert_manager {
        wire.put(WEBHOOK_OF_IT, webhook("cert-manager.io"));
    }
    wire
}

/// A webhook that checks objects of a group.
fn webhook(group: &str) -> Value {
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "cert-manager-webhook"},
        "webhooks": [{"name": "it", "rules": [{"apiGroups": [group], "resources": ["*/*"]}]}]})
}

async fn prepared(wire: &Wire, authority: Authority) -> Certificates {
    let now: Timestamp = "2026-01-10T12:00:00Z".parse().expect("a time");
    let prepared = certificate::prepare(&wire.cluster(), HOME, authority, now).await;
    prepared.expect("made")
}

async fn up(wire: &Wire, authority: Authority) -> Result<Vec<Change>, ClusterError> {
    let components = components_with(&prepared(wire, authority).await);
    apply::apply(&wire.cluster(), &stack(), &components, Options::default(), &Silent).await
}

/// What cert-manager does: it writes whom to trust.
fn inject(wire: &Wire, bundle: &str) {
    let mut state = wire.state();
    let service = state.objects.get_mut(SERVICE).expect("applied");
    assert_eq!(
        service["metadata"]["annotations"][INJECT],
        "custom-metrics/cm-adapter-serving-certs"
    );
    service["spec"]["caBundle"] = STANDARD.encode(bundle).into();
}

/// Whom clients trust, PEM.
fn trusted(wire: &Wire) -> String {
    let bundle = wire.state().objects[SERVICE]["spec"]["caBundle"].clone();
    let bundle = STANDARD.decode(bundle.as_str().expect("text")).expect("base64");
    String::from_utf8(bundle).expect("text")
}

#[tokio::test]
async fn a_bundle_that_is_written_while_a_run_is_on_is_no_conflict_and_stays() {
    let wire = wire(true);
    for authority in [Authority::Own, Authority::CertManager] {
        up(&wire, authority).await.expect("applied");
    }
    let read_before = components_with(&prepared(&wire, Authority::CertManager).await);
    inject(&wire, "theirs");
    let entry = json!({"manager": "cert-manager-cainjector", "operation": "Update",
        "fieldsV1": {"f:spec": {"f:caBundle": {}}}});
    if let Some(managers) = wire.state().objects.get_mut(SERVICE) {
        let managers = managers["metadata"]["managedFields"].as_array_mut();
        managers.expect("managers").push(entry);
    }
    let applied = apply::apply(&wire.cluster(), &stack(), &read_before, Options::default(), &Silent).await;
    applied.expect("it is theirs to write");
    assert_eq!(trusted(&wire), "theirs");
}

#[tokio::test]
async fn auto_takes_cert_manager_where_its_kinds_are_known_and_asks_it_without_making_anything() {
    let without = wire(false);
    let decided = decide(&without.cluster(), Choice::Auto).await.expect("decided");
    assert_eq!(decided, Authority::Own);
    let with = wire(true);
    let before = with.state().objects.clone();
    let decided = decide(&with.cluster(), Choice::Auto).await.expect("decided");
    assert_eq!(decided, Authority::CertManager);
    let sent: Vec<String> = with.state().log.clone();
    assert_eq!(sent.last(), Some(&format!("POST {PROBE}?dryRun=All")), "{sent:?}");
    assert!(
        sent[..sent.len() - 1].iter().all(|call| call.starts_with("GET ")),
        "{sent:?}"
    );
    assert_eq!(with.state().objects, before);
    let decided = decide(&with.cluster(), Choice::Own).await.expect("decided");
    assert_eq!(decided, Authority::Own);
}

#[tokio::test]
async fn cert_manager_that_is_named_and_absent_is_a_refusal_that_names_its_kinds() {
    let error = decide(&wire(false).cluster(), Choice::CertManager)
        .await
        .expect_err("refused");
    assert_eq!(
        error.to_string(),
        "cannot use cert-manager: the cluster does not know its kinds:\n  Certificate (cert-manager.io/v1)\n  Issuer (cert-manager.io/v1)"
    );
    assert!(error.is_refusal() && error.hint().is_some_and(|hint| hint.contains("--certificates own")));
}

#[tokio::test]
async fn a_webhook_that_does_not_answer_is_waited_for_and_named() {
    let wire = wire(true);
    let refusal =
        json!({"code": 500, "reason": "InternalError", "message": "failed calling webhook: connection refused"});
    wire.state().refusals.insert(PROBE.to_owned(), refusal);
    let cluster = wire.cluster();
    let error = accepts(&cluster, Duration::ZERO).await.expect_err("refused");
    assert_eq!(
        error.to_string(),
        "cannot use cert-manager: it does not accept a Certificate: failed calling webhook: connection refused (HTTP 500)"
    );
    let starts = async {
        sleep(Duration::from_millis(100)).await;
        wire.state().refusals.clear();
    };
    let (decided, ()) = futures::join!(decide(&cluster, Choice::CertManager), starts);
    assert_eq!(decided.expect("decided"), Authority::CertManager);
}

#[tokio::test]
async fn rights_that_are_missing_are_told_at_once() {
    let wire = wire(true);
    let refusal = json!({"code": 403, "reason": "Forbidden", "message": "no"});
    wire.state().refusals.insert(PROBE.to_owned(), refusal);
    let error = decide(&wire.cluster(), Choice::CertManager).await.expect_err("refused");
    assert_eq!(wire.state().log.len(), 1);
    assert!(error.is_refusal() && error.hint().is_some_and(|hint| hint.contains("access policy")));
}

#[tokio::test]
async fn a_webhook_that_takes_no_part_in_dry_runs_says_nothing_of_cert_manager_or_of_the_hpa() {
    let wire = wire(true);
    let refusal = json!({"code": 400, "reason": "BadRequest",
        "message": "admission webhook \"policy.example\" does not support dry run"});
    wire.state().refusals.insert(PROBE.to_owned(), refusal.clone());
    let decided = decide(&wire.cluster(), Choice::Auto).await.expect("decided");
    assert_eq!(decided, Authority::CertManager);
    let autoscalers = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";
    wire.state().refusals.insert(autoscalers.to_owned(), refusal);
    for (minor, kept) in [("35", true), ("36+", true), ("34", false)] {
        wire.put("/version", json!({"major": "1", "minor": minor}));
        let answer = wire.cluster().keeps_tolerance("default").await;
        assert_eq!(answer.expect("told"), kept, "{minor}");
    }
}

#[tokio::test]
async fn kinds_that_outlived_cert_manager_are_no_reason_to_wait_for_it() {
    let wire = wire(true);
    let left_behind = async |choice| decide(&wire.cluster(), choice).await.expect("decided");
    wire.put(WEBHOOK_OF_IT, webhook("of.others"));
    assert_eq!(left_behind(Choice::Auto).await, Authority::Own);
    assert_eq!(left_behind(Choice::CertManager).await, Authority::CertManager);
    up(&wire, Authority::Own).await.expect("applied");
    assert_eq!(left_behind(Choice::Auto).await, Authority::Own);
    // What it signs for is not taken from it.
    up(&wire, Authority::CertManager).await.expect("applied");
    assert_eq!(left_behind(Choice::Auto).await, Authority::CertManager);
    let components = components_with(&prepared(&wire, Authority::CertManager).await);
    let waited = wait::wait((&wire.cluster(), &stack()), &components, Duration::ZERO, &Silent).await;
    let hint = waited.expect_err("nobody looks").hint();
    assert!(hint.is_some_and(|hint| hint.contains("--certificates own")), "{hint:?}");
}

#[tokio::test]
async fn cert_manager_gets_an_authority_for_this_stack_and_we_keep_no_key() {
    let wire = wire(true);
    up(&wire, Authority::CertManager).await.expect("applied");
    {
        let state = wire.state();
        let paths: Vec<&String> = state.objects.keys().collect();
        for name in ["cm-adapter-ca", SERVING_SECRET] {
            assert!(
                state.objects.contains_key(&format!("{CERTIFICATES}/{name}")),
                "{paths:?}"
            );
        }
        for name in [CA_SECRET, SERVING_SECRET] {
            let ours = format!("/api/v1/namespaces/{HOME}/secrets/{name}");
            assert!(!state.objects.contains_key(&ours), "{paths:?}");
        }
        let service = &state.objects[SERVICE];
        assert_eq!(service["spec"]["caBundle"], Value::Null);
        let adapter =
            state.objects[&format!("/apis/apps/v1/namespaces/{HOME}/deployments/custom-metrics-apiserver")].to_string();
        assert!(adapter.contains(ISSUED_SECRET) && !adapter.contains(SERVING_SECRET));
        let serving = &state.objects[&format!("{CERTIFICATES}/{SERVING_SECRET}")]["spec"];
        assert_eq!(serving["secretName"], ISSUED_SECRET);
        let labels = serving["secretTemplate"]["labels"].as_object().expect("labels");
        let labels: Vec<(&String, &Value)> = labels.iter().collect();
        let marked = stack().labels("adapter");
        assert!(
            labels
                .iter()
                .all(|(key, value)| marked.get(*key).map(String::as_str) == value.as_str())
        );
        assert_eq!(labels.len(), 2, "both marks of ownership: {labels:?}");
    }
    inject(&wire, "-----BEGIN CERTIFICATE-----\n");
    let again = up(&wire, Authority::CertManager).await.expect("applied");
    let quiet = |c: &Change| matches!(c.outcome, Outcome::Unchanged | Outcome::Skipped);
    assert!(again.iter().all(quiet), "{again:#?}");
}

#[tokio::test]
async fn clients_go_on_trusting_ours_until_cert_manager_has_signed() {
    let wire = wire(true);
    up(&wire, Authority::Own).await.expect("applied");
    let ours = wire.state().objects[SERVICE]["spec"]["caBundle"].clone();
    assert!(ours.is_string());
    let wanted = components_with(&prepared(&wire, Authority::CertManager).await);
    let mut wanted = wanted.iter().flat_map(|component| &component.objects);
    let service = wanted.find(|object| ObjectRef::of(object).name == API_SERVICE);
    assert_eq!(service.expect("the APIService").data["spec"]["caBundle"], ours);
}

#[tokio::test]
async fn taken_back_from_cert_manager_both_are_trusted_and_only_the_bundle_is_forced() {
    for keeps_ours in [false, true] {
        let wire = wire(true);
        let mut ours = String::new();
        if keeps_ours {
            up(&wire, Authority::Own).await.expect("applied");
            ours = trusted(&wire);
        }
        up(&wire, Authority::CertManager).await.expect("applied");
        let theirs = prepared(&Wire::default(), Authority::Own).await.ca_certificate;
        // Newer versions of it put theirs beside what was there.
        inject(&wire, &(theirs.clone() + &ours));
        let conflict = json!({"code": 409, "reason": "Conflict", "details": {"causes": [{"reason": "FieldManagerConflict",
            "field": ".spec.caBundle", "message": "conflict with \"cert-manager-cainjector\""}]}});
        wire.state().refusals.insert(SERVICE.to_owned(), conflict);
        wire.state().log.clear();
        up(&wire, Authority::Own).await.expect("applied");
        let bundle = trusted(&wire);
        assert!(bundle.contains(&theirs) && pem::parse_many(&bundle).expect("PEM").len() == 2);
        let forced: Vec<String> = wire
            .changes()
            .into_iter()
            .filter(|l| l.contains("force=true"))
            .collect();
        assert!(forced.len() == 1 && forced[0].contains(SERVICE), "{forced:?}");
    }
}

#[tokio::test]
async fn a_teardown_takes_the_certificates_before_the_secrets_that_were_made_for_them() {
    let wire = wire(true);
    up(&wire, Authority::CertManager).await.expect("applied");
    let made = format!("/api/v1/namespaces/{HOME}/secrets/{ISSUED_SECRET}");
    let secret = json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": ISSUED_SECRET, "namespace": HOME, "labels": stack().labels("adapter")}});
    wire.put(&made, secret);
    wire.state().log.clear();
    let receipt = delete::delete_stack(&wire.cluster(), &stack(), Duration::from_mins(1), &Silent).await;
    assert_eq!(receipt.expect("deleted").left, []);
    let sent = wire.changes();
    let at = |part: &str| {
        sent.iter()
            .position(|l| l.contains(part))
            .unwrap_or_else(|| panic!("{part}: {sent:#?}"))
    };
    assert!(at(&format!("DELETE {CERTIFICATES}")) < at(&format!("DELETE {made}")));
    assert_eq!(
        wire.state().objects.len(),
        4,
        "default, kinds and webhook of cert-manager"
    );
}

#[tokio::test]
async fn certificates_that_no_controller_looks_at_name_cert_manager() {
    let wire = wire(true);
    up(&wire, Authority::CertManager).await.expect("applied");
    let components = components_with(&prepared(&wire, Authority::CertManager).await);
    let waited = wait::wait((&wire.cluster(), &stack()), &components, Duration::ZERO, &Silent).await;
    let said = waited.expect_err("not ready").to_string();
    let line = "Certificate `custom-metrics/cm-adapter-serving-certs`: no controller has looked at it: are the pods of cert-manager running?";
    assert!(said.contains(line), "{said}");
}

#[tokio::test]
async fn what_is_served_is_told_by_the_pods_that_serve_it() {
    let wire = wire(true);
    let serving = async |now: &str| {
        let now = now.parse().expect("a time");
        certificate::serving(&wire.cluster(), HOME, now).await.expect("read")
    };
    assert_eq!(serving("2026-01-10T12:00:00Z").await, None);
    up(&wire, Authority::Own).await.expect("applied");
    let first = serving("2026-01-11T00:00:00Z").await.expect("served");
    assert_eq!((first.authority, first.is_due), (Authority::Own, false));
    assert_eq!(first.ends_at.to_string(), "2027-01-10T00:00:00Z");
    assert!(serving("2026-10-01T00:00:00Z").await.expect("served").is_due);
    // Theirs is not there yet.
    up(&wire, Authority::CertManager).await.expect("applied");
    assert_eq!(serving("2026-01-11T00:00:00Z").await, None);
}

#[test]
fn who_signs_for_an_adapter_is_told_by_the_secret_that_it_mounts_first() {
    let secret = |name: &str| json!({"name": "cert", "secret": {"secretName": name}});
    let other = json!({"name": "config", "configMap": {"name": ISSUED_SECRET}});
    for (volumes, authority) in [
        (vec![], None),
        (vec![other.clone(), secret("others")], None),
        (vec![other.clone(), secret(SERVING_SECRET)], Some(Authority::Own)),
        (vec![secret(ISSUED_SECRET)], Some(Authority::CertManager)),
        // The order of its volumes, and not of a list of ours.
        (
            vec![secret(ISSUED_SECRET), secret(SERVING_SECRET)],
            Some(Authority::CertManager),
        ),
        (
            vec![secret(SERVING_SECRET), secret(ISSUED_SECRET)],
            Some(Authority::Own),
        ),
    ] {
        let deployment = json!({"spec": {"template": {"spec": {"volumes": volumes}}}});
        assert_eq!(Authority::of_adapter(&deployment), authority, "{deployment}");
    }
    assert_eq!(Authority::of_adapter(&json!({})), None);
}
