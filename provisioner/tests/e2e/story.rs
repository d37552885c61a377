//! The life of a stack: from nothing to ten pods and back to nothing, and what others own meanwhile.

use serde_json::Value;

use crate::support::Sandbox;
use crate::tokens;

pub(crate) const BOOTSTRAP: [&str; 7] = [
    "bootstrap",
    "--cluster",
    "demo",
    "--create-cluster",
    "--without",
    "grafana",
    "--yes",
];
/// The same without anything on the cluster.
pub(crate) const BARE: [&str; 7] = [
    "bootstrap",
    "--cluster",
    "demo",
    "--create-cluster",
    "--without",
    "app,prometheus,kube-state-metrics,adapter,grafana",
    "--yes",
];
pub(crate) const TEARDOWN: [&str; 5] = ["teardown", "--cluster", "demo", "--delete-cluster", "--yes"];

/// One story, since each part starts from what the one before left.
#[test]
fn a_stack_lives_from_nothing_to_nothing() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    refusals_change_nothing(&sandbox);
    sandbox.forget_requests();
    bootstrap_makes_everything(&sandbox);
    println!("a first bootstrap makes {}", sandbox.counted_calls());
    the_aws_cli_sees_what_the_summary_says(&sandbox, &sandbox.json(&BOOTSTRAP));
    tokens::only_a_fresh_token_of_a_mapped_identity_is_accepted(&sandbox);
    a_second_bootstrap_changes_nothing(&sandbox);
    println!("a bootstrap without changes makes {}", sandbox.counted_calls());
    load_scales_to_ten_pods(&sandbox);
    an_interrupted_load_leaves_no_job(&sandbox);
    what_others_own_survives_teardown(&sandbox);
    teardown_leaves_nothing(&sandbox);
    teardown_of_nothing_is_no_failure(&sandbox);
    sandbox.reset();
}

fn refusals_change_nothing(sandbox: &Sandbox) {
    sandbox.forget_requests();
    sandbox.refused(&["bootstrap", "--cluster", "demo", "--yes"], 2, "--create-cluster");
    sandbox.refused(
        &[
            "bootstrap",
            "--cluster",
            "demo",
            "--create-cluster",
            "--without",
            "grafan",
        ],
        2,
        "grafana",
    );
    sandbox.refused(&["bootstrap", "--create-cluster", "--yes"], 2, "--cluster");
    sandbox.refused(
        &["bootstrap", "--cluster", "My_Cluster", "--create-cluster", "--yes"],
        2,
        "--name",
    );
    let [without_yes @ .., "--yes"] = &BOOTSTRAP else {
        panic!("`--yes` stands last: {BOOTSTRAP:?}");
    };
    sandbox.refused(without_yes, 2, "--yes");
    sandbox.refused_with(
        &BOOTSTRAP,
        &[("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")],
        2,
        "credentials",
    );
    sandbox.refused_with(&BOOTSTRAP, &[("AWS_REGION", "")], 2, "region");
    sandbox.refused_with(
        &BOOTSTRAP,
        &[("AWS_ENDPOINT_URL", "http://127.0.0.1:9")],
        1,
        "127.0.0.1:9",
    );
    assert_eq!(sandbox.mutating_requests(), Vec::<String>::new());
    assert_eq!(sandbox.inventory(), serde_json::json!({}));
}

fn bootstrap_makes_everything(sandbox: &Sandbox) {
    let summary = sandbox.json(&BOOTSTRAP);
    let image = text(&summary, "image");
    let repository = "123456789012.dkr.ecr.us-east-1.amazonaws.com/demo/web-app@sha256:";
    assert!(image.starts_with(repository), "{image}");
    let per_pod = summary["chain"]["per_pod"].as_object().expect("rates by pod");
    assert!(!per_pod.is_empty(), "the custom metrics API gave values: {summary}");
    let running = sandbox.kubectl(&[
        "get",
        "pods",
        "-n",
        "web-app",
        "-o",
        "jsonpath={.items[*].spec.containers[0].image}",
    ]);
    assert_eq!(
        running.split(' ').next(),
        Some(image.as_str()),
        "pods run the pushed digest"
    );
}

