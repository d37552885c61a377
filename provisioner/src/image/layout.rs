//! An OCI image from one executable, as a pure function of its inputs.
//!
//! Two layers: who the user is (it never changes, so every registry has it after the first push), and the binary.
//! Formats: <https://github.com/opencontainers/image-spec>, `manifest.md`, `config.md`, `layer.md`.

use std::io::Write as _;

use bytes::Bytes;
use flate2::{Compression, GzBuilder};
use serde_json::{Map, Value, json};

use super::{Binary, ImageError, ImageSpec, digest, elf};

/// Media type of an image manifest.
pub(super) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// User and group of the process, as distroless images have it. Numeric, for the kubelet's `runAsNonRoot` check.
const NONROOT: u32 = 65532;
const PASSWD: &str = "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnonroot:x:65532:\n";
/// Compression level of the layers: part of the digest, so changing it re-uploads every image once.
const LEVEL: u32 = 9;

/// Content that a registry stores under its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// OCI media type.
    pub media_type: &'static str,
    /// `sha256:...` of `bytes`.
    pub digest: String,
    /// The content.
    pub bytes: Bytes,
}

impl Blob {
    fn new(media_type: &'static str, bytes: Vec<u8>) -> Self {
        Self {
            media_type,
            digest: digest(&bytes),
            bytes: bytes.into(),
        }
    }

    fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest, "size": self.bytes.len() })
    }
}

/// A complete image, ready to be pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The image's configuration.
    pub config: Blob,
    /// Its layers, lowest first.
    pub layers: Vec<Blob>,
    /// The manifest, exactly as it is pushed: its digest is over these bytes.
    pub manifest: Bytes,
    /// The image's digest, `sha256:...`.
    pub digest: String,
}

impl Image {
    /// The tag that is used where none is given: the first 12 digits of the digest, so equal content has equal tags.
    pub fn default_tag(&self) -> String {
        self.digest.chars().skip("sha256:".len()).take(12).collect()
    }

    /// What the manifest refers to: the layers, then the configuration.
    pub fn blobs(&self) -> impl Iterator<Item = &Blob> {
        self.layers.iter().chain(std::iter::once(&self.config))
    }
}

/// Puts `binary` into an image. The same binary and spec give the same digest on every machine; file times are
/// `SOURCE_DATE_EPOCH` or 1970. No revision is recorded, because a commit that leaves the binary as it is must
/// leave the digest as it is.
///
/// # Errors
/// [`ImageError::NotRunnable`] where the binary is not static or for another platform, [`ImageError::Read`],
/// [`ImageError::Epoch`].
pub fn assemble(spec: &ImageSpec, binary: &Binary) -> Result<Image, ImageError> {
    let epoch = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => Some(Epoch::parse(&text)?),
        Err(_) => None,
    };
    assemble_at(spec, binary, epoch)
}

/// A build time that was asked for, in seconds and as RFC 3339 text.
#[derive(Debug, Clone)]
struct Epoch {
    seconds: u64,
    text: String,
}

impl Epoch {
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

fn assemble_at(spec: &ImageSpec, binary: &Binary, epoch: Option<Epoch>) -> Result<Image, ImageError> {
    let executable = std::fs::read(&binary.path).map_err(|source| ImageError::Read {
        path: binary.path.clone(),
        source,
    })?;
    elf::check(&executable, &binary.platform).map_err(|defect| ImageError::NotRunnable {
        path: binary.path.clone(),
        source: defect,
    })?;
    let mtime = epoch.as_ref().map_or(0, |epoch| epoch.seconds);
    let base = [
        Entry::folder("etc/"),
        Entry::file("etc/group", 0o644, GROUP.as_bytes()),
        Entry::file("etc/passwd", 0o644, PASSWD.as_bytes()),
    ];
    let layers = [
        layer(&base, mtime)?,
        layer(&[Entry::file("app", 0o755, &executable)], mtime)?,
    ];
    let labels = labels(spec, binary, epoch.as_ref());
    let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
    let created = epoch.map_or_else(|| "1970-01-01T00:00:00Z".to_owned(), |epoch| epoch.text);
    let config = config(spec, binary, &created, &diff_ids, &labels);
    let config = Blob::new(CONFIG_TYPE, config.to_string().into_bytes());
    let layers: Vec<Blob> = layers.into_iter().map(|layer| layer.blob).collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": config.descriptor(),
        "layers": layers.iter().map(Blob::descriptor).collect::<Vec<_>>(),
        "annotations": labels,
    });
    let manifest = manifest.to_string().into_bytes();
    Ok(Image {
        config,
        layers,
        digest: digest(&manifest),
        manifest: manifest.into(),
    })
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

fn config(spec: &ImageSpec, binary: &Binary, created: &str, diff_ids: &[&str], labels: &Map<String, Value>) -> Value {
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
    diff_id: String,
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
fn layer(entries: &[Entry<'_>], mtime: u64) -> Result<Layer, ImageError> {
    let archive = archive(entries, mtime).map_err(ImageError::Archive)?;
    let mut gzip = GzBuilder::new()
        .mtime(0)
        .operating_system(255)
        .write(Vec::new(), Compression::new(LEVEL));
    gzip.write_all(&archive).map_err(ImageError::Archive)?;
    Ok(Layer {
        diff_id: digest(&archive),
        blob: Blob::new(LAYER_TYPE, gzip.finish().map_err(ImageError::Archive)?),
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
