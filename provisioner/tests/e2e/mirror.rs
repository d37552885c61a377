//! `--mirror`: a stack whose images are all of another registry runs from repositories of its own, also where that
//! registry takes no questions any more.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::story::{BOOTSTRAP, TEARDOWN};
use crate::support::Sandbox;
use crate::targets::Outside;

/// A registry that wants a sign-in, and has the third-party images.
const SOURCE: &str = "127.0.0.1:5000";
/// Where the stack's repositories are.
const OWN: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com/demo";
/// A component that does nothing, with an image of its own.
const PAUSE: &str = r"
apiVersion: apps/v1
kind: Deployment
metadata: {name: pause, namespace: web-app}
spec:
  selector: {matchLabels: {app: pause}}
  template:
    metadata: {labels: {app: pause}}
    spec:
      automountServiceAccountToken: false
      securityContext: {runAsNonRoot: true, runAsUser: 65535, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: pause
        image: SOURCE/pause:3.10
        resources: {requests: {cpu: 1m, memory: 8Mi}, limits: {memory: 16Mi}}
        securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, readOnlyRootFilesystem: true}
";

/// The shipped components with images, as they would be written for another registry, and one of the user's own.
fn write_manifests(folder: &Path) {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../manifests");
    for component in ["20-prometheus", "30-kube-state-metrics", "40-adapter"] {
        let to = folder.join(component);
        fs::create_dir(&to).expect("made");
        for entry in fs::read_dir(Path::new(shipped).join(component)).expect("a component") {
            let path = entry.expect("a file").path();
            let text = fs::read_to_string(&path).expect("read");
            let text = text.replace("image: quay.io/", &format!("image: {SOURCE}/"));
            let text = text.replace("image: registry.k8s.io/", &format!("image: {SOURCE}/"));
            fs::write(to.join(path.file_name().expect("a name")), text).expect("written");
        }
    }
    fs::create_dir(folder.join("60-pause")).expect("made");
    fs::write(folder.join("60-pause/pause.yaml"), PAUSE.replace("SOURCE", SOURCE)).expect("written");
}

/// One story, since each part starts from what the one before left.
#[test]
fn a_stack_runs_from_copies_in_its_own_repositories() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    let (signed_in, folder, stranger) = (Outside::new(&sandbox), new_folder(), new_folder());
    write_manifests(folder.path());
    let story = Story {
        sandbox: &sandbox,
        args: [&BOOTSTRAP[..], &["--mirror", "--manifests", text(folder.path())]].concat(),
        signed_in: text(signed_in.docker_config()),
        stranger: text(stranger.path()),
    };
    whoever_may_not_read_the_source_is_told_and_nothing_is_made(&story);
    bootstrap_copies_what_the_manifests_name(&story);
    a_second_run_needs_no_source(&story);
    teardown_takes_the_copies_along(&story);
    sandbox.reset();
}

struct Story<'a> {
    sandbox: &'a Sandbox,
    args: Vec<&'a str>,
    /// Where the sign-in to the source is kept.
    signed_in: &'a str,
    /// A folder without one.
    stranger: &'a str,
}

