//! Of an image for many platforms, the part for some.

use serde_json::{Value, json};

use super::Defect;
use super::document::{entries, platforms};
use crate::image::content::{Descriptor, Manifest};
use crate::image::media;

/// What of an image is for the platforms that are wanted.
#[derive(Debug, PartialEq)]
pub(super) enum Part {
    /// All of it, as far as its root tells.
    Whole,
    /// The manifest of one platform.
    Child(Descriptor),
    /// An index over manifests of the image's own.
    Index(Manifest),
}

/// The part of `root` that is for the platforms of `wanted`. Equal roots have equal parts, to the byte.
pub(super) fn part(root: &Manifest, wanted: &[&str]) -> Result<Part, Defect> {
    let media_type = &root.descriptor.media_type;
    // Where not every image in it says what it is for, any of them may be needed.
    if platforms(root).is_none() {
        return Ok(Part::Whole);
    }
    let entries = entries(&root.bytes)?;
    let is_wanted = |platform: Option<String>| platform.is_some_and(|name| wanted.contains(&name.as_str()));
    let kept: Vec<bool> = entries
        .iter()
        .map(|entry| entry.is_image() && is_wanted(entry.platform_name()))
        .collect();
    let mut chosen = entries.iter().zip(&kept).filter(|(_, kept)| **kept);
    match (chosen.next(), chosen.next()) {
        (None, _) => Ok(Part::Whole),
        (Some((only, _)), None) => only.descriptor().map(Part::Child),
        _ if kept.iter().all(|kept| *kept) => Ok(Part::Whole),
        _ => Ok(Part::Index(Manifest::new(media_type, over(root, &kept)?))),
    }
}

/// The bytes of an index over those of the entries that are kept, as they are.
fn over(root: &Manifest, kept: &[bool]) -> Result<Vec<u8>, Defect> {
    let malformed = |error: serde_json::Error| Defect::Malformed(format!("a manifest is not valid: {error}"));
    let index: Value = serde_json::from_slice(&root.bytes).map_err(malformed)?;
    let entries = index["manifests"].as_array().into_iter().flatten().zip(kept);
    let manifests: Vec<&Value> = entries.filter(|(_, kept)| **kept).map(|(entry, _)| entry).collect();
    let index = json!({"schemaVersion": 2, "mediaType": root.descriptor.media_type, "manifests": manifests});
    debug_assert!(media::is_index(&root.descriptor.media_type));
    serde_json::to_vec(&index).map_err(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u8, platform: Value) -> Value {
        let digest = format!("sha256:{}", format!("{number:02x}").repeat(32));
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let mut entry = json!({"mediaType": media_type, "digest": digest, "size": 100 + u64::from(number)});
        if !platform.is_null() {
            entry["platform"] = platform;
        }
        entry
    }

    fn index(manifests: &[Value]) -> Manifest {
        let index = json!({"schemaVersion": 2, "annotations": {"a": "b"}, "manifests": manifests});
        Manifest::new(media::INDEX, index.to_string())
    }

    fn platform(architecture: &str, variant: &str) -> Value {
        json!({"os": "linux", "architecture": architecture, "variant": variant})
    }

    fn usual() -> Vec<Value> {
        let mut attested = entry(9, json!({"os": "unknown", "architecture": "unknown"}));
        attested["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
        let (amd64, arm64, arm) = (platform("amd64", ""), platform("arm64", "v8"), platform("arm", "v7"));
        vec![entry(1, amd64), entry(2, arm64), entry(3, arm), attested]
    }

    #[test]
    fn one_platform_is_its_own_manifest_and_several_are_an_index_over_theirs() {
        let root = index(&usual());
        let Part::Child(child) = part(&root, &["linux/arm64"]).expect("a part") else {
            panic!("one manifest");
        };
        assert_eq!((child.size, child.digest.hex().starts_with("0202")), (102, true));
        let Part::Index(both) = part(&root, &["linux/arm64", "linux/amd64"]).expect("a part") else {
            panic!("an index");
        };
        assert_eq!(
            platforms(&both),
            Some(vec!["linux/amd64".to_owned(), "linux/arm64".to_owned()])
        );
        let written: Value = serde_json::from_slice(&both.bytes).expect("JSON");
        assert_eq!(written["manifests"], json!(usual()[..2]), "as they are");
        assert_eq!(both.descriptor.media_type, media::INDEX);
        let again = part(&root, &["linux/amd64", "linux/arm64"]).expect("a part");
        assert_eq!(again, Part::Index(both), "in whatever order they are wanted");
    }

    #[test]
    fn an_image_stays_whole_where_nothing_could_be_left_out_or_it_does_not_tell() {
        let two = index(&usual()[..2]);
        let silent = index(&[entry(1, platform("amd64", "")), entry(2, Value::Null)]);
        let single = Manifest::new("application/vnd.oci.image.manifest.v1+json", "{}");
        for (root, wanted) in [
            (&two, &["linux/amd64", "linux/arm64"][..]),
            (&two, &["linux/s390x"]),
            (&silent, &["linux/amd64"]),
            (&single, &["linux/amd64"]),
        ] {
            assert_eq!(part(root, wanted).expect("a part"), Part::Whole, "{wanted:?}");
        }
    }
}
