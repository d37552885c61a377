//! Pod Security `restricted`, enforced by the real API server: every pod of the stack is admitted and runs, in its own namespaces and in
//! those that somebody else made.

use serde_json::{Value, json};

use crate::story::{BOOTSTRAP, TEARDOWN};
use crate::support::Sandbox;

const NAMESPACES: [&str; 3] = ["web-app", "monitoring", "custom-metrics"];
const ENFORCE: &str = "pod-security.kubernetes.io/enforce";
const LOAD: [&str; 7] = ["load", "--cluster", "demo", "--rate", "10", "--duration", "60s"];

#[test]
fn every_pod_is_admitted_under_restricted_in_own_namespaces_and_in_those_of_others() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    sandbox.json(&BOOTSTRAP);
    every_pod_runs_where_restricted_is_enforced(&sandbox);
    grafana_is_admitted_though_its_image_is_nowhere(&sandbox);
    sandbox.run(&["teardown", "--cluster", "demo", "--yes"]);
    for name in NAMESPACES {
        let enforced = json!({ENFORCE: "restricted", "owner": "platform-team"});
        let metadata = json!({"name": name, "labels": enforced});
        sandbox.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}));
    }
    let before = labels(&sandbox);
    sandbox.json(&BOOTSTRAP);
    every_pod_runs_where_restricted_is_enforced(&sandbox);
    sandbox.run(&["teardown", "--cluster", "demo", "--yes"]);
    assert_eq!(labels(&sandbox), before, "theirs stay, as they were");
    sandbox.run(&TEARDOWN);
    sandbox.reset();
}

fn every_pod_runs_where_restricted_is_enforced(sandbox: &Sandbox) {
    for namespace in labels(sandbox) {
        assert_eq!(namespace[ENFORCE], "restricted", "{namespace}");
    }
    the_server_enforces_it(sandbox);
    let load = sandbox.started(&LOAD);
    let job = [
        "get",
        "jobs",
        "-n",
        "web-app",
        "-o",
        "jsonpath={.items[*].status.ready}",
    ];
    sandbox.until("load is made", || sandbox.kubectl(&job) == "1");
    let seen: Vec<(String, String)> = NAMESPACES.iter().flat_map(|name| pods(sandbox, name)).collect();
    let expected = [
        "web-app",
        "web-app-load",
        "prometheus",
        "kube-state-metrics",
        "custom-metrics-apiserver",
    ];
    for app in expected {
        let is_it = |(name, _): &&(String, String)| name.starts_with(&format!("{app}-"));
        assert!(seen.iter().any(|one| is_it(&one)), "no pod of {app}: {seen:?}");
    }
    assert!(
        seen.iter()
            .all(|(_, phase)| ["Running", "Succeeded"].contains(&phase.as_str())),
        "{seen:?}"
    );
    let ended = load.wait_with_output().expect("it ends");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

/// Else what follows would prove nothing.
fn the_server_enforces_it(sandbox: &Sandbox) {
    for name in NAMESPACES {
        let container = json!({"name": "any", "image": "registry.k8s.io/pause:3.10"});
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "careless", "namespace": name},
            "spec": {"containers": [container]}});
        let said = sandbox.not_applied(&pod);
        assert!(said.contains("violates PodSecurity \"restricted:"), "{said}");
    }
}

/// No image of it can be built from Go sources, so that it does not start here; admission comes before that.
fn grafana_is_admitted_though_its_image_is_nowhere(sandbox: &Sandbox) {
    let with_grafana = ["bootstrap", "--cluster", "demo", "--timeout", "30s", "--yes"];
    sandbox.refused(&with_grafana, 1, "monitoring/grafana");
    let admitted = pods(sandbox, "monitoring");
    assert!(
        admitted.iter().any(|(name, _)| name.starts_with("grafana-")),
        "{admitted:?}"
    );
}

/// The labels of the stack's namespaces.
fn labels(sandbox: &Sandbox) -> Vec<Value> {
    let label = |name: &&str| {
        let found = sandbox.kubectl(&["get", "namespace", name, "-o", "jsonpath={.metadata.labels}"]);
        serde_json::from_str(&found).expect("JSON")
    };
    NAMESPACES.iter().map(label).collect()
}

/// Name and phase of the pods of a namespace.
fn pods(sandbox: &Sandbox, namespace: &str) -> Vec<(String, String)> {
    let form = "jsonpath={range .items[*]}{.metadata.name} {.status.phase}{\"\\n\"}{end}";
    let found = sandbox.kubectl(&["get", "pods", "-n", namespace, "-o", form]);
    let lines = found.lines().filter_map(|line| line.split_once(' '));
    lines.map(|(name, phase)| (name.to_owned(), phase.to_owned())).collect()
}
