//! A disk that is full while an image is read or built: nothing gets a tag, nothing is left, and the next run works.

use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::{GzDecoder, GzEncoder};
use provisioner::image::{Content, Image};
use serde_json::json;

use crate::made::write_layout;
use crate::run::{Ended, Run};
use crate::support::image::bulky_image;
use crate::support::registry::{Auth, Registry};

/// Files get no larger than 64 kB, which is told like a disk that is full.
const SMALL_FILES: &str = r#"trap "" XFSZ; ulimit -f 128; exec "$@""#;
/// Only this process and its children see the disk, of 64 kB.
const SMALL_DISK: &str =
    r#"exec unshare --mount sh -c 'mount -t tmpfs -o size=64k none "$TMPDIR" && exec "$@"' sh "$@""#;

fn tar_of(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    tar.into_inner().unwrap()
}

fn bytes(content: &Content) -> &[u8] {
    match content {
        Content::Memory(bytes) => bytes,
        other => panic!("{other:?}"),
    }
}

/// `image` as `docker save` writes it: its layers have to be compressed.
fn saved(image: &Image) -> Vec<u8> {
    let [layers @ .., config] = image.blobs.as_slice() else {
        panic!("no configuration")
    };
    let (mut files, mut names) = (Vec::new(), Vec::new());
    for layer in layers {
        let mut plain = GzDecoder::new(Vec::new());
        plain.write_all(bytes(&layer.content)).unwrap();
        names.push(format!("{}/layer.tar", layer.digest().short()));
        files.push((names[names.len() - 1].clone(), plain.finish().unwrap()));
    }
    let name = format!("{}.json", config.digest().hex());
    let manifest = json!([{ "Config": name, "RepoTags": null, "Layers": names }]);
    files.push((name, bytes(&config.content).to_vec()));
    files.push(("manifest.json".to_owned(), manifest.to_string().into_bytes()));
    tar_of(&files)
}

/// `image` as a layout in an archive that is compressed: it has to be unpacked.
fn packed_layout(image: &Image) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    write_layout(image, folder.path());
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    tar.append_dir_all(".", folder.path()).unwrap();
    tar.into_inner().unwrap().finish().unwrap()
}

/// `provisioner push` of `source`, started by `script`, with an empty folder for what is temporary.
async fn push(registry: &Registry, source: &str, script: &str) -> (Ended, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let temporary = folder.path().display().to_string();
    let run = format!("push --name demo --registry {}/team {source}", registry.address());
    let run = Run::of(&run).env("TMPDIR", &temporary).started_by(script);
    let ended = tokio::task::spawn_blocking(move || run.end()).await.unwrap();
    (ended, names(folder.path()))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Archives that cannot be read without writing something, and the error that `script` gives for each.
async fn leaves_nothing(script: &str, reason: &str) {
    let image = bulky_image(1_000_000);
    for archive in [saved(&image), packed_layout(&image)] {
        let registry = Registry::start(Auth::Anonymous).await;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), archive).unwrap();
        let source = format!("--archive {}", file.path().display());
        let (ended, left) = push(&registry, &source, script).await;
        let stderr = ended.stderr();
        assert_eq!((ended.code(), ended.stdout().as_str()), (1, ""), "{stderr}");
        let used = format!("error: cannot use the image `{}`", file.path().display());
        for wanted in [
            &used,
            "cannot unpack it in `/",
            reason,
            "make room there, or name another folder in `TMPDIR`",
        ] {
            assert!(stderr.contains(wanted), "{wanted}: {stderr}");
        }
        assert_eq!(left, [""; 0], "no file is left");
        assert_eq!(registry.counts_of("team/web-app"), (0, 0, 0));
        let (ended, left) = push(&registry, &source, r#"exec "$@""#).await;
        assert_eq!(ended.code(), 0, "{}", ended.stderr());
        assert_eq!((registry.counts_of("team/web-app"), left.len()), ((1, 1, 3), 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_grow_end_a_run_and_leave_nothing() {
    leaves_nothing(SMALL_FILES, "File too large").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_pushed_without_writing_anything() {
    let image = bulky_image(1_000_000);
    let folder = tempfile::tempdir().unwrap();
    write_layout(&image, folder.path());
    let registry = Registry::start(Auth::Anonymous).await;
    let source = format!("--oci-layout {}", folder.path().display());
    let (ended, left) = push(&registry, &source, SMALL_FILES).await;
    assert_eq!((ended.code(), left.len()), (0, 0), "{}", ended.stderr());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "root: `make test-full` runs it"]
async fn a_full_disk_ends_a_run_and_leaves_nothing() {
    leaves_nothing(SMALL_DISK, "No space left on device").await;
}

/// The real compiler, on a disk that has no room for what it makes.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "root: `make test-full` runs it"]
async fn a_build_on_a_full_disk_names_the_folder_and_gives_no_tag() {
    let registry = Registry::start(Auth::Anonymous).await;
    let folder = tempfile::tempdir().unwrap();
    let temporary = folder.path().display().to_string();
    let cargo = Path::new(env!("CARGO"));
    let rustc = cargo.with_file_name("rustc");
    let run = Run::of(&format!("push --name demo --registry {}/team", registry.address()))
        .file(
            "Cargo.toml",
            "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[profile.image]\ninherits = \"release\"\n",
        )
        .file("src/main.rs", "fn main() { println!(\"{:?}\", std::env::args()) }\n")
        .env("CARGO", &cargo.display().to_string())
        .env("RUSTC", &rustc.display().to_string())
        .env("TMPDIR", &temporary)
        .env("CARGO_TARGET_DIR", &temporary);
    let ended = tokio::task::spawn_blocking(move || run.started_by(SMALL_DISK).end())
        .await
        .unwrap();
    let stderr = ended.stderr();
    assert_eq!((ended.code(), ended.stdout().as_str()), (1, ""), "{stderr}");
    assert!(stderr.contains("error: cannot build package `app`"), "{stderr}");
    let hint = format!("the disk of `{temporary}` is full");
    assert!(stderr.contains(&hint), "{stderr}");
    assert_eq!(registry.counts_of("team/web-app").0, 0);
    assert_eq!(names(folder.path()), [""; 0]);
}
