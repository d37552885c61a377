//! Bills of material in the registry: sent once, found by the image, and listed beside what others put there.

use serde_json::{Value, json};

use crate::registry::{bytes, count};
use crate::run::Run;
use crate::skip::{Machine, asked};
use crate::support::image::executable;
use crate::support::registry::{Auth, Fault, Registry};

const SPDX: &str = "application/spdx+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A successful push with its result.
fn pushed(machine: &Machine, registry: &Registry, more: &str) -> Value {
    let ended = machine.push(registry, &format!("{more} --output json"));
    assert_eq!(ended.code(), 0, "{}", ended.stderr());
    serde_json::from_str(&ended.stdout()).unwrap()
}

/// The tag under which clients list what refers to a manifest.
fn list_of(digest: &Value) -> String {
    digest.as_str().unwrap().replace(':', "-")
}

/// The one document that the one layer of a bill is.
fn document(registry: &Registry, bill: &Value) -> Value {
    let manifest = registry.manifest(bill["digest"].as_str().unwrap());
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    assert_eq!(manifest["artifactType"], manifest["layers"][0]["mediaType"]);
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.oci.empty.v1+json");
    registry.document(manifest["layers"][0]["digest"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bill_is_listed_under_the_tag_of_its_image_and_sent_once() {
    let registry = Registry::start(Auth::Anonymous).await;
    let first = pushed(&Machine::new(), &registry, "--sbom spdx");
    assert_eq!(first["bytes_sent"], bytes(&registry.take_requests()));
    let [bill] = first["sboms"].as_array().unwrap().as_slice() else {
        panic!("{first}")
    };
    let digest = bill["digest"].as_str().unwrap();
    let repository = format!("{}/demo/web-app", registry.address());
    assert_eq!(
        *bill,
        json!({"platform": "linux/amd64", "format": "spdx", "digest": digest, "reference": format!("{repository}@{digest}")})
    );
    let list = registry.manifest(&list_of(&first["digest"]));
    let entries = list["manifests"].as_array().unwrap();
    assert_eq!((entries.len(), &entries[0]["digest"]), (1, &bill["digest"]));
    assert_eq!(
        (&list["mediaType"], &entries[0]["artifactType"]),
        (&json!(INDEX), &json!(SPDX))
    );
    assert_eq!(registry.manifest(digest)["subject"]["digest"], first["digest"]);
    assert_eq!(document(&registry, bill)["packages"][0]["name"], "app");

    let second = Machine::new();
    let again = pushed(&second, &registry, "--sbom spdx");
    assert!(!second.built());
    assert_eq!(again["sboms"], first["sboms"]);
    assert_eq!((&again["pushed"], &again["bytes_sent"]), (&json!(false), &json!(0)));
    let requests = registry.take_requests();
    assert_eq!((count(&requests, "PUT"), count(&requests, "POST")), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_lists_referrers_itself_gets_no_tag() {
    for (says_subject, looks) in [(true, 1), (false, 2)] {
        let registry = Registry::start(Auth::Anonymous).await;
        registry.lists_referrers(says_subject);
        let machine = Machine::new();
        let first = pushed(&machine, &registry, "--sbom cyclonedx");
        assert_eq!(registry.tag(&list_of(&first["digest"])), None);
        assert_eq!(document(&registry, &first["sboms"][0])["specVersion"], "1.6");
        assert_eq!(count(&registry.take_requests(), "GET referrers/"), looks);

        let again = pushed(&machine, &registry, "--sbom cyclonedx");
        assert_eq!(again["sboms"], first["sboms"]);
        let asked = asked(&registry);
        let last = format!("GET referrers/{}", first["digest"].as_str().unwrap());
        assert_eq!(asked.last(), Some(&last));
        assert!(!asked.iter().any(|line| line.starts_with('P')), "{asked:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_whose_lists_stay_empty_gets_a_tag() {
    let registry = Registry::start(Auth::Anonymous).await;
    let empty = r#"{"schemaVersion":2,"manifests":[]}"#;
    registry.inject("GET referrers/", 99, Fault::Typed(200, INDEX, empty));
    let machine = Machine::new();
    let first = pushed(&machine, &registry, "--sbom spdx");
    let list = registry.manifest(&list_of(&first["digest"]));
    assert_eq!(list["manifests"][0]["digest"], first["sboms"][0]["digest"]);
    registry.take_requests();
    let again = pushed(&machine, &registry, "--sbom spdx");
    assert_eq!((&again["sboms"], &again["pushed"]), (&first["sboms"], &json!(false)));
    assert_eq!(count(&registry.take_requests(), "P"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_was_found_gets_its_bill_without_a_build() {
    let registry = Registry::start(Auth::Anonymous).await;
    let plain = pushed(&Machine::new(), &registry, "");
    assert_eq!(plain["sboms"], json!([]));
    registry.take_requests();
    let machine = Machine::new();
    let found = pushed(&machine, &registry, "--sbom cyclonedx");
    assert!(!machine.built());
    assert_eq!(found["digest"], plain["digest"]);
    assert_eq!(
        (&found["pushed"], &found["bytes_sent"]),
        (&json!(true), &bytes(&registry.take_requests()).into())
    );
    // Both formats may be there.
    let both = pushed(&machine, &registry, "--sbom spdx");
    let list = registry.manifest(&list_of(&plain["digest"]));
    let digests: Vec<&Value> = list["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["digest"])
        .collect();
    assert_eq!(digests, [&found["sboms"][0]["digest"], &both["sboms"][0]["digest"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_platform_has_a_bill_that_refers_to_its_own_manifest() {
    let registry = Registry::start(Auth::Anonymous).await;
    let machine = Machine::new();
    let mut arm64 = executable(b"one");
    arm64[18] = 183;
    machine.write("program-aarch64-unknown-linux-musl", &arm64);
    let both = "--platform linux/amd64,linux/arm64 --sbom spdx";
    let first = pushed(&machine, &registry, both);
    let index = registry.manifest(first["digest"].as_str().unwrap());
    for (at, platform) in ["linux/amd64", "linux/arm64"].into_iter().enumerate() {
        let (child, bill) = (&index["manifests"][at]["digest"], &first["sboms"][at]);
        assert_eq!(bill["platform"], platform);
        let subject = &registry.manifest(bill["digest"].as_str().unwrap())["subject"];
        assert_eq!(subject["digest"], *child);
        assert_eq!(
            registry.manifest(&list_of(child))["manifests"][0]["digest"],
            bill["digest"]
        );
        let comment = document(&registry, bill)["creationInfo"]["comment"].clone();
        assert!(comment.as_str().unwrap().contains(platform), "{comment}");
    }
    registry.take_requests();
    let again = pushed(&machine, &registry, both);
    assert_eq!((&again["sboms"], &again["pushed"]), (&first["sboms"], &json!(false)));
    assert_eq!(count(&registry.take_requests(), "P"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_listed_stays_listed() {
    let registry = Registry::start(Auth::Anonymous).await;
    let machine = Machine::new();
    let image = pushed(&machine, &registry, "");
    let tag = list_of(&image["digest"]);
    let signature = registry.put_manifest(
        "signature",
        &json!({"mediaType": "application/vnd.oci.image.manifest.v1+json"}),
    );
    let entry = json!({"digest": signature, "size": 1, "artifactType": "application/vnd.example.signature"});
    registry.put_manifest(
        &tag,
        &json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}),
    );
    let found = pushed(&machine, &registry, "--sbom spdx");
    let list = registry.manifest(&tag);
    assert_eq!(list["manifests"][0], entry);
    assert_eq!(list["manifests"][1]["digest"], found["sboms"][0]["digest"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_others_overwrite_is_completed_again_and_given_up_in_the_end() {
    let registry = Registry::start(Auth::Anonymous).await;
    let machine = Machine::new();
    // The registry takes it, and then somebody else's is there.
    registry.inject("PUT manifests/sha256-", 1, Fault::Answer(201, ""));
    let image = pushed(&machine, &registry, "--sbom spdx");
    let tag = list_of(&image["digest"]);
    assert_eq!(
        registry.manifest(&tag)["manifests"][0]["digest"],
        image["sboms"][0]["digest"]
    );
    registry.inject("PUT manifests/sha256-", 99, Fault::Answer(201, ""));
    let stderr = machine.push(&registry, "--sbom cyclonedx").refused(1);
    assert!(
        stderr.contains(&format!("under tag `{tag}`")) && stderr.contains("others overwrite it"),
        "{stderr}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_under_the_tag_of_the_list_is_never_replaced() {
    let registry = Registry::start(Auth::Anonymous).await;
    let machine = Machine::new();
    let image = pushed(&machine, &registry, "");
    let tag = list_of(&image["digest"]);
    registry.set_tag(&tag, image["digest"].as_str().unwrap());
    let stderr = machine.push(&registry, "--sbom spdx").refused(1);
    assert!(
        stderr.contains("keeps no such lists") && !stderr.contains("delete it"),
        "{stderr}"
    );
    assert_eq!(registry.tag(&tag), Some(image["digest"].as_str().unwrap().to_owned()));
    let other = registry.put_manifest(
        &tag,
        &json!({"mediaType": "application/vnd.oci.image.manifest.v1+json"}),
    );
    let stderr = machine.push(&registry, "--sbom spdx").refused(1);
    assert!(
        stderr.contains(&format!("under tag `{tag}`")) && stderr.contains("not a list"),
        "{stderr}"
    );
    assert_eq!(registry.tag(&tag), Some(other));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_no_list_means_that_the_registry_keeps_none() {
    let site = Registry::start(Auth::Anonymous).await;
    for fault in [
        Fault::Answer(406, ""),
        Fault::Typed(200, "text/html", "<html>"),
        Fault::Redirect(format!("http://{}/", site.address())),
        Fault::Redirect("http://registry.example/".to_owned()),
    ] {
        let registry = Registry::start(Auth::Anonymous).await;
        registry.inject("GET referrers/", 99, fault.clone());
        let image = pushed(&Machine::new(), &registry, "--sbom spdx");
        let list = registry.manifest(&list_of(&image["digest"]));
        assert_eq!(list["manifests"][0]["digest"], image["sboms"][0]["digest"], "{fault:?}");
    }
    let registry = Registry::start(Auth::Anonymous).await;
    registry.inject("GET referrers/", 99, Fault::Answer(403, ""));
    let stderr = Machine::new().push(&registry, "--sbom spdx").refused(1);
    assert!(stderr.contains("cannot list what refers to"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_several_pages_is_read_to_its_end() {
    let registry = Registry::start(Auth::Anonymous).await;
    registry.lists_referrers(true);
    let machine = Machine::new();
    let first = pushed(&machine, &registry, "--sbom spdx");
    registry.take_requests();
    registry.inject("GET referrers/", 1, Fault::FirstPage);
    let again = pushed(&machine, &registry, "--sbom spdx");
    assert_eq!((&again["sboms"], &again["pushed"]), (&first["sboms"], &json!(false)));
    let requests = registry.take_requests();
    assert_eq!((count(&requests, "GET referrers/"), count(&requests, "P")), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bill_that_is_listed_and_gone_is_sent_again() {
    let registry = Registry::start(Auth::Anonymous).await;
    let machine = Machine::new();
    let image = pushed(&machine, &registry, "--sbom spdx");
    let bill = &image["sboms"][0]["digest"];
    registry.remove_manifest(bill.as_str().unwrap());
    let again = pushed(&machine, &registry, "--sbom spdx");
    assert_eq!(again["sboms"], image["sboms"]);
    assert_eq!(
        registry.manifest(bill.as_str().unwrap())["subject"]["digest"],
        image["digest"]
    );
}

#[test]
fn images_that_are_not_compiled_here_get_no_bill_and_keep_their_layers() {
    for (flags, wanted) in [
        ("--binary app --sbom spdx", "`--sbom` cannot go with `--binary`"),
        ("--archive app --sbom cyclonedx", "`--sbom` cannot go with `--archive`"),
        (
            "--archive app --compression zstd",
            "`--compression` cannot go with `--archive`",
        ),
    ] {
        let run = Run::of(&format!("push --name demo --registry 127.0.0.1:1/team {flags}")).file("app", "");
        let stderr = run.end().refused(2);
        assert!(stderr.contains(wanted), "{stderr}");
    }
}
