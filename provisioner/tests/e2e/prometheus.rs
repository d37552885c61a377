//! A Prometheus of others, and an app that does not say which pod it is.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::queries::{OWN, Prometheus};
use crate::story::{BOOTSTRAP, TEARDOWN, scaled};
use crate::support::{Sandbox, done};

const URL: &str = "http://theirs.observability.svc:9090";
const THEIRS: &str = "observability/services/theirs:9090";

/// Relabelling gives what the app leaves out, so that the whole chain works.
#[test]
fn an_app_without_labels_of_its_own_is_scaled_too() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    let folder = tempfile::tempdir().expect("a folder");
    let binary = unlabelled(folder.path());
    let binary = binary.to_str().expect("text");
    let summary = sandbox.json(&[&BOOTSTRAP[..], &["--binary", binary]].concat());
    let per_pod = summary["chain"]["per_pod"].as_object().expect("rates by pod");
    assert_eq!(per_pod.len(), 1, "{summary}");
    let prometheus = Prometheus {
        sandbox: &sandbox,
        service: OWN,
    };
    let series = prometheus.series("the counter", "http_requests_total");
    for one in &series {
        let pod = one["metric"]["pod"].as_str().expect("a pod");
        assert!(
            per_pod.contains_key(pod) && one["metric"]["namespace"] == "web-app",
            "{one}"
        );
    }
    scaled(&sandbox, &[]);
    sandbox.run(&TEARDOWN);
    sandbox.reset();
}

/// A static program made by `rustc` alone.
fn unlabelled(folder: &Path) -> PathBuf {
    let program = folder.join("unlabelled");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/unlabelled.rs");
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition", "2024", "-O", "-C", "target-feature=+crt-static", "-o"]);
    done(rustc.arg(&program).arg(source));
    program
}

#[test]
fn a_prometheus_of_others_is_used_and_told_what_to_scrape() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    let with = |url: &'static str| [&BOOTSTRAP[..], &["--prometheus-url", url]].concat();
    sandbox.refused(
        &with("http://localhost:9090"),
        2,
        "for a pod that host is the pod itself",
    );
    assert_eq!(sandbox.mutating_requests(), Vec::<String>::new());
    sandbox.json(&BOOTSTRAP);
    // Theirs is not there yet: the chain cannot work, and what is missing is said.
    let impatient = [&with(URL)[..], &["--timeout", "60s"]].concat();
    let said = sandbox.refused(&impatient, 1, "metric chain");
    assert!(
        said.contains("job_name: web-app-service") && said.contains(URL),
        "{said}"
    );
    // What worked goes only once what takes its place does.
    sandbox.kubectl(&["get", "deployment/prometheus", "-n", "monitoring"]);
    install_theirs(&sandbox, &scrape_configs(&said));
    let summary = sandbox.json(&with(URL));
    assert_eq!(summary["prometheus"]["url"], URL);
    assert!(summary["chain"]["targets_up"].as_u64() >= Some(1), "{summary}");
    assert_eq!(
        summary["chain"]["per_pod"].as_object().map(serde_json::Map::len),
        Some(1),
        "{summary}"
    );
    let own = ["get", "deployment,configmap", "-n", "monitoring", "-o", "name"];
    assert!(
        !sandbox.kubectl(&own).contains("/prometheus"),
        "there is none of our own"
    );
    let theirs = Prometheus {
        sandbox: &sandbox,
        service: THEIRS,
    };
    theirs.series(
        "the HPA",
        "kube_horizontalpodautoscaler_spec_target_metric{namespace=\"web-app\"}",
    );
    let again = sandbox.json(&with(URL));
    let counts = (&again["changes"]["created"], &again["changes"]["updated"]);
    assert_eq!(counts, (&json!(0), &json!(0)), "{again}");
    sandbox.kubectl(&["delete", "namespace", "observability"]);
    sandbox.kubectl(&["delete", "role,rolebinding", "theirs", "-n", "web-app"]);
    sandbox.run(&TEARDOWN);
    sandbox.reset();
}

