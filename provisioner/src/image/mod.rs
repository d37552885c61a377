//! Images: built, assembled and pushed without a Docker daemon.
//!
//! ```text
//! ImageSpec --inputs--> Inputs --find--> Image of the registry: nothing is built
//! ImageSpec --build--> Binary --assemble--> Image --publish(&RegistryTarget)--> Published { reference: repo@sha256 }
//! folder, archive, another registry --import-^
//! ```
//!
//! Everything but the compiler's work is a pure function of its inputs: the same binary gives the same digest, so
//! that a second push sends nothing. Tags never move, but for those that start with `latest`: the default one is derived
//! from the content.

mod answer;
mod build;
pub mod built;
mod cargo;
mod challenge;
mod command;
mod compression;
mod content;
mod digest;
mod elf;
mod error;
mod import;
mod inputs;
mod layout;
mod media;
mod platform;
mod prefix;
mod pull;
mod push;
mod referrers;
mod renewal;
mod repository;
mod retry;
mod rustc;
mod sbom;
mod session;
mod settings;
mod standing;
mod target;
mod upload;
mod workspace;

use std::path::PathBuf;

pub use answer::RegistryError;
pub use build::{build, check};
pub use compression::Compression;
pub use content::{Blob, Content, Descriptor, Image, Manifest, Mismatch};
pub use digest::{Digest, InvalidDigest};
pub use error::ImageError;
pub use import::{Defect as ImportDefect, Found, ImageRef, InvalidRef, Local, find, import};
pub use inputs::{INPUT_TAG, Inputs, inputs};
pub use layout::assemble;
pub use platform::{Given, Platform, UnknownPlatform};
pub use prefix::{InvalidPrefix, RegistryPrefix};
pub use push::{Published, publish, publish_with};
pub use renewal::{Credentials, Renewal};
pub use repository::Repository;
pub use retry::RetryPolicy;
pub use sbom::{Attached, Sbom, SbomFormat, attach, sboms};
pub use standing::{Standing, standing, tagged};
pub use target::RegistryTarget;
pub use workspace::makes_load;

/// What goes into an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSpec {
    /// The cargo package, which has a binary of the same name, e.g. `app`.
    pub package: String,
    /// The image's `Cmd`: arguments of the entrypoint unless the pod gives others, e.g. `["serve"]`.
    pub entrypoint_args: Vec<String>,
    /// Value of `org.opencontainers.image.title`.
    pub title: String,
    /// Folder of the cargo workspace.
    pub workspace: PathBuf,
    /// Where the binary comes from.
    pub source: Source,
    /// What it is built for, without repetitions. Where none is named: `linux/amd64`, or what the given binaries are for.
    pub platforms: Vec<Platform>,
    /// How its layers are compressed.
    pub compression: Compression,
}

impl ImageSpec {
    /// What cargo builds for, in one order whatever the order that they were named in.
    fn platforms(&self) -> Vec<Platform> {
        let mut platforms = self.platforms.clone();
        if platforms.is_empty() {
            platforms.push(Platform::Amd64);
        }
        platforms.sort_unstable();
        platforms.dedup();
        platforms
    }
}

#[cfg(test)]
impl ImageSpec {
    /// The app's, built in a folder.
    fn of_app(workspace: &std::path::Path) -> Self {
        Self {
            package: "app".into(),
            entrypoint_args: vec!["serve".into()],
            title: "web-app".into(),
            workspace: workspace.to_owned(),
            source: Source::Cargo,
            platforms: vec![],
            compression: Compression::default(),
        }
    }
}

/// Where an image's binary comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Built by cargo in the workspace, with profile `image`.
    Cargo,
    /// Existing static executables, at most one for a platform.
    Binaries(Vec<Given>),
}

/// A static executable that an image without any other file can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binary {
    /// Where it is.
    pub path: PathBuf,
    /// What it runs on, `os/architecture` as OCI spells it, e.g. `linux/amd64`.
    pub platform: String,
    /// The package's version, where known.
    pub version: Option<String>,
    /// The package's source repository as an URL, where known.
    pub repository: Option<String>,
}
