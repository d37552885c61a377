//! `push --rollout`: a changed image is rolled out, a broken one is left or taken back, and nobody notices either.

use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::programs::{Programs, binaries};
use crate::story::{BOOTSTRAP, TEARDOWN};
use crate::support::Sandbox;

const PUSH: [&str; 4] = ["push", "--cluster", "demo", "--rollout"];

/// One story, since each part starts from what the one before left.
#[test]
fn a_pushed_image_is_rolled_out_and_a_broken_one_is_taken_back() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    let push = ["push", "--cluster", "demo", "--rollout"];
    sandbox.refused(&push, 2, "there is no cluster `demo`");
    let first = sandbox.json(&BOOTSTRAP);
    let programs = Programs::new(&sandbox);
    let changed = a_changed_image_is_rolled_out_and_bootstrap_finds_it(&sandbox, &programs, &first["image"]);
    a_broken_image_is_taken_back_while_the_old_pods_serve(&sandbox, &programs, &changed);
    a_broken_image_is_left_where_that_is_not_asked(&sandbox, &programs, &changed);
    an_interruption_tells_the_way_back(&sandbox, &programs, &changed);
    what_others_changed_is_taken_where_asked(&sandbox, &programs, &changed);
    sandbox.run(&TEARDOWN);
    sandbox.refused(&push, 2, "there is no cluster `demo`");
    sandbox.reset();
}

fn a_changed_image_is_rolled_out_and_bootstrap_finds_it(
    sandbox: &Sandbox,
    programs: &Programs,
    first: &Value,
) -> String {
    let rolled = sandbox.json(&with(&changed(programs), &[]));
    assert_eq!(rolled["rolled_out"], true, "{rolled}");
    assert_eq!((&rolled["previous"], &rolled["rolled_back"]), (first, &json!(false)));
    let image = rolled["image"].as_str().expect("a reference").to_owned();
    assert_ne!(Some(image.as_str()), first.as_str());
    assert_eq!(running(sandbox), [image.as_str()]);
    let before = sandbox.resource_versions();
    let again = sandbox.json(&with(&changed(programs), &[]));
    assert_eq!((&again["rolled_out"], &again["previous"]), (&json!(true), &Value::Null));
    let summary = sandbox.json(&[&BOOTSTRAP[..], &changed(programs)].concat());
    let changes = &summary["changes"];
    assert_eq!(
        (&changes["created"], &changes["updated"]),
        (&json!(0), &json!(0)),
        "{summary}"
    );
    assert_eq!(sandbox.resource_versions(), before);
    image
}

fn a_broken_image_is_taken_back_while_the_old_pods_serve(sandbox: &Sandbox, programs: &Programs, image: &str) {
    let before = pods(sandbox);
    let load = load(sandbox);
    let rolled = sandbox.failed_json(&with(&broken(programs), &["--rollback-on-failure"]));
    assert_eq!(
        (&rolled["rolled_out"], &rolled["rolled_back"], &rolled["previous"]),
        (&json!(false), &json!(true), &json!(image)),
        "{rolled}"
    );
    assert_eq!(rolled["running"], json!([{"image": image, "ready": 1, "pods": 1}]));
    let load = load.wait_with_output().expect("it ends");
    let report: Value = serde_json::from_slice(&load.stdout).expect("JSON");
    assert_eq!(
        (&report["failed"], &report["dropped"]),
        (&json!(0), &json!(0)),
        "{report}"
    );
    assert_eq!(
        pods(sandbox),
        before,
        "the pod from before is the one that serves, and was ready all the time"
    );
}

fn a_broken_image_is_left_where_that_is_not_asked(sandbox: &Sandbox, programs: &Programs, image: &str) {
    let said = sandbox.refused(&with(&broken(programs), &[]), 1, "1 of 1 pods with");
    let back = format!("to go back: provisioner push --cluster demo --region us-east-1 --rollout --image {image}");
    for part in ["CrashLoopBackOff", "rolls out:", &back] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // The next run finds what still serves, and goes back to that.
    let rolled = sandbox.failed_json(&with(&broken(programs), &["--rollback-on-failure"]));
    assert_eq!(
        (&rolled["rolled_back"], &rolled["previous"]),
        (&json!(true), &json!(image)),
        "{rolled}"
    );
    assert_eq!(running(sandbox), [image]);
}

