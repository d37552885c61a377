//! The same sources give the same executables wherever they are: the real service, built twice. It takes minutes.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use super::*;
use crate::image::Compression;
use crate::report::Silent;

/// What the service is built from.
const NEEDED: [&str; 8] = [
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    "app",
    "provisioner",
    "sandbox",
    "manifests",
    "grafana",
];

/// Copies the workspace, without what was built in it, to `to`.
fn copy(to: &Path) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    std::fs::create_dir_all(to).unwrap();
    let mut copy = Command::new("cp");
    copy.arg("-r").args(NEEDED.map(|name| from.join(name))).arg(to);
    assert!(copy.status().unwrap().success());
}

/// The installed toolchain, with cargo's home and what was downloaded to it under another name.
fn toolchain(at: &Path) -> Toolchain {
    let mut toolchain = Toolchain::from_env();
    let real = crate::image::settings::home(&toolchain.env).unwrap();
    let home = at.join("cargo-home");
    std::fs::create_dir(&home).unwrap();
    std::os::unix::fs::symlink(real.join("registry"), home.join("registry")).unwrap();
    let script = at.join("cargo");
    let cargo = toolchain.cargo.to_string_lossy().into_owned();
    let home = home.display().to_string();
    let text = format!("#!/bin/sh\nunset CARGO_TARGET_DIR\nCARGO_HOME='{home}' exec '{cargo}' \"$@\"\n");
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    toolchain.cargo = script.into();
    toolchain.env.insert("CARGO_HOME".into(), home);
    toolchain
}

#[tokio::test]
#[ignore = "builds the service twice"]
async fn two_folders_and_two_cargo_homes_give_the_same_images() {
    let folder = tempfile::tempdir().unwrap();
    let mut digests = Vec::new();
    for name in ["one", "another/with-a-longer-name"] {
        let workspace = folder.path().join(name);
        copy(&workspace);
        let toolchain = toolchain(&workspace);
        let spec = ImageSpec {
            package: "app".into(),
            entrypoint_args: vec!["serve".into()],
            title: "web-app".into(),
            workspace: workspace.clone(),
            source: Source::Cargo,
            platforms: vec![Platform::Amd64],
            compression: Compression::default(),
        };
        let binaries = build_with(&toolchain, &spec, &Silent).await.unwrap();
        let executable = std::fs::read(&binaries[0].path).unwrap();
        let here = folder.path().display().to_string();
        let holds = executable.windows(here.len()).any(|bytes| bytes == here.as_bytes());
        assert!(!holds, "a folder of this machine is part of the executable");
        digests.push(crate::image::assemble(&spec, &binaries).unwrap().digest().to_string());
    }
    assert_eq!(digests[0], digests[1]);
}
