//! The OCI image layout: `oci-layout`, `index.json` and `blobs/`, in a folder or an archive.
//!
//! <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>

use serde::Deserialize;

use super::Defect;
use super::document::{Entry, entries};
use super::graph::{self, Configurations, Walk};
use super::layers::Layers;
use super::store::Store;
use crate::image::content::{Descriptor, Image, Manifest};
use crate::image::media::{self, LONGEST_MANIFEST};

/// Annotation with the name of an image.
const NAME: &str = "org.opencontainers.image.ref.name";

/// `oci-layout`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    image_layout_version: String,
}

/// The one image of `store`, every blob checked, and every layer against its configuration.
pub(super) fn read(store: &Store) -> Result<Image, Defect> {
    let marker: Marker = serde_json::from_slice(&store.read("oci-layout", LONGEST_MANIFEST)?).unwrap_or_default();
    if marker.image_layout_version != "1.0.0" {
        return Err(Defect::Malformed("`oci-layout` does not say version 1.0.0".to_owned()));
    }
    let index = store.read("index.json", LONGEST_MANIFEST)?;
    // The same image under several names is one.
    let (mut known, mut named) = (Vec::new(), Vec::new());
    for entry in entries(&index)? {
        let descriptor = entry.descriptor()?;
        if !known.contains(&descriptor) {
            known.push(descriptor);
            named.push(entry);
        }
    }
    let root = match named.as_slice() {
        [] => return Err(Defect::Malformed("`index.json` names no image".to_owned())),
        [one] => manifest(store, &one.descriptor()?)?,
        several if is_one_image(several) => Manifest::new(media::INDEX, index),
        several => return Err(Defect::Several(several.iter().map(name).collect())),
    };
    let mut walk = Walk::from(root, Configurations::All)?;
    while let Some(wanted) = walk.wanted() {
        let bytes = store.read(&path(wanted), LONGEST_MANIFEST)?;
        walk.give(bytes.into())?;
    }
    let mut layers = Layers::new();
    walk.finish(|blob, diff_id| match diff_id {
        Some(diff_id) => layers.checked(store, (&path(blob), blob), diff_id),
        None => store.blob(&path(blob), blob),
    })
}

/// Whether the entries are one image's platforms, and not images with names of their own.
fn is_one_image(entries: &[Entry]) -> bool {
    let mut platforms: Vec<_> = entries.iter().map(Entry::platform_name).collect();
    let all = platforms.len();
    platforms.sort();
    platforms.dedup();
    platforms.len() == all
        && entries
            .iter()
            .all(|entry| entry.platform.is_some() && entry.annotation(NAME).is_none())
}

fn name(entry: &Entry) -> String {
    let digest = || entry.descriptor().map(|descriptor| descriptor.digest.to_string());
    entry
        .annotation(NAME)
        .map_or_else(|| digest().unwrap_or_default(), str::to_owned)
}

fn manifest(store: &Store, descriptor: &Descriptor) -> Result<Manifest, Defect> {
    let bytes = store.read(&path(descriptor), LONGEST_MANIFEST)?;
    graph::matches(descriptor, &bytes)?;
    Ok(Manifest {
        descriptor: descriptor.clone(),
        bytes: bytes.into(),
    })
}

fn path(descriptor: &Descriptor) -> String {
    format!("blobs/sha256/{}", descriptor.digest.hex())
}