/// The configuration that the note tells: notes are indented by three columns.
fn scrape_configs(said: &str) -> String {
    let lines = said.lines().skip_while(|line| line.trim() != "scrape_configs:");
    let lines: Vec<&str> = lines.map_while(|line| line.strip_prefix("   ")).collect();
    assert!(lines.len() > 10, "{said}");
    lines.join("\n")
}

fn install_theirs(sandbox: &Sandbox, scrape_configs: &str) {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "observability"}});
    let at = |name: &str| json!({"name": name, "namespace": "observability"});
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": at("theirs")});
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": at("theirs"), "data": {"prometheus.yml": scrape_configs}});
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "theirs", "namespace": "web-app"},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]});
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "theirs", "namespace": "web-app"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "theirs"},
        "subjects": [{"kind": "ServiceAccount", "name": "theirs", "namespace": "observability"}]});
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": at("theirs"),
        "spec": {"selector": {"app": "theirs"}, "ports": [{"port": 9090}]}});
    let objects = [namespace, account, config, role, binding, service, deployment()];
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    sandbox.apply(&list);
    sandbox.kubectl(&[
        "rollout",
        "status",
        "deployment/theirs",
        "-n",
        "observability",
        "--timeout=90s",
    ]);
}

fn deployment() -> Value {
    let labels = json!({"app": "theirs", "app.kubernetes.io/name": "prometheus"});
    let container = json!({
        "name": "prometheus", "image": "quay.io/prometheus/prometheus:v3.13.0",
        "args": ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/data"],
        "ports": [{"containerPort": 9090}],
        "readinessProbe": {"httpGet": {"path": "/-/ready", "port": 9090}, "periodSeconds": 1},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/prometheus"}, {"name": "data", "mountPath": "/data"}]});
    let volumes = json!([{"name": "config", "configMap": {"name": "theirs"}}, {"name": "data", "emptyDir": {}}]);
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "theirs", "namespace": "observability"},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {
            "serviceAccountName": "theirs", "containers": [container], "volumes": volumes,
            "securityContext": {"runAsUser": 65534, "fsGroup": 65534}}}}})
}

/// Kinds of the Prometheus operator as a cluster that has it knows them.
fn operators_kinds() -> Value {
    let kind = |kind: &str, plural: &str| {
        let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let version = json!({"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": open}});
        json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.monitoring.coreos.com")},
            "spec": {"group": "monitoring.coreos.com", "scope": "Namespaced", "versions": [version],
                "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase(), "listKind": format!("{kind}List")}}})
    };
    let items = [
        kind("ServiceMonitor", "servicemonitors"),
        kind("PrometheusRule", "prometheusrules"),
    ];
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

#[test]
fn where_the_prometheus_operator_is_it_gets_monitors_and_rules_which_go_with_the_stack() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    sandbox.json(&BOOTSTRAP);
    let get = ["get", "servicemonitors,prometheusrules", "-A", "-o", "name"];
    sandbox.apply(&operators_kinds());
    let names = [
        "servicemonitors.monitoring.coreos.com",
        "prometheusrules.monitoring.coreos.com",
    ];
    for name in names {
        sandbox.kubectl(&["wait", "--for=condition=Established", "--timeout=30s", "crd", name]);
    }
    let summary = sandbox.json(&BOOTSTRAP);
    assert_eq!(summary["changes"]["created"], 3, "{summary}");
    let found = sandbox.kubectl(&get);
    for object in ["/web-app-monitor", "/kube-state-metrics", "/web-app-rules"] {
        assert!(found.contains(object), "{found}");
    }
    let rules = sandbox.kubectl(&["get", "prometheusrule", "web-app-rules", "-n", "web-app", "-o", "json"]);
    assert!(rules.contains("WebAppAtMaximum"), "{rules}");
    sandbox.run(&["teardown", "--cluster", "demo", "--yes"]);
    assert_eq!(sandbox.kubectl(&get).trim(), "", "they went with the stack");
    sandbox.kubectl(&[&["delete", "crd"], &names[..]].concat());
    sandbox.run(&TEARDOWN);
    sandbox.reset();
}
