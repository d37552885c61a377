//! The cargo workspace as cargo describes it: the package of an image, and the packages in it that the package needs.

use std::collections::BTreeMap;
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
    #[serde(default)]
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Clone, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    path: Option<PathBuf>,
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

    /// `package` and all packages of the workspace that it is built from, by name. None where one of them is outside:
    /// little is known of it.
    pub(super) fn parts<'a>(&'a self, package: &'a Package) -> Option<BTreeMap<&'a str, &'a Package>> {
        let mut parts = BTreeMap::new();
        let mut open = vec![package];
        while let Some(package) = open.pop() {
            if parts.insert(package.name.as_str(), package).is_some() {
                continue;
            }
            for dependency in &package.dependencies {
                if let (Some(path), Some("build") | None) = (&dependency.path, dependency.kind.as_deref()) {
                    open.push(self.member(&dependency.name, path)?);
                }
            }
        }
        Some(parts)
    }

    fn member(&self, name: &str, folder: &Path) -> Option<&Package> {
        let mut packages = self.packages.iter();
        packages.find(|package| package.name == name && package.folder() == folder)
    }
}
