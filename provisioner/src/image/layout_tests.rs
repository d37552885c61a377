use std::io::Read as _;

use super::*;
use crate::image::Content;
use crate::image::elf::tests::executable;

/// A spec and a binary in a folder of their own, as on another machine.
fn given(content: &[u8]) -> (tempfile::TempDir, ImageSpec, Binary) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("app");
    std::fs::write(&path, executable(1, content)).expect("written");
    let spec = ImageSpec::of_app(folder.path());
    let binary = Binary {
        path,
        platform: "linux/amd64".into(),
        version: Some("1.2.3".into()),
        repository: None,
    };
    (folder, spec, binary)
}

fn assembled(content: &[u8], epoch: Option<&str>) -> Image {
    let (_folder, spec, binary) = given(content);
    let epoch = epoch.map(|text| Epoch::parse(text).expect("a time"));
    assemble_at(&spec, &[binary], epoch.as_ref()).expect("image")
}

/// For amd64 and arm64, in the order that is asked for.
fn assembled_for(platforms: [(&str, u8); 2], content: &[u8]) -> Image {
    let (folder, spec, binary) = given(content);
    let binaries = platforms.map(|(platform, machine)| {
        let path = folder.path().join(machine.to_string());
        let mut file = executable(1, content);
        file[18] = machine;
        std::fs::write(&path, file).expect("written");
        Binary {
            path,
            platform: platform.to_owned(),
            ..binary.clone()
        }
    });
    assemble_at(&spec, &binaries, None).expect("image")
}

const AMD64: (&str, u8) = ("linux/amd64", 62);
const ARM64: (&str, u8) = ("linux/arm64", 183);

fn bytes(blob: &Blob) -> &[u8] {
    match &blob.content {
        Content::Memory(bytes) => bytes,
        other => panic!("not in memory: {other:?}"),
    }
}

fn pretty(json: &[u8]) -> String {
    let value: Value = serde_json::from_slice(json).expect("JSON");
    serde_json::to_string_pretty(&value).expect("text")
}

fn archive_of(layer: &Blob) -> Vec<u8> {
    if layer.descriptor.media_type == media::LAYER_ZSTD {
        return zstd::decode_all(bytes(layer)).expect("zstd");
    }
    let mut archive = Vec::new();
    flate2::read::GzDecoder::new(bytes(layer))
        .read_to_end(&mut archive)
        .expect("gzip");
    archive
}

fn listing(layer: &Blob) -> Vec<String> {
    let archive = archive_of(layer);
    let mut tar = tar::Archive::new(&archive[..]);
    let entries = tar.entries().expect("entries").map(|entry| {
        let entry = entry.expect("entry");
        let header = entry.header();
        format!(
            "{} {:o} {}:{} {} {}",
            entry.path().expect("path").display(),
            header.mode().expect("mode"),
            header.uid().expect("uid"),
            header.gid().expect("gid"),
            header.mtime().expect("mtime"),
            header.size().expect("size"),
        )
    });
    entries.collect()
}

#[test]
fn same_input_from_another_folder_gives_the_same_image() {
    assert_eq!(assembled(b"one", None), assembled(b"one", None));
}

/// The same file, its layers compressed by zstd.
fn assembled_by_zstd(content: &[u8]) -> Image {
    let (_folder, mut spec, binary) = given(content);
    spec.compression = Compression::Zstd;
    assemble_at(&spec, &[binary], None).expect("image")
}

