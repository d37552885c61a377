//! What `docker save` writes: `manifest.json`, a configuration, and layers that are not compressed. Newer versions write
//! the OCI layout beside it, which is read instead.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Seek as _, Write};
use std::path::PathBuf;
use std::sync::Arc;

use flate2::{Compression, GzBuilder};
use serde::Deserialize;
use serde_json::json;

use super::Defect;
use super::archive::no_room;
use super::document::Configuration;
use super::graph::{Configurations, Walk, bounded};
use super::layers::{self, Layers};
use super::store::{Store, Stored, each_chunk, mismatch, unreadable};
use super::unpack::Packing;
use crate::image::content::{Blob, Content, Descriptor, Image, Manifest};
use crate::image::digest::{Digest, Hasher};
use crate::image::media::{self, LONGEST_MANIFEST, MOST_LAYERS};

/// Compression of the layers: part of the digest. 6 is 2 to 3 times as fast as 9 and 1 % larger.
const LEVEL: u32 = 6;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// The one image of `store`, its layers compressed and checked.
pub(super) fn read(store: &Store) -> Result<Image, Defect> {
    let saved: Vec<Saved> = json(&store.read("manifest.json", LONGEST_MANIFEST)?, "manifest.json")?;
    bounded("images", saved.len(), media::MOST_MANIFESTS)?;
    let [saved] = saved.as_slice() else {
        return Err(match saved.len() {
            0 => Defect::Malformed("`manifest.json` names no image".to_owned()),
            _ => Defect::Several(saved.iter().map(name).collect()),
        });
    };
    bounded("layers", saved.layers.len(), MOST_LAYERS)?;
    let config = store.read(&saved.config, LONGEST_MANIFEST)?;
    named_by_digest(&saved.config, &config)?;
    let diff_ids = Configuration::read(&config, &saved.config)?.diff_ids(saved.layers.len())?;
    let mut packer = Packer::new()?;
    let mut layers = Vec::with_capacity(saved.layers.len());
    for (name, diff_id) in saved.layers.iter().zip(&diff_ids) {
        layers.push(packer.layer(name, store.find(name)?, diff_id)?);
    }
    let mut blobs = packer.finish(layers)?;
    blobs.push(Blob::new(media::CONFIG, config));
    image(&blobs)
}

/// Docker names a configuration by its digest: `HEX.json`, or `HEX` below `blobs/`. Nothing else protects it.
fn named_by_digest(name: &str, config: &[u8]) -> Result<(), Defect> {
    let stem = name.rsplit('/').next().unwrap_or(name).trim_end_matches(".json");
    let Ok(expected) = format!("sha256:{stem}").parse::<Digest>() else {
        return Ok(());
    };
    mismatch(name, &expected, Digest::of(config))
}

/// The image of these layers and, last, this configuration.
fn image(blobs: &[Blob]) -> Result<Image, Defect> {
    let Some((config, layers)) = blobs.split_last() else {
        return Err(Defect::Missing("configuration".to_owned()));
    };
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media::MANIFEST,
        "config": config.descriptor.to_json(),
        "layers": layers.iter().map(|layer| layer.descriptor.to_json()).collect::<Vec<_>>(),
    });
    let root = Manifest::new(media::MANIFEST, manifest.to_string());
    let mut walk = Walk::from(root, Configurations::All)?;
    if let Content::Memory(bytes) = &config.content {
        walk.give(bytes.clone())?;
    }
    walk.finish(|wanted, _| {
        let found = blobs.iter().find(|blob| blob.descriptor == *wanted);
        let content = found.map(|blob| blob.content.clone());
        content.ok_or_else(|| Defect::Missing(wanted.digest.to_string()))
    })
}

fn json<T: for<'de> Deserialize<'de>>(bytes: &[u8], name: &str) -> Result<T, Defect> {
    serde_json::from_slice(bytes).map_err(|error| Defect::Malformed(format!("`{name}` is not valid: {error}")))
}

fn name(saved: &Saved) -> String {
    let tags = saved.repo_tags.iter().flatten();
    tags.into_iter().next().cloned().unwrap_or_else(|| saved.config.clone())
}

/// Compresses layers into one file without a name.
struct Packer {
    to: BufWriter<File>,
    at: u64,
    layers: Layers,
    /// What was packed, by where it lies and what it is when it is unpacked: an image may have a layer several times.
    known: BTreeMap<(Place, Digest), Packed>,
}

/// Where a layer lies, however it is named.
type Place = (PathBuf, u64, u64);

fn place(layer: &Stored) -> Place {
    match &layer.content {
        Content::Path(path) => (path.clone(), 0, layer.size),
        Content::Part { offset, .. } => (PathBuf::new(), *offset, layer.size),
        Content::Memory(_) | Content::Remote(_) => (PathBuf::new(), u64::MAX, layer.size),
    }
}

/// A layer as it will be sent.
#[derive(Clone)]
enum Packed {
    /// In the packer's file.
    Here { offset: u64, descriptor: Descriptor },
    /// As it lies in the archive.
    There(Blob),
}

impl Packer {
    fn new() -> Result<Self, Defect> {
        let to = BufWriter::new(tempfile::tempfile().map_err(no_room)?);
        Ok(Self {
            to,
            at: 0,
            layers: Layers::new(),
            known: BTreeMap::new(),
        })
    }

