//! The metrics API without anybody behind it: what looks at a stack, and what removes it, still works and says what is wrong.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::story::{BOOTSTRAP, TEARDOWN};
use crate::support::Sandbox;

const ADAPTER: [&str; 3] = ["deployment/custom-metrics-apiserver", "-n", "custom-metrics"];
const METRICS_API: &str = "apiservice/v1beta1.custom.metrics.k8s.io";
const PLAN: [&str; 5] = ["plan", "--cluster", "demo", "--without", "grafana"];
const STATUS: [&str; 3] = ["status", "--cluster", "demo"];
/// No command waits for an API that nobody answers.
const AT_ONCE: Duration = Duration::from_secs(40);
/// An API of others whose Service is gone.
const THEIRS: &str = "v1.theirs.example.com";

/// One story, since each part starts from what the one before left.
#[test]
fn a_stack_whose_metrics_api_has_no_backend_is_seen_healed_and_removed() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    sandbox.json(&BOOTSTRAP);
    scaled_to_nothing_it_is_told_and_healed(&sandbox);
    deleted_it_is_told_and_the_stack_goes(&sandbox);
    sandbox.run(&TEARDOWN);
    assert_eq!(sandbox.inventory(), json!({}));
    sandbox.reset();
}

fn scaled_to_nothing_it_is_told_and_healed(sandbox: &Sandbox) {
    sandbox.kubectl(&[&["scale", "--replicas=0"], &ADAPTER[..]].concat());
    has_no_backend(sandbox);
    the_status_names_the_metric(sandbox);
    let (code, said) = quickly(sandbox, &PLAN);
    assert_eq!(code, Some(3), "{said}");
    for part in ["custom-metrics/custom-metrics-apiserver", "spec.replicas: 0 -> 1"] {
        assert!(said.contains(part), "no `{part}` in: {said}");
    }
    // Somebody wanted it so: that is not taken back unasked.
    sandbox.refused(&BOOTSTRAP, 2, "--force-conflicts");
    let summary = sandbox.json(&[&BOOTSTRAP[..], &["--force-conflicts"]].concat());
    assert!(summary["chain"].is_object(), "{summary}");
}

fn deleted_it_is_told_and_the_stack_goes(sandbox: &Sandbox) {
    sandbox.kubectl(&[&["delete", "--wait"], &ADAPTER[..]].concat());
    has_no_backend(sandbox);
    the_status_names_the_metric(sandbox);
    let (code, said) = quickly(sandbox, &PLAN);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("custom-metrics/custom-metrics-apiserver"), "{said}");
    let receipt = sandbox.json(&["teardown", "--cluster", "demo", "--yes"]);
    assert_eq!(receipt["left"], json!([]), "{receipt}");
    nothing_of_the_stack_is_left(sandbox);
}

/// The namespace controller keeps every namespace until each API answers, whosever it is.
#[test]
#[ignore = "minutes: `make test-full` runs it"]
fn an_api_of_others_that_keeps_namespaces_is_named() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    sandbox.json(&BOOTSTRAP);
    install_theirs(&sandbox);
    let impatient = ["teardown", "--cluster", "demo", "--yes", "--timeout", "60s"];
    let receipt = sandbox.failed_json(&impatient);
    let left = receipt["left"].as_array().expect("a list");
    let namespaces: Vec<&Value> = left.iter().filter(|one| one["kind"] == "Namespace").collect();
    assert_eq!(namespaces.len(), 3, "{receipt}");
    for one in namespaces {
        let reason = one["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("theirs.example.com"), "{receipt}");
    }
    let pods = [
        "get",
        "pods",
        "-A",
        "-l",
        "app.kubernetes.io/part-of=demo",
        "-o",
        "name",
    ];
    assert_eq!(sandbox.kubectl(&pods), "", "what runs is gone all the same");
    sandbox.kubectl(&["delete", "apiservice", THEIRS]);
    let receipt = sandbox.json(&["teardown", "--cluster", "demo", "--yes"]);
    assert_eq!(receipt["left"], json!([]), "{receipt}");
    nothing_of_the_stack_is_left(&sandbox);
    sandbox.run(&TEARDOWN);
    sandbox.reset();
}

fn install_theirs(sandbox: &Sandbox) {
    let service = json!({"name": "gone", "namespace": "default"});
    let api = json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": THEIRS},
        "spec": {"group": "theirs.example.com", "version": "v1", "groupPriorityMinimum": 10, "versionPriority": 10,
            "insecureSkipTLSVerify": true, "service": service}});
    sandbox.apply(&api);
    unavailable(sandbox, &format!("apiservice/{THEIRS}"));
}

fn has_no_backend(sandbox: &Sandbox) {
    unavailable(sandbox, METRICS_API);
}

fn unavailable(sandbox: &Sandbox, api: &str) {
    let available = "jsonpath={.status.conditions[?(@.type==\"Available\")].status}";
    sandbox.until(&format!("{api} has no backend"), || {
        sandbox.kubectl(&["get", api, "-o", available]) == "False"
    });
}

/// The controller says it at its next look.
fn the_status_names_the_metric(sandbox: &Sandbox) {
    sandbox.until("the status names the metric", || {
        let (code, said) = quickly(sandbox, &STATUS);
        assert_eq!(code, Some(0), "{said}");
        said.contains("problem ") && said.contains("http_requests_per_second")
    });
}

/// A command's exit code and all that it says; it may not wait.
#[track_caller]
fn quickly(sandbox: &Sandbox, args: &[&str]) -> (Option<i32>, String) {
    let began = Instant::now();
    let output = sandbox.tool(args, &[]);
    let took = began.elapsed();
    let said = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(took < AT_ONCE, "{args:?} takes {took:?}: {}", said.concat());
    (output.status.code(), said.concat())
}

fn nothing_of_the_stack_is_left(sandbox: &Sandbox) {
    assert_eq!(sandbox.labelled(), "");
    let found = sandbox.kubectl(&["get", "namespaces", "-o", "name"]);
    for name in ["web-app", "monitoring", "custom-metrics"] {
        assert!(!found.contains(&format!("namespace/{name}\n")), "{found}");
    }
}
