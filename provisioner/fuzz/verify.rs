//! Whether an image is what it says, told without the code that accepted it.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;

use provisioner::image::{Blob, Content, Image, Manifest};
use serde::Deserialize;

use crate::image::digest;

/// A manifest or an index.
#[derive(Deserialize)]
struct Document {
    manifests: Option<Vec<Entry>>,
    config: Option<Entry>,
    layers: Option<Vec<Entry>>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    #[serde(rename = "mediaType")]
    media_type: String,
    digest: String,
    size: u64,
    platform: Option<Platform>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
struct Platform {
    os: String,
}

#[derive(Deserialize)]
struct Configuration {
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

/// Contents by digest.
type Known = BTreeMap<String, Vec<u8>>;

/// Every manifest and blob has its digest and size, every child comes after those that it names, every blob is there, and
/// every layer of an image is what the image's configuration says.
pub(crate) fn image(image: &Image) -> Result<(), String> {
    let mut known = Known::new();
    for blob in &image.blobs {
        let bytes = content(blob)?;
        described(blob.digest().as_str(), blob.size(), &bytes)?;
        known.insert(blob.digest().to_string(), bytes);
    }
    let manifests: Vec<&Manifest> = image.children.iter().chain([&image.root]).collect();
    let documents: Vec<Document> = manifests
        .iter()
        .map(|manifest| parsed(&manifest.bytes))
        .collect::<Result<_, _>>()?;
    let attached = attached(&documents);
    for (manifest, document) in manifests.iter().zip(&documents) {
        let name = manifest.digest().to_string();
        described(&name, manifest.descriptor.size, &manifest.bytes)?;
        let lists = [&document.manifests, &document.layers];
        for entry in lists.into_iter().flatten().flatten().chain(&document.config) {
            let bytes = known.get(&entry.digest);
            let bytes = bytes.ok_or_else(|| format!("{entry:?} is named and not there before"))?;
            described(&entry.digest, entry.size, bytes)?;
        }
        if let (Some(config), Some(layers), false) = (&document.config, &document.layers, attached.contains(&name)) {
            unpack(layers, config, &known)?;
        }
        known.insert(name, manifest.bytes.to_vec());
    }
    Ok(())
}

fn parsed<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

/// What indexes name that is no image but goes along with one: its layers are not unpacked by any node.
fn attached(documents: &[Document]) -> Vec<String> {
    let is_image = |entry: &&Entry| {
        let marks = entry.annotations.as_ref();
        entry.platform.as_ref().is_none_or(|platform| platform.os != "unknown")
            && marks.is_none_or(|marks| !marks.contains_key("vnd.docker.reference.type"))
    };
    let entries = documents
        .iter()
        .flat_map(|document| document.manifests.iter().flatten());
    let attached = entries.filter(|entry| !is_image(entry));
    attached.map(|entry| entry.digest.clone()).collect()
}

fn described(name: &str, size: u64, bytes: &[u8]) -> Result<(), String> {
    if digest(bytes) == name && bytes.len() as u64 == size {
        return Ok(());
    }
    Err(format!(
        "{name} of {size} bytes is {} of {}",
        digest(bytes),
        bytes.len()
    ))
}

fn content(blob: &Blob) -> Result<Vec<u8>, String> {
    match &blob.content {
        Content::Memory(bytes) => Ok(bytes.to_vec()),
        Content::Path(path) => std::fs::read(path).map_err(|error| error.to_string()),
        Content::Part { file, offset } => {
            let mut bytes = vec![0; usize::try_from(blob.size()).map_err(|error| error.to_string())?];
            let read = file.read_exact_at(&mut bytes, *offset);
            read.map(|()| bytes).map_err(|error| error.to_string())
        }
        Content::Remote(from) => Err(format!("its bytes are in {from:?}")),
    }
}

fn unpack(layers: &[Entry], config: &Entry, known: &Known) -> Result<(), String> {
    let Configuration { rootfs } = parsed(&known[&config.digest])?;
    if layers.len() != rootfs.diff_ids.len() || layers.len() > 500 {
        return Err(format!(
            "{} layers and {} of them named",
            layers.len(),
            rootfs.diff_ids.len()
        ));
    }
    for (layer, diff_id) in layers.iter().zip(&rootfs.diff_ids) {
        let plain = unpacked(&known[&layer.digest], layer)?;
        if *diff_id != digest(&plain) {
            return Err(format!("{layer:?} is {}, not {diff_id}", digest(&plain)));
        }
    }
    Ok(())
}

fn unpacked(bytes: &[u8], layer: &Entry) -> Result<Vec<u8>, String> {
    let is_tar = layer.media_type == "application/vnd.oci.image.layer.v1.tar";
    let mut plain = Vec::new();
    match bytes {
        [0x1f, 0x8b, ..] if !is_tar => {
            let mut decoder = flate2::read::MultiGzDecoder::new(bytes);
            decoder.read_to_end(&mut plain).map_err(|error| error.to_string())?;
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] if !is_tar => {
            let mut rest = bytes;
            while !rest.is_empty() {
                if let [0x50..=0x5f, 0x2a, 0x4d, 0x18, a, b, c, d, more @ ..] = rest {
                    let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
                    rest = more.get(length..).ok_or("a frame to be skipped is cut off")?;
                    continue;
                }
                let frame = ruzstd::decoding::StreamingDecoder::new(&mut rest);
                let mut frame = frame.map_err(|error| error.to_string())?;
                frame.read_to_end(&mut plain).map_err(|error| error.to_string())?;
            }
        }
        _ => plain = bytes.to_vec(),
    }
    Ok(plain)
}