#[test]
fn zstd_makes_other_layers_of_the_same_archives() {
    let content = b"text that repeats itself, ".repeat(9);
    let (gzip, zstd) = (assembled(&content, None), assembled_by_zstd(&content));
    assert_eq!(assembled_by_zstd(&content), zstd, "the same input, the same image");
    assert_ne!(zstd.digest(), gzip.digest());
    for layer in 0..2 {
        let (gzip, zstd) = (&gzip.blobs[layer], &zstd.blobs[layer]);
        assert_eq!(
            zstd.descriptor.media_type,
            "application/vnd.oci.image.layer.v1.tar+zstd"
        );
        assert_eq!(archive_of(zstd), archive_of(gzip));
    }
    let diff_ids = |image: &Image| {
        let config: Value = serde_json::from_slice(bytes(&image.blobs[2])).expect("JSON");
        config["rootfs"]["diff_ids"].clone()
    };
    assert_eq!(diff_ids(&zstd), diff_ids(&gzip));
    let manifest: Value = serde_json::from_slice(&zstd.root.bytes).expect("JSON");
    let layer = &zstd.blobs[1];
    assert_eq!(manifest["layers"][1], layer.descriptor.to_json());
}

/// Holds version, level and settings of the compressor: another digest sends every image once more.
#[test]
fn zstd_gives_these_bytes_on_every_machine() {
    let image = assembled_by_zstd(b"one");
    insta::assert_snapshot!(image.digest(), @"sha256:cb43f5e7e0552a2aa751bd5f5755612ae33d40373abda979ee4902fd9a24234c");
}

#[test]
fn another_binary_changes_its_layer_and_keeps_the_base() {
    let (one, two) = (assembled(b"one", None), assembled(b"two", None));
    assert_eq!(one.blobs[0], two.blobs[0]);
    assert_ne!(one.blobs[1], two.blobs[1]);
    assert_ne!(one.digest(), two.digest());
    assert_ne!(one.default_tag(), two.default_tag());
}

#[test]
fn layers_hold_the_user_and_the_executable_and_nothing_else() {
    let image = assembled(b"one", None);
    assert_eq!(
        listing(&image.blobs[0]),
        ["etc/ 755 0:0 0 0", "etc/group 644 0:0 0 27", "etc/passwd 644 0:0 0 78",]
    );
    assert_eq!(listing(&image.blobs[1]), ["app 755 0:0 0 123"]);
}