fn the_aws_cli_sees_what_the_summary_says(sandbox: &Sandbox, summary: &Value) {
    for image in ["image", "load_image"] {
        let (repository, digest) = text(summary, image).split_once('@').map(owned).expect("by digest");
        let name = repository.split_once('/').expect("a registry").1;
        let found = sandbox.aws_cli(&["ecr", "describe-images", "--repository-name", name]);
        let details = found["imageDetails"].as_array().expect("images");
        assert!(
            details.iter().any(|one| one["imageDigest"] == digest),
            "{digest}: {found}"
        );
        let found = sandbox.aws_cli(&["ecr", "describe-repositories", "--repository-names", name]);
        assert_eq!(found["repositories"][0]["repositoryUri"], repository);
    }
    let (cluster, account) = (text(summary, "cluster"), text(summary, "account"));
    let found = sandbox.aws_cli(&["eks", "describe-cluster", "--name", &cluster]);
    assert_eq!(found["cluster"]["status"], "ACTIVE");
    let arn = format!("arn:aws:eks:{}:{account}:cluster/{cluster}", text(summary, "region"));
    assert_eq!(found["cluster"]["arn"], arn);
    let stack = format!("provisioner-{}", text(summary, "stack"));
    let found = sandbox.aws_cli(&["cloudformation", "describe-stacks", "--stack-name", &stack]);
    assert_eq!(found["Stacks"][0]["StackStatus"], "CREATE_COMPLETE");
}

fn owned((one, other): (&str, &str)) -> (String, String) {
    (one.to_owned(), other.to_owned())
}

fn a_second_bootstrap_changes_nothing(sandbox: &Sandbox) {
    let before = sandbox.resource_versions();
    sandbox.forget_requests();
    let summary = sandbox.json(&BOOTSTRAP);
    assert_eq!(summary["changes"]["created"], 0, "{summary}");
    assert_eq!(summary["changes"]["updated"], 0, "{summary}");
    assert_eq!(sandbox.mutating_requests(), Vec::<String>::new());
    assert_eq!(sandbox.resource_versions(), before, "no object was touched");
    let asked_once = [
        "DescribeAddon",
        "DescribeCluster",
        "DescribeRepositories",
        "DescribeStacks",
        "GetAuthorizationToken",
        "GetCallerIdentity",
        "GetLifecyclePolicy",
        "ListTagsForResource",
    ];
    assert_eq!(sandbox.operations(), asked_once, "each once");
    let cost = &summary["cost"];
    assert!(cost["per_hour"].is_number() && cost["estimate"] == true, "{summary}");
}

/// A load of ten pods for a minute, until one is left again: what it reports.
#[track_caller]
pub(crate) fn scaled(sandbox: &Sandbox, more: &[&str]) -> Value {
    let load = "load --cluster demo --rate 100 --duration 60s --until-scaled".split(' ');
    let load: Vec<&str> = load.chain(more.iter().copied()).collect();
    let report = sandbox.json(&load);
    let ready = &report["timeline"]["ready_s"];
    assert!(ready.is_number(), "10 pods became ready: {report}");
    report
}

fn load_scales_to_ten_pods(sandbox: &Sandbox) {
    let folder = tempfile::tempdir().expect("a folder");
    let picture = folder.path().join("load.svg");
    let more = [
        "--max-scale-up",
        "50s",
        "--error-rate",
        "0",
        "--start-phase",
        "5",
        "--picture",
        picture.to_str().expect("text"),
    ];
    let report = scaled(sandbox, &more);
    let times = &report["timeline"];
    let order = [
        "first_sample_s",
        "scraped_s",
        "api_value_s",
        "desired_s",
        "created_s",
        "ready_s",
        "spread_s",
    ];
    let known: Vec<f64> = order.iter().filter_map(|key| times[key].as_f64()).collect();
    assert!(known.len() == order.len(), "each was seen: {report}");
    // Different parts tell of them, so neighbours may be seen the other way round.
    assert!(known.is_sorted_by(|earlier, later| *earlier <= later + 0.5), "{report}");
    assert!(known.iter().all(|at| *at > -0.5), "one clock: {report}");
    assert!(times["back_s"].is_number(), "one pod was left: {report}");
    assert!(report["phase_s"].is_number(), "{report}");
    assert!(
        std::fs::read_to_string(&picture)
            .expect("a picture")
            .starts_with("<svg")
    );
    let jobs = sandbox.kubectl(&["get", "jobs", "-n", "web-app", "-o", "name"]);
    assert_eq!(jobs.trim(), "", "the Job is gone");
    // Pods were added and removed: no client may notice, not even by a connection that was closed under it.
    assert_eq!(report["failed"], 0, "{report}");
    assert_eq!(report["dropped"], 0, "{report}");
    assert_eq!(report["resent"], 0, "{report}");
    every_series_of_the_dashboards_is_there(sandbox);
}

