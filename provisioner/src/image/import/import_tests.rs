use std::io::Write as _;

use serde_json::{Value, json};
use tar::EntryType::{Fifo, Link, Symlink};

use super::*;
use crate::image::content::{Blob, Content};
use crate::image::digest::Digest;
use crate::image::{Binary, Compression, ImageSpec, Source, assemble, media};

const PLATFORM: &str = "linux/amd64";

/// An image that this program made.
fn made() -> Image {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app");
    std::fs::write(&path, crate::image::elf::tests::executable(1, b"content")).unwrap();
    let spec = ImageSpec {
        package: "app".into(),
        entrypoint_args: Vec::new(),
        title: "web-app".into(),
        workspace: folder.path().to_owned(),
        source: Source::Cargo,
        platforms: Vec::new(),
        compression: Compression::default(),
    };
    let binary = Binary {
        path,
        platform: PLATFORM.into(),
        version: None,
        repository: None,
    };
    assemble(&spec, &[binary]).unwrap()
}

fn bytes(blob: &Blob) -> Vec<u8> {
    match &blob.content {
        Content::Memory(bytes) => bytes.to_vec(),
        other => panic!("{other:?}"),
    }
}

/// The files of `image` in the OCI layout.
fn files(image: &Image) -> Vec<(String, Vec<u8>)> {
    let named = |digest: &Digest, bytes: Vec<u8>| (format!("blobs/sha256/{}", digest.hex()), bytes);
    let index = json!({ "schemaVersion": 2, "manifests": [image.root.descriptor.to_json()] });
    let mut files = vec![
        ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        ("index.json".to_owned(), index.to_string().into_bytes()),
        named(image.digest(), image.root.bytes.to_vec()),
    ];
    files.extend(image.blobs.iter().map(|blob| named(blob.digest(), bytes(blob))));
    files
}

fn folder_of(files: &[(String, Vec<u8>)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    folder
}

fn header(name: &str, kind: tar::EntryType, size: usize) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    // Written by hand: the library itself refuses names that lead out.
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(size as u64);
    header.set_cksum();
    header
}

fn archive_of(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let header = header(name, tar::EntryType::Regular, bytes.len());
        tar.append(&header, &bytes[..]).unwrap();
    }
    tar.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

async fn import_archive(bytes: &[u8]) -> Result<Image, ImageError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    import(&Local::Archive(file.path().to_owned()), &[PLATFORM]).await
}

async fn import_folder(files: &[(String, Vec<u8>)]) -> Result<Image, ImageError> {
    let folder = folder_of(files);
    import(&Local::Layout(folder.path().to_owned()), &[PLATFORM]).await
}