impl Story<'_> {
    fn plan(&self, docker: &str, code: i32) -> Value {
        let mut args = self.args.clone();
        args[0] = "plan";
        args.extend(["--output", "json"]);
        let output = self.sandbox.tool(&args, &[("DOCKER_CONFIG", docker)]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{errors}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    fn bootstrap(&self, docker: &str) -> Value {
        self.sandbox.json_with(&self.args, &[("DOCKER_CONFIG", docker)])
    }
}

fn whoever_may_not_read_the_source_is_told_and_nothing_is_made(story: &Story<'_>) {
    let sandbox = story.sandbox;
    let env = [("DOCKER_CONFIG", story.stranger)];
    let said = sandbox.refused_with(&story.args, &env, 1, "cannot mirror 4 of 4 images");
    assert!(
        said.contains(&format!("`{SOURCE}/pause:3.10` of Deployment `web-app/pause`")),
        "{said}"
    );
    assert!(said.contains(&format!("docker login {SOURCE}")), "{said}");
    assert_eq!(sandbox.mutating_requests(), Vec::<String>::new());
    assert_eq!(sandbox.inventory(), json!({}));
}

/// Names of the copies' repositories.
const NAMES: [&str; 4] = ["kube-state-metrics", "pause", "prometheus", "prometheus-adapter"];

fn bootstrap_copies_what_the_manifests_name(story: &Story<'_>) {
    let sandbox = story.sandbox;
    let plan = story.plan(story.signed_in, 3);
    let copies = plan["mirror"].as_array().expect("copies");
    assert!(
        copies.len() == NAMES.len() && copies.iter().all(|copy| copy["action"] == "mirror"),
        "{plan}"
    );
    let made = story.bootstrap(story.signed_in);
    let mirrored = made["mirrored"].as_object().expect("copies");
    assert_eq!(mirrored.len(), NAMES.len(), "{made}");
    for copy in copies {
        let source = copy["source"].as_str().expect("a source");
        assert_eq!(mirrored[source], copy["reference"], "as it was planned");
    }
    let images = sandbox.kubectl(&[
        "get",
        "deployments",
        "-A",
        "-l",
        "app.kubernetes.io/part-of=demo",
        "-o",
        "jsonpath={range .items[*].spec.template.spec.containers[*]}{.image}{\"\\n\"}{end}",
    ]);
    for name in NAMES {
        assert!(images.contains(&format!("{OWN}/{name}@sha256:")), "{name}: {images}");
    }
    assert!(!images.contains(SOURCE), "{images}");
    let pause = mirrored[&format!("{SOURCE}/pause:3.10")].as_str().expect("a copy");
    let pod = |path: &str| {
        let form = format!("jsonpath={{.items[0].{path}}}");
        sandbox.kubectl(&["get", "pods", "-n", "web-app", "-l", "app=pause", "-o", &form])
    };
    assert_eq!(pod("spec.containers[0].image"), pause);
    assert_eq!(pod("status.containerStatuses[0].ready"), "true");
    let status = sandbox.json(&["status", "--cluster", "demo"]);
    let items = status["cost"]["items"].as_array().expect("what it costs");
    let images = items.iter().find(|item| item["what"] == "in ECR").expect("images");
    assert_eq!(images["quantity"], 0.45, "four copies and the stack's own: {status}");
}

/// Nothing is sent, changed or asked of the source: it would refuse whoever is not signed in.
fn a_second_run_needs_no_source(story: &Story<'_>) {
    let sandbox = story.sandbox;
    let before = sandbox.resource_versions();
    sandbox.forget_requests();
    let again = story.bootstrap(story.stranger);
    for word in ["created", "updated", "recreated", "deleted"] {
        assert_eq!(again["changes"][word], 0, "{again}");
    }
    assert_eq!(sandbox.mutating_requests(), Vec::<String>::new());
    let journal = sandbox.requests();
    let entries = journal.as_array().expect("an array").iter();
    let of_registry = entries.filter(|entry| entry["service"] == "registry");
    let sent: Vec<&Value> = of_registry
        .filter(|entry| {
            let operation = entry["operation"].as_str().expect("an operation");
            !operation.starts_with("GET ") && !operation.starts_with("HEAD ")
        })
        .collect();
    assert_eq!(sent, Vec::<&Value>::new());
    assert_eq!(sandbox.resource_versions(), before);
    let plan = story.plan(story.stranger, 0);
    assert_eq!(plan["changes"], false, "{plan}");
}

fn teardown_takes_the_copies_along(story: &Story<'_>) {
    let sandbox = story.sandbox;
    let receipt = sandbox.json(&TEARDOWN);
    let deleted = receipt["deleted"].as_array().expect("a list");
    for name in NAMES {
        let name = format!("demo/{name}");
        let is_it = |item: &&Value| item["kind"] == "repository" && item["name"] == name.as_str();
        assert_eq!(deleted.iter().filter(is_it).count(), 1, "{name}: {receipt}");
    }
    assert_eq!(sandbox.inventory(), json!({}));
}

fn new_folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
