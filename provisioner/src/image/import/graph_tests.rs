use serde_json::{Value, json};

use super::*;
use crate::image::import::document::platforms;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn descriptor(media_type: &str) -> Value {
    json!({ "mediaType": media_type, "digest": DIGEST, "size": 0 })
}

fn image() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": media::MANIFEST,
        "config": descriptor(media::CONFIG),
        "layers": [descriptor(media::LAYER_GZIP)],
    })
}

/// What a walk says to a root of this type.
fn walk(media_type: &str, root: &Value) -> Result<Walk, Defect> {
    Walk::from(Manifest::new(media_type, root.to_string()), Configurations::All)
}

fn refusal(root: &Value) -> String {
    let media_type = root["mediaType"].as_str().unwrap_or(media::MANIFEST).to_owned();
    match walk(&media_type, root) {
        Err(defect) => defect.to_string(),
        Ok(walk) => panic!("accepted: {walk:?}"),
    }
}

fn with(change: impl FnOnce(&mut Value)) -> Value {
    let mut root = image();
    change(&mut root);
    root
}

#[test]
fn what_is_no_image_is_refused_with_what_is_wrong() {
    let sha512 = format!("sha512:{}", "0".repeat(128));
    for (root, wanted) in [
        (with(|root| root["schemaVersion"] = 1.into()), "schema version 1"),
        (
            with(|root| root["mediaType"] = "text/html".into()),
            "a manifest has the media type `text/html`",
        ),
        (with(|root| root["config"] = Value::Null), "does not have the parts"),
        (with(|root| root["manifests"] = json!([])), "does not have the parts"),
        (with(|root| root["layers"] = json!("none")), "is not valid"),
        (with(|root| root["layers"][0]["size"] = (-1).into()), "is not valid"),
        (
            with(|root| root["layers"][0]["digest"] = "sha256:../../etc/passwd".into()),
            "is no digest",
        ),
        (with(|root| root["layers"][0]["digest"] = sha512.into()), "is no digest"),
        (
            with(|root| root["layers"][0]["size"] = 1.into()),
            "is not what it should be",
        ),
        (
            with(|root| {
                root["layers"][0]["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip".into();
            }),
            "a layer has the media type",
        ),
        (
            with(|root| root["config"]["mediaType"] = "application/vnd.cncf.helm.config.v1+json".into()),
            "a configuration has the media type",
        ),
        (
            with(|root| root["layers"][0]["digest"] = format!("sha256:{}", "0".repeat(64)).into()),
            "is not what it should be",
        ),
        (
            with(|root| root["layers"][0]["size"] = u64::MAX.into()),
            "larger than 68719476736 bytes in one layer",
        ),
        (
            with(|root| root["config"]["size"] = 5_000_000_000_u64.into()),
            "bytes of a configuration",
        ),
    ] {
        let said = refusal(&root);
        assert!(said.contains(wanted), "{root}: {said}");
    }
}

#[test]
fn a_manifest_that_is_two_things_is_refused() {
    // The same bytes would be an image to one client and an index to another.
    let root = image();
    let said = walk(media::DOCKER_MANIFEST, &root).expect_err("ambiguous").to_string();
    assert!(said.contains("is named as"), "{said}");
}

#[test]
fn more_than_any_real_image_has_is_refused_before_it_is_read() {
    let layers = vec![descriptor(media::LAYER_GZIP); 10_000];
    let said = refusal(&with(|root| root["layers"] = layers.into()));
    assert_eq!(said, "there are 10000 layers, more than 500");
    let index = |entries: Vec<Value>| json!({ "schemaVersion": 2, "mediaType": media::INDEX, "manifests": entries });
    let said = refusal(&index(vec![descriptor(media::MANIFEST); 10_000]));
    assert_eq!(said, "there are 10001 manifests, more than 256");
}

#[test]
fn indexes_within_indexes_end() {
    let mut inner = image().to_string();
    let mut media_type = media::MANIFEST;
    let mut below = Vec::new();
    for _ in 0..6 {
        let manifest = Manifest::new(media_type, inner);
        media_type = media::INDEX;
        inner = json!({
            "schemaVersion": 2,
            "mediaType": media_type,
            "manifests": [manifest.descriptor.to_json()],
        })
        .to_string();
        below.push(manifest.bytes);
    }
    let mut walk = Walk::from(Manifest::new(media_type, inner), Configurations::All).expect("an index");
    let mut outcome = Ok(());
    while let (Ok(()), Some(bytes)) = (&outcome, below.pop()) {
        outcome = walk.give(bytes);
    }
    let said = outcome.expect_err("too deep").to_string();
    assert_eq!(said, "there are 5 indexes within indexes, more than 4");
}

#[test]
fn attestations_go_along_and_are_no_platform() {
    let attestation = with(|root| root["layers"][0]["mediaType"] = "application/vnd.in-toto+json".into());
    let (image, attestation) = [image(), attestation]
        .map(|root| Manifest::new(media::MANIFEST, root.to_string()))
        .into();
    let mut entries = [image.descriptor.to_json(), attestation.descriptor.to_json()];
    entries[0]["platform"] = json!({ "os": "linux", "architecture": "arm64", "variant": "v8" });
    entries[1]["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
    let root = json!({ "schemaVersion": 2, "mediaType": media::INDEX, "manifests": entries });
    let root = Manifest::new(media::INDEX, root.to_string());
    assert_eq!(platforms(&root), Some(vec!["linux/arm64".to_owned()]));
    let mut walk = Walk::from(root, Configurations::ForPlatform).expect("an index");
    for bytes in [&image.bytes, &attestation.bytes] {
        walk.give(bytes.clone()).expect("as described");
    }
    assert!(walk.wanted().is_none(), "the index names the platform");
    let found = walk.finish(|_, _| Ok(Content::Memory(Bytes::new()))).expect("whole");
    assert_eq!(
        (found.children.len(), found.platforms),
        (2, vec!["linux/arm64".to_owned()])
    );
}

#[test]
fn other_bytes_than_those_that_are_named_are_refused() {
    let mut walk = walk(media::MANIFEST, &image()).expect("an image");
    let said = walk.give(Bytes::from_static(b"{}")).expect_err("not empty");
    assert!(
        matches!(
            said,
            Defect::Mismatch {
                source: Mismatch::Size { .. },
                ..
            }
        ),
        "{said}"
    );
}

#[test]
fn an_image_for_another_platform_is_refused_with_those_that_it_is_for() {
    let found = ["linux/arm64".to_owned(), "windows/amd64".to_owned()];
    assert!(runs_on(&found, &["linux/arm64"]).is_ok());
    let said = runs_on(&found, &["linux/arm64", "linux/amd64"]).expect_err("missing");
    assert_eq!(
        said.to_string(),
        "it is not for linux/amd64, but for linux/arm64, windows/amd64"
    );
    assert!(said.hint().is_some_and(|hint| hint.contains("--platform linux/amd64")));
}

/// An image with two layers, its index and its configuration; what a walk through all of them says.
fn configured(index: &Value, configuration: &Value) -> Result<Image, String> {
    let configuration = Manifest::new(media::CONFIG, configuration.to_string());
    let mut image = image();
    image["config"] = configuration.descriptor.to_json();
    let layer = Descriptor::of(media::LAYER_GZIP, b"layer").to_json();
    image["layers"] = json!([descriptor(media::LAYER_GZIP), layer]);
    let image = Manifest::new(media::MANIFEST, image.to_string());
    let mut entry = image.descriptor.to_json();
    entry["platform"] = index.clone();
    let root = json!({ "schemaVersion": 2, "mediaType": media::INDEX, "manifests": [entry] });
    let root = Manifest::new(media::INDEX, root.to_string());
    let walked = Walk::from(root, Configurations::All).and_then(|mut walk| {
        walk.give(image.bytes)?;
        walk.give(configuration.bytes)?;
        walk.finish(|_, _| Ok(Content::Memory(Bytes::new())))
    });
    walked.map_err(|defect| defect.to_string())
}

fn runs_on_arm(variant: Option<&str>, diff_ids: &Value) -> Value {
    let mut configuration = json!({ "os": "linux", "architecture": "arm", "rootfs": { "diff_ids": diff_ids } });
    if let Some(variant) = variant {
        configuration["variant"] = variant.into();
    }
    configuration
}

#[test]
fn an_index_and_its_configurations_say_the_same() {
    let two = json!([DIGEST, DIGEST]);
    let arm = json!({ "os": "linux", "architecture": "arm", "variant": "v7" });
    for variant in [None, Some("v7")] {
        let image = configured(&arm, &runs_on_arm(variant, &two)).expect("the same");
        assert_eq!(image.platforms, ["linux/arm/v7"]);
    }
    for (index, configuration, wanted) in [
        (
            json!({ "os": "linux", "architecture": "amd64" }),
            runs_on_arm(Some("v7"), &two),
            "its index says that it is for linux/amd64, and its configuration for linux/arm/v7",
        ),
        (arm.clone(), json!({ "os": "linux" }), "is not valid: missing field"),
        (
            arm.clone(),
            json!({ "os": "linux", "architecture": "arm" }),
            "is not valid: missing field `rootfs`",
        ),
        (
            arm.clone(),
            runs_on_arm(None, &json!([DIGEST])),
            "it has 2 layers, and its configuration names 1",
        ),
        (
            arm.clone(),
            runs_on_arm(None, &json!([DIGEST, "sha256:no"])),
            "a layer of its configuration: `sha256:no` is no digest",
        ),
    ] {
        let said = configured(&index, &configuration).expect_err(wanted);
        assert!(said.contains(wanted), "{said}");
    }
}

#[test]
fn manifests_are_bounded_together_too() {
    let mut manifests = Vec::new();
    for number in 0..9 {
        let mut image = image();
        image["annotations"] = json!({ "number": number, "long": "a".repeat(media::LONGEST_MANIFEST - 1000) });
        manifests.push(Manifest::new(media::MANIFEST, image.to_string()));
    }
    let entries: Vec<_> = manifests.iter().map(|manifest| manifest.descriptor.to_json()).collect();
    let root = json!({ "schemaVersion": 2, "mediaType": media::INDEX, "manifests": entries });
    let mut walk = Walk::from(Manifest::new(media::INDEX, root.to_string()), Configurations::All).expect("an index");
    let mut given = manifests.into_iter().map(|manifest| walk.give(manifest.bytes));
    let said = given.find_map(Result::err).expect("too much").to_string();
    assert!(said.ends_with("bytes of manifests, more than 33554432"), "{said}");
}