fn an_interrupted_load_leaves_no_job(sandbox: &Sandbox) {
    let args = ["load", "--cluster", "demo", "--rate", "5", "--duration", "120s"];
    let job = ["get", "jobs", "-n", "web-app", "-o"];
    let running = || sandbox.kubectl(&[&job[..], &["jsonpath={.items[*].status.ready}"]].concat()) == "1";
    let said = sandbox.interrupted(&args, running);
    assert!(!said.contains("the load goes on"), "{said}");
    sandbox.kubectl(&[
        "wait",
        "--for=delete",
        "job/web-app-load",
        "-n",
        "web-app",
        "--timeout=60s",
    ]);
}

fn every_series_of_the_dashboards_is_there(sandbox: &Sandbox) {
    let lines = include_str!("../../../grafana/series.txt").lines();
    for (exporter, series) in lines
        .filter_map(|line| line.split_once(' '))
        .filter(|(by, _)| *by != "#")
    {
        let path = format!("/api/v1/namespaces/monitoring/services/prometheus:9090/proxy/api/v1/query?query={series}");
        let answer: Value = serde_json::from_str(&sandbox.kubectl(&["get", "--raw", &path])).expect("JSON");
        let found = answer["data"]["result"].as_array().expect("a result");
        assert!(!found.is_empty(), "{exporter} does not export {series}");
    }
}

fn what_others_own_survives_teardown(sandbox: &Sandbox) {
    let image = "registry.k8s.io/pause:3.10";
    sandbox.kubectl(&["create", "deployment", "foreign", "-n", "monitoring", "--image", image]);
    sandbox.aws("ecr", "create_repository(repositoryName='foreign/app')");
    // Our namespace stays for the foreign object in it: something is left, so exit 1.
    sandbox.refused(&["teardown", "--cluster", "demo", "--yes"], 1, "foreign");
    let left = sandbox.kubectl(&["get", "deployments", "-n", "monitoring", "-o", "name"]);
    assert_eq!(left.trim(), "deployment.apps/foreign");
    assert_eq!(
        sandbox.labelled(),
        "",
        "nothing of ours is left but what holds something foreign"
    );
    assert_eq!(sandbox.inventory()["ecr"], serde_json::json!(["foreign/app"]));
    sandbox.kubectl(&["create", "namespace", "web-app"]);
    sandbox.kubectl(&[
        "create",
        "service",
        "clusterip",
        "web-app-service",
        "-n",
        "web-app",
        "--tcp=8080",
    ]);
    sandbox.refused(&BOOTSTRAP, 2, "web-app-service");
}

fn teardown_leaves_nothing(sandbox: &Sandbox) {
    sandbox.kubectl(&["delete", "namespace", "monitoring", "web-app"]);
    sandbox.run(&TEARDOWN);
    sandbox.aws("ecr", "delete_repository(repositoryName='foreign/app', force=True)");
    assert_eq!(sandbox.inventory(), serde_json::json!({}));
    assert_eq!(sandbox.labelled(), "");
    sandbox.json(&BOOTSTRAP);
    sandbox.run(&TEARDOWN);
    assert_eq!(sandbox.inventory(), serde_json::json!({}));
}

fn teardown_of_nothing_is_no_failure(sandbox: &Sandbox) {
    sandbox.forget_requests();
    sandbox.run(&TEARDOWN);
    assert_eq!(sandbox.mutating_requests(), Vec::<String>::new());
}

#[test]
fn a_cluster_and_a_repository_made_by_hand_are_used_but_not_deleted() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    sandbox.make_cluster_by_hand("demo");
    sandbox.aws("ecr", "create_repository(repositoryName='demo/web-app')");
    sandbox.json(&["bootstrap", "--cluster", "demo", "--without", "grafana", "--yes"]);
    sandbox.refused(&TEARDOWN, 1, "demo");
    let inventory = sandbox.inventory();
    assert_eq!(inventory["eks"], serde_json::json!(["demo"]));
    assert_eq!(inventory["ecr"], serde_json::json!(["demo/web-app"]));
    assert_eq!(sandbox.labelled(), "", "the stack was removed");
    sandbox.reset();
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}
