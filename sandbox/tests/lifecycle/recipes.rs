//! The Makefile's recipes, run with stand-ins for the programs: without a sandbox nothing may reach the user's own AWS account.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

fn program(path: &Path, script: &str) {
    fs::write(path, format!("#!/bin/sh\n{script}\n")).expect("a stand-in is written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it may run");
}

/// Runs a recipe while `sandbox env` fails with some output; what the other programs were called with.
fn calls_without_a_sandbox(recipe: &str) -> String {
    let folder = tempfile::tempdir().expect("folder");
    let at = |name: &str| folder.path().join(name);
    let calls = at("calls");
    program(&at("sandbox"), "[ \"$1\" != env ] || { echo export A=b; exit 1; }");
    let record = format!("echo \"$0 $*\" >>'{}'", calls.display());
    program(&at("provisioner"), &record);
    program(&at("cargo"), &record);
    let variable = |name: &str, path: &Path| format!("{name}={}", path.display());
    let status = Command::new("make")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args(["--no-print-directory", recipe])
        .arg(variable("BIN", folder.path()))
        .arg(variable("CARGO", &at("cargo")))
        .env("AWS_ACCESS_KEY_ID", "the-users-own")
        .env_remove("MAKEFLAGS")
        .output()
        .expect("make runs")
        .status;
    assert_eq!(
        status.success(),
        recipe == "down",
        "only `down` goes on: it has a sandbox to stop"
    );
    fs::read_to_string(calls).unwrap_or_default()
}

#[test]
fn no_recipe_touches_aws_without_a_sandbox() {
    for recipe in ["demo", "down", "e2e"] {
        let calls = calls_without_a_sandbox(recipe);
        assert!(
            !calls.contains("provisioner ") && !calls.contains("cargo test"),
            "{recipe}: {calls}"
        );
    }
}
