//! Answers as a cluster with a healthy stack gives them; tests break one at a time.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::commands::Commands;
use super::super::finding::Diagnosis;
use super::super::readings::{Answer, Part, Readings, Right, Series};
use super::{Scene, examine};
use crate::cluster::authority::Authority;
use crate::cluster::certificate::made_for_tests;
use crate::cluster::error::Failure;
use crate::cluster::values::Namespaces;

/// When it was asked.
pub(super) fn now() -> Timestamp {
    "2026-11-27T10:00:00Z".parse().expect("a time")
}

pub(super) fn scene() -> Scene {
    Scene {
        namespaces: Namespaces::default(),
        app: crate::cluster::app::App::default(),
        commands: Commands {
            kubectl: "kubectl".to_owned(),
            bootstrap: "provisioner bootstrap --cluster demo".to_owned(),
            load: "provisioner load --cluster demo".to_owned(),
        },
        now: now(),
    }
}

pub(super) fn diagnosed(readings: &Readings) -> Diagnosis {
    examine(readings, &scene())
}

/// A `Status` of the API server.
pub(super) fn status(code: u16, reason: &str, message: &str) -> Failure {
    Failure {
        code: Some(code),
        reason: reason.to_owned(),
        message: message.to_owned(),
        causes: Vec::new(),
        transient: code == 503,
    }
}

pub(super) fn not_found() -> Failure {
    status(404, "NotFound", "not found")
}

/// No answer in time.
pub(super) fn silence() -> Failure {
    Failure {
        code: None,
        reason: String::new(),
        message: "no answer within 5 s".to_owned(),
        causes: Vec::new(),
        transient: true,
    }
}

pub(super) fn condition(name: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": name, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-11-27T09:59:00Z"})
}

/// A pod of a Deployment that is ready since a minute.
pub(in crate::chain) fn pod(deployment: &str, name: &str) -> Value {
    let hash = "5f7d9c8b6";
    json!({
        "metadata": {"name": format!("{deployment}-{hash}-{name}"), "namespace": "any",
            "creationTimestamp": "2026-11-27T09:58:00Z", "labels": {"app": deployment, "pod-template-hash": hash},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{deployment}-{hash}"),
                "controller": true}]},
        "spec": {"containers": [{"name": "app", "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]}]},
        "status": {"phase": "Running", "conditions": [condition("Ready", "True", "", "")],
            "containerStatuses": [{"name": "app", "ready": true, "restartCount": 0, "state": {"running": {}}}]}})
}

/// The same, running and not ready.
pub(super) fn unready(deployment: &str, name: &str) -> Value {
    let mut pod = pod(deployment, name);
    let message = "containers with unready status: [app]";
    pod["status"]["conditions"] = json!([condition("Ready", "False", "ContainersNotReady", message)]);
    pod["status"]["containerStatuses"][0]["ready"] = false.into();
    pod
}

fn deployment(name: &str) -> Value {
    let labels = json!({"app": name});
    json!({
        "metadata": {"name": name, "labels": labels},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"serviceAccountName": name}}},
        "status": {"replicas": 1, "readyReplicas": 1, "conditions": [condition("Available", "True", "", "")]}})
}

#[expect(clippy::unnecessary_wraps, reason = "an answer may be a failure")]
pub(super) fn list(items: &[Value]) -> Answer {
    Ok(json!({"kind": "List", "items": items}))
}

/// The answer to an instant query: samples of these values.
#[expect(clippy::unnecessary_wraps, reason = "an answer may be a failure")]
pub(super) fn vector(values: &[&str]) -> Answer {
    let sample = |value: &&str| json!({"metric": {"pod": "web-app-5f7d9c8b6-a"}, "value": [1_764_237_600.1, value]});
    let result: Vec<Value> = values.iter().map(sample).collect();
    Ok(json!({"status": "success", "data": {"resultType": "vector", "result": result}}))
}

/// A target as `/api/v1/targets` tells it.
pub(super) fn target(health: &str, error: &str) -> Value {
    json!({"labels": {"job": "web-app-service", "pod": "web-app-5f7d9c8b6-a"}, "scrapePool": "web-app-service",
        "scrapeUrl": "http://10.244.0.9:8080/metrics", "lastError": error, "health": health,
        "lastScrape": "2026-11-27T09:59:59.4Z", "scrapeInterval": "1s", "scrapeTimeout": "1s"})
}

#[expect(clippy::unnecessary_wraps, reason = "an answer may be a failure")]
pub(super) fn targets(active: &[Value], dropped: u64) -> Answer {
    Ok(
        json!({"status": "success", "data": {"activeTargets": active, "droppedTargets": [],
        "droppedTargetCounts": {"web-app-service": dropped}}}),
    )
}

