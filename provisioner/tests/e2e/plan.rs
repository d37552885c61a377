//! `plan` says what a bootstrap does, and does none of it: before, after, and beside what others change.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::story::{BOOTSTRAP, TEARDOWN};
use crate::support::Sandbox;

const PLAN: [&str; 6] = ["plan", "--cluster", "demo", "--create-cluster", "--without", "grafana"];
/// Kubernetes requests of a plan without changes: one list for each kind, what is kept on the cluster, and some to spare.
const MOST: usize = 50;

/// One story, since each part starts from what the one before left.
#[test]
fn a_plan_says_what_a_bootstrap_does() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    a_missing_cluster_is_planned_without_asking_anything(&sandbox);
    let summary = a_bootstrap_does_what_was_planned(&sandbox);
    println!("a plan without changes {}", afterwards_nothing_is_to_be_done(&sandbox));
    what_somebody_edited_is_told_and_taken_back(&sandbox);
    what_somebody_deleted_is_told_and_made_again(&sandbox);
    settings_on_aws_are_told(&sandbox);
    secrets_stay_secret(&sandbox);
    a_metrics_api_without_a_backend_is_no_obstacle(&sandbox);
    what_bootstrap_refuses_is_refused(&sandbox);
    assert_eq!(sandbox.json(&BOOTSTRAP)["image"], summary["image"]);
    sandbox.run(&TEARDOWN);
    sandbox.reset();
}

#[test]
fn a_cluster_of_others_is_asked_and_stays_as_it_is() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    sandbox.make_cluster_by_hand("demo");
    let before = everything(&sandbox);
    let plan = planned(&sandbox, &["plan", "--cluster", "demo", "--without", "grafana"], 3);
    assert_eq!(plan["aws"][0]["action"], "use", "{plan}");
    assert_eq!(object(&plan, "Namespace", "monitoring")["asked"], true);
    // Its namespace is still to be made.
    assert_eq!(object(&plan, "Deployment", "prometheus")["asked"], false);
    assert_eq!(everything(&sandbox), before);
    assert_eq!(sandbox.inventory().get("ecr"), None, "no repository was made");
    sandbox.reset();
}

fn a_missing_cluster_is_planned_without_asking_anything(sandbox: &Sandbox) {
    let plan = planned(sandbox, &PLAN, 3);
    let made: Vec<&str> = plan["aws"]
        .as_array()
        .expect("intents")
        .iter()
        .filter(|intent| intent["action"] == "create")
        .filter_map(|intent| intent["kind"].as_str())
        .collect();
    assert_eq!(made, ["foundation", "cluster", "add-on", "repository"]);
    assert_eq!(plan["image"]["action"], "build");
    assert!(objects(&plan).iter().all(|object| object["asked"] == false), "{plan}");
    assert_eq!(sandbox.inventory(), json!({}));
    sandbox.refused(&["plan", "--cluster", "demo"], 2, "--create-cluster");
}

fn a_bootstrap_does_what_was_planned(sandbox: &Sandbox) -> Value {
    let plan = planned(sandbox, &PLAN, 3);
    let summary = sandbox.json(&BOOTSTRAP);
    // Before there is a cluster nobody knows which optional kinds it has.
    let (planned, made) = (objects(&plan).len(), &summary["changes"]);
    let made = made["created"].as_u64().expect("a count") + made["skipped"].as_u64().expect("a count");
    assert_eq!(u64::try_from(planned).expect("a few"), made, "{summary}");
    summary
}

fn afterwards_nothing_is_to_be_done(sandbox: &Sandbox) -> String {
    let before = everything(sandbox);
    let began = std::time::Instant::now();
    let plan = planned(sandbox, &PLAN, 0);
    let took = began.elapsed().as_secs_f64();
    let figures = format!("takes {took:.2} s and makes {}", sandbox.counted_calls());
    let asked = requests(sandbox, "kubernetes");
    assert!(asked.len() <= MOST, "{} requests: {asked:#?}", asked.len());
    // What the server writes in another way than the manifests is to be tried; that should be little.
    let tried: Vec<&String> = asked.iter().filter(|operation| operation.contains(" dryRun")).collect();
    assert!(tried.len() <= objects(&plan).len() / 4, "{tried:#?}");
    let figures = format!("{figures}, {} of these dry runs", tried.len());
    assert_eq!(plan["image"]["action"], "reuse");
    assert_eq!(changed(&plan), [""; 0]);
    assert_eq!(everything(sandbox), before);
    assert!(sandbox.run(&PLAN).contains("\nno changes: "));
    figures
}

