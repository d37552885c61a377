//! Other tools of the field take what `push` made, and `push` takes what they made. `make image-tools` installs them.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Sandbox, done};
use crate::targets::{CREDENTIALS, Outside};

const PLATFORMS: [&str; 2] = ["amd64", "arm64"];

/// Both platforms are built for this.
#[test]
#[ignore = "needs skopeo, crane and the compile targets of both platforms: make image-check"]
fn skopeo_and_crane_take_what_push_made_and_the_other_way_round() {
    let sandbox = Sandbox::from_env();
    let outside = Outside::new(&sandbox);
    let folder = tempfile::tempdir().expect("a folder");
    let pushed = outside.json("push", &["--platform", "linux/amd64,linux/arm64"]);
    assert_eq!(pushed["platforms"], json!(["linux/amd64", "linux/arm64"]));
    let reference = pushed["reference"].as_str().expect("a reference");
    crane_finds_nothing_wrong(&outside, reference);
    skopeo_finds_both_platforms(reference);
    push_takes_the_archives_of_skopeo(&outside, &pushed, folder.path());
}

fn crane_finds_nothing_wrong(outside: &Outside<'_>, reference: &str) {
    for layers in [&[][..], &["--fast"]] {
        let mut crane = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench/crane"));
        crane
            .args(["validate", "--insecure", "--remote", reference])
            .args(layers);
        let said = done(crane.env("DOCKER_CONFIG", outside.docker_config()));
        assert!(said.contains(&format!("PASS: {reference}")), "{said}");
    }
}

fn skopeo_finds_both_platforms(reference: &str) {
    for architecture in PLATFORMS {
        let mut skopeo = skopeo();
        skopeo.args(["--override-arch", architecture, "--override-os", "linux", "inspect"]);
        skopeo.args(["--tls-verify=false", "--creds", CREDENTIALS]);
        let said = done(skopeo.arg(format!("docker://{reference}")));
        let found: Value = serde_json::from_str(&said).expect("JSON");
        assert_eq!(
            (&found["Os"], &found["Architecture"]),
            (&json!("linux"), &json!(architecture))
        );
        assert_eq!(found["Layers"].as_array().map(Vec::len), Some(2), "{found}");
    }
}

/// An OCI archive keeps every byte; that of docker is uncompressed and is compressed again.
fn push_takes_the_archives_of_skopeo(outside: &Outside<'_>, pushed: &Value, folder: &Path) {
    let reference = pushed["reference"].as_str().expect("a reference");
    let oci = folder.join("oci.tar");
    copy(reference, &format!("oci-archive:{}:image", oci.display()), &["--all"]);
    let again = outside.json(
        "push",
        &["--archive", oci.to_str().expect("UTF-8"), "--tag", "from-oci"],
    );
    assert_eq!(
        (&again["digest"], &again["blobs_sent"]),
        (&pushed["digest"], &json!(0)),
        "{again}"
    );
    let docker = folder.join("docker.tar");
    copy(reference, &format!("docker-archive:{}:app:v1", docker.display()), &[]);
    let again = outside.json(
        "push",
        &["--archive", docker.to_str().expect("UTF-8"), "--tag", "from-docker"],
    );
    assert_eq!(again["platforms"], json!(["linux/amd64"]));
    crane_finds_nothing_wrong(outside, again["reference"].as_str().expect("a reference"));
}

fn copy(reference: &str, to: &str, how: &[&str]) {
    let mut skopeo = skopeo();
    skopeo.args(["copy", "--quiet", "--src-tls-verify=false", "--src-creds", CREDENTIALS]);
    done(skopeo.args(how).args([&format!("docker://{reference}"), to]));
}

fn skopeo() -> Command {
    let mut command = Command::new("skopeo");
    command.arg("--insecure-policy");
    command
}
