//! A second service, in another language, from an archive: scaled by its own counter, with what `init` writes.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::story::TEARDOWN;
use crate::support::{Sandbox, done};

const SERVICE: [&str; 8] = [
    "--app-port",
    "9000",
    "--metrics-path",
    "/stats",
    "--counter",
    "orders_total",
    "--target-rate",
    "5",
];

#[test]
fn a_service_in_another_language_is_scaled_by_its_own_counter() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    let folder = tempfile::tempdir().expect("a folder");
    let archive = archive_of(&service(folder.path()), folder.path());
    let (project, archive) = (text(folder.path()), text(&archive));
    let init = [&["init", "--folder", &project, "--cluster", "demo"][..], &SERVICE].concat();
    sandbox.run(&init);
    let settings = format!("{project}/provisioner.toml");
    let bootstrap = [
        "bootstrap",
        "--config",
        &settings,
        "--archive",
        &archive,
        "--create-cluster",
        "--without",
        "grafana",
        "--yes",
    ];
    let summary = sandbox.json(&bootstrap);
    assert!(
        summary["chain"]["series"].as_u64().is_some_and(|series| series > 0),
        "{summary}"
    );
    let again = sandbox.json(&bootstrap);
    let counts = (&again["changes"]["created"], &again["changes"]["updated"]);
    assert_eq!(counts, (&json!(0), &json!(0)), "{again}");
    // 20 orders a second at 5 for each pod are four pods.
    let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let report = sandbox.json(&[
        "load",
        "--cluster",
        "demo",
        "--workspace",
        workspace,
        "--rate",
        "20",
        "--duration",
        "60s",
    ]);
    assert_eq!(report["failed"], 0, "{report}");
    let pods = report["per_pod"].as_object().map(serde_json::Map::len);
    assert!(
        pods.is_none_or(|pods| pods <= 5),
        "the target is the service's own: {report}"
    );
    let target = "jsonpath={.spec.metrics[0].pods.target.averageValue} {.status.desiredReplicas}";
    let hpa = sandbox.kubectl(&["get", "hpa", "-n", "web-app", "web-app-hpa", "-o", target]);
    let (average, desired) = hpa.trim().split_once(' ').expect("two values");
    assert_eq!(average, "5");
    assert!((4..=5).contains(&desired.parse::<u32>().expect("a number")), "{hpa}");
    sandbox.run(&TEARDOWN);
    assert_eq!(sandbox.inventory(), json!({}));
    sandbox.reset();
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}

/// The service as a static program.
fn service(folder: &Path) -> PathBuf {
    let program = folder.join("orders");
    done(
        Command::new("go")
            .args([
                "-C",
                concat!(env!("CARGO_MANIFEST_DIR"), "/tests/second"),
                "build",
                "-trimpath",
                "-ldflags=-s -w",
            ])
            .arg("-o")
            .arg(&program)
            .arg(".")
            .env("CGO_ENABLED", "0"),
    );
    program
}

/// An archive of an OCI layout whose image has this program and nothing else, made by hand so that none of the tool's own
/// code is in it.
fn archive_of(program: &Path, folder: &Path) -> PathBuf {
    let mut layer = tar::Builder::new(Vec::new());
    layer.append_path_with_name(program, "orders").expect("a layer");
    let layer = layer.into_inner().expect("a layer");
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": ["/orders"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
    });
    let config = config.to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described("application/vnd.oci.image.config.v1+json", &config),
        "layers": [described("application/vnd.oci.image.layer.v1.tar", &layer)],
    });
    let manifest = manifest.to_string().into_bytes();
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [described("application/vnd.oci.image.manifest.v1+json", &manifest)],
    });
    let path = folder.join("orders.tar");
    let mut archive = tar::Builder::new(File::create(&path).expect("a file"));
    let mut put = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes).expect("an entry");
    };
    put("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
    put("index.json", index.to_string().as_bytes());
    for blob in [&layer, &config, &manifest] {
        put(&format!("blobs/sha256/{}", hex(blob)), blob);
    }
    archive.into_inner().and_then(|mut file| file.flush()).expect("written");
    path
}

fn described(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()})
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(bytes))
}

fn hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