fn an_interruption_tells_the_way_back(sandbox: &Sandbox, programs: &Programs, image: &str) {
    let moved = || wanted(sandbox) != image;
    let said = sandbox.interrupted(&with(&broken(programs), &[]), moved);
    assert!(said.contains("rolls out:") && said.contains("to go back:"), "{said}");
    assert!(!said.contains("to remove:"), "{said}");
    let rolled = sandbox.json(&with(&changed(programs), &[]));
    assert_eq!(rolled["rolled_out"], true, "{rolled}");
    assert_eq!(running(sandbox), [image]);
}

fn what_others_changed_is_taken_where_asked(sandbox: &Sandbox, programs: &Programs, image: &str) {
    let theirs = image.split('@').next().expect("a repository").to_owned() + "@sha256:" + &"0".repeat(64);
    sandbox.kubectl(&[
        "set",
        "image",
        "deployment/web-app",
        "-n",
        "web-app",
        &format!("app={theirs}"),
    ]);
    sandbox.refused(&with(&changed(programs), &[]), 2, "`kubectl-set`");
    assert_eq!(wanted(sandbox), theirs);
    let rolled = sandbox.json(&with(&changed(programs), &["--force-conflicts"]));
    assert_eq!(
        (&rolled["rolled_out"], &rolled["previous"]),
        (&json!(true), &json!(theirs)),
        "{rolled}"
    );
    assert_eq!(running(sandbox), [image]);
}

fn with<'a>(binaries: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [&PUSH[..], binaries, more].concat()
}

/// An image of two platforms, of which containerd takes its own.
fn changed(programs: &Programs) -> Vec<&str> {
    binaries(&[&programs.changed, &programs.foreign])
}

fn broken(programs: &Programs) -> Vec<&str> {
    binaries(&[&programs.broken])
}

/// Load that one pod takes alone, longer than a broken image takes to be found so.
fn load(sandbox: &Sandbox) -> Child {
    let args = [
        "load",
        "--cluster",
        "demo",
        "--rate",
        "5",
        "--duration",
        "90s",
        "--output",
        "json",
    ];
    let mut command = sandbox.command(&args, &[]);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let child = command.spawn().expect("the tool starts");
    sandbox.until("the load runs", || {
        sandbox.kubectl(&[
            "get",
            "jobs",
            "-n",
            "web-app",
            "-o",
            "jsonpath={.items[*].status.ready}",
        ]) == "1"
    });
    child
}

/// The image that the Deployment is to run.
fn wanted(sandbox: &Sandbox) -> String {
    let image = "jsonpath={.spec.template.spec.containers[0].image}";
    sandbox.kubectl(&["get", "deployment", "web-app", "-n", "web-app", "-o", image])
}

/// The images that its pods run, those that are going left out.
fn running(sandbox: &Sandbox) -> Vec<String> {
    let found = of_pods(sandbox, |pod| {
        pod["spec"]["containers"][0]["image"].as_str().map(str::to_owned)
    });
    found.into_iter().flatten().collect()
}

/// Its pods, each with its starts and the moment since which it is ready.
fn pods(sandbox: &Sandbox) -> Vec<String> {
    of_pods(sandbox, |pod| {
        let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
        let ready = conditions.filter(|one| one["type"] == "Ready");
        let since: Vec<String> = ready
            .map(|one| format!("{} {}", one["status"], one["lastTransitionTime"]))
            .collect();
        let starts = &pod["status"]["containerStatuses"][0]["restartCount"];
        format!("{} {starts} {}", pod["metadata"]["name"], since.join(", "))
    })
}

fn of_pods<T>(sandbox: &Sandbox, what: impl Fn(&Value) -> T) -> Vec<T> {
    let pods = sandbox.kubectl(&["get", "pods", "-n", "web-app", "-l", "app=web-app", "-o", "json"]);
    let pods: Value = serde_json::from_str(&pods).expect("JSON");
    let there = pods["items"].as_array().into_iter().flatten();
    there
        .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
        .map(what)
        .collect()
}
