//! From a root manifest to everything that it names, without reading anything itself: whoever walks is told what to
//! read next, and hands the bytes in.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::Defect;
use super::document::{Configuration, Described, Document, Entry, Platform};
use crate::image::content::{Blob, Content, Descriptor, Image, Manifest, Mismatch};
use crate::image::digest::Digest;
use crate::image::media;

/// Which configurations are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Configurations {
    /// All: each has to fit its index and its layers.
    All,
    /// Those that alone say what their image runs on.
    ForPlatform,
}

/// What is to be read next, and what for.
#[derive(Debug)]
enum Wanted {
    Manifest {
        descriptor: Descriptor,
        role: Role,
        depth: usize,
    },
    /// The configuration of an image with these layers.
    Config {
        descriptor: Descriptor,
        layers: Vec<Digest>,
        told: Option<Platform>,
    },
}

/// What a manifest is there for.
#[derive(Debug)]
enum Role {
    /// Something runs it; the platform is the one that its index names.
    Image(Option<Platform>),
    /// It goes along.
    Attachment,
}

/// A walk from a root.
#[derive(Debug)]
pub(super) struct Walk {
    configurations: Configurations,
    /// The root first, each level after the one above.
    manifests: Vec<Manifest>,
    /// Their bytes.
    length: usize,
    wanted: VecDeque<Wanted>,
    blobs: Vec<Descriptor>,
    /// Sizes of all blobs.
    sizes: BTreeMap<Digest, u64>,
    /// What layers are when they are unpacked, as far as configurations were read.
    diff_ids: BTreeMap<Digest, Digest>,
    platforms: Vec<String>,
}

impl Walk {
    pub(super) fn from(root: Manifest, configurations: Configurations) -> Result<Self, Defect> {
        let mut walk = Self {
            configurations,
            manifests: Vec::new(),
            length: 0,
            wanted: VecDeque::new(),
            blobs: Vec::new(),
            sizes: BTreeMap::new(),
            diff_ids: BTreeMap::new(),
            platforms: Vec::new(),
        };
        walk.visit(root, Role::Image(None), 0)?;
        Ok(walk)
    }

    /// What to read next.
    pub(super) fn wanted(&self) -> Option<&Descriptor> {
        self.wanted.front().map(|wanted| match wanted {
            Wanted::Manifest { descriptor, .. } | Wanted::Config { descriptor, .. } => descriptor,
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
                role,
                depth,
            } => {
                matches(&descriptor, &bytes)?;
                self.visit(Manifest { descriptor, bytes }, role, depth)
            }
            Wanted::Config {
                descriptor,
                layers,
                told,
            } => {
                matches(&descriptor, &bytes)?;
                let configuration = Configuration::read(&bytes, descriptor.digest.as_str())?;
                self.configure(&configuration, layers, told)
            }
        }
    }

    fn configure(
        &mut self,
        configuration: &Configuration,
        layers: Vec<Digest>,
        told: Option<Platform>,
    ) -> Result<(), Defect> {
        let platform = configuration.platform();
        if let Some(told) = &told {
            platform.agrees(told)?;
        }
        self.platforms.push(told.unwrap_or(platform).name());
        let diff_ids = configuration.diff_ids(layers.len())?;
        for (layer, diff_id) in layers.into_iter().zip(diff_ids) {
            let what = layer.to_string();
            let known = self.diff_ids.entry(layer).or_insert_with(|| diff_id.clone());
            if *known != diff_id {
                return Err(Defect::Malformed(format!(
                    "configurations say of layer `{what}` that it is {known} and {diff_id}"
                )));
            }
        }
        Ok(())
    }

