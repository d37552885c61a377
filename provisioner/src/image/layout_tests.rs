use std::io::Read as _;

use super::*;
use crate::image::Source;
use crate::image::elf::tests::executable;

/// A spec and a binary in a folder of their own, as on another machine.
fn given(content: &[u8]) -> (tempfile::TempDir, ImageSpec, Binary) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("app");
    std::fs::write(&path, executable(1, content)).expect("written");
    let spec = ImageSpec {
        package: "app".into(),
        entrypoint_args: vec!["serve".into()],
        title: "web-app".into(),
        workspace: folder.path().to_owned(),
        source: Source::Cargo,
        platforms: vec![],
    };
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
    assemble_at(&spec, &binary, epoch).expect("image")
}

fn pretty(json: &[u8]) -> String {
    let value: Value = serde_json::from_slice(json).expect("JSON");
    serde_json::to_string_pretty(&value).expect("text")
}

fn archive_of(layer: &Blob) -> Vec<u8> {
    let mut archive = Vec::new();
    flate2::read::GzDecoder::new(&layer.bytes[..])
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

#[test]
fn another_binary_changes_its_layer_and_keeps_the_base() {
    let (one, two) = (assembled(b"one", None), assembled(b"two", None));
    assert_eq!(one.layers[0], two.layers[0]);
    assert_ne!(one.layers[1], two.layers[1]);
    assert_ne!(one.digest, two.digest);
    assert_ne!(one.default_tag(), two.default_tag());
}

#[test]
fn layers_hold_the_user_and_the_executable_and_nothing_else() {
    let image = assembled(b"one", None);
    assert_eq!(
        listing(&image.layers[0]),
        ["etc/ 755 0:0 0 0", "etc/group 644 0:0 0 27", "etc/passwd 644 0:0 0 78",]
    );
    assert_eq!(listing(&image.layers[1]), ["app 755 0:0 0 123"]);
}

#[test]
fn source_date_epoch_sets_every_time() {
    let image = assembled(b"one", Some("1700000000"));
    assert_eq!(listing(&image.layers[1]), ["app 755 0:0 1700000000 123"]);
    for json in [&image.config.bytes, &image.manifest] {
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
    let manifest: Value = serde_json::from_slice(&image.manifest).expect("JSON");
    let config: Value = serde_json::from_slice(&image.config.bytes).expect("JSON");
    assert_eq!(image.digest, digest(&image.manifest));
    assert_eq!(manifest["config"], image.config.descriptor());
    for (index, layer) in image.layers.iter().enumerate() {
        assert_eq!(layer.digest, digest(&layer.bytes));
        assert_eq!(manifest["layers"][index], layer.descriptor());
        assert_eq!(config["rootfs"]["diff_ids"][index], digest(&archive_of(layer)).as_str());
    }
}

#[test]
fn configuration_runs_the_binary_as_nobody_in_particular() {
    insta::assert_snapshot!(pretty(&assembled(b"one", None).config.bytes), @r#"
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
    let text = pretty(&image.manifest)
        .replace(&image.config.digest, "(config)")
        .replace(&image.layers[0].digest, "(base)")
        .replace(&image.layers[1].digest, "(binary)");
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
    let error = assemble_at(&spec, &binary, None).expect_err("dynamic");
    assert!(error.is_configuration());
    assert!(error.hint().is_some_and(|hint| hint.contains("musl")));
}
