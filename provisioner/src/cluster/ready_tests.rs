use serde_json::json;

use super::*;

fn state(api_version: &str, kind: &str, rest: &Value) -> Readiness {
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x", "generation": 2}});
    for (key, value) in rest.as_object().cloned().unwrap_or_default() {
        object[key] = value;
    }
    readiness(&serde_json::from_value(object).expect("an object"))
}

fn deployment_is(spec: &Value, status: &Value) -> Readiness {
    state("apps/v1", "Deployment", &json!({"spec": spec, "status": status}))
}

fn progressing(text: &str) -> Readiness {
    Progressing(text.to_owned())
}

#[test]
fn deployments_are_ready_when_every_pod_of_this_generation_is_available() {
    let full = json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3});
    assert_eq!(deployment_is(&json!({"replicas": 3}), &full), Ready);
    let cases = [
        (json!({}), progressing("is not seen by its controller yet")),
        (
            json!({"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}),
            progressing("change 2 is not seen yet, only 1"),
        ),
        (
            json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 1}),
            progressing("1 of 3 pods updated"),
        ),
        (
            json!({"observedGeneration": 2, "replicas": 4, "updatedReplicas": 3, "availableReplicas": 4}),
            progressing("1 old pods still run"),
        ),
        (
            json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 2}),
            progressing("2 of 3 pods available"),
        ),
        (
            json!({"observedGeneration": 2, "conditions": [{"type": "Progressing", "status": "False",
                "reason": "ProgressDeadlineExceeded", "message": "too slow"}]}),
            Failed("ProgressDeadlineExceeded: too slow".to_owned()),
        ),
    ];
    for (status, want) in cases {
        assert_eq!(deployment_is(&json!({"replicas": 3}), &status), want);
    }
}

#[test]
fn a_deployment_without_replicas_wants_one_pod() {
    let status = json!({"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1});
    assert_eq!(deployment_is(&json!({}), &status), Ready);
    assert_eq!(
        deployment_is(&json!({}), &json!({"observedGeneration": 2})),
        progressing("0 of 1 pods updated")
    );
}

#[test]
fn whatever_is_being_deleted_is_not_ready() {
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "x", "deletionTimestamp": "2026-01-01T00:00:00Z"}});
    let object = serde_json::from_value(object).expect("an object");
    assert_eq!(readiness(&object), progressing("is being deleted"));
}

#[test]
fn conditions_decide_for_other_kinds() {
    let with = |name: &str, status: &str| json!({"status": {"conditions": [{"type": name, "status": status, "reason": "R", "message": "m"}]}});
    let said = || progressing("R: m");
    let api = ("apiregistration.k8s.io/v1", "APIService");
    let crd = ("apiextensions.k8s.io/v1", "CustomResourceDefinition");
    let cert = ("cert-manager.io/v1", "Certificate");
    let custom = ("example.org/v1", "Thing");
    let cases = [
        (api, with("Available", "True"), Ready),
        (api, with("Available", "False"), said()),
        (api, json!({}), progressing("does not say yet whether it is Available")),
        (crd, with("Established", "True"), Ready),
        (cert, with("Ready", "True"), Ready),
        (cert, json!({}), progressing(NO_CERT_MANAGER)),
        (cert, with("Ready", "False"), said()),
        (custom, json!({}), Ready),
        (custom, with("Ready", "False"), said()),
        (custom, with("Stalled", "True"), Failed("R: m".to_owned())),
        (("batch/v1", "Job"), with("Failed", "True"), Failed("R: m".to_owned())),
        (("batch/v1", "Job"), with("Complete", "True"), Ready),
        (
            ("batch/v1", "Job"),
            json!({"status": {"active": 1}}),
            progressing("runs"),
        ),
        (("batch/v1", "Job"), json!({}), progressing("has not started")),
        (("v1", "Namespace"), json!({"status": {"phase": "Active"}}), Ready),
        (
            ("v1", "Namespace"),
            json!({"status": {"phase": "Terminating"}}),
            progressing("is Terminating"),
        ),
        (("v1", "Pod"), with("Ready", "True"), Ready),
        (("v1", "Pod"), json!({"status": {"phase": "Succeeded"}}), Ready),
        (
            ("v1", "Pod"),
            json!({"status": {"phase": "Failed", "reason": "Evicted"}}),
            Failed("Evicted".to_owned()),
        ),
        (
            ("autoscaling/v2", "HorizontalPodAutoscaler"),
            with("ScalingActive", "False"),
            Ready,
        ),
        (
            ("v1", "Service"),
            json!({"spec": {"type": "LoadBalancer"}}),
            progressing("has no load balancer yet"),
        ),
        (("v1", "Service"), json!({"spec": {"type": "ClusterIP"}}), Ready),
    ];
    for ((api_version, kind), rest, want) in cases {
        assert_eq!(state(api_version, kind, &rest), want, "{kind} {rest}");
    }
}

#[test]
fn an_api_that_is_not_trusted_names_who_writes_its_bundle() {
    let theirs = json!({"cert-manager.io/inject-ca-from": "a/b"});
    let with = |annotations: &Value, reason: &str| {
        let metadata = json!({"name": "x", "annotations": annotations});
        let unavailable = json!({"type": "Available", "status": "False", "reason": reason, "message": "m"});
        let rest = json!({"metadata": metadata, "status": {"conditions": [unavailable]}});
        state("apiregistration.k8s.io/v1", "APIService", &rest)
    };
    let named = progressing(&format!("FailedDiscoveryCheck: m; {NO_INJECTOR}"));
    assert_eq!(with(&theirs, "FailedDiscoveryCheck"), named);
    // Ours is written by us; without a backend nobody is asked for a certificate.
    assert_eq!(
        with(&json!({}), "FailedDiscoveryCheck"),
        progressing("FailedDiscoveryCheck: m")
    );
    assert_eq!(with(&theirs, "MissingEndpoints"), progressing("MissingEndpoints: m"));
}
