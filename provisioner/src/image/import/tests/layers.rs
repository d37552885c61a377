//! Layers against what configurations say of them.

use super::*;

/// The files of an image with the one layer `layer`, whose configuration says `diff_id` of it.
fn with_layer(media_type: &str, layer: &[u8], diff_id: &Digest) -> Vec<(String, Vec<u8>)> {
    let config = json!({ "os": "linux", "architecture": "amd64", "rootfs": { "diff_ids": [diff_id] } });
    let [layer, config] = [
        Blob::new(media_type, layer.to_vec()),
        Blob::new(media::CONFIG, config.to_string()),
    ];
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media::MANIFEST,
        "config": config.descriptor.to_json(),
        "layers": [layer.descriptor.to_json()],
    });
    files(&Image {
        root: Manifest::new(media::MANIFEST, manifest.to_string()),
        children: Vec::new(),
        blobs: vec![layer, config],
        platforms: vec![PLATFORM.to_owned()],
    })
}

#[tokio::test]
async fn what_is_in_a_layer_is_what_the_configuration_says() {
    const DOCKER_TAR: &str = "application/vnd.docker.image.rootfs.diff.tar";
    let (tar, other) = (archive_of(&[("file".into(), b"content".to_vec())]), b"other".to_vec());
    let gzip_of = |types: [&'static str; 2]| types.map(|media_type| (media_type, gzip as fn(&[u8]) -> Vec<u8>));
    let mut cases = vec![
        (media::LAYER_TAR, <[u8]>::to_vec as fn(&[u8]) -> Vec<u8>),
        (DOCKER_TAR, <[u8]>::to_vec),
        (media::LAYER_ZSTD, zstd),
    ];
    // Nodes ask the bytes, whatever type they are said to have.
    cases.extend(gzip_of([media::LAYER_GZIP, DOCKER_TAR]));
    for (media_type, pack) in cases {
        let (packed, diff_id) = (pack(&tar), Digest::of(&tar));
        let found = import_folder(&with_layer(media_type, &packed, &diff_id)).await;
        assert!(found.is_ok(), "{media_type}: {found:?}");
        // Whole and with the right digest, but with other content.
        let layer = Digest::of(&pack(&other));
        let said = said(import_folder(&with_layer(media_type, &pack(&other), &diff_id)).await);
        let wanted = format!(
            "`blobs/sha256/{}, unpacked` is not what it should be: its bytes have the digest {}, not {diff_id}",
            layer.hex(),
            Digest::of(&other)
        );
        assert_eq!(said, wanted, "{media_type}");
    }
    // What the OCI calls a plain archive is not unpacked twice by any node.
    let packed = gzip(&tar);
    let said = said(import_folder(&with_layer(media::LAYER_TAR, &packed, &Digest::of(&tar))).await);
    assert!(said.contains("unpacked` is not what it should be"), "{said}");
}

#[tokio::test]
async fn a_layer_that_was_cut_off_before_it_was_named_is_told_by_its_name() {
    let tar = archive_of(&[("file".into(), vec![7; 100_000])]);
    for (media_type, packed) in [(media::LAYER_GZIP, gzip(&tar)), (media::LAYER_ZSTD, zstd(&tar))] {
        let cut = &packed[..packed.len() - 9];
        let said = said(import_folder(&with_layer(media_type, cut, &Digest::of(&tar))).await);
        let name = format!(
            "stream of `blobs/sha256/{}` is damaged or cut off",
            Digest::of(cut).hex()
        );
        assert!(said.contains(&name), "{said}");
    }
}
