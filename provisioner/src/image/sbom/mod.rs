//! Bills of material: which crates the executable of an image is made of, one document for each platform.
//!
//! ```text
//! cargo tree --Tree--+
//! Cargo.lock --------+--> Crates --CycloneDX | SPDX--> Sbom --attach--> referrer of the platform's manifest
//! ```
//!
//! Nothing is compiled for it, and the same sources give the same document: so it is there also for an image that was
//! found by its inputs, and is sent once.

mod attach;
mod crates;
mod cyclonedx;
mod identity;
mod license;
mod spdx;
mod tree;

pub use attach::{Attached, attach};

use tokio::process::Command;

use super::cargo::{self, Toolchain, command_line};
use super::inputs::Lock;
use super::layout::Epoch;
use super::platform::Platform;
use super::rustc::{self, Target};
use super::workspace::Workspace;
use super::{ImageError, ImageSpec};
use crates::Crates;
use tree::Tree;

/// A standard for bills of material.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SbomFormat {
    /// `CycloneDX` 1.6 as JSON: <https://cyclonedx.org/docs/1.6/json/>.
    CycloneDx,
    /// SPDX 2.3 as JSON: <https://spdx.github.io/spdx-spec/v2.3/>.
    Spdx,
}

impl SbomFormat {
    /// Every format.
    pub const ALL: [Self; 2] = [Self::CycloneDx, Self::Spdx];

    /// As settings name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::CycloneDx => "cyclonedx",
            Self::Spdx => "spdx",
        }
    }

    /// The media type of a document, which is also the type of the artifact.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::CycloneDx => "application/vnd.cyclonedx+json",
            Self::Spdx => "application/spdx+json",
        }
    }
}

/// The bill of one platform's executable.
#[derive(Debug, Clone, PartialEq)]
pub struct Sbom {
    /// The platform.
    pub platform: Platform,
    /// How it is written.
    pub format: SbomFormat,
    /// How many crates it lists, the package itself included.
    pub crates: usize,
    /// The document, JSON.
    pub document: String,
}

/// What a document says of itself, beside the crates.
#[derive(Debug, Clone, Copy)]
struct Head<'a> {
    platform: Platform,
    /// The compile target.
    triple: &'a str,
    /// The time that was asked for.
    epoch: Option<&'a Epoch>,
}

/// The bills of `spec`, one for each platform in their order: normal dependencies with the features that the build
/// enables. Cargo may have to fetch crates for it.
///
/// # Errors
/// [`ImageError::Crates`] where cargo does not list them; the workspace or its toolchain cannot be read.
pub async fn sboms(spec: &ImageSpec, format: SbomFormat) -> Result<Vec<Sbom>, ImageError> {
    sboms_with(&Toolchain::from_env(), spec, format).await
}

async fn sboms_with(toolchain: &Toolchain, spec: &ImageSpec, format: SbomFormat) -> Result<Vec<Sbom>, ImageError> {
    let unknown = |reason: String| ImageError::Crates {
        package: spec.package.clone(),
        reason,
    };
    let epoch = Epoch::of(toolchain.env.get("SOURCE_DATE_EPOCH").map(String::as_str))?;
    let workspace = Workspace::read(toolchain, &spec.workspace).await?;
    let (_, targets) = rustc::choose(toolchain, &spec.workspace, &spec.platforms()).await?;
    let mut sboms = Vec::new();
    for target in targets {
        let text = ask(toolchain, spec, target).await?;
        let tree = Tree::parse(&text).map_err(unknown)?;
        // Cargo may have written it just now.
        let lock = Lock::read(&workspace.root)?;
        let lock = lock.ok_or_else(|| unknown("there is no lock file that can be read".to_owned()))?;
        let crates = Crates::new(&tree, &lock);
        let head = Head {
            platform: target.platform,
            triple: target.triple,
            epoch: epoch.as_ref(),
        };
        let document = match format {
            SbomFormat::CycloneDx => cyclonedx::document(&crates, head),
            SbomFormat::Spdx => spdx::document(&crates, head),
        };
        sboms.push(Sbom {
            platform: target.platform,
            format,
            crates: crates.all().len(),
            document,
        });
    }
    Ok(sboms)
}

/// What cargo says of the package's dependencies on one target.
async fn ask(toolchain: &Toolchain, spec: &ImageSpec, target: Target) -> Result<String, ImageError> {
    let mut command = Command::new(&toolchain.cargo);
    command.current_dir(&spec.workspace);
    command.args(["tree", "-p", &spec.package, "--edges", "normal"]);
    command.args(["--target", target.triple, "--prefix", "depth", "--format", tree::FORMAT]);
    let mut text = String::new();
    let finished = cargo::run(&mut command, |line| {
        text.push_str(line);
        text.push('\n');
    });
    let finished = finished.await?;
    if finished.status.success() {
        return Ok(text);
    }
    Err(ImageError::Crates {
        package: spec.package.clone(),
        reason: format!(
            "`{}` failed ({})\n{}",
            command_line(&command),
            finished.status,
            finished.tail
        ),
    })
}

#[cfg(test)]
mod tests;
