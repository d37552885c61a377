//! The stack as its manifests change: what is edited, left out, kept, taken by others, or cannot be changed in place.

mod own;

use serde_json::{Value, json};

use crate::story::TEARDOWN;
use crate::support::Sandbox;
use own::{Own, config, deployment};

/// One story, since each part starts from what the one before left.
#[test]
fn a_stack_follows_its_manifests() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    let own = Own::new();
    a_component_joins_the_shipped_ones(&sandbox, &own);
    a_second_run_changes_nothing(&sandbox, &own);
    an_edited_manifest_is_the_only_change(&sandbox, &own);
    what_a_colleague_changed_is_told_with_manager_object_and_field(&sandbox, &own);
    what_cannot_be_changed_is_refused_or_made_anew(&sandbox, &own);
    an_autoscaler_takes_over_the_number_of_pods(&sandbox, &own);
    everything_wrong_is_told_at_once(&sandbox, &own);
    what_is_only_reported_is_a_warning(&sandbox, &own);
    what_is_left_out_goes_and_what_is_kept_stays(&sandbox, &own);
    another_stack_takes_nothing_and_loses_nothing(&sandbox, &own);
    sandbox.run(&TEARDOWN);
    assert_eq!(sandbox.labelled(), "");
    sandbox.reset();
}

fn a_component_joins_the_shipped_ones(sandbox: &Sandbox, own: &Own) {
    own.write("side.yaml", &deployment("side", "", "side"));
    own.write(
        "config.yaml",
        &(config("edited", "${color}", "") + "---\n" + &config("kept", "a", "provisioner/keep: 'true'")),
    );
    let summary = own.bootstrap(sandbox, &[]);
    assert_eq!(summary["changes"]["deleted"], 0, "{summary}");
    let image = field(
        sandbox,
        ("deployment", "side"),
        ".spec.template.spec.containers[0].image",
    );
    assert_eq!(summary["image"], image, "build://web-app is what was pushed");
    assert_eq!(data(sandbox, "edited"), "red");
}

fn a_second_run_changes_nothing(sandbox: &Sandbox, own: &Own) {
    let before = sandbox.resource_versions();
    sandbox.forget_requests();
    let summary = own.bootstrap(sandbox, &[]);
    assert_eq!(
        changes(&summary, &["created", "updated", "recreated", "deleted"]),
        [0, 0, 0, 0],
        "{summary}"
    );
    assert_eq!(sandbox.mutating_requests(), Vec::<String>::new());
    assert_eq!(sandbox.resource_versions(), before);
}

fn an_edited_manifest_is_the_only_change(sandbox: &Sandbox, own: &Own) {
    own.settings("color = \"blue\"");
    let summary = own.bootstrap(sandbox, &[]);
    assert_eq!(
        changes(&summary, &["created", "updated", "deleted"]),
        [0, 1, 0],
        "{summary}"
    );
    assert_eq!(data(sandbox, "edited"), "blue");
}

