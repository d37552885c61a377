//! What `docker save` writes: `manifest.json`, a configuration, and layers that are not compressed. Newer versions write
//! the OCI layout beside it, which is read instead.

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Seek as _, Write};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use flate2::{Compression, GzBuilder};
use serde::Deserialize;
use serde_json::json;

use super::Defect;
use super::archive::no_room;
use super::graph::{Walk, bounded};
use super::store::{Store, Stored, each_chunk, unreadable};
use crate::image::content::{Blob, Content, Descriptor, Image, Manifest, Mismatch};
use crate::image::digest::{Digest, Hasher};
use crate::image::media::{self, LONGEST_MANIFEST, MOST_LAYERS};

/// Compression of the layers: part of the digest. 6 is 2 to 3 times as fast as 9 and 1 % larger.
const LEVEL: u32 = 6;
const GZIP: [u8; 2] = [0x1f, 0x8b];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct Config {
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

/// The one image of `store`, its layers compressed and checked.
pub(super) fn read(store: &Store) -> Result<Image, Defect> {
    let saved: Vec<Saved> = json(&store.read("manifest.json", LONGEST_MANIFEST)?, "manifest.json")?;
    let [saved] = saved.as_slice() else {
        return Err(match saved.len() {
            0 => Defect::Malformed("`manifest.json` names no image".to_owned()),
            _ => Defect::Several(saved.iter().map(name).collect()),
        });
    };
    bounded("layers", saved.layers.len(), MOST_LAYERS)?;
    let config = store.read(&saved.config, LONGEST_MANIFEST)?;
    named_by_digest(&saved.config, &config)?;
    let Config { rootfs } = json(&config, &saved.config)?;
    if rootfs.diff_ids.len() != saved.layers.len() {
        let (layers, named) = (saved.layers.len(), rootfs.diff_ids.len());
        return Err(Defect::Malformed(format!(
            "it has {layers} layers, and its configuration names {named}"
        )));
    }
    let mut packer = Packer::new()?;
    let mut layers = Vec::with_capacity(saved.layers.len());
    for (name, diff_id) in saved.layers.iter().zip(&rootfs.diff_ids) {
        let diff_id: Digest = diff_id
            .parse()
            .map_err(|error| Defect::Malformed(format!("a layer of its configuration: {error}")))?;
        layers.push(packer.layer(name, store.find(name)?, &diff_id)?);
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
    let actual = Digest::of(config);
    if actual == expected {
        return Ok(());
    }
    Err(Defect::Mismatch {
        what: name.to_owned(),
        source: Mismatch::Digest { expected, actual },
    })
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
    let mut walk = Walk::from(Manifest::new(media::MANIFEST, manifest.to_string()))?;
    if let Content::Memory(bytes) = &config.content {
        walk.give(bytes.clone())?;
    }
    walk.finish(|wanted| {
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
}

/// A layer as it will be sent.
enum Packed {
    /// In the packer's file.
    Here { offset: u64, descriptor: Descriptor },
    /// As it lies in the archive.
    There(Blob),
}

impl Packer {
    fn new() -> Result<Self, Defect> {
        let to = BufWriter::new(tempfile::tempfile().map_err(no_room)?);
        Ok(Self { to, at: 0 })
    }

    /// Packs the layer, unless it is compressed already; either way its content must be what the configuration names.
    fn layer(&mut self, name: &str, layer: Stored, diff_id: &Digest) -> Result<Packed, Defect> {
        let cannot = |source| unreadable(&name, source);
        let mut magic = Vec::new();
        layer
            .reader()
            .and_then(|reader| reader.take(2).read_to_end(&mut magic))
            .map_err(cannot)?;
        let mut plain = Hasher::default();
        let packed = if magic == GZIP {
            let unpacked = MultiGzDecoder::new(layer.reader().map_err(cannot)?);
            let hashed = each_chunk(unpacked, |chunk| {
                plain.update(chunk);
                Ok(())
            });
            hashed.map_err(|error| {
                Defect::Malformed(format!("the gzip stream of `{name}` is damaged or cut off: {error}"))
            })?;
            Packed::There(as_it_is(layer).map_err(cannot)?)
        } else {
            self.compress(name, &layer, &mut plain)?
        };
        let actual = plain.finish();
        if actual != *diff_id {
            return Err(Defect::Mismatch {
                what: name.to_owned(),
                source: Mismatch::Digest {
                    expected: diff_id.clone(),
                    actual,
                },
            });
        }
        Ok(packed)
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

/// A layer that is compressed already.
fn as_it_is(layer: Stored) -> io::Result<Blob> {
    let mut hasher = Hasher::default();
    each_chunk(layer.reader()?, |chunk| {
        hasher.update(chunk);
        Ok(())
    })?;
    Ok(Blob {
        descriptor: Descriptor {
            media_type: media::LAYER_GZIP.to_owned(),
            digest: hasher.finish(),
            size: layer.size,
        },
        content: layer.content,
    })
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