pub(super) fn hpa() -> Value {
    json!({
        "metadata": {"name": "web-app-hpa", "creationTimestamp": "2026-11-27T09:00:00Z"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web-app"},
            "minReplicas": 1, "maxReplicas": 10,
            "metrics": [{"type": "Pods", "pods": {"metric": {"name": "http_requests_per_second"},
                "target": {"type": "AverageValue", "averageValue": "10"}}}]},
        "status": {"currentReplicas": 1, "desiredReplicas": 1,
            "conditions": [condition("AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size"),
                condition("ScalingActive", "True", "ValidMetricFound", "the HPA was able to successfully calculate a replica count"),
                condition("ScalingLimited", "False", "DesiredWithinRange", "the desired count is within the acceptable range")],
            "currentMetrics": [{"type": "Pods", "pods": {"metric": {"name": "http_requests_per_second"},
                "current": {"averageValue": "5"}}}]}})
}

fn rules() -> Value {
    json!({"data": {"config.yaml": "rules:\n- seriesQuery: 'http_requests_total{pod!=\"\"}'\n  metricsQuery: sum(rate(<<.Series>>{<<.LabelMatchers>>}[3s])) by (<<.GroupBy>>)\n"}})
}

fn rights() -> Vec<Right> {
    let right = |of, who: &str, what: &str| Right {
        of,
        who: who.to_owned(),
        what: what.to_owned(),
        allowed: Some(true),
    };
    let metric = "get pods/http_requests_per_second.custom.metrics.k8s.io in web-app";
    vec![
        right(Part::Prometheus, "monitoring:prometheus", "list pods in web-app"),
        right(
            Part::Adapter,
            "custom-metrics:custom-metrics-apiserver",
            "list pods in web-app",
        ),
        right(Part::Autoscaler, "kube-system:horizontal-pod-autoscaler", metric),
    ]
}

/// An `APIService` that leads to the adapter and trusts `bundle`.
fn api_service(bundle: &str) -> Value {
    json!({
        "metadata": {"name": "v1beta1.custom.metrics.k8s.io", "labels": {"app.kubernetes.io/managed-by": "provisioner"}},
        "spec": {"caBundle": STANDARD.encode(bundle),
            "service": {"name": "custom-metrics-apiserver", "namespace": "custom-metrics", "port": 443}},
        "status": {"conditions": [condition("Available", "True", "Passed", "all checks passed")]}})
}

pub(super) fn healthy() -> Readings {
    let signed = made_for_tests(now());
    let app = pod("web-app", "a");
    let secret = json!({"data": {"tls.crt": STANDARD.encode(&signed.serving_certificate)}});
    let slice = json!({"ports": [{"name": "http", "port": 8080}], "endpoints": [{"conditions": {"ready": true}}]});
    let value = json!({"describedObject": {"kind": "Pod", "name": "web-app-5f7d9c8b6-a"}, "value": "5",
        "timestamp": "2026-11-27T09:59:59Z"});
    Readings {
        deployment: Ok(deployment("web-app")),
        pods: list(&[app]),
        hpas: list(&[hpa()]),
        scale: Ok(json!({"spec": {"replicas": 1}, "status": {"replicas": 1, "selector": "app=web-app"}})),
        service: Ok(json!({"spec": {"selector": {"app": "web-app"}}})),
        slices: list(&[slice]),
        expositions: vec![(
            "web-app-5f7d9c8b6-a".to_owned(),
            Ok(
                "# TYPE http_requests_total counter\nhttp_requests_total{pod=\"web-app-5f7d9c8b6-a\",namespace=\"web-app\"} 7\n"
                    .to_owned(),
            ),
        )],
        prometheus: Ok(deployment("prometheus")),
        prometheus_pods: list(&[pod("prometheus", "p")]),
        foreign: None,
        series: Some(Series {
            answers: Ok(json!({"status": "success", "data": {"resultType": "scalar", "result": [1.0, "1"]}})),
            targets: targets(&[target("up", "")], 0),
            up: vector(&["1"]),
            ages: vector(&["0.6"]),
            last: vector(&["0.6"]),
        }),
        adapter: Ok(deployment("custom-metrics-apiserver")),
        adapter_pods: list(&[pod("custom-metrics-apiserver", "c")]),
        adapter_rules: Ok(rules()),
        adapter_log: Ok(String::new()),
        rights: rights(),
        serving: (Authority::Own, Ok(secret)),
        api_service: Ok(api_service(&signed.ca_bundle)),
        metrics: Ok(
            json!({"resources": [{"name": "pods/http_requests_per_second"}, {"name": "namespaces/http_requests_per_second"}]}),
        ),
        values: list(&[value]),
    }
}

/// The same with one answer changed.
pub(super) fn broken(change: impl FnOnce(&mut Readings)) -> Readings {
    let mut readings = healthy();
    change(&mut readings);
    readings
}

/// The value of an answer, to be changed.
pub(super) fn of(answer: &mut Answer) -> &mut Value {
    answer.as_mut().expect("an answer")
}

/// The answers of Prometheus, to be changed.
pub(super) fn series(readings: &mut Readings) -> &mut Series {
    readings.series.as_mut().expect("it can be asked")
}