    fn visit(&mut self, manifest: Manifest, role: Role, depth: usize) -> Result<(), Defect> {
        let media_type = manifest.descriptor.media_type.clone();
        if !media::MANIFESTS.contains(&media_type.as_str()) {
            return Err(Defect::MediaType {
                what: "manifest",
                found: media_type,
            });
        }
        self.length += manifest.bytes.len();
        bounded("bytes of manifests", self.length, media::LONGEST_MANIFESTS)?;
        let document = Document::read(&manifest.bytes)?;
        // The same bytes must not be one thing to us and another to who pulls them (CVE-2021-41190).
        let other = document.media_type.as_ref().filter(|own| **own != media_type);
        if let Some(own) = other {
            return Err(Defect::Malformed(format!(
                "a manifest says that it is `{own}`, and is named as `{media_type}`"
            )));
        }
        self.manifests.push(manifest);
        match (media::is_index(&media_type), document.parts()) {
            (true, (Some(entries), None, None)) => self.descend(&entries, depth + 1),
            (false, (None, Some(config), Some(layers))) => self.image(&config, &layers, role),
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
            let role = if entry.is_image() {
                Role::Image(entry.platform.clone())
            } else {
                Role::Attachment
            };
            self.wanted.push_back(Wanted::Manifest {
                descriptor: entry.descriptor()?,
                role,
                depth,
            });
        }
        Ok(())
    }

    fn image(&mut self, config: &Described, layers: &[Described], role: Role) -> Result<(), Defect> {
        bounded("layers", layers.len(), media::MOST_LAYERS)?;
        let config = config.checked()?;
        let layers: Vec<Descriptor> = layers.iter().map(Described::checked).collect::<Result<_, _>>()?;
        if let Role::Image(platform) = role {
            runnable(&config, &layers)?;
            match platform {
                Some(platform) if self.configurations == Configurations::ForPlatform => {
                    self.platforms.push(platform.name());
                }
                told => self.wanted.push_back(Wanted::Config {
                    descriptor: config.clone(),
                    layers: layers.iter().map(|layer| layer.digest.clone()).collect(),
                    told,
                }),
            }
        }
        layers.into_iter().chain([config]).try_for_each(|blob| self.add(blob))
    }

    fn add(&mut self, blob: Descriptor) -> Result<(), Defect> {
        if blob.size > media::LARGEST_BLOB {
            return Err(Defect::TooLarge {
                what: "in one layer",
                most: media::LARGEST_BLOB,
            });
        }
        // No byte of it would be sent, and so none would be found to be wrong.
        let empty = Digest::of(b"");
        if blob.size == 0 && blob.digest != empty {
            return Err(Defect::Mismatch {
                what: blob.digest.to_string(),
                source: Mismatch::Digest {
                    expected: blob.digest,
                    actual: empty,
                },
            });
        }
        match self.sizes.get(&blob.digest) {
            Some(&known) if known != blob.size => Err(Defect::Mismatch {
                what: blob.digest.to_string(),
                source: Mismatch::Size {
                    expected: blob.size,
                    actual: known,
                },
            }),
            Some(_) => Ok(()),
            None => {
                self.sizes.insert(blob.digest.clone(), blob.size);
                self.blobs.push(blob);
                Ok(())
            }
        }
    }

    /// The image, once nothing is wanted any more; `content` says where the bytes of a blob are, given what is in it if it
    /// is a layer of which a configuration tells.
    pub(super) fn finish(
        self,
        mut content: impl FnMut(&Descriptor, Option<&Digest>) -> Result<Content, Defect>,
    ) -> Result<Image, Defect> {
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
        let diff_ids = self.diff_ids;
        let blob = |descriptor: Descriptor| {
            let content = content(&descriptor, diff_ids.get(&descriptor.digest))?;
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

/// Refuses what no node makes a container of.
fn runnable(config: &Descriptor, layers: &[Descriptor]) -> Result<(), Defect> {
    let foreign = layers
        .iter()
        .find(|layer| !media::LAYERS.contains(&layer.media_type.as_str()));
    if let Some(layer) = foreign {
        return Err(Defect::MediaType {
            what: "layer",
            found: layer.media_type.clone(),
        });
    }
    if !matches!(config.media_type.as_str(), media::CONFIG | media::DOCKER_CONFIG) {
        return Err(Defect::MediaType {
            what: "configuration",
            found: config.media_type.clone(),
        });
    }
    bounded(
        "bytes of a configuration",
        usize::try_from(config.size).unwrap_or(usize::MAX),
        media::LONGEST_MANIFEST,
    )
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
