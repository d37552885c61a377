//! The Prometheus operator itself: what a bootstrap tells it is what its Prometheus scrapes and evaluates, and the app scales by that.

use serde_json::{Value, json};

use crate::controllers::Controller;
use crate::queries::Prometheus;
use crate::story::{BOOTSTRAP, TEARDOWN, scaled};
use crate::support::Sandbox;

const NAMESPACE: &str = "observability";
/// The Service that the operator makes for every Prometheus of a namespace.
const URL: &str = "http://prometheus-operated.observability.svc:9090";
const THEIRS: &str = "observability/services/prometheus-operated:9090";

#[test]
#[ignore = "needs the operator that `make operator` builds"]
fn a_prometheus_of_the_real_operator_scrapes_what_bootstrap_tells_it() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    sandbox.json(&BOOTSTRAP);
    let mut operator = started(&sandbox);
    install_theirs(&sandbox);
    operator.is_running();
    let with_theirs = [&BOOTSTRAP[..], &["--prometheus-url", URL]].concat();
    let summary = sandbox.json(&with_theirs);
    assert!(summary["chain"]["targets_up"].as_u64() >= Some(1), "{summary}");
    let per_pod = summary["chain"]["per_pod"].as_object().expect("rates by pod").clone();
    assert_eq!(per_pod.len(), 1, "{summary}");
    let own = ["get", "deployments", "-n", "monitoring", "-o", "name"];
    assert!(
        !sandbox.kubectl(&own).contains("/prometheus"),
        "there is none of our own"
    );
    it_has_targets_series_and_rules(&sandbox, |pod| per_pod.contains_key(pod));
    let again = sandbox.json(&with_theirs);
    let changes = (&again["changes"]["created"], &again["changes"]["updated"]);
    assert_eq!(changes, (&json!(0), &json!(0)), "{again}");
    the_app_is_scaled_by_it(&sandbox);
    sandbox.run(&["teardown", "--cluster", "demo", "--yes"]);
    let told = ["get", "servicemonitors,prometheusrules", "-A", "-o", "name"];
    assert_eq!(sandbox.kubectl(&told).trim(), "", "they went with the stack");
    sandbox.kubectl(&["delete", "prometheus", "theirs", "-n", NAMESPACE]);
    drop(operator);
    sandbox.run(&TEARDOWN);
    sandbox.reset();
}

/// The operator, with an image of its config reloader: the tool's own push brings that to the cluster.
fn started(sandbox: &Sandbox) -> Controller {
    let binary = Controller::made("operator").join("prometheus-config-reloader");
    let binary = format!("linux/amd64={}", binary.display());
    let pushed = sandbox.json(&["push", "--name", "reloader", "--binary", &binary]);
    let reloader = pushed["reference"].as_str().expect("a reference");
    let flags = [
        "--web.listen-address=127.0.0.1:0".to_owned(),
        format!("--prometheus-config-reloader={reloader}"),
        // Its default is a hundredth of a core.
        "--config-reloader-cpu-limit=0".to_owned(),
    ];
    Controller::start(sandbox, "operator", &flags.each_ref().map(String::as_str))
}

fn it_has_targets_series_and_rules(sandbox: &Sandbox, is_of_the_chain: impl Fn(&str) -> bool) {
    let prometheus = Prometheus {
        sandbox,
        service: THEIRS,
    };
    let up = format!("up{{job=\"{}\",namespace=\"web-app\"}} == 1", provisioner::chain::JOB);
    prometheus.series("the target", &up);
    for one in prometheus.series("the counter", "http_requests_total{namespace=\"web-app\"}") {
        let pod = one["metric"]["pod"].as_str().unwrap_or_default();
        assert!(is_of_the_chain(pod), "{one}");
    }
    let hpa = "kube_horizontalpodautoscaler_spec_target_metric{namespace=\"web-app\"}";
    prometheus.series("the HPA", hpa);
    // Rules come by another file than targets, which may be there later.
    sandbox.until("the rules are loaded", || !rules(&prometheus).is_empty());
    prometheus.series("what is recorded", "namespace:http_requests:rate");
    sandbox.until("each rule was evaluated", || {
        let rules = rules(&prometheus);
        assert!(rules.iter().all(|rule| rule["health"] != "err"), "{rules:#?}");
        rules.len() >= 9 && rules.iter().all(|rule| rule["health"] == "ok")
    });
}

fn rules(prometheus: &Prometheus<'_>) -> Vec<Value> {
    let groups = prometheus.get("rules")["groups"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let rules = groups.iter().filter_map(|group| group["rules"].as_array());
    rules.flatten().cloned().collect()
}

fn the_app_is_scaled_by_it(sandbox: &Sandbox) {
    let report = scaled(sandbox, &[]);
    assert_eq!(report["failed"], 0, "{report}");
}

/// A Prometheus that takes every monitor and rule of the cluster.
fn install_theirs(sandbox: &Sandbox) {
    let at = json!({"name": "theirs", "namespace": NAMESPACE});
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": at});
    let read = ["get", "list", "watch"];
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "theirs"},
        "rules": [
            {"apiGroups": [""], "resources": ["services", "endpoints", "pods"], "verbs": read},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": read}]});
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "theirs"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "theirs"},
        "subjects": [{"kind": "ServiceAccount", "name": "theirs", "namespace": NAMESPACE}]});
    // The official image has the reloader elsewhere than one that was pushed with `--binary`.
    let reloader = |name: &str| json!([{"name": name, "command": ["/app"]}]);
    let prometheus = json!({
        "apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus", "metadata": at,
        "spec": {
            "image": "quay.io/prometheus/prometheus:v3.13.0", "version": "v3.13.0", "replicas": 1,
            "serviceAccountName": "theirs",
            "securityContext": {"runAsUser": 65534, "runAsNonRoot": true, "fsGroup": 65534},
            "serviceMonitorSelector": {}, "serviceMonitorNamespaceSelector": {},
            "ruleSelector": {}, "ruleNamespaceSelector": {},
            "initContainers": reloader("init-config-reloader"), "containers": reloader("config-reloader")}});
    let items = [namespace, account, role, binding, prometheus];
    sandbox.apply(&json!({"apiVersion": "v1", "kind": "List", "items": items}));
    let available = [
        "wait",
        "--for=condition=Available",
        "--timeout=180s",
        "prometheus/theirs",
    ];
    sandbox.kubectl(&[&available[..], &["-n", NAMESPACE]].concat());
}
