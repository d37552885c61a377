//! The `Dockerfile` beside the builder: from the same executable, the same files and the same configuration.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::process::Command;

use flate2::read::GzDecoder;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::{Sandbox, done};
use crate::targets::{CREDENTIALS, Outside};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// What an image is, apart from how it is stored.
#[derive(Debug, PartialEq, Eq)]
struct Content {
    /// Platform and container configuration.
    config: Value,
    /// Kind, mode, owner and content of each file.
    files: BTreeMap<String, String>,
}

/// `buildah` and `skopeo` are Debian packages; `make image-tools` installs them.
#[test]
#[ignore = "needs buildah and skopeo: make image-check"]
fn the_dockerfile_makes_the_image_that_push_makes() {
    let sandbox = Sandbox::from_env();
    let outside = Outside::new(&sandbox);
    let folder = tempfile::tempdir().expect("a folder");
    let pushed = outside.json("push", &[]);
    let ours = folder.path().join("ours");
    pull(pushed["reference"].as_str().expect("a reference"), &ours);
    let program = folder.path().join("program");
    fs::create_dir(&program).expect("a folder");
    let (ours, executable) = Content::read(&ours);
    fs::write(program.join("app"), executable.expect("the image has `app`")).expect("written");
    let theirs = folder.path().join("theirs");
    final_stage(folder.path(), &program, &theirs);
    let (theirs, _) = Content::read(&theirs);
    assert_eq!(theirs, ours);
    assert_eq!(
        ours.files.keys().collect::<Vec<_>>(),
        ["app", "etc", "etc/group", "etc/passwd"]
    );
}

/// Copies an image of the sandbox's registry into a folder, as an OCI layout.
fn pull(reference: &str, to: &Path) {
    let mut skopeo = Command::new("skopeo");
    skopeo.args([
        "--insecure-policy",
        "copy",
        "--quiet",
        "--src-tls-verify=false",
        "--src-creds",
        CREDENTIALS,
    ]);
    done(skopeo.args([format!("docker://{reference}"), format!("oci:{}:image", to.display())]));
}

/// Builds the last stage of the Dockerfile around an executable; nothing is compiled, pulled or left elsewhere.
fn final_stage(folder: &Path, program: &Path, to: &Path) {
    let buildah = || {
        let mut command = Command::new("buildah");
        command.current_dir(ROOT).args(["--storage-driver", "vfs"]);
        command.arg("--root").arg(folder.join("storage"));
        command.arg("--runroot").arg(folder.join("run"));
        command
    };
    let context = format!("build={}", program.display());
    done(
        buildah()
            .args([
                "bud",
                "--isolation",
                "chroot",
                "--identity-label=false",
                "--build-context",
                &context,
            ])
            .args(["-t", "image", "."]),
    );
    done(buildah().args(["push", "--quiet", "image", &format!("oci:{}:image", to.display())]));
}

impl Content {
    /// Reads the one image of an OCI layout, and what its `app` holds.
    fn read(layout: &Path) -> (Self, Option<Vec<u8>>) {
        let blob = |of: &Value| {
            let digest = of["digest"].as_str().expect("a digest").replace(':', "/");
            layout.join("blobs").join(digest)
        };
        let json = |path: &Path| -> Value { serde_json::from_reader(File::open(path).expect("a blob")).expect("JSON") };
        let manifest = json(&blob(&json(&layout.join("index.json"))["manifests"][0]));
        let config = json(&blob(&manifest["config"]));
        let (mut files, mut app) = (BTreeMap::new(), None);
        for layer in manifest["layers"].as_array().expect("layers") {
            let file = File::open(blob(layer)).expect("a layer");
            let mut archive = tar::Archive::new(GzDecoder::new(file));
            for entry in archive.entries().expect("a tar archive") {
                let mut entry = entry.expect("an entry");
                let path = entry.path().expect("a path").display().to_string();
                let path = path.trim_start_matches("./").trim_end_matches('/').to_owned();
                let mut content = Vec::new();
                entry.read_to_end(&mut content).expect("its content");
                let header = entry.header();
                let number = |value: std::io::Result<u64>| value.expect("a number");
                let (mode, size) = (header.mode().expect("a mode") & 0o7777, content.len());
                let (user, group) = (number(header.uid()), number(header.gid()));
                let hash = hex::encode(Sha256::digest(&content));
                files.insert(
                    path.clone(),
                    format!("{:?} {mode:o} {user}:{group} {size} {hash}", header.entry_type()),
                );
                if path == "app" {
                    app = Some(content);
                }
            }
        }
        let of_image = ["architecture", "os", "config"].map(|key| (key.to_owned(), config[key].clone()));
        let config = of_image.into_iter().collect();
        (Self { config, files }, app)
    }
}