#[test]
fn source_date_epoch_sets_every_time() {
    let image = assembled(b"one", Some("1700000000"));
    assert_eq!(listing(&image.blobs[1]), ["app 755 0:0 1700000000 123"]);
    for json in [bytes(&image.blobs[2]), &image.root.bytes] {
        let text = pretty(json);
        assert!(
            text.contains(r#""org.opencontainers.image.created": "2023-11-14T22:13:20Z""#),
            "{text}"
        );
    }
    for text in ["", "-1", "now", "1e9"] {
        assert!(
            Epoch::parse(text).is_err_and(|error| error.is_configuration()),
            "{text}"
        );
    }
}

#[test]
fn digests_and_sizes_are_those_of_the_bytes() {
    let image = assembled(b"one", None);
    let manifest: Value = serde_json::from_slice(&image.root.bytes).expect("JSON");
    let config: Value = serde_json::from_slice(bytes(&image.blobs[2])).expect("JSON");
    assert_eq!(*image.digest(), Digest::of(&image.root.bytes));
    assert_eq!(manifest["config"], image.blobs[2].descriptor.to_json());
    for (index, layer) in image.blobs[..2].iter().enumerate() {
        assert_eq!(*layer.digest(), Digest::of(bytes(layer)));
        assert_eq!(manifest["layers"][index], layer.descriptor.to_json());
        let diff_id = Digest::of(&archive_of(layer));
        assert_eq!(config["rootfs"]["diff_ids"][index], diff_id.as_str());
    }
}

#[test]
fn several_platforms_share_the_base_under_one_index() {
    let image = assembled_for([ARM64, AMD64], b"one");
    assert_eq!(image.platforms, ["linux/amd64", "linux/arm64"]);
    assert_eq!((image.children.len(), image.blobs.len()), (2, 5));
    let index: Value = serde_json::from_slice(&image.root.bytes).expect("JSON");
    for (child, (entry, architecture)) in image.children.iter().zip(
        index["manifests"]
            .as_array()
            .expect("entries")
            .iter()
            .zip(["amd64", "arm64"]),
    ) {
        assert_eq!(entry["digest"], child.digest().as_str());
        assert_eq!(
            entry["platform"],
            json!({ "architecture": architecture, "os": "linux" })
        );
        let manifest: Value = serde_json::from_slice(&child.bytes).expect("JSON");
        assert_eq!(manifest["layers"][0], image.blobs[0].descriptor.to_json());
    }
    assert_eq!(index["mediaType"], "application/vnd.oci.image.index.v1+json");
    assert_eq!(
        image,
        assembled_for([AMD64, ARM64], b"one"),
        "the order of binaries does not matter"
    );
}

#[test]
fn one_platform_of_several_is_the_same_manifest_as_alone() {
    assert_eq!(
        assembled_for([AMD64, ARM64], b"one").children[0],
        assembled(b"one", None).root
    );
}

#[test]
fn a_platform_without_or_with_two_binaries_is_refused() {
    let (_folder, spec, binary) = given(b"one");
    for binaries in [vec![], vec![binary.clone(), binary]] {
        let error = assemble_at(&spec, &binaries, None).expect_err("refused");
        assert!(error.is_configuration(), "{error}");
    }
}

#[test]
fn configuration_runs_the_binary_as_nobody_in_particular() {
    insta::assert_snapshot!(pretty(bytes(&assembled(b"one", None).blobs[2])), @r#"
    {
      "created": "1970-01-01T00:00:00Z",
      "architecture": "amd64",
      "os": "linux",
      "config": {
        "User": "65532:65532",
        "ExposedPorts": {
          "8080/tcp": {}
        },
        "Env": [
          "PATH=/"
        ],
        "Entrypoint": [
          "/app"
        ],
        "Cmd": [
          "serve"
        ],
        "WorkingDir": "/",
        "Labels": {
          "org.opencontainers.image.title": "web-app",
          "org.opencontainers.image.version": "1.2.3"
        }
      },
      "rootfs": {
        "type": "layers",
        "diff_ids": [
          "sha256:13b2460e5c415dcb75edc6876e09a1eaf7ae9ef5421864213b1cbe3ff5df9514",
          "sha256:80ef5b876f218bb8291bcc215bb036e9de843910ed3ba6c68bf853ed13159844"
        ]
      },
      "history": [
        {
          "created": "1970-01-01T00:00:00Z",
          "created_by": "provisioner",
          "comment": "user and group"
        },
        {
          "created": "1970-01-01T00:00:00Z",
          "created_by": "provisioner",
          "comment": "executable"
        }
      ]
    }
    "#);
}

#[test]
fn manifest_names_its_parts_by_oci_media_types() {
    let image = assembled(b"one", None);
    let text = pretty(&image.root.bytes)
        .replace(image.blobs[2].digest().as_str(), "(config)")
        .replace(image.blobs[0].digest().as_str(), "(base)")
        .replace(image.blobs[1].digest().as_str(), "(binary)");
    insta::assert_snapshot!(text, @r#"
    {
      "schemaVersion": 2,
      "mediaType": "application/vnd.oci.image.manifest.v1+json",
      "config": {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": "(config)",
        "size": 676
      },
      "layers": [
        {
          "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
          "digest": "(base)",
          "size": 181
        },
        {
          "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
          "digest": "(binary)",
          "size": 118
        }
      ],
      "annotations": {
        "org.opencontainers.image.title": "web-app",
        "org.opencontainers.image.version": "1.2.3"
      }
    }
    "#);
}

#[test]
fn a_dynamic_binary_does_not_become_an_image() {
    let (_folder, spec, binary) = given(b"");
    std::fs::write(&binary.path, executable(3, b"/lib/ld.so\0")).expect("written");
    let error = assemble_at(&spec, &[binary], None).expect_err("dynamic");
    assert!(error.is_configuration());
    assert!(error.hint().is_some_and(|hint| hint.contains("musl")));
}
