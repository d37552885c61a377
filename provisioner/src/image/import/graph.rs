//! From a root manifest to everything that it names, without reading anything itself: whoever walks is told what to
//! read next, and hands the bytes in.
//!
//! Formats: <https://github.com/opencontainers/image-spec>, `manifest.md` and `image-index.md`, and Docker's own of the
//! same shape.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use serde::Deserialize;

use super::Defect;
use crate::image::content::{Blob, Content, Descriptor, Image, Manifest, Mismatch};
use crate::image::digest::Digest;
use crate::image::media;

/// Annotation of what Docker's builder puts beside an image: no image itself.
const ATTESTATION: &str = "vnd.docker.reference.type";

/// A manifest or an index, as far as its parts matter.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    media_type: Option<String>,
    manifests: Option<Vec<Entry>>,
    config: Option<Described>,
    layers: Option<Vec<Described>>,
}

/// A descriptor as it was written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    media_type: String,
    digest: String,
    size: u64,
}

/// A descriptor in an index.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    #[serde(flatten)]
    described: Described,
    platform: Option<Platform>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// What an image runs on; a configuration holds the same keys.
#[derive(Debug, Deserialize)]
struct Platform {
    os: String,
    architecture: String,
    #[serde(default)]
    variant: String,
}

impl Platform {
    fn name(&self) -> String {
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
}

impl Described {
    fn checked(&self) -> Result<Descriptor, Defect> {
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

    pub(super) fn platform(&self) -> Option<String> {
        self.platform.as_ref().map(Platform::name)
    }

    pub(super) fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).map(String::as_str)
    }

    /// Whether something can run it.
    fn is_image(&self) -> bool {
        let unknown = self.platform.as_ref().is_some_and(|platform| platform.os == "unknown");
        !unknown && !self.annotations.contains_key(ATTESTATION)
    }
}

/// The entries of an index.
pub(super) fn entries(index: &[u8]) -> Result<Vec<Entry>, Defect> {
    let document = document(index)?;
    document
        .manifests
        .ok_or_else(|| Defect::Malformed("an index has no `manifests`".to_owned()))
}

/// The platforms that an index names; none where it does not name all of them, or is none.
pub(super) fn platforms(root: &Manifest) -> Option<Vec<String>> {
    if !media::is_index(&root.descriptor.media_type) {
        return None;
    }
    let entries = entries(&root.bytes).ok()?;
    let images = entries.iter().filter(|entry| entry.is_image());
    images.map(Entry::platform).collect()
}

/// Refuses an image that does not run on every platform of `wanted`.
pub(super) fn runs_on(platforms: &[String], wanted: &[&str]) -> Result<(), Defect> {
    let missing = wanted
        .iter()
        .find(|wanted| !platforms.iter().any(|found| found == *wanted));
    missing.map_or(Ok(()), |missing| {
        Err(Defect::Platform {
            wanted: (*missing).to_owned(),
            found: platforms.to_vec(),
        })
    })
}

fn document(bytes: &[u8]) -> Result<Document, Defect> {
    let document: Document = serde_json::from_slice(bytes)
        .map_err(|error| Defect::Malformed(format!("a manifest is not valid: {error}")))?;
    if document.schema_version != 2 {
        let version = document.schema_version;
        return Err(Defect::Malformed(format!(
            "a manifest has schema version {version}, not 2"
        )));
    }
    Ok(document)
}

/// What is to be read next, and what for.
#[derive(Debug)]
enum Wanted {
    Manifest {
        descriptor: Descriptor,
        is_image: bool,
        platform: Option<String>,
        depth: usize,
    },
    /// A configuration, for its platform.
    Config(Descriptor),
}

/// A walk from a root.
#[derive(Debug)]
pub(super) struct Walk {
    /// The root first, each level after the one above.
    manifests: Vec<Manifest>,
    wanted: VecDeque<Wanted>,
    blobs: Vec<Descriptor>,
    platforms: Vec<String>,
}

impl Walk {
    pub(super) fn from(root: Manifest) -> Result<Self, Defect> {
        let mut walk = Self {
            manifests: Vec::new(),
            wanted: VecDeque::new(),
            blobs: Vec::new(),
            platforms: Vec::new(),
        };
        walk.visit(root, (true, None), 0)?;
        Ok(walk)
    }

    /// What to read next.
    pub(super) fn wanted(&self) -> Option<&Descriptor> {
        self.wanted.front().map(|wanted| match wanted {
            Wanted::Manifest { descriptor, .. } | Wanted::Config(descriptor) => descriptor,
        })
    }

    /// Takes the bytes of what was wanted.
    pub(super) fn give(&mut self, bytes: Bytes) -> Result<(), Defect> {
        let Some(wanted) = self.wanted.pop_front() else {
            return Ok(());
        };
        match wanted {
            Wanted::Manifest {
                descriptor,
                is_image,
                platform,
                depth,
            } => {
                matches(&descriptor, &bytes)?;
                self.visit(Manifest { descriptor, bytes }, (is_image, platform), depth)
            }
            Wanted::Config(descriptor) => {
                matches(&descriptor, &bytes)?;
                let platform: Platform = serde_json::from_slice(&bytes)
                    .map_err(|error| Defect::Malformed(format!("a configuration is not valid: {error}")))?;
                self.platforms.push(platform.name());
                Ok(())
            }
        }
    }

