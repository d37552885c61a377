//! Manifests, indexes and configurations as they are written, as far as their parts matter.
//!
//! Formats: <https://github.com/opencontainers/image-spec>, `manifest.md`, `image-index.md` and `config.md`, and Docker's
//! own of the same shape.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Defect;
use super::graph::bounded;
use crate::image::content::{Descriptor, Manifest};
use crate::image::digest::Digest;
use crate::image::media;

/// Annotation of what Docker's builder puts beside an image: no image itself.
const ATTESTATION: &str = "vnd.docker.reference.type";

/// A manifest or an index.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    schema_version: u32,
    pub(super) media_type: Option<String>,
    manifests: Option<Vec<Entry>>,
    config: Option<Described>,
    layers: Option<Vec<Described>>,
}

/// What an index has, then what a manifest has.
pub(super) type Parts = (Option<Vec<Entry>>, Option<Described>, Option<Vec<Described>>);

/// A descriptor as it was written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Described {
    media_type: String,
    digest: String,
    size: u64,
}

/// A descriptor in an index.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    #[serde(flatten)]
    described: Described,
    pub(super) platform: Option<Platform>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// What an image runs on.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Platform {
    os: String,
    architecture: String,
    #[serde(default)]
    variant: String,
}

/// A configuration.
#[derive(Debug, Deserialize)]
pub(super) struct Configuration {
    os: String,
    architecture: String,
    #[serde(default)]
    variant: String,
    rootfs: RootFs,
}

#[derive(Debug, Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

impl Document {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Defect> {
        let document: Self = serde_json::from_slice(bytes)
            .map_err(|error| Defect::Malformed(format!("a manifest is not valid: {error}")))?;
        if document.schema_version != 2 {
            let version = document.schema_version;
            return Err(Defect::Malformed(format!(
                "a manifest has schema version {version}, not 2"
            )));
        }
        Ok(document)
    }

    pub(super) fn parts(self) -> Parts {
        (self.manifests, self.config, self.layers)
    }
}

impl Platform {
    pub(super) fn name(&self) -> String {
        let Self {
            os,
            architecture,
            variant,
        } = self;
        // Every arm64 is v8; other variants tell machines apart.
        if variant.is_empty() || (architecture == "arm64" && variant == "v8") {
            format!("{os}/{architecture}")
        } else {
            format!("{os}/{architecture}/{variant}")
        }
    }

    /// Refuses an image that its index and its own configuration do not say the same of. Variants are left out: many a
    /// configuration has none.
    pub(super) fn agrees(&self, index: &Self) -> Result<(), Defect> {
        if (&self.os, &self.architecture) == (&index.os, &index.architecture) {
            return Ok(());
        }
        let (index, own) = (index.name(), self.name());
        Err(Defect::TwoPlatforms { index, own })
    }
}

impl Configuration {
    pub(super) fn read(bytes: &[u8], name: &str) -> Result<Self, Defect> {
        serde_json::from_slice(bytes)
            .map_err(|error| Defect::Malformed(format!("the configuration `{name}` is not valid: {error}")))
    }

    pub(super) fn platform(&self) -> Platform {
        Platform {
            os: self.os.clone(),
            architecture: self.architecture.clone(),
            variant: self.variant.clone(),
        }
    }

    /// What the image's layers are when they are unpacked: as many as there are layers.
    pub(super) fn diff_ids(&self, layers: usize) -> Result<Vec<Digest>, Defect> {
        let diff_ids = &self.rootfs.diff_ids;
        if diff_ids.len() != layers {
            return Err(Defect::Malformed(format!(
                "it has {layers} layers, and its configuration names {}",
                diff_ids.len()
            )));
        }
        let parsed = diff_ids.iter().map(|text| text.parse());
        parsed
            .collect::<Result<_, _>>()
            .map_err(|error: crate::image::InvalidDigest| {
                Defect::Malformed(format!("a layer of its configuration: {error}"))
            })
    }
}

impl Described {
    pub(super) fn checked(&self) -> Result<Descriptor, Defect> {
        let digest = self
            .digest
            .parse()
            .map_err(|error: crate::image::InvalidDigest| Defect::Malformed(error.to_string()))?;
        Ok(Descriptor {
            media_type: self.media_type.clone(),
            digest,
            size: self.size,
        })
    }
}

impl Entry {
    pub(super) fn descriptor(&self) -> Result<Descriptor, Defect> {
        self.described.checked()
    }

    pub(super) fn platform_name(&self) -> Option<String> {
        self.platform.as_ref().map(Platform::name)
    }

    pub(super) fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).map(String::as_str)
    }

    /// Whether something can run it.
    pub(super) fn is_image(&self) -> bool {
        let unknown = self.platform.as_ref().is_some_and(|platform| platform.os == "unknown");
        !unknown && !self.annotations.contains_key(ATTESTATION)
    }
}

/// The entries of an index.
pub(super) fn entries(index: &[u8]) -> Result<Vec<Entry>, Defect> {
    let entries = Document::read(index)?.manifests;
    let entries = entries.ok_or_else(|| Defect::Malformed("an index has no `manifests`".to_owned()))?;
    bounded("manifests", entries.len(), media::MOST_MANIFESTS)?;
    Ok(entries)
}

/// The platforms that an index names; none where it does not name all of them, or is none.
pub(super) fn platforms(root: &Manifest) -> Option<Vec<String>> {
    if !media::is_index(&root.descriptor.media_type) {
        return None;
    }
    let entries = entries(&root.bytes).ok()?;
    let images = entries.iter().filter(|entry| entry.is_image());
    images.map(Entry::platform_name).collect()
}
