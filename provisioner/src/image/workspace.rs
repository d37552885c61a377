//! The cargo workspace as cargo describes it: its folders and its packages.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use tokio::process::Command;

use super::ImageError;
use super::cargo::{Toolchain, command_line, run};

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

    /// The member of this name.
    pub(super) fn member(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }
}
