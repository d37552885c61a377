//! `load` where the app was made elsewhere: with a loader that is built and pushed on first use, and with one by its name.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::programs::app;
use crate::story::{BOOTSTRAP, TEARDOWN};
use crate::support::Sandbox;

const LOAD: [&str; 7] = ["load", "--cluster", "demo", "--rate", "10", "--duration", "5s"];

/// One story, since each part starts from what the one before left.
#[test]
fn an_app_that_was_made_elsewhere_is_loaded() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    // Built here, but from here on it is one of others.
    let (binary, manifests) = (app(&sandbox), manifests_on_another_port());
    let (binary, manifests) = (text(&binary), text(manifests.path()));
    let bootstrap = [&BOOTSTRAP[..], &["--binary", binary, "--manifests", manifests]].concat();
    let summary = sandbox.json(&bootstrap);
    assert_eq!(summary["load_image"], json!(null), "{summary}");
    without_a_loader_nothing_is_changed(&sandbox);
    let loader = the_first_load_builds_and_pushes_one(&sandbox);
    let again = sandbox.json(&bootstrap);
    let counts = (&again["changes"]["created"], &again["changes"]["updated"]);
    assert_eq!(counts, (&json!(0), &json!(0)), "what makes load is kept: {again}");
    assert_eq!(remembered(&sandbox), loader);
    another_one_is_taken_by_its_name(&sandbox, &again["image"].to_string().replace('"', ""));
    sandbox.run(&TEARDOWN);
    assert_eq!(sandbox.inventory(), json!({}));
    sandbox.reset();
}

#[test]
fn an_app_that_is_built_here_makes_its_own_load() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    let summary = sandbox.json(&BOOTSTRAP);
    assert_eq!(summary["load_image"], summary["image"]);
    sandbox.forget_requests();
    let report = sandbox.json(&LOAD);
    assert_eq!(report["failed"], 0, "{report}");
    assert_eq!(remembered(&sandbox), summary["image"]);
    assert!(!sandbox.calls().iter().any(|call| call.action().starts_with("ecr:")));
    assert_eq!(sandbox.inventory()["ecr"], json!(["demo/web-app"]));
    sandbox.run(&TEARDOWN);
    sandbox.reset();
}

fn without_a_loader_nothing_is_changed(sandbox: &Sandbox) {
    let nowhere = tempfile::tempdir().expect("a folder");
    sandbox.forget_requests();
    let output = sandbox.command(&LOAD, &[]).current_dir(nowhere.path()).output();
    let output = output.expect("the tool starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(
        errors.contains("--loader-image") && errors.contains("--workspace"),
        "{errors}"
    );
    assert_eq!(sandbox.mutating_requests(), Vec::<String>::new());
}

/// What is remembered is used from then on, also without a workspace.
fn the_first_load_builds_and_pushes_one(sandbox: &Sandbox) -> String {
    let report = sandbox.json(&LOAD);
    assert_eq!(report["failed"], 0, "{report}");
    assert_eq!(sandbox.inventory()["ecr"], json!(["demo/load", "demo/web-app"]));
    let loader = remembered(sandbox);
    assert!(loader.contains("/demo/load@sha256:"), "{loader}");
    sandbox.forget_requests();
    let report = sandbox.json(&LOAD);
    assert_eq!(report["failed"], 0, "{report}");
    assert!(!sandbox.calls().iter().any(|call| call.action().starts_with("ecr:")));
    let again = sandbox.json(&[&LOAD[..], &["--workspace", "."]].concat());
    assert_eq!(again["failed"], 0, "{again}");
    let pushed = sandbox.mutating_requests().into_iter();
    let pushed: Vec<_> = pushed.filter(|request| request.contains("/v2/")).collect();
    assert_eq!(pushed, Vec::<String>::new(), "the registry has it of the same sources");
    loader
}

/// The app's own image understands `load` too, which nobody can see from outside.
fn another_one_is_taken_by_its_name(sandbox: &Sandbox, image: &str) {
    let report = sandbox.json(&[&LOAD[..], &["--loader-image", image]].concat());
    assert_eq!(report["failed"], 0, "{report}");
    assert_eq!(remembered(sandbox), image);
}

/// The shipped manifests, but for the port of the app's Service.
fn manifests_on_another_port() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let shipped = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../manifests"));
    for component in fs::read_dir(shipped).expect("the manifests") {
        let component = component.expect("an entry").path();
        if !component.is_dir() {
            continue;
        }
        let to = folder.path().join(component.file_name().expect("a name"));
        fs::create_dir(&to).expect("made");
        for file in fs::read_dir(&component).expect("a component") {
            let file = file.expect("an entry").path();
            let manifest = fs::read_to_string(&file).expect("text");
            let changed = manifest.replace("port: ${app_port}, targetPort", "port: 80, targetPort");
            fs::write(to.join(file.file_name().expect("a name")), changed).expect("written");
        }
    }
    let service = fs::read_to_string(folder.path().join("10-app/service.yaml")).expect("text");
    assert!(service.contains("port: 80,"), "{service}");
    folder
}

fn remembered(sandbox: &Sandbox) -> String {
    let image = "jsonpath={.metadata.annotations.provisioner/load-image}";
    sandbox.kubectl(&["get", "secret", "provisioner-demo", "-n", "web-app", "-o", image])
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
