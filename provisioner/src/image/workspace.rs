//! The cargo workspace as cargo describes it: its folders and its packages.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use tokio::process::Command;

use super::cargo::{Toolchain, command_line, run};
use super::{ImageError, ImageSpec, Source};

/// Whether the package of `spec` is built here and says of itself that its binary understands
/// `load --url URL --rate N --duration D --output json`. An executable that was given says nothing of itself.
///
/// # Errors
/// The workspace cannot be read, or has no such package.
pub async fn makes_load(spec: &ImageSpec) -> Result<bool, ImageError> {
    if spec.source != Source::Cargo {
        return Ok(false);
    }
    let workspace = Workspace::read(&Toolchain::from_env(), &spec.workspace).await?;
    workspace.package(&spec.package).map(Package::makes_load)
}

/// What `cargo metadata` says, as far as an image needs it; asked without network.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Workspace {
    /// Its folder.
    #[serde(rename = "workspace_root")]
    pub(super) root: PathBuf,
    /// Where cargo builds.
    pub(super) target_directory: PathBuf,
    packages: Vec<Package>,
}

/// A package of the workspace.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) repository: Option<String>,
    #[serde(default)]
    metadata: Option<serde_json::Value>,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Debug, Clone, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

impl Package {
    /// Where its manifest is.
    pub(super) fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(&self.manifest_path)
    }

    /// Whether it runs a program of its own while it is built.
    pub(super) fn has_build_script(&self) -> bool {
        self.targets.iter().any(|target| target.is("custom-build"))
    }

    /// Whether it says that its binary makes load: `load = true` under `[package.metadata.provisioner]`.
    fn makes_load(&self) -> bool {
        let ours = self.metadata.as_ref().and_then(|metadata| metadata.get("provisioner"));
        ours.is_some_and(|ours| ours["load"] == true)
    }

    fn has_binary(&self) -> bool {
        let mut targets = self.targets.iter();
        targets.any(|target| target.name == self.name && target.is("bin"))
    }
}

impl Target {
    fn is(&self, kind: &str) -> bool {
        self.kind.iter().any(|of_target| of_target == kind)
    }
}

impl Workspace {
    /// Asks cargo about the workspace in `folder`.
    pub(super) async fn read(toolchain: &Toolchain, folder: &Path) -> Result<Self, ImageError> {
        if !folder.is_dir() {
            return Err(ImageError::Read {
                path: folder.to_owned(),
                source: std::io::ErrorKind::NotFound.into(),
            });
        }
        let mut command = Command::new(&toolchain.cargo);
        command
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .current_dir(folder);
        let mut json = String::new();
        let finished = run(&mut command, |line| json.push_str(line)).await?;
        let broken = |output| ImageError::Workspace {
            workspace: folder.to_owned(),
            command: command_line(&command),
            output,
        };
        if !finished.status.success() {
            return Err(broken(finished.tail));
        }
        serde_json::from_str(&json).map_err(|error| broken(error.to_string()))
    }

    /// The package of this name, which has a binary of the same name.
    pub(super) fn package(&self, name: &str) -> Result<&Package, ImageError> {
        let binaries = || self.packages.iter().filter(|package| package.has_binary());
        binaries()
            .find(|package| package.name == name)
            .ok_or_else(|| ImageError::NoPackage {
                package: name.to_owned(),
                workspace: self.root.clone(),
                known: binaries().map(|package| package.name.clone()).collect(),
            })
    }

    /// Whether its manifest says how images are compiled: profile `image`. Where it does not, that is `release`.
    pub(super) fn has_image_profile(&self) -> bool {
        let manifest = std::fs::read_to_string(self.root.join("Cargo.toml")).unwrap_or_default();
        let manifest: toml::Table = manifest.parse().unwrap_or_default();
        let profiles = manifest.get("profile").and_then(toml::Value::as_table);
        profiles.is_some_and(|profiles| profiles.contains_key("image"))
    }

    /// The member of this name.
    pub(super) fn member(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }
}