    /// Packs the layer, unless that was done before.
    fn layer(&mut self, name: &str, layer: Stored, diff_id: &Digest) -> Result<Packed, Defect> {
        let key = (place(&layer), diff_id.clone());
        if let Some(packed) = self.known.get(&key) {
            return Ok(packed.clone());
        }
        let packed = self.pack(name, layer, diff_id)?;
        self.known.insert(key, packed.clone());
        Ok(packed)
    }

    /// Packs the layer, unless it is compressed already; either way its content must be what the configuration names.
    fn pack(&mut self, name: &str, layer: Stored, diff_id: &Digest) -> Result<Packed, Defect> {
        let packing = layers::packing(&layer).map_err(|source| unreadable(&name, source))?;
        let media_type = match packing {
            Packing::Plain => {
                self.layers.charge(&layer)?;
                let mut plain = Hasher::default();
                let packed = self.compress(name, &layer, &mut plain)?;
                return mismatch(name, diff_id, plain.finish()).map(|()| packed);
            }
            Packing::Gzip => media::LAYER_GZIP,
            Packing::Zstd => media::LAYER_ZSTD,
        };
        let digests = self.layers.digests(name, &layer, packing)?;
        mismatch(&format!("{name}, unpacked"), diff_id, digests.plain?)?;
        Ok(Packed::There(Blob {
            descriptor: Descriptor {
                media_type: media_type.to_owned(),
                digest: digests.packed,
                size: layer.size,
            },
            content: layer.content,
        }))
    }

    fn compress(&mut self, name: &str, layer: &Stored, plain: &mut Hasher) -> Result<Packed, Defect> {
        let mut counted = Counted {
            to: &mut self.to,
            hasher: Hasher::default(),
            size: 0,
            failed: None,
        };
        let mut gzip = GzBuilder::new()
            .mtime(0)
            .operating_system(255)
            .write(&mut counted, Compression::new(LEVEL));
        let reader = layer.reader().map_err(|source| unreadable(&name, source))?;
        let copied = each_chunk(reader, |chunk| {
            plain.update(chunk);
            gzip.write_all(chunk)
        });
        let copied = copied.and_then(|()| gzip.finish().map(drop));
        if let Some(error) = counted.failed {
            return Err(no_room(error));
        }
        copied.map_err(|source| unreadable(&name, source))?;
        let offset = self.at;
        self.at += counted.size;
        let descriptor = Descriptor {
            media_type: media::LAYER_GZIP.to_owned(),
            digest: counted.hasher.finish(),
            size: counted.size,
        };
        Ok(Packed::Here { offset, descriptor })
    }

    fn finish(self, layers: Vec<Packed>) -> Result<Vec<Blob>, Defect> {
        let mut file = self.to.into_inner().map_err(|error| no_room(error.into_error()))?;
        file.rewind().map_err(no_room)?;
        let file = Arc::new(file);
        let blobs = layers.into_iter().map(|layer| match layer {
            Packed::There(blob) => blob,
            Packed::Here { offset, descriptor } => Blob {
                descriptor,
                content: Content::Part {
                    file: file.clone(),
                    offset,
                },
            },
        });
        Ok(blobs.collect())
    }
}

/// Counts and hashes what passes.
struct Counted<'a, W> {
    to: &'a mut W,
    hasher: Hasher,
    size: u64,
    /// Why nothing more could be written: told apart from what could not be read.
    failed: Option<io::Error>,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.to.write_all(bytes) {
            let kind = error.kind();
            self.failed = Some(error);
            return Err(kind.into());
        }
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(file: &Arc<File>, (offset, size): (u64, u64)) -> Stored {
        let content = Content::Part {
            file: file.clone(),
            offset,
        };
        Stored { content, size }
    }

    fn bounded_to(most: u64) -> Packer {
        Packer {
            layers: Layers::of(most),
            ..Packer::new().expect("a packer")
        }
    }

    #[test]
    fn a_layer_that_is_there_several_times_is_packed_once_and_counted_once() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"one layer, another").expect("written");
        let file = Arc::new(file);
        let (one, other) = (Digest::of(b"one layer"), Digest::of(b"another"));
        let mut packer = bounded_to(16);
        let mut layers = Vec::new();
        for _ in 0..MOST_LAYERS {
            layers.push(packer.layer("a", stored(&file, (0, 9)), &one).expect("packed"));
        }
        let at = packer.at;
        layers.push(packer.layer("b", stored(&file, (11, 7)), &other).expect("packed"));
        assert!(at > 0 && at < 100 && packer.at > at, "{at}");
        // The same bytes under the name of others are read, and the bound is for all of them.
        let refused = packer.layer("a", stored(&file, (0, 9)), &other);
        assert!(matches!(refused, Err(Defect::TooLarge { most: 16, .. })));
        let blobs = packer.finish(layers).expect("blobs");
        assert_eq!(blobs.len(), MOST_LAYERS + 1);
        assert_eq!(blobs[0], blobs[MOST_LAYERS - 1]);
        assert_ne!(blobs[0], blobs[MOST_LAYERS]);
    }
}