fn what_somebody_edited_is_told_and_taken_back(sandbox: &Sandbox) {
    let patch = r#"{"spec": {"maxReplicas": 3}}"#;
    let hpa = [
        "patch",
        "hpa",
        "web-app-hpa",
        "-n",
        "web-app",
        "--type=merge",
        "-p",
        patch,
    ];
    sandbox.kubectl(&[&hpa[..], &["--field-manager=kubectl-edit"]].concat());
    let output = sandbox.tool(&PLAN, &[]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(3), "{text}");
    for part in ["    spec.maxReplicas: 3 -> 10\n", "kubectl-edit", "--force-conflicts"] {
        assert!(text.contains(part), "no `{part}` in: {text}");
    }
    let force = |args: &[&'static str]| [args, &["--force-conflicts"]].concat();
    let plan = planned(sandbox, &force(&PLAN), 3);
    assert_eq!(changed(&plan), ["HorizontalPodAutoscaler web-app-hpa"]);
    assert_eq!(plan["conflicts"], json!([]));
    let summary = sandbox.json(&force(&BOOTSTRAP));
    let changes = &summary["changes"];
    assert_eq!(
        (&changes["updated"], &changes["created"]),
        (&json!(1), &json!(0)),
        "{summary}"
    );
    planned(sandbox, &PLAN, 0);
}

fn what_somebody_deleted_is_told_and_made_again(sandbox: &Sandbox) {
    sandbox.kubectl(&["delete", "pdb", "web-app", "-n", "web-app"]);
    let plan = planned(sandbox, &PLAN, 3);
    assert_eq!(changed(&plan), ["PodDisruptionBudget web-app"]);
    assert_eq!(object(&plan, "PodDisruptionBudget", "web-app")["outcome"], "created");
    let summary = sandbox.json(&BOOTSTRAP);
    assert_eq!(summary["changes"]["created"], 1, "{summary}");
    planned(sandbox, &PLAN, 0);
}

fn settings_on_aws_are_told(sandbox: &Sandbox) {
    let mutable = "put_image_tag_mutability(repositoryName='demo/web-app', imageTagMutability='MUTABLE')";
    sandbox.aws("ecr", mutable);
    let plan = planned(sandbox, &[&PLAN[..], &["--control-plane-logs", "audit"]].concat(), 3);
    let drift = plan["drift"].as_array().expect("drift").iter();
    let aspects: BTreeSet<&str> = drift.filter_map(|drift| drift["aspect"].as_str()).collect();
    assert_eq!(aspects, BTreeSet::from(["logs", "tag_rules"]));
    assert_eq!(changed(&plan), [""; 0]);
    sandbox.json(&[&BOOTSTRAP[..], &["--control-plane-logs", "audit"]].concat());
    planned(sandbox, &PLAN, 0);
}

/// A serving certificate that cannot be read is made again, with another key: a plan has secrets on both sides.
fn secrets_stay_secret(sandbox: &Sandbox) {
    let secret = ["secret", "cm-adapter-serving-certs", "-n", "custom-metrics"];
    let key = ["-o", "jsonpath={.data.tls\\.key}"];
    let kept = sandbox.kubectl(&[&["get"][..], &secret, &key].concat());
    let patch = format!(r#"{{"data": {{"tls.crt": "{kept}"}}}}"#);
    let how = ["-p", &patch, "--field-manager=kubectl-edit"];
    sandbox.kubectl(&[&["patch"][..], &secret, &how].concat());
    for form in ["text", "json"] {
        let output = sandbox.tool(&[&PLAN[..], &["-v", "--output", form]].concat(), &[]);
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert_eq!(output.status.code(), Some(3), "{}", said[1]);
        assert!(said[0].contains("tls.crt"), "{}", said[0]);
        assert!(!said.concat().contains(&kept[40..100]), "a key was shown");
    }
    sandbox.json(&[&BOOTSTRAP[..], &["--force-conflicts"]].concat());
    planned(sandbox, &PLAN, 0);
}

fn a_metrics_api_without_a_backend_is_no_obstacle(sandbox: &Sandbox) {
    let adapter = "custom-metrics-apiserver";
    sandbox.kubectl(&["delete", "deployment", adapter, "-n", "custom-metrics", "--wait"]);
    sandbox.until("the metrics API has no backend", || {
        let available = "jsonpath={.status.conditions[?(@.type==\"Available\")].status}";
        sandbox.kubectl(&["get", "apiservice", "v1beta1.custom.metrics.k8s.io", "-o", available]) == "False"
    });
    let plan = planned(sandbox, &PLAN, 3);
    assert_eq!(changed(&plan), [format!("Deployment {adapter}")]);
    sandbox.json(&BOOTSTRAP);
    planned(sandbox, &PLAN, 0);
}

fn what_bootstrap_refuses_is_refused(sandbox: &Sandbox) {
    sandbox.forget_requests();
    sandbox.refused(
        &[&PLAN[..], &["--k8s-version", "1.34"]].concat(),
        2,
        "Kubernetes version is",
    );
    let without_app = ["plan", "--cluster", "demo", "--without", "ap"];
    sandbox.refused(&without_app, 2, "did you mean `app`?");
    let other = ["plan", "--cluster", "demo", "--name", "other"];
    sandbox.refused(&other, 2, "is part of stack `demo`");
    assert_eq!(writes(sandbox), Vec::<String>::new());
}

/// Runs a plan to this exit code; it changed nothing, and asked of AWS only what the reading policy allows.
#[track_caller]
fn planned(sandbox: &Sandbox, args: &[&str], code: i32) -> Value {
    sandbox.forget_requests();
    let output = sandbox.tool(&[args, &["--output", "json"]].concat(), &[]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{}{errors}",
        String::from_utf8_lossy(&output.stdout)
    );
    assert_eq!(writes(sandbox), Vec::<String>::new());
    let allowed = include_str!("../../../docs/iam/plan.json");
    let called: BTreeSet<String> = sandbox.calls().iter().map(crate::control::Call::action).collect();
    let beyond = called
        .iter()
        .filter(|action| !allowed.contains(&format!("\"{action}\"")));
    let beyond: Vec<_> = beyond.filter(|action| *action != "sts:GetCallerIdentity").collect();
    assert!(beyond.is_empty(), "not in the reading policy: {beyond:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"))
}

/// What was sent that changes something: to AWS, to the cluster but for dry runs, to the registry.
fn writes(sandbox: &Sandbox) -> Vec<String> {
    let reads = |operation: &String| operation.starts_with("GET ") || operation.starts_with("HEAD ");
    let mut writes = sandbox.mutating_requests();
    let cluster = requests(sandbox, "kubernetes").into_iter();
    writes.extend(cluster.filter(|operation| !reads(operation) && !operation.contains(" dryRun")));
    writes.extend(
        requests(sandbox, "registry")
            .into_iter()
            .filter(|operation| !reads(operation)),
    );
    writes
}

fn requests(sandbox: &Sandbox, service: &str) -> Vec<String> {
    let journal = sandbox.requests();
    let entries = journal.as_array().expect("an array").iter();
    let of_service = entries.filter(|entry| entry["service"] == service);
    of_service
        .filter_map(|entry| entry["operation"].as_str().map(str::to_owned))
        .collect()
}

/// Versions and generations of what the stack applied, its Leases, and all namespaces.
fn everything(sandbox: &Sandbox) -> String {
    let form = "jsonpath={range .items[*]}{.metadata.name} {.metadata.uid}{\"\\n\"}{end}";
    let leases = "jsonpath={range .items[*]}{.metadata.name} {.metadata.resourceVersion}{\"\\n\"}{end}";
    sandbox.resource_versions()
        + &sandbox.kubectl(&["get", "namespaces", "-o", form])
        + &sandbox.kubectl(&["get", "leases", "-n", "web-app", "-o", leases])
}

fn objects(plan: &Value) -> &Vec<Value> {
    plan["objects"].as_array().expect("objects")
}

fn object<'a>(plan: &'a Value, kind: &str, name: &str) -> &'a Value {
    let is_it = |object: &&Value| object["kind"] == kind && object["name"] == name;
    let found = objects(plan).iter().find(is_it);
    found.unwrap_or_else(|| panic!("no {kind} {name}: {plan}"))
}

/// Kind and name of the objects that would become others.
fn changed(plan: &Value) -> Vec<String> {
    let text = |object: &Value, key: &str| object[key].as_str().unwrap_or_default().to_owned();
    let is_left = |object: &&Value| !["unchanged", "skipped"].contains(&text(object, "outcome").as_str());
    let left = objects(plan).iter().filter(is_left);
    left.map(|object| format!("{} {}", text(object, "kind"), text(object, "name")))
        .collect()
}
