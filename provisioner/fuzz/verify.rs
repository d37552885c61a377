//! Whether an image is what it says, told without the code that accepted it.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;

use provisioner::image::{Blob, Content, Image};
use serde_json::Value;

use crate::image::digest;

/// Every manifest and blob has its digest and size, every child comes after those that it names, every blob is there, and
/// every layer of an image is what the image's configuration says.
pub(crate) fn image(image: &Image) -> Result<(), String> {
    let attached = attached(image);
    let mut known = BTreeMap::new();
    for blob in &image.blobs {
        let bytes = content(blob)?;
        described(blob.digest().as_str(), blob.size(), &bytes)?;
        known.insert(blob.digest().to_string(), bytes);
    }
    for manifest in image.children.iter().chain([&image.root]) {
        described(manifest.digest().as_str(), manifest.descriptor.size, &manifest.bytes)?;
        let document: Value = serde_json::from_slice(&manifest.bytes).map_err(|error| error.to_string())?;
        let lists = ["manifests", "layers"].map(|key| document[key].as_array().cloned().unwrap_or_default());
        let named = lists.iter().flatten().chain(document.get("config"));
        for entry in named {
            let digest = entry["digest"].as_str().unwrap_or_default();
            let bytes = known
                .get(digest)
                .ok_or(format!("{digest} is named and not there before"))?;
            if entry["size"].as_u64() != Some(bytes.len() as u64) {
                return Err(format!("{digest} has another size"));
            }
        }
        let is_image = !attached.contains(&manifest.digest().to_string());
        if is_image && document.get("config").is_some() {
            layers(&document, &known)?;
        }
        known.insert(manifest.digest().to_string(), manifest.bytes.to_vec());
    }
    Ok(())
}

/// What indexes name that is no image but goes along with one: its layers are not unpacked by any node.
fn attached(image: &Image) -> Vec<String> {
    let mut attached = Vec::new();
    for manifest in image.children.iter().chain([&image.root]) {
        let document: Value = serde_json::from_slice(&manifest.bytes).unwrap_or_default();
        for entry in document["manifests"].as_array().into_iter().flatten() {
            let is_image =
                entry["platform"]["os"] != "unknown" && entry["annotations"].get("vnd.docker.reference.type").is_none();
            if !is_image {
                attached.extend(entry["digest"].as_str().map(str::to_owned));
            }
        }
    }
    attached
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

fn layers(manifest: &Value, known: &BTreeMap<String, Vec<u8>>) -> Result<(), String> {
    let config = &known[manifest["config"]["digest"].as_str().unwrap_or_default()];
    let config: Value = serde_json::from_slice(config).map_err(|error| error.to_string())?;
    let diff_ids = config["rootfs"]["diff_ids"].as_array().cloned().unwrap_or_default();
    let layers = manifest["layers"].as_array().cloned().unwrap_or_default();
    if layers.len() != diff_ids.len() || layers.len() > 500 {
        return Err(format!("{} layers and {} of them named", layers.len(), diff_ids.len()));
    }
    for (layer, diff_id) in layers.iter().zip(&diff_ids) {
        let plain = unpacked(&known[layer["digest"].as_str().unwrap_or_default()], layer)?;
        if diff_id.as_str() != Some(&digest(&plain)) {
            return Err(format!("layer {layer} is {}, not {diff_id}", digest(&plain)));
        }
    }
    Ok(())
}

fn unpacked(bytes: &[u8], layer: &Value) -> Result<Vec<u8>, String> {
    let is_tar = layer["mediaType"] == "application/vnd.oci.image.layer.v1.tar";
    let mut plain = Vec::new();
    match bytes {
        [0x1f, 0x8b, ..] if !is_tar => {
            let mut decoder = flate2::read::MultiGzDecoder::new(bytes);
            decoder.read_to_end(&mut plain).map_err(|error| error.to_string())?;
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] if !is_tar => {
            let mut rest = bytes;
            while !rest.is_empty() {
                let frame = ruzstd::decoding::StreamingDecoder::new(&mut rest);
                let mut frame = frame.map_err(|error| error.to_string())?;
                frame.read_to_end(&mut plain).map_err(|error| error.to_string())?;
            }
        }
        _ => plain = bytes.to_vec(),
    }
    Ok(plain)
}
