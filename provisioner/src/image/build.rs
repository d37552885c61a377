//! From source to static executables: cargo, without Docker.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::cargo::{self, Message, Toolchain};
use super::command;
use super::platform::Given;
use super::rustc::{self, Target};
use super::workspace::Workspace;
use super::{Binary, ImageError, ImageSpec, Platform, Source, elf};
use crate::report::{Event, Outcome, Reporter};

/// Makes (or finds) the static executables of `spec`, one for each of its platforms and in their order.
///
/// Where the musl target of this machine's own platform is not installed it falls back to static glibc, with a warning
/// that says how to install it.
///
/// # Errors
/// [`ImageError::Build`] with the compiler's message; [`ImageError::NotRunnable`] where the result is not static;
/// what [`check`] finds.
pub async fn build(spec: &ImageSpec, reporter: &dyn Reporter) -> Result<Vec<Binary>, ImageError> {
    build_with(&Toolchain::from_env(), spec, reporter).await
}

/// Makes sure that [`build`] has what it starts from, without compiling anything: the executables, or a toolchain that
/// can build for every platform and a workspace with the package in it.
///
/// The result is what the image will be for.
///
/// # Errors
/// [`ImageError::is_configuration`] for whatever is missing.
pub async fn check(spec: &ImageSpec) -> Result<Vec<Platform>, ImageError> {
    check_with(&Toolchain::from_env(), spec).await
}

async fn check_with(toolchain: &Toolchain, spec: &ImageSpec) -> Result<Vec<Platform>, ImageError> {
    match &spec.source {
        Source::Binaries(given) => {
            let found = find(given, &spec.platforms).await?;
            Ok(found.into_iter().map(|(platform, _)| platform).collect())
        }
        Source::Cargo => {
            let workspace = Workspace::read(toolchain, &spec.workspace).await?;
            workspace.package(&spec.package)?;
            let platforms = spec.platforms();
            rustc::choose(toolchain, &spec.workspace, &platforms).await?;
            Ok(platforms)
        }
    }
}

async fn build_with(
    toolchain: &Toolchain,
    spec: &ImageSpec,
    reporter: &dyn Reporter,
) -> Result<Vec<Binary>, ImageError> {
    match &spec.source {
        Source::Binaries(given) => {
            let found = find(given, &spec.platforms).await?;
            let binaries = found.into_iter().map(|(platform, path)| Binary {
                path,
                platform: platform.to_string(),
                version: None,
                repository: None,
            });
            Ok(binaries.collect())
        }
        Source::Cargo => {
            let workspace = Workspace::read(toolchain, &spec.workspace).await?;
            compile(toolchain, &workspace, spec, reporter).await
        }
    }
}

/// The executables that were given, checked: those for `platforms`, or all where none is named.
async fn find(given: &[Given], platforms: &[Platform]) -> Result<Vec<(Platform, PathBuf)>, ImageError> {
    let mut found: Vec<(Platform, PathBuf)> = Vec::new();
    for Given { platform, path } in given {
        let platform = check_executable(path, *platform).await?;
        if let Some((_, first)) = found.iter().find(|(known, _)| *known == platform) {
            return Err(ImageError::SamePlatform {
                platform,
                paths: [first.clone(), path.clone()],
            });
        }
        found.push((platform, path.clone()));
    }
    for &platform in platforms {
        if found.iter().all(|(known, _)| *known != platform) {
            return Err(ImageError::NoBinary { platform });
        }
    }
    found.retain(|(platform, _)| platforms.is_empty() || platforms.contains(platform));
    found.sort_unstable();
    Ok(found)
}

/// What a static executable runs on; an error where it is none, or none for the `expected` platform.
async fn check_executable(path: &Path, expected: Option<Platform>) -> Result<Platform, ImageError> {
    let file = tokio::fs::read(path).await.map_err(|source| ImageError::Read {
        path: path.to_owned(),
        source,
    })?;
    let platform = match expected {
        Some(platform) => elf::check(&file, platform.name()).map(|()| platform),
        None => elf::platform(&file),
    };
    platform.map_err(|source| ImageError::NotRunnable {
        path: path.to_owned(),
        source,
    })
}

