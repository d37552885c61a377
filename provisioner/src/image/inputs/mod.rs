//! What an image is made from, as one hash: where the registry has an image of the same inputs, there is nothing to build.
//!
//! ```text
//! sources, lock file, compiler, settings --Inputs--> tag `input-HASH` --built::find--> digest: neither built nor sent
//! ```
//!
//! A needless build costs seconds, a build that is wrongly left out ships the wrong image. So whatever may matter is part
//! of the hash; where something cannot be known before a build there is none; and an image is recorded only after its
//! build, when cargo's own list of what it read has nothing that the hash lacks and the inputs are still the same.

mod lock;
mod reads;
mod sources;

pub(super) use lock::{Lock, Locked};

use std::collections::BTreeSet;
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use super::cargo::Toolchain;
use super::rustc;
use super::settings::Settings;
use super::workspace::{Package, Workspace};
use super::{Binary, ImageError, ImageSpec, Source};

/// Start of the tags that name inputs. They never move: another image of the same inputs is another build of them.
pub const INPUT_TAG: &str = "input-";
/// The way in which images are put together from executables; raised whenever that changes (a test holds it).
const GENERATION: &str = "1";

/// What the executables of an image are built from.
#[derive(Debug, Clone)]
pub struct Inputs {
    hash: Sha256,
    /// Every file that the hash holds.
    files: BTreeSet<PathBuf>,
    /// Packages of the workspace among them.
    crates: Vec<String>,
}

impl Inputs {
    /// The tag of the image of `spec` that is made from these inputs.
    pub fn tag(&self, spec: &ImageSpec) -> String {
        let mut hash = self.hash.clone();
        add(&mut hash, "title", spec.title.as_bytes());
        add(&mut hash, "compression", spec.compression.name().as_bytes());
        for argument in &spec.entrypoint_args {
            add(&mut hash, "argument", argument.as_bytes());
        }
        let digits: String = hex::encode(hash.finalize());
        format!("{INPUT_TAG}{digits}")
    }

    /// Whether these and `other` are the same inputs.
    pub fn is(&self, other: &Self) -> bool {
        self.hash.clone().finalize() == other.hash.clone().finalize()
    }

    /// What the build of `binaries` read that is not part of these inputs, if anything.
    ///
    /// # Errors
    /// Cargo's list of what it read cannot be read.
    pub fn uncovered(&self, binaries: &[Binary]) -> Result<Option<String>, ImageError> {
        for binary in binaries {
            if let Some(read) = reads::beside(&binary.path, &self.files, &self.crates)? {
                return Ok(Some(read));
            }
        }
        Ok(None)
    }
}

/// The inputs of `spec`. None where they cannot be known before a build: nothing is built here, a package has a build
/// script, a dependency is outside the workspace, the machine's own C library is linked in, or there is no lock file.
///
/// # Errors
/// The workspace or its toolchain cannot be read.
pub async fn inputs(spec: &ImageSpec) -> Result<Option<Inputs>, ImageError> {
    match spec.source {
        Source::Cargo => inputs_with(&Toolchain::from_env(), spec).await,
        Source::Binaries(_) => Ok(None),
    }
}

async fn inputs_with(toolchain: &Toolchain, spec: &ImageSpec) -> Result<Option<Inputs>, ImageError> {
    let workspace = Workspace::read(toolchain, &spec.workspace).await?;
    let package = workspace.package(&spec.package)?;
    let (rustc, targets) = rustc::choose(toolchain, &spec.workspace, &spec.platforms()).await?;
    if targets.iter().any(|target| target.is_of_machine()) {
        return Ok(none("the machine's C library is linked in"));
    }
    let Some(lock) = Lock::read(&workspace.root)? else {
        return Ok(none("there is no lock file that can be read"));
    };
    let closure = lock.closure(&spec.package);
    let members: Option<Vec<&Package>> = closure.local.iter().map(|name| workspace.member(name)).collect();
    let Some(members) = members else {
        return Ok(none("a dependency is outside the workspace"));
    };
    if members.iter().any(|package| package.has_build_script()) {
        return Ok(none("a package has a build script"));
    }
    let mut hash = Sha256::new();
    let version = env!("CARGO_PKG_VERSION");
    for (name, text) in [
        ("provisioner", version),
        ("generation", GENERATION),
        ("package", &spec.package),
        ("version", &package.version),
        ("repository", package.repository.as_deref().unwrap_or_default()),
        ("compiler", &rustc.version),
        ("linker", rustc.own_linker().unwrap_or_default()),
        (
            "settings",
            &Settings::read(&workspace.root, &toolchain.env)?.fingerprint(),
        ),
        (
            "epoch",
            toolchain.env.get("SOURCE_DATE_EPOCH").map_or("", String::as_str),
        ),
        ("lock", &closure.locked.concat()),
    ] {
        add(&mut hash, name, text.as_bytes());
    }
    for target in &targets {
        add(&mut hash, target.platform.name(), target.triple.as_bytes());
    }
    let files = sources::files(&workspace, &members)?;
    for file in &files {
        let name = file.strip_prefix(&workspace.root).unwrap_or(file);
        let content = std::fs::read(file).map_err(|source| ImageError::Read {
            path: file.clone(),
            source,
        })?;
        add(&mut hash, &name.to_string_lossy(), &content);
    }
    let crates = members.iter().map(|package| package.name.replace('-', "_")).collect();
    Ok(Some(Inputs { hash, files, crates }))
}

fn none(reason: &str) -> Option<Inputs> {
    tracing::debug!(reason, "the inputs of the image cannot be known before it is built");
    None
}

/// Adds one value in a way that no other values could add up to.
fn add(hash: &mut Sha256, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), value] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
}

#[cfg(test)]
mod tests;
