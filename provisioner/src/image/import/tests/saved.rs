//! What `docker save` writes.

use super::*;

/// What `docker save` writes of the image `made`: layers plain, named by the configuration.
pub(super) fn saved(made: &Image) -> Vec<(String, Vec<u8>)> {
    let plain = |blob: &Blob| {
        let mut plain = Vec::new();
        let mut decoder = flate2::write::GzDecoder::new(&mut plain);
        decoder.write_all(&bytes(blob)).unwrap();
        decoder.finish().unwrap();
        plain
    };
    let config = format!("{}.json", made.blobs[2].digest().hex());
    let manifest = json!([{ "Config": config, "RepoTags": ["app:1"], "Layers": ["a/layer.tar", "b/layer.tar"] }]);
    vec![
        ("a/layer.tar".to_owned(), plain(&made.blobs[0])),
        ("b/layer.tar".to_owned(), plain(&made.blobs[1])),
        (config, bytes(&made.blobs[2])),
        ("manifest.json".to_owned(), manifest.to_string().into_bytes()),
    ]
}

#[tokio::test]
async fn what_docker_saves_becomes_an_image_with_compressed_layers() {
    let files = saved(&made());
    let one = import_archive(&archive_of(&files)).await.expect("an image");
    let two = import_archive(&gzip(&archive_of(&files))).await.expect("an image");
    assert_eq!(one, two, "the same archive gives the same digest");
    assert_eq!(one.platforms, [PLATFORM]);
    let manifest: Value = serde_json::from_slice(&one.root.bytes).unwrap();
    assert_eq!(manifest["layers"][1]["mediaType"], media::LAYER_GZIP);
    assert!(
        one.blobs.iter().any(|blob| *blob.digest() == Digest::of(&files[2].1)),
        "the configuration is as it was"
    );
}

#[tokio::test]
async fn layers_that_are_compressed_already_are_sent_as_they_are() {
    let made = made();
    let mut files = saved(&made);
    let plain = std::mem::replace(&mut files[1].1, bytes(&made.blobs[1]));
    let found = import_archive(&archive_of(&files)).await.expect("an image");
    assert!(found.blobs.contains(&made.blobs[1]));
    files[1].1.truncate(60);
    assert!(said(import_archive(&archive_of(&files)).await).contains("damaged or cut off"));
    files[1].1 = zstd(&plain);
    let found = import_archive(&archive_of(&files)).await.expect("an image");
    assert!(found.blobs.contains(&Blob::new(media::LAYER_ZSTD, zstd(&plain))));
    files[1].1 = gzip(b"other");
    let text = said(import_archive(&archive_of(&files)).await);
    assert!(
        text.contains("`b/layer.tar, unpacked` is not what it should be"),
        "{text}"
    );
}

#[tokio::test]
async fn what_docker_would_not_save_is_refused() {
    let files = saved(&made());
    let change = |at: usize, bytes: Vec<u8>| {
        let mut changed = files.clone();
        changed[at].1 = bytes;
        archive_of(&changed)
    };
    let config = &files[2].0;
    let manifest = |value: Value| change(3, value.to_string().into_bytes());
    let one = json!({ "Config": config, "RepoTags": ["app:1"], "Layers": ["a/layer.tar"] });
    let many = json!([{ "Config": config, "Layers": vec!["a/layer.tar"; 10_000] }]);
    for (bytes, wanted) in [
        (change(1, b"another layer".to_vec()), "have the digest"),
        (change(2, b"{}".to_vec()), "have the digest"),
        (manifest(json!([])), "names no image"),
        (manifest(json!([one, one])), "several images: `app:1`, `app:1`"),
        (manifest(json!([one])), "1 layers, and its configuration names 2"),
        (manifest(many), "10000 layers, more than 500"),
        (
            manifest(json!([{ "Config": "../../etc/passwd", "Layers": [] }])),
            "leads out",
        ),
    ] {
        let text = said(import_archive(&bytes).await);
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
}
