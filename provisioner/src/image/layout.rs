//! An OCI image from executables, one for each platform, as a pure function of its inputs.
//!
//! Two layers: who the user is (it never changes, so every registry has it after the first push), and the binary.
//! Formats: <https://github.com/opencontainers/image-spec>, `manifest.md`, `config.md`, `layer.md`.

use serde_json::{Map, Value, json};

use super::compression::Compression;
use super::content::{Blob, Image, Manifest};
use super::digest::Digest;
use super::{Binary, ImageError, ImageSpec, elf, media};

/// User and group of the process, as distroless images have it. Numeric, for the kubelet's `runAsNonRoot` check.
const NONROOT: u32 = 65532;
const PASSWD: &str = "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnonroot:x:65532:\n";

/// Puts each of `binaries` into an image: one is the image of its platform, several are one image with an index over
/// their platforms, which are in the order of their names. The same binaries and spec give the same digest on every
/// machine; file times are `SOURCE_DATE_EPOCH` or 1970. No revision is recorded, because a commit that leaves the binary
/// as it is must leave the digest as it is.
///
/// # Errors
/// [`ImageError::NotRunnable`] where a binary is not static or for another platform, [`ImageError::Platforms`] where there is
/// none or two are for the same one, [`ImageError::Read`], [`ImageError::Epoch`].
pub fn assemble(spec: &ImageSpec, binaries: &[Binary]) -> Result<Image, ImageError> {
    let epoch = Epoch::of(std::env::var("SOURCE_DATE_EPOCH").ok().as_deref())?;
    assemble_at(spec, binaries, epoch.as_ref())
}

fn assemble_at(spec: &ImageSpec, binaries: &[Binary], epoch: Option<&Epoch>) -> Result<Image, ImageError> {
    let mut binaries: Vec<&Binary> = binaries.iter().collect();
    binaries.sort_by(|one, other| one.platform.cmp(&other.platform));
    let platforms: Vec<String> = binaries.iter().map(|binary| binary.platform.clone()).collect();
    if platforms.is_empty()
        || platforms
            .iter()
            .zip(platforms.iter().skip(1))
            .any(|(one, next)| one == next)
    {
        return Err(ImageError::Platforms { given: platforms });
    }
    let base = layer(&base_entries(), mtime(epoch), spec.compression)?;
    let (mut manifests, mut blobs) = (Vec::new(), vec![base.blob.clone()]);
    for &binary in &binaries {
        let (manifest, own) = image_of(spec, binary, &base, epoch)?;
        manifests.push((manifest, &binary.platform));
        blobs.extend(own);
    }
    if let [(root, _)] = manifests.as_slice() {
        let (root, children) = (root.clone(), Vec::new());
        return Ok(Image {
            root,
            children,
            blobs,
            platforms,
        });
    }
    let index = json!({
        "schemaVersion": 2,
        "mediaType": media::INDEX,
        "manifests": manifests.iter().map(entry).collect::<Vec<_>>(),
        "annotations": binaries.first().map(|binary| labels(spec, binary, epoch)),
    });
    Ok(Image {
        root: Manifest::new(media::INDEX, index.to_string()),
        children: manifests.into_iter().map(|(manifest, _)| manifest).collect(),
        blobs,
        platforms,
    })
}

/// A build time that was asked for, in seconds and as RFC 3339 text.
#[derive(Debug, Clone)]
pub(super) struct Epoch {
    seconds: u64,
    pub(super) text: String,
}

impl Epoch {
    /// The time that `SOURCE_DATE_EPOCH` asks for, if it asks for one.
    pub(super) fn of(variable: Option<&str>) -> Result<Option<Self>, ImageError> {
        variable.map(Self::parse).transpose()
    }

    fn parse(text: &str) -> Result<Self, ImageError> {
        let invalid = || ImageError::Epoch { given: text.to_owned() };
        let seconds: u32 = text.trim().parse().map_err(|_| invalid())?;
        let time = jiff::Timestamp::from_second(seconds.into()).map_err(|_| invalid())?;
        Ok(Self {
            seconds: seconds.into(),
            text: time.to_string(),
        })
    }
}

/// A platform's entry in the index.
fn entry((manifest, platform): &(Manifest, &String)) -> Value {
    let (os, architecture) = platform.split_once('/').unwrap_or_default();
    let mut entry = manifest.descriptor.to_json();
    entry["platform"] = json!({ "architecture": architecture, "os": os });
    entry
}