    fn visit(
        &mut self,
        manifest: Manifest,
        (is_image, platform): (bool, Option<String>),
        depth: usize,
    ) -> Result<(), Defect> {
        let media_type = manifest.descriptor.media_type.clone();
        if !media::MANIFESTS.contains(&media_type.as_str()) {
            return Err(Defect::MediaType {
                what: "manifest",
                found: media_type,
            });
        }
        let document = document(&manifest.bytes)?;
        // The same bytes must not be one thing to us and another to who pulls them (CVE-2021-41190).
        let other = document.media_type.as_ref().filter(|own| **own != media_type);
        if let Some(own) = other {
            return Err(Defect::Malformed(format!(
                "a manifest says that it is `{own}`, and is named as `{media_type}`"
            )));
        }
        self.manifests.push(manifest);
        match (media::is_index(&media_type), document) {
            (
                true,
                Document {
                    manifests: Some(entries),
                    config: None,
                    layers: None,
                    ..
                },
            ) => self.descend(&entries, depth + 1),
            (
                false,
                Document {
                    manifests: None,
                    config: Some(config),
                    layers: Some(layers),
                    ..
                },
            ) => self.image(&config, &layers, (is_image, platform)),
            _ => Err(Defect::Malformed(format!(
                "a manifest does not have the parts of `{media_type}`"
            ))),
        }
    }

    fn descend(&mut self, entries: &[Entry], depth: usize) -> Result<(), Defect> {
        bounded("indexes within indexes", depth, media::DEEPEST)?;
        let all = self.manifests.len() + self.wanted.len() + entries.len();
        bounded("manifests", all, media::MOST_MANIFESTS)?;
        for entry in entries {
            self.wanted.push_back(Wanted::Manifest {
                descriptor: entry.descriptor()?,
                is_image: entry.is_image(),
                platform: entry.platform(),
                depth,
            });
        }
        Ok(())
    }

    fn image(
        &mut self,
        config: &Described,
        layers: &[Described],
        (is_image, platform): (bool, Option<String>),
    ) -> Result<(), Defect> {
        bounded("layers", layers.len(), media::MOST_LAYERS)?;
        let config = config.checked()?;
        for layer in layers {
            let layer = layer.checked()?;
            if is_image && !media::LAYERS.contains(&layer.media_type.as_str()) {
                return Err(Defect::MediaType {
                    what: "layer",
                    found: layer.media_type,
                });
            }
            self.add(layer)?;
        }
        if is_image {
            if !matches!(config.media_type.as_str(), media::CONFIG | media::DOCKER_CONFIG) {
                return Err(Defect::MediaType {
                    what: "configuration",
                    found: config.media_type,
                });
            }
            bounded(
                "bytes of a configuration",
                usize::try_from(config.size).unwrap_or(usize::MAX),
                media::LONGEST_MANIFEST,
            )?;
            match platform {
                Some(platform) => self.platforms.push(platform),
                None => self.wanted.push_back(Wanted::Config(config.clone())),
            }
        }
        self.add(config)
    }

    fn add(&mut self, blob: Descriptor) -> Result<(), Defect> {
        match self.blobs.iter().find(|known| known.digest == blob.digest) {
            Some(known) if known.size != blob.size => Err(Defect::Mismatch {
                what: blob.digest.to_string(),
                source: Mismatch::Size {
                    expected: blob.size,
                    actual: known.size,
                },
            }),
            Some(_) => Ok(()),
            None => {
                self.blobs.push(blob);
                Ok(())
            }
        }
    }

    /// The image, once nothing is wanted any more; `content` says where the bytes of a blob are.
    pub(super) fn finish(self, content: impl Fn(&Descriptor) -> Result<Content, Defect>) -> Result<Image, Defect> {
        let mut manifests = self.manifests.into_iter();
        let Some(root) = manifests.next() else {
            return Err(Defect::Malformed("there is no manifest".to_owned()));
        };
        // What several indexes name comes before all of them.
        let mut children: Vec<Manifest> = Vec::new();
        for manifest in manifests.rev() {
            if !children.contains(&manifest) {
                children.push(manifest);
            }
        }
        let blob = |descriptor: Descriptor| {
            let content = content(&descriptor)?;
            Ok(Blob { descriptor, content })
        };
        Ok(Image {
            root,
            children,
            blobs: self.blobs.into_iter().map(blob).collect::<Result<_, Defect>>()?,
            platforms: self.platforms,
        })
    }
}

/// Refuses bytes that are not what `descriptor` says.
pub(super) fn matches(descriptor: &Descriptor, bytes: &[u8]) -> Result<(), Defect> {
    let (expected, actual) = (descriptor.size, bytes.len() as u64);
    let size = (expected != actual).then_some(Mismatch::Size { expected, actual });
    let actual = Digest::of(bytes);
    let digest = (actual != descriptor.digest).then(|| Mismatch::Digest {
        expected: descriptor.digest.clone(),
        actual,
    });
    size.or(digest).map_or(Ok(()), |source| {
        let what = descriptor.digest.to_string();
        Err(Defect::Mismatch { what, source })
    })
}

/// Refuses what is more than any real image has.
pub(super) fn bounded(what: &'static str, found: usize, most: usize) -> Result<(), Defect> {
    if found > most {
        return Err(Defect::TooMany { what, found, most });
    }
    Ok(())
}

#[cfg(test)]
#[path = "graph_tests.rs"]
mod tests;