/// What is said of an image that is refused: a matter of configuration, whatever it is.
fn said(outcome: Result<Image, ImageError>) -> String {
    let error = outcome.expect_err("refused");
    assert!(error.is_configuration(), "{error}");
    let cause = std::error::Error::source(&error).expect("a cause");
    let causes = std::iter::successors(Some(cause), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[tokio::test]
async fn folder_archive_and_compressed_archive_are_the_same_image() {
    let made = made();
    let files = files(&made);
    let archive = archive_of(&files);
    for found in [
        import_folder(&files).await,
        import_archive(&archive).await,
        import_archive(&gzip(&archive)).await,
    ] {
        let found = found.unwrap();
        assert_eq!(
            (found.root, found.platforms),
            (made.root.clone(), made.platforms.clone())
        );
        assert_eq!(found.blobs.len(), made.blobs.len());
    }
}

#[tokio::test]
async fn damage_is_found_before_anything_is_sent() {
    let files = files(&made());
    for at in 2..files.len() {
        let mut missing = files.clone();
        missing.remove(at);
        assert!(said(import_folder(&missing).await).contains("is missing"), "{at}");
        for (change, wanted) in [(0, "have the digest"), (1, "bytes, not")] {
            let mut damaged = files.clone();
            let bytes = &mut damaged[at].1;
            if change == 0 {
                bytes[0] ^= 1;
            } else {
                bytes.push(0);
            }
            let text = said(import_archive(&archive_of(&damaged)).await);
            assert!(text.contains(wanted), "{at}: {text}");
        }
    }
}

#[tokio::test]
async fn a_gzip_stream_or_archive_that_is_cut_off_is_told_as_such() {
    let archive = archive_of(&files(&made()));
    let packed = gzip(&archive);
    for percent in [10, 50, 99] {
        let text = said(import_archive(&packed[..packed.len() * percent / 100]).await);
        assert!(text.contains("gzip stream is damaged or cut off"), "{percent}: {text}");
    }
    let text = said(import_archive(&archive[..archive.len() / 2]).await);
    assert!(text.contains("cut off") || text.contains("missing"), "{text}");
    for bytes in [&b""[..], b"no archive at all", &gzip(b"nothing")] {
        said(import_archive(bytes).await);
    }
    let text = said(import_archive(&[0x28, 0xb5, 0x2f, 0xfd, 0]).await);
    assert!(text.contains("zstd -d"), "{text}");
}

#[tokio::test]
async fn archives_lead_nowhere_out() {
    let link = |name: &str, kind, to: &str| {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = header(name, kind, 0);
        header.as_old_mut().linkname[..to.len()].copy_from_slice(to.as_bytes());
        header.set_cksum();
        tar.append(&header, std::io::empty()).unwrap();
        tar.into_inner().unwrap()
    };
    for (bytes, wanted) in [
        (
            archive_of(&[("../../etc/cron.d/x".into(), vec![1])]),
            "a path that leads out",
        ),
        (archive_of(&[("/etc/passwd".into(), vec![1])]), "a path that leads out"),
        (archive_of(&[("a/../../b".into(), vec![1])]), "a path that leads out"),
        (link("index.json", Symlink, "/etc/passwd"), "a link that leads out"),
        (link("index.json", Symlink, "../etc/passwd"), "a link that leads out"),
        (link("index.json", Link, "../etc/passwd"), "a link that leads out"),
        (link("index.json", Fifo, ""), "neither file, folder nor link"),
    ] {
        let text = said(import_archive(&bytes).await);
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    let twice = [("index.json".to_owned(), vec![1]), ("./index.json".to_owned(), vec![2])];
    assert!(said(import_archive(&archive_of(&twice)).await).contains("twice"));
    let circle = [
        link("oci-layout", Symlink, "index.json"),
        link("index.json", Symlink, "oci-layout"),
    ];
    let circle: Vec<u8> = circle
        .iter()
        .flat_map(|tar| tar[..512].to_vec())
        .chain([0; 1024])
        .collect();
    assert!(said(import_archive(&circle).await).contains("leads nowhere"));
}

#[tokio::test]
async fn folders_lead_nowhere_out() {
    let files = files(&made());
    let outside = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(outside.path(), &files[3].1).unwrap();
    let folder = folder_of(&files);
    let blob = folder.path().join(&files[3].0);
    std::fs::remove_file(&blob).unwrap();
    std::os::unix::fs::symlink(outside.path(), &blob).unwrap();
    let outcome = import(&Local::Layout(folder.path().to_owned()), &[PLATFORM]).await;
    assert!(said(outcome).contains("behind a link"));
    std::fs::remove_file(&blob).unwrap();
    std::fs::create_dir(&blob).unwrap();
    let outcome = import(&Local::Layout(folder.path().to_owned()), &[PLATFORM]).await;
    assert!(said(outcome).contains("no file"));
    let outcome = import(&Local::Layout("/nowhere/at/all".into()), &[PLATFORM]).await;
    assert!(said(outcome).contains("cannot read"));
}

#[tokio::test]
async fn several_images_are_not_guessed_between() {
    let made = made();
    let mut files = files(&made);
    let named = |name: &str, size: u64| {
        let mut entry = made.root.descriptor.to_json();
        entry["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
        entry["size"] = size.into();
        entry
    };
    let size = made.root.descriptor.size;
    let mut index = json!({ "schemaVersion": 2, "manifests": [named("v1", size), named("v2", size + 1)] });
    files[1].1 = index.to_string().into_bytes();
    assert!(said(import_folder(&files).await).contains("several images: `v1`, `v2`"));
    index["manifests"][1] = named("latest", size);
    files[1].1 = index.to_string().into_bytes();
    let found = import_folder(&files).await.expect("one image with two names");
    assert_eq!(found.root, made.root);
}

/// What `docker save` writes of the image `made`: layers plain, named by the configuration.
fn saved(made: &Image) -> Vec<(String, Vec<u8>)> {
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
    files[1].1 = bytes(&made.blobs[1]);
    let found = import_archive(&archive_of(&files)).await.expect("an image");
    assert!(found.blobs.contains(&made.blobs[1]));
    files[1].1.truncate(60);
    assert!(said(import_archive(&archive_of(&files)).await).contains("damaged or cut off"));
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

#[tokio::test]
async fn an_image_for_another_platform_is_refused() {
    let files = files(&made());
    let folder = folder_of(&files);
    let outcome = import(&Local::Layout(folder.path().to_owned()), &["linux/arm64"]).await;
    assert_eq!(said(outcome), "it is not for linux/arm64, but for linux/amd64");
}

/// Damage at many places, the same ones in each run: nothing panics, and what is accepted after all is the same image.
#[tokio::test]
async fn whatever_byte_is_changed_no_other_image_comes_out() {
    let made = made();
    let saved_files = saved(&made);
    let saved = import_archive(&archive_of(&saved_files)).await.unwrap();
    for (archive, expected) in [(archive_of(&files(&made)), &made), (archive_of(&saved_files), &saved)] {
        for step in 0..400 {
            let mut damaged = archive.clone();
            let at = step * 7919 % damaged.len();
            damaged[at] = damaged[at].wrapping_add(1 + u8::try_from(step % 255).unwrap());
            match import_archive(&damaged).await {
                Ok(found) => assert_eq!(
                    (found.root, found.blobs),
                    (expected.root.clone(), expected.blobs.clone()),
                    "byte {at}"
                ),
                Err(error) => assert!(error.is_configuration(), "byte {at}: {error}"),
            }
        }
    }
}