async fn compile(
    toolchain: &Toolchain,
    workspace: &Workspace,
    spec: &ImageSpec,
    reporter: &dyn Reporter,
) -> Result<Vec<Binary>, ImageError> {
    let package = workspace.package(&spec.package)?;
    let platforms = spec.platforms();
    let (rustc, targets) = rustc::choose(toolchain, &spec.workspace, &platforms).await?;
    warn_of_machines_library(&targets, spec, reporter);
    let mut command = command::build(toolchain, workspace, (spec, &rustc, &targets))?;
    let mut watch = Watch::new(spec, &targets, reporter);
    let finished = cargo::run(&mut command, |line| watch.take(line)).await?;
    let command = cargo::command_line(&command);
    if !finished.status.success() {
        return Err(ImageError::Build {
            package: spec.package.clone(),
            command,
            status: finished.status.to_string(),
            output: finished.tail,
            folder: workspace.target_directory.clone(),
        });
    }
    let mut binaries = Vec::new();
    for (target, path) in watch.end(command)? {
        check_executable(&path, Some(target.platform)).await?;
        binaries.push(Binary {
            path,
            platform: target.platform.to_string(),
            version: Some(package.version.clone()),
            repository: package.repository.clone(),
        });
    }
    Ok(binaries)
}

fn warn_of_machines_library(targets: &[Target], spec: &ImageSpec, reporter: &dyn Reporter) {
    for target in targets.iter().filter(|target| target.is_of_machine()) {
        let musl = target.platform.musl();
        reporter.warning(&format!(
            "target `{musl}` is not installed: linking `{}` with static glibc instead; for a smaller image run `rustup target add {musl}`",
            spec.package
        ));
    }
}

/// Follows a build by its messages.
struct Watch<'a> {
    spec: &'a ImageSpec,
    targets: &'a [Target],
    reporter: &'a dyn Reporter,
    started: Instant,
    crates: u64,
    /// What was made, and whether it was up to date.
    made: Vec<(PathBuf, bool)>,
}

impl<'a> Watch<'a> {
    fn new(spec: &'a ImageSpec, targets: &'a [Target], reporter: &'a dyn Reporter) -> Self {
        Self {
            spec,
            targets,
            reporter,
            started: Instant::now(),
            crates: 0,
            made: Vec::new(),
        }
    }

    fn take(&mut self, line: &str) {
        let Message::Artifact {
            name,
            executable,
            fresh,
        } = Message::parse(line)
        else {
            return;
        };
        self.crates += 1;
        self.reporter.emit(Event::Progress {
            what: format!("build {}", self.spec.package),
            done: self.crates,
            total: 0,
        });
        if let Some(path) = executable.filter(|_| name == self.spec.package) {
            self.made.push((path, fresh));
        }
    }

    /// The executable of each target: its name is part of the path.
    fn end(self, command: String) -> Result<Vec<(Target, PathBuf)>, ImageError> {
        let of = |target: &Target| {
            let is_for = |path: &Path| path.iter().any(|folder| folder == target.triple);
            let made = self.made.iter().find(|(path, _)| is_for(path));
            made.map(|(path, _)| (*target, path.clone()))
        };
        let made: Option<Vec<_>> = self.targets.iter().map(of).collect();
        let made = made.ok_or_else(|| ImageError::NoExecutable {
            package: self.spec.package.clone(),
            command,
        })?;
        let fresh = self.made.iter().all(|(_, fresh)| *fresh);
        let outcome = if fresh { Outcome::Unchanged } else { Outcome::Built };
        let platforms: Vec<&str> = made.iter().map(|(target, _)| target.platform.name()).collect();
        let detail = format!(
            "{}, {} crates, {:.1} s",
            platforms.join(" and "),
            self.crates,
            self.started.elapsed().as_secs_f64()
        );
        self.reporter.done("binary", &self.spec.package, outcome, &detail);
        Ok(made)
    }
}

#[cfg(test)]
#[path = "build_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "reproducible_tests.rs"]
mod reproducible;
