//! Code of others that runs on the way: what builds an image has no credentials, and what comes from a pull request is not run.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::run::Run;
use crate::support::image::executable;
use crate::support::registry::{Auth, Registry};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const TOOLCHAIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/toolchain");

#[tokio::test(flavor = "multi_thread")]
async fn cargo_and_rustc_are_given_no_credentials() {
    let registry = Registry::start(Auth::Anonymous).await;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    write("Cargo.toml", b"[workspace]\n");
    write("Cargo.lock", b"[[package]]\nname = 'app'\nversion = '1.2.3'\n");
    write("app/Cargo.toml", b"[package]\n");
    write("app/src/main.rs", b"fn main() {}\n");
    write("program", &executable(b"one"));
    let ended = Run::of(&format!(
        "push --name demo --registry {}/demo --sbom cyclonedx --workspace {}",
        registry.address(),
        folder.path().display()
    ))
    .env("CARGO", &format!("{TOOLCHAIN}/cargo-that-tells"))
    .env("RUSTC", &format!("{TOOLCHAIN}/rustc-that-tells"))
    .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    .env("AWS_SECRET_ACCESS_KEY", "hunter2")
    .env("AWS_SESSION_TOKEN", "hunter2")
    .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "hunter2")
    .env("AWS_REGION", "eu-west-1")
    .end();
    assert_eq!(ended.code(), 0, "{}", ended.stderr());
    let told = fs::read_to_string(folder.path().join("told")).unwrap();
    for asked in [
        "cargo metadata",
        "rustc -vV",
        "rustc --print",
        "cargo build",
        "cargo tree",
    ] {
        assert!(told.contains(&format!("called {asked}\n")), "{asked}: {told}");
    }
    assert!(!told.contains("hunter2") && !told.contains("AKIDEXAMPLE"), "{told}");
    assert!(told.contains("AWS_REGION=eu-west-1"), "what is no secret stays: {told}");
}

/// The script of the step `name` of a job of deploy.yml.
fn script(job: &str, name: &str) -> String {
    let text = fs::read_to_string(Path::new(ROOT).join(".github/workflows/deploy.yml")).unwrap();
    let workflow: Value = serde_saphyr::from_str(&text).unwrap();
    let steps = workflow["jobs"][job]["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["name"] == name).unwrap();
    assert_eq!(step["working-directory"], Value::Null, "it starts beside the program");
    step["run"].as_str().unwrap().to_owned()
}

/// Where rustup and its cargo are, if they are here at all.
fn rustup() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find(|folder| folder.join("rustup").is_file() && folder.join("cargo").is_file())
}

/// A checkout to merge into with the program that was built there, and below it a pull request that means ill.
fn checkouts() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let toolchain = fs::read_to_string(Path::new(ROOT).join("rust-toolchain.toml")).unwrap();
    write("rust-toolchain.toml", &toolchain);
    fs::create_dir_all(folder.path().join("target/debug")).unwrap();
    let program = folder.path().join("target/debug/provisioner");
    symlink(env!("CARGO_BIN_EXE_provisioner"), program).unwrap();

    let ill = folder.path().join("change/ill");
    let ran = format!(
        "#!/bin/sh\necho \"$0 $*\" >>'{}'\nexit 1\n",
        folder.path().join("ran").display()
    );
    for name in ["run", "bin/cargo", "bin/rustc"] {
        write(&format!("change/ill/{name}"), &ran);
        fs::set_permissions(ill.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let ill = ill.display();
    write(
        "change/rust-toolchain.toml",
        &format!("[toolchain]\npath = \"{ill}\"\n"),
    );
    write(
        "change/.cargo/config.toml",
        &format!(
            "[build]\nrustc = \"{ill}/run\"\nrustc-wrapper = \"{ill}/run\"\nrustc-workspace-wrapper = \"{ill}/run\"\n\
             [target.'cfg(all())']\nlinker = \"{ill}/run\"\nrunner = \"{ill}/run\"\n\
             [registry]\nglobal-credential-providers = [\"{ill}/run\"]\n\
             [env]\nRUSTUP_TOOLCHAIN = {{ value = \"{ill}\", force = true }}\n"
        ),
    );
    write(
        "change/Cargo.toml",
        "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\nbuild = \"build.rs\"\n\
         [dependencies]\nother = { git = \"ssh://127.0.0.1:1/other\" }\n[workspace]\n",
    );
    write("change/src/main.rs", "fn main() {}\n");
    write("change/build.rs", "fn main() {}\n");
    write(
        "change/provisioner.toml",
        "[target]\nkube-context = \"nobodys\"\nregistry = \"127.0.0.1:1/team\"\n",
    );
    write("kubeconfig", "apiVersion: v1\nkind: Config\n");
    write("kept", "as it was\n");
    symlink(folder.path().join("kept"), folder.path().join("change/plan.txt")).unwrap();
    folder
}

/// The step of deploy.yml that meets a pull request with credentials, as it stands there, with the real rustup.
#[test]
fn the_plan_of_a_pull_request_runs_and_writes_nothing_of_it() {
    let Some(rustup) = rustup() else {
        println!("not seen: there is no rustup here");
        return;
    };
    let folder = checkouts();
    let script = script("plan", "plan");
    let path = format!("{}:/usr/bin:/bin", rustup.display());
    let mut step = Command::new("bash");
    // As GitHub starts it.
    step.args(["-e", "-c", &script]).current_dir(folder.path()).env_clear();
    for name in ["HOME", "RUSTUP_HOME", "CARGO_HOME"] {
        step.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    let step = step
        .env("PATH", path)
        .env("KUBECONFIG", folder.path().join("kubeconfig"))
        .env("RUNNER_TEMP", folder.path())
        .env("GITHUB_STEP_SUMMARY", folder.path().join("summary"))
        .env("AWS_SECRET_ACCESS_KEY", "hunter2")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&step.stderr);
    let ran = fs::read_to_string(folder.path().join("ran")).unwrap_or_default();
    assert_eq!(ran, "", "{said}");
    assert!(
        said.contains("`nobodys`"),
        "the sources were looked at, then the context: {said}"
    );
    let kept = fs::read_to_string(folder.path().join("kept")).unwrap();
    assert_eq!(kept, "as it was\n", "a link is not written through");
}