/// The image of one platform: its manifest, and the blobs that are its own.
fn image_of(
    spec: &ImageSpec,
    binary: &Binary,
    base: &Layer,
    epoch: Option<&Epoch>,
) -> Result<(Manifest, [Blob; 2]), ImageError> {
    let executable = std::fs::read(&binary.path).map_err(|source| ImageError::Read {
        path: binary.path.clone(),
        source,
    })?;
    elf::check(&executable, &binary.platform).map_err(|defect| ImageError::NotRunnable {
        path: binary.path.clone(),
        source: defect,
    })?;
    let own = layer(
        &[Entry::file("app", 0o755, &executable)],
        mtime(epoch),
        spec.compression,
    )?;
    let labels = labels(spec, binary, epoch);
    let config = config(spec, binary, epoch, (&[&base.diff_id, &own.diff_id], &labels));
    let config = Blob::new(media::CONFIG, config.to_string());
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media::MANIFEST,
        "config": config.descriptor.to_json(),
        "layers": [base.blob.descriptor.to_json(), own.blob.descriptor.to_json()],
        "annotations": labels,
    });
    Ok((Manifest::new(media::MANIFEST, manifest.to_string()), [own.blob, config]))
}

fn base_entries() -> [Entry<'static>; 3] {
    [
        Entry::folder("etc/"),
        Entry::file("etc/group", 0o644, GROUP.as_bytes()),
        Entry::file("etc/passwd", 0o644, PASSWD.as_bytes()),
    ]
}

fn mtime(epoch: Option<&Epoch>) -> u64 {
    epoch.map_or(0, |epoch| epoch.seconds)
}

/// The keys that the image specification predefines, as labels of the container and annotations of the manifest.
fn labels(spec: &ImageSpec, binary: &Binary, epoch: Option<&Epoch>) -> Map<String, Value> {
    let values = [
        ("created", epoch.map(|epoch| epoch.text.clone())),
        ("source", binary.repository.clone()),
        ("title", Some(spec.title.clone())),
        ("version", binary.version.clone()),
    ];
    values
        .into_iter()
        .filter_map(|(key, value)| Some((format!("org.opencontainers.image.{key}"), value?.into())))
        .collect()
}

fn config(
    spec: &ImageSpec,
    binary: &Binary,
    epoch: Option<&Epoch>,
    (diff_ids, labels): (&[&Digest], &Map<String, Value>),
) -> Value {
    let created = epoch.map_or("1970-01-01T00:00:00Z", |epoch| epoch.text.as_str());
    let (os, architecture) = binary.platform.split_once('/').unwrap_or_default();
    json!({
        "created": created,
        "architecture": architecture,
        "os": os,
        "config": {
            "User": format!("{NONROOT}:{NONROOT}"),
            "ExposedPorts": { "8080/tcp": {} },
            "Env": ["PATH=/"],
            "Entrypoint": ["/app"],
            "Cmd": spec.entrypoint_args,
            "WorkingDir": "/",
            "Labels": labels,
        },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
        "history": [
            { "created": created, "created_by": "provisioner", "comment": "user and group" },
            { "created": created, "created_by": "provisioner", "comment": "executable" },
        ],
    })
}

struct Layer {
    /// Digest of the tar archive before compression.
    diff_id: Digest,
    blob: Blob,
}

struct Entry<'a> {
    path: &'a str,
    kind: tar::EntryType,
    mode: u32,
    content: &'a [u8],
}

impl<'a> Entry<'a> {
    fn folder(path: &'a str) -> Self {
        Self {
            path,
            kind: tar::EntryType::Directory,
            mode: 0o755,
            content: &[],
        }
    }

    fn file(path: &'a str, mode: u32, content: &'a [u8]) -> Self {
        Self {
            path,
            kind: tar::EntryType::Regular,
            mode,
            content,
        }
    }
}

/// `entries` must be sorted by path, parents first. Owner is root: the process cannot change its own files.
fn layer(entries: &[Entry<'_>], mtime: u64, compression: Compression) -> Result<Layer, ImageError> {
    let archive = archive(entries, mtime).map_err(ImageError::Archive)?;
    let compressed = compression.compress(&archive).map_err(ImageError::Archive)?;
    Ok(Layer {
        diff_id: Digest::of(&archive),
        blob: Blob::new(compression.media_type(), compressed),
    })
}

fn archive(entries: &[Entry<'_>], mtime: u64) -> std::io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(entry.kind);
        header.set_path(entry.path)?;
        header.set_mode(entry.mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(mtime);
        header.set_size(entry.content.len() as u64);
        header.set_cksum();
        tar.append(&header, entry.content)?;
    }
    tar.into_inner()
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
