use super::*;

fn referrer() -> Referrer {
    let subject = Descriptor::of(MANIFEST, b"an image");
    Referrer::new(subject, Blob::new("application/spdx+json", "a document"))
}

fn index(manifests: &Value) -> Manifest {
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests, "annotations": { "a": "b" } });
    Manifest::new(INDEX, index.to_string())
}

fn parsed(manifest: &Manifest) -> Value {
    serde_json::from_slice(&manifest.bytes).expect("JSON")
}

#[test]
fn a_referrer_is_an_artifact_with_an_empty_configuration_and_a_subject() {
    let text = serde_json::to_string_pretty(&parsed(&referrer().manifest)).expect("text");
    insta::assert_snapshot!(text, @r#"
    {
      "schemaVersion": 2,
      "mediaType": "application/vnd.oci.image.manifest.v1+json",
      "artifactType": "application/spdx+json",
      "config": {
        "mediaType": "application/vnd.oci.empty.v1+json",
        "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        "size": 2
      },
      "layers": [
        {
          "mediaType": "application/spdx+json",
          "digest": "sha256:0d1da5138c035ffb7a848cfa108a901b2d7e44195f11ddc475e1fe7c1cf9d8b3",
          "size": 10
        }
      ],
      "subject": {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": "sha256:a5df3fde7b200c3fa2791144c7e05c5c2bced4c6ad863d3a4cf76c972c1712f9",
        "size": 8
      }
    }
    "#);
}

#[test]
fn the_tag_of_a_list_is_the_digest_of_its_subject() {
    let digest = Digest::of(b"");
    let tag = "sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(list_tag(&digest), tag);
}

#[test]
fn a_list_keeps_what_others_put_in_it_and_names_each_once() {
    let (ours, foreign) = (referrer(), json!([{ "digest": "sha256:00", "size": 7 }]));
    let entry = json!({
        "mediaType": MANIFEST,
        "digest": ours.digest(),
        "size": ours.manifest.bytes.len(),
        "artifactType": "application/spdx+json",
    });
    let first = ours.completed(None).expect("a list").expect("new");
    assert_eq!(parsed(&first)["manifests"], json!([entry]));
    let merged = ours
        .completed(Some(&index(&foreign)))
        .expect("a list")
        .expect("changed");
    assert_eq!(merged.descriptor.media_type, INDEX);
    assert_eq!(parsed(&merged)["manifests"], json!([foreign[0], entry]));
    assert_eq!(parsed(&merged)["annotations"], json!({ "a": "b" }));
    assert_eq!(ours.completed(Some(&merged)), Ok(None));
}

#[test]
fn what_is_no_list_is_never_overwritten() {
    for (media_type, text) in [
        (MANIFEST, "{}"),
        (INDEX, "no JSON"),
        (INDEX, r#"{"manifests":{}}"#),
        (INDEX, "[]"),
        (INDEX, "1"),
    ] {
        let other = Manifest::new(media_type, text);
        assert!(referrer().completed(Some(&other)).is_err(), "{media_type} {text}");
    }
}
