//! Images that were made elsewhere: a folder in the OCI image layout, an archive of one or of `docker save`, an image in
//! a registry.
//!
//! Whoever made them is not trusted: everything is bounded, checked against its digest, and read from nowhere but the
//! folder or file that was named. All of it is decided before anything is sent.

mod archive;
mod docker;
mod document;
mod graph;
mod layers;
mod layout;
mod narrow;
mod reference;
mod remote;
mod store;
mod unpack;

use std::io;
use std::path::{Path, PathBuf};

pub use reference::{ImageRef, InvalidRef};
pub use remote::{Found, find};

use super::ImageError;
use super::content::{Image, Mismatch};
use store::Store;

/// Why what was made elsewhere is not used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Defect {
    /// It cannot be read.
    #[error("cannot read `{what}`")]
    Unreadable {
        /// A file, or a name within the archive.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// There is no room to unpack or compress it.
    #[error("cannot unpack it in `{folder}`")]
    Unpack {
        /// The folder for temporary files.
        folder: String,
        /// Why.
        source: io::Error,
    },
    /// It is neither of the known forms.
    #[error("{0}")]
    Form(String),
    /// It breaks its own format.
    #[error("{0}")]
    Malformed(String),
    /// It leads out of itself, or to something that is no file.
    #[error("`{name}` is {what}")]
    Escape {
        /// The name.
        name: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A part is missing.
    #[error("`{0}` is missing")]
    Missing(String),
    /// A part is not what names it.
    #[error("`{what}` is not what it should be")]
    Mismatch {
        /// The part.
        what: String,
        /// Why.
        source: Mismatch,
    },
    /// A part is of a kind that no node can run.
    #[error("a {what} has the media type `{found}`")]
    MediaType {
        /// Which part.
        what: &'static str,
        /// Its type.
        found: String,
    },
    /// More than any real image has.
    #[error("there are {found} {what}, more than {most}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        found: usize,
        /// How many there may be.
        most: usize,
    },
    /// It has more bytes than any real image.
    #[error("it is larger than {most} bytes {what}")]
    TooLarge {
        /// When, or which part.
        what: &'static str,
        /// How many there may be.
        most: u64,
    },
    /// It holds several images.
    #[error("it holds several images: `{}`", .0.join("`, `"))]
    Several(Vec<String>),
    /// It is said to be for one platform and made for another.
    #[error("its index says that it is for {index}, and its configuration for {own}")]
    TwoPlatforms {
        /// As its index says.
        index: String,
        /// As its own configuration says.
        own: String,
    },
    /// It does not run where it should.
    #[error("it is not for {wanted}, but for {}", if found.is_empty() { "no platform".to_owned() } else { found.join(", ") })]
    Platform {
        /// The platform.
        wanted: String,
        /// Those that it is for.
        found: Vec<String>,
    },
}

impl Defect {
    /// What to try.
    pub(super) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Several(_) => "keep one of them: `docker save IMAGE`, or `skopeo copy oci:DIR:NAME oci:OTHER`",
            Self::Platform { wanted, .. } => {
                return Some(format!("build it with `docker buildx build --platform {wanted}`"));
            }
            Self::Unpack { .. } => "make room there, or name another folder in `TMPDIR`",
            Self::Mismatch { .. } | Self::Missing(_) => "it is damaged or was not written whole: make it again",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// Where an image is on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Local {
    /// A folder in the OCI image layout.
    Layout(PathBuf),
    /// A tar archive, which may be compressed by gzip or zstd: of such a folder, or as `docker save` writes it.
    Archive(PathBuf),
}

impl Local {
    fn path(&self) -> &Path {
        match self {
            Self::Layout(path) | Self::Archive(path) => path,
        }
    }
}

/// Reads an image, checks it whole, and that it runs on every platform of `wanted`. Its layers stay where they are.
///
/// # Errors
/// [`ImageError::Import`] with what is wrong.
pub async fn import(from: &Local, wanted: &[&str]) -> Result<Image, ImageError> {
    let path = from.path().to_owned();
    let from = from.clone();
    let read = tokio::task::spawn_blocking(move || {
        let store = match &from {
            Local::Layout(folder) => Store::folder(folder)?,
            Local::Archive(file) => archive::open(file)?,
        };
        if store.has("index.json") && store.has("oci-layout") {
            layout::read(&store)
        } else if store.has("manifest.json") {
            docker::read(&store)
        } else {
            Err(Defect::Form(
                "it has neither `oci-layout` and `index.json` nor `manifest.json`".to_owned(),
            ))
        }
    });
    let refused = |source| ImageError::Import {
        origin: path.display().to_string(),
        source,
    };
    let image = read.await.map_err(|error| {
        refused(Defect::Unreadable {
            what: path.display().to_string(),
            source: io::Error::other(error),
        })
    })?;
    let image = image.map_err(refused)?;
    graph::runs_on(&image.platforms, wanted).map_err(refused)?;
    Ok(image)
}

#[cfg(test)]
mod tests;