fn what_a_colleague_changed_is_told_with_manager_object_and_field(sandbox: &Sandbox, own: &Own) {
    let theirs = [
        "patch",
        "configmap",
        "edited",
        "-n",
        "web-app",
        "--field-manager=colleague",
        "--type=merge",
        "-p",
        r#"{"data":{"key":"theirs"}}"#,
    ];
    sandbox.kubectl(&theirs);
    let before = sandbox.resource_versions();
    let said = own.refused(sandbox, &[], "\"colleague\"");
    for part in ["ConfigMap `web-app/edited`", "`.data.key`", "--force-conflicts"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(
        (sandbox.resource_versions(), data(sandbox, "edited")),
        (before, "theirs".to_owned())
    );
    own.bootstrap(sandbox, &["--force-conflicts"]);
    assert_eq!(data(sandbox, "edited"), "blue");
}

fn what_cannot_be_changed_is_refused_or_made_anew(sandbox: &Sandbox, own: &Own) {
    let uid = || field(sandbox, ("deployment", "side"), ".metadata.uid");
    let (before, former) = (sandbox.resource_versions(), uid());
    own.write("side.yaml", &deployment("side", "replicas: 2", "other"));
    let said = own.refused(sandbox, &[], "--recreate");
    for part in ["Deployment `web-app/side`", "`spec.selector`"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!((sandbox.resource_versions(), uid()), (before, former.clone()));
    let summary = own.bootstrap(sandbox, &["--recreate"]);
    assert_eq!(
        changes(&summary, &["created", "updated", "recreated", "deleted"]),
        [0, 0, 1, 0],
        "{summary}"
    );
    assert_ne!(uid(), former);
    let summary = own.bootstrap(sandbox, &["--recreate"]);
    assert_eq!(summary["changes"]["recreated"], 0, "{summary}");
}

/// The stack sent `replicas: 2`; from now on an HPA scales it, without metrics to act on.
fn an_autoscaler_takes_over_the_number_of_pods(sandbox: &Sandbox, own: &Own) {
    let replicas = || field(sandbox, ("deployment", "side"), ".spec.replicas");
    assert_eq!(replicas(), "2");
    let hpa = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: side, namespace: web-app}\n\
               spec:\n  minReplicas: 1\n  maxReplicas: 3\n  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: side}\n  \
               metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]\n";
    own.write("hpa.yaml", hpa);
    let summary = own.bootstrap(sandbox, &[]);
    // The Deployment, and the record of what there is.
    assert_eq!(changes(&summary, &["created", "updated"]), [1, 2], "{summary}");
    assert_eq!(replicas(), "2", "not the server's default");
    let live = sandbox.kubectl(&[
        "get",
        "deployment",
        "side",
        "-n",
        "web-app",
        "-o",
        "json",
        "--show-managed-fields",
    ]);
    let live: Value = serde_json::from_str(&live).expect("JSON");
    let managers = live["metadata"]["managedFields"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let owns = |manager: &Value| !manager["fieldsV1"]["f:spec"]["f:replicas"].is_null();
    assert!(
        managers
            .iter()
            .filter(|manager| owns(manager))
            .all(|manager| manager["manager"] != "provisioner"),
        "{live}"
    );
    let summary = own.bootstrap(sandbox, &[]);
    assert_eq!(changes(&summary, &["created", "updated"]), [0, 0], "{summary}");
}

fn everything_wrong_is_told_at_once(sandbox: &Sandbox, own: &Own) {
    sandbox.kubectl(&[
        "create",
        "configmap",
        "theirs",
        "-n",
        "web-app",
        "--from-literal=key=theirs",
    ]);
    let nowhere = config("nowhere", "a", "").replace("namespace: web-app", "namespace: no-such");
    let unknown = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: x, namespace: web-app}\n";
    own.write(
        "wrong.yaml",
        &[config("theirs", "ours", ""), nowhere, unknown.to_owned()].join("---\n"),
    );
    let before = sandbox.resource_versions();
    let said = own.refused(sandbox, &[], "ConfigMap `web-app/theirs`");
    for part in [
        "Widget `web-app/x` (example.com/v1)",
        "`no-such`: ConfigMap `no-such/nowhere`",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(
        (sandbox.resource_versions(), data(sandbox, "theirs")),
        (before, "theirs".to_owned())
    );
    own.write("wrong.yaml", &config("theirs", "${colour}", ""));
    own.refused(
        sandbox,
        &[],
        "60-mine/wrong.yaml:4: `key`: placeholder `${colour}` has no value; did you mean `${color}`?",
    );
    own.remove("wrong.yaml");
}

