//! What images may have: layers by zstd, which containerd unpacks, and a bill of materials, which is found by the image.

use serde_json::{Value, json};

use crate::images::read;
use crate::story::{BOOTSTRAP, TEARDOWN};
use crate::support::Sandbox;

const ZSTD: [&str; 2] = ["--compression", "zstd"];
const REPOSITORY: &str = "demo/web-app";

/// One story: the bill is that of the image that runs.
#[test]
fn an_image_by_zstd_runs_and_its_bill_of_materials_is_found_by_it() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    let summary = sandbox.json(&[&BOOTSTRAP[..], &ZSTD].concat());
    let image = summary["image"].as_str().expect("a reference");
    pods_run_layers_by_zstd(&sandbox, image);
    the_bill_is_listed_under_the_tag_of_the_image(&sandbox, image);
    sandbox.run(&TEARDOWN);
    assert_eq!(
        sandbox.inventory(),
        json!({}),
        "the tag of the list goes with the repository"
    );
    sandbox.reset();
}

fn pods_run_layers_by_zstd(sandbox: &Sandbox, image: &str) {
    let manifest = manifest(image.rsplit_once('@').expect("a digest").1);
    let layers = manifest["layers"].as_array().expect("layers");
    let is_zstd = |layer: &Value| layer["mediaType"] == "application/vnd.oci.image.layer.v1.tar+zstd";
    assert!(layers.len() == 2 && layers.iter().all(is_zstd), "{manifest}");
    let pods = sandbox.kubectl(&["get", "pods", "-n", "web-app", "-l", "app=web-app", "-o", "json"]);
    let pods: Value = serde_json::from_str(&pods).expect("JSON");
    let containers: Vec<&Value> = pods["items"].as_array().into_iter().flatten().collect();
    let runs = |pod: &&Value| {
        let status = &pod["status"]["containerStatuses"][0];
        pod["spec"]["containers"][0]["image"] == image && status["ready"] == true
    };
    assert!(containers.iter().any(runs), "{pods}");
}

/// The sandbox's registry keeps no lists of its own.
fn the_bill_is_listed_under_the_tag_of_the_image(sandbox: &Sandbox, image: &str) {
    let push = [&["push", "--cluster", "demo", "--sbom", "spdx"], &ZSTD[..]].concat();
    let pushed = sandbox.json(&push);
    assert_eq!(pushed["reference"], image, "found by its inputs");
    let bill = &pushed["sboms"][0];
    let list = manifest(&pushed["digest"].as_str().expect("a digest").replace(':', "-"));
    // The sandbox's registry also keeps what former runs listed.
    let entries = list["manifests"].as_array().expect("a list");
    let is_ours = |entry: &&Value| entry["digest"] == bill["digest"];
    let entry = entries.iter().find(is_ours).expect("listed");
    assert_eq!(entry["artifactType"], "application/spdx+json");
    let refers = manifest(bill["digest"].as_str().expect("a digest"));
    assert_eq!(refers["subject"]["digest"], pushed["digest"]);
    let blob = refers["layers"][0]["digest"].as_str().expect("a digest");
    let document: Value = serde_json::from_str(&read(&format!("{REPOSITORY}/blobs/{blob}"))).expect("JSON");
    let packages = document["packages"].as_array().expect("packages");
    assert!(packages.iter().any(|package| package["name"] == "axum"), "{document}");

    sandbox.forget_requests();
    let again = sandbox.json(&push);
    assert_eq!((&again["sboms"], &again["pushed"]), (&pushed["sboms"], &json!(false)));
    let sent = sandbox.mutating_requests().into_iter();
    let sent: Vec<String> = sent.filter(|request| request.contains("/v2/")).collect();
    assert_eq!(sent, Vec::<String>::new());
}

fn manifest(name: &str) -> Value {
    serde_json::from_str(&read(&format!("{REPOSITORY}/manifests/{name}"))).expect("JSON")
}
