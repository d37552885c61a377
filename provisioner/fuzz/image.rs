//! Images to begin with: valid ones, and such that something in their middle was changed before all above it was made.

use std::io::Write as _;

use fastrand::Rng;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::mutate;

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const ARCHITECTURES: [&str; 3] = ["amd64", "arm64", "riscv64"];

/// Names and contents.
pub(crate) type Files = Vec<(String, Vec<u8>)>;

/// How much is changed on the way: nothing in one of four images.
pub(crate) struct Twist {
    one_of: Option<u8>,
}

impl Twist {
    pub(crate) fn any(rng: &mut Rng) -> Self {
        let one_of = [None, Some(40), Some(12), Some(4)];
        Self {
            one_of: one_of[rng.usize(..one_of.len())],
        }
    }

    /// Whether nothing is changed at all.
    pub(crate) fn is_none(&self) -> bool {
        self.one_of.is_none()
    }

    /// Whether something is changed here.
    pub(crate) fn strikes(&self, rng: &mut Rng) -> bool {
        self.one_of.is_some_and(|one_of| rng.u8(..one_of) == 0)
    }

    fn document(&self, rng: &mut Rng, mut document: Value) -> Vec<u8> {
        while self.strikes(rng) {
            mutate::json(rng, &mut document);
        }
        let mut bytes = document.to_string().into_bytes();
        if self.strikes(rng) {
            mutate::bytes(rng, &mut bytes);
        }
        bytes
    }
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

/// The content of a layer; now and then one that is much larger than it is packed.
fn content(rng: &mut Rng) -> Vec<u8> {
    if rng.u8(..200) == 0 {
        return vec![0; 8_000_000];
    }
    let mut content = vec![rng.u8(..); rng.usize(..3000)];
    let half = content.len() / 2;
    rng.fill(&mut content[..half]);
    content
}

/// A layer: type, bytes, and what it is when it is unpacked.
fn layer(rng: &mut Rng, twist: &Twist) -> (String, Vec<u8>, String) {
    let content = content(rng);
    let (ending, mut packed) = match rng.u8(..4) {
        0 => ("", content.clone()),
        1 => ("+gzip", gzip(&content)),
        // A frame before it that is to be skipped.
        2 => (
            "+zstd",
            [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0], &b"any"[..], &zstd(&content)].concat(),
        ),
        _ => ("+zstd", zstd(&content)),
    };
    if twist.strikes(rng) {
        mutate::bytes(rng, &mut packed);
    }
    let media_type = if twist.strikes(rng) {
        mutate::word(rng)
    } else {
        format!("{LAYER}{ending}")
    };
    (media_type, packed, digest(&content))
}

fn configuration(rng: &mut Rng, twist: &Twist, (architecture, diff_ids): (&str, Vec<String>)) -> Vec<u8> {
    let rootfs = json!({ "type": "layers", "diff_ids": diff_ids });
    let config = json!({ "os": "linux", "architecture": architecture, "config": { "User": "1" }, "rootfs": rootfs });
    twist.document(rng, config)
}

/// A folder in the OCI layout in the making.
struct Layout<'a> {
    rng: &'a mut Rng,
    twist: &'a Twist,
    files: Files,
}

impl Layout<'_> {
    /// Puts a blob; its descriptor.
    fn put(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let digest = digest(&bytes);
        let descriptor = json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() });
        let name = digest.trim_start_matches("sha256:");
        self.files.push((format!("blobs/sha256/{name}"), bytes));
        descriptor
    }

    fn document(&mut self, media_type: &str, document: Value) -> Value {
        let bytes = self.twist.document(self.rng, document);
        self.put(media_type, bytes)
    }

    fn image(&mut self, architecture: &str) -> Value {
        let (mut layers, mut diff_ids) = (Vec::new(), Vec::new());
        for _ in 0..self.rng.usize(..4) {
            let (media_type, packed, diff_id) = layer(self.rng, self.twist);
            layers.push(self.put(&media_type, packed));
            diff_ids.push(diff_id);
        }
        let config = configuration(self.rng, self.twist, (architecture, diff_ids));
        let config = self.put(CONFIG, config);
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        self.document(MANIFEST, manifest)
    }

    fn index(&mut self, entries: &[Value]) -> Value {
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
        self.document(INDEX, index)
    }

    /// One image or several under an index, seldom an index of indexes; what names it all.
    fn root(&mut self) -> Value {
        let count = self.rng.usize(1..=ARCHITECTURES.len());
        let mut entries = Vec::new();
        for architecture in &ARCHITECTURES[..count] {
            let mut entry = self.image(architecture);
            entry["platform"] = json!({ "os": "linux", "architecture": architecture });
            entries.push(entry);
        }
        let mut root = match entries.as_slice() {
            [one] if self.rng.bool() => one.clone(),
            _ => self.index(&entries),
        };
        while self.twist.strikes(self.rng) {
            for _ in 0..self.rng.usize(1..60) {
                root = self.index(&[root]);
            }
        }
        root
    }
}

/// The files of an image in the OCI layout, and the descriptor of its root.
pub(crate) fn layout(rng: &mut Rng, twist: &Twist) -> (Files, Value) {
    let mut layout = Layout {
        rng,
        twist,
        files: Vec::new(),
    };
    let root = layout.root();
    let mut files = layout.files;
    let index = json!({ "schemaVersion": 2, "manifests": [root] });
    files.push(("index.json".to_owned(), twist.document(rng, index)));
    let marker = json!({ "imageLayoutVersion": "1.0.0" });
    files.push(("oci-layout".to_owned(), twist.document(rng, marker)));
    (files, root)
}

/// The files of an image as `docker save` writes them.
pub(crate) fn saved(rng: &mut Rng, twist: &Twist) -> Files {
    let (mut files, mut names, mut diff_ids) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..rng.usize(..4) {
        let (_, packed, diff_id) = layer(rng, twist);
        names.push(format!("{number}/layer.tar"));
        files.push((names[number].clone(), packed));
        diff_ids.push(diff_id);
    }
    let config = configuration(rng, twist, ("amd64", diff_ids));
    let name = format!("{}.json", digest(&config).trim_start_matches("sha256:"));
    let manifest = json!([{ "Config": name, "RepoTags": ["app:1"], "Layers": names }]);
    files.push((name, config));
    files.push(("manifest.json".to_owned(), twist.document(rng, manifest)));
    files
}