fn what_is_only_reported_is_a_warning(sandbox: &Sandbox, own: &Own) {
    let broken = deployment("told", "", "told").replace("build://web-app", "registry.invalid/none:1");
    own.write(
        "told.yaml",
        &broken.replace("annotations: {}", "annotations: {provisioner/wait: reported}"),
    );
    let output = sandbox.tool(&own.args(&[]), &[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("not waited for, Deployment `web-app/told`"), "{said}");
    own.remove("told.yaml");
}

fn what_is_left_out_goes_and_what_is_kept_stays(sandbox: &Sandbox, own: &Own) {
    own.remove("config.yaml");
    let summary = own.bootstrap(sandbox, &[]);
    assert_eq!(
        changes(&summary, &["created", "updated", "deleted", "kept"]),
        [0, 1, 2, 1],
        "{summary}"
    );
    let left = sandbox.kubectl(&["get", "configmaps,deployments", "-n", "web-app", "-o", "name"]);
    assert!(
        left.contains("configmap/kept") && left.contains("configmap/theirs"),
        "{left}"
    );
    assert!(
        !left.contains("configmap/edited") && !left.contains("deployment.apps/told"),
        "{left}"
    );
    // A component that was installed, and what it had everywhere.
    let without = ["--without", "kube-state-metrics"];
    let summary = own.bootstrap(sandbox, &without);
    let deleted = summary["changes"]["deleted"].as_u64();
    assert!(deleted >= Some(8), "{summary}");
    assert!(
        !sandbox.labelled().contains("kube-state-metrics"),
        "{}",
        sandbox.labelled()
    );
    let before = sandbox.resource_versions();
    let summary = own.bootstrap(sandbox, &without);
    assert_eq!(
        changes(&summary, &["created", "updated", "deleted", "kept"]),
        [0, 0, 0, 1],
        "{summary}"
    );
    assert_eq!(sandbox.resource_versions(), before);
    let summary = own.bootstrap(sandbox, &[]);
    assert_eq!(summary["changes"]["created"].as_u64(), deleted, "{summary}");
}

fn another_stack_takes_nothing_and_loses_nothing(sandbox: &Sandbox, own: &Own) {
    let all = [
        "bootstrap",
        "--cluster",
        "demo",
        "--name",
        "other",
        "--without",
        "grafana",
        "--yes",
    ];
    sandbox.refused(&all, 2, "is part of stack `demo`");
    let before = sandbox.resource_versions();
    let mine = Own::new();
    mine.write("config.yaml", &config("of-other", "a", ""));
    let shipped = "namespaces,app,prometheus,kube-state-metrics,adapter,grafana";
    let other = [
        "bootstrap",
        "--cluster",
        "demo",
        "--name",
        "other",
        "--without",
        shipped,
        "--manifests",
        mine.path(),
        "--yes",
    ];
    let summary = sandbox.json(&other);
    assert_eq!(summary["changes"]["deleted"], 0, "{summary}");
    mine.write("config.yaml", &config("instead", "a", ""));
    let summary = sandbox.json(&other);
    assert_eq!(changes(&summary, &["created", "deleted"]), [1, 1], "{summary}");
    sandbox.run(&["teardown", "--cluster", "demo", "--name", "other", "--yes"]);
    assert_eq!(sandbox.resource_versions(), before);
    let summary = own.bootstrap(sandbox, &[]);
    assert_eq!(
        changes(&summary, &["created", "updated", "deleted"]),
        [0, 0, 0],
        "{summary}"
    );
}

fn changes<const N: usize>(summary: &Value, outcomes: &[&str; N]) -> [u64; N] {
    outcomes.map(|outcome| summary["changes"][outcome].as_u64().expect("a count"))
}

fn data(sandbox: &Sandbox, name: &str) -> String {
    field(sandbox, ("configmap", name), ".data.key")
}

/// A field of an object in the app's namespace.
fn field(sandbox: &Sandbox, (kind, name): (&str, &str), path: &str) -> String {
    let path = format!("jsonpath={{{path}}}");
    sandbox.kubectl(&["get", kind, name, "-n", "web-app", "-o", &path])
}

#[test]
fn a_run_with_an_empty_stack_is_refused() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    let nothing = "namespaces,app,prometheus,kube-state-metrics,adapter,grafana";
    sandbox.forget_requests();
    sandbox.refused(
        &[
            "bootstrap",
            "--cluster",
            "demo",
            "--create-cluster",
            "--without",
            nothing,
            "--yes",
        ],
        2,
        "have no objects",
    );
    assert_eq!(sandbox.mutating_requests(), Vec::<String>::new());
    assert_eq!(sandbox.inventory(), json!({}));
}
