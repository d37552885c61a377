mod layers;
mod saved;

use std::io::Write as _;
use std::os::unix::fs::FileExt as _;

use serde_json::{Value, json};
use tar::EntryType::{Fifo, Link, Symlink};

use saved::saved;

use super::*;
use crate::image::content::{Blob, Content, Manifest};
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

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
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
        import_archive(&zstd(&archive)).await,
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
        assert!(
            text.contains("gzip stream of") && text.contains("is damaged or cut off"),
            "{percent}: {text}"
        );
    }
    let text = said(import_archive(&archive[..archive.len() / 2]).await);
    assert!(text.contains("cut off") || text.contains("missing"), "{text}");
    for bytes in [&b""[..], b"no archive at all", &gzip(b"nothing")] {
        said(import_archive(bytes).await);
    }
    let packed = zstd(&archive);
    let text = said(import_archive(&packed[..packed.len() / 2]).await);
    assert!(
        text.contains("zstd stream of") && text.contains("is damaged or cut off"),
        "{text}"
    );
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

#[tokio::test]
async fn a_name_that_is_longer_than_any_is_not_read_into_memory() {
    // A name of 200 MB, which is no more than a hole in the file, and the entry that has it.
    let length = 512 * 390_625;
    let file = tempfile::NamedTempFile::new().unwrap();
    for (at, name, kind, size) in [
        (0, "././@LongLink", tar::EntryType::GNULongName, length),
        (512 + length, "file", tar::EntryType::Regular, 0),
    ] {
        let header = header(name, kind, size);
        file.as_file().write_all_at(header.as_bytes(), at as u64).unwrap();
    }
    file.as_file().set_len(2 * length as u64).unwrap();
    let outcome = import(&Local::Archive(file.path().to_owned()), &[PLATFORM]).await;
    assert_eq!(
        said(outcome),
        "it is larger than 104857600 bytes in its headers and names"
    );
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
