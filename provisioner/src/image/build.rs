//! From source to a static executable: cargo, without Docker.

use std::path::{Path, PathBuf};
use std::time::Instant;

use tokio::process::Command;

use super::cargo::{self, Message, Package, Toolchain};
use super::{Binary, ImageError, ImageSpec, Source, elf};
use crate::report::{Event, Outcome, Reporter};

/// What images are built for, `os/architecture`.
pub const PLATFORM: &str = "linux/amd64";
/// Static by default, and its start-up files come with the target: nothing but rustup is needed.
const MUSL: &str = "x86_64-unknown-linux-musl";
/// Static with a flag and with the machine's C library.
const GNU: &str = "x86_64-unknown-linux-gnu";

/// Makes (or finds) the static executable of `spec` for `linux/amd64`.
///
/// Where the musl target is not installed it falls back to static glibc, with a warning that says how to install it.
///
/// # Errors
/// [`ImageError::Build`] with cargo's last lines; [`ImageError::NotRunnable`] where the result is not static.
pub async fn build(spec: &ImageSpec, reporter: &dyn Reporter) -> Result<Binary, ImageError> {
    build_with(&Toolchain::from_env(), spec, reporter).await
}

/// Makes sure that [`build`] has what it starts from, without compiling anything: the executable, or a toolchain and a
/// workspace with the package in it.
///
/// # Errors
/// [`ImageError::is_configuration`] for whatever is missing.
pub async fn check(spec: &ImageSpec) -> Result<(), ImageError> {
    check_with(&Toolchain::from_env(), spec).await
}

async fn check_with(toolchain: &Toolchain, spec: &ImageSpec) -> Result<(), ImageError> {
    match &spec.source {
        Source::Binary(path) => check_executable(path).await,
        Source::Cargo => {
            cargo::package(toolchain, &spec.workspace, &spec.package).await?;
            // Either answer will do: what matters is that there is a compiler to give it.
            is_installed(toolchain, &spec.workspace).await.map(drop)
        }
    }
}

async fn check_executable(path: &Path) -> Result<(), ImageError> {
    let file = tokio::fs::read(path).await.map_err(|source| ImageError::Read {
        path: path.to_owned(),
        source,
    })?;
    elf::check(&file, PLATFORM).map_err(|source| ImageError::NotRunnable {
        path: path.to_owned(),
        source,
    })
}

async fn build_with(toolchain: &Toolchain, spec: &ImageSpec, reporter: &dyn Reporter) -> Result<Binary, ImageError> {
    let (path, package) = match &spec.source {
        Source::Binary(path) => (path.clone(), None),
        Source::Cargo => {
            let package = cargo::package(toolchain, &spec.workspace, &spec.package).await?;
            let path = compile(toolchain, spec, reporter).await?;
            (path, Some(package))
        }
    };
    check_executable(&path).await?;
    let (version, repository) = package.map_or((None, None), |package: Package| {
        (Some(package.version), package.repository)
    });
    Ok(Binary {
        path,
        platform: PLATFORM.to_owned(),
        version,
        repository,
    })
}

async fn compile(toolchain: &Toolchain, spec: &ImageSpec, reporter: &dyn Reporter) -> Result<PathBuf, ImageError> {
    let started = Instant::now();
    let mut command = command(toolchain, spec, reporter).await?;
    let (mut crates, mut executable, mut unchanged) = (0, None, false);
    let finished = cargo::run(&mut command, |line| {
        let Message::Artifact {
            name,
            executable: file,
            fresh,
        } = Message::parse(line)
        else {
            return;
        };
        crates += 1;
        reporter.emit(Event::Progress {
            what: format!("build {}", spec.package),
            done: crates,
            total: 0,
        });
        if name == spec.package && file.is_some() {
            (executable, unchanged) = (file, fresh);
        }
    })
    .await?;
    let command = cargo::command_line(&command);
    if !finished.status.success() {
        return Err(ImageError::Build {
            package: spec.package.clone(),
            command,
            status: finished.status.to_string(),
            output: finished.tail,
        });
    }
    let path = executable.ok_or_else(|| ImageError::NoExecutable {
        package: spec.package.clone(),
        command,
    })?;
    let outcome = if unchanged { Outcome::Unchanged } else { Outcome::Built };
    let detail = format!("{crates} crates, {:.1} s", started.elapsed().as_secs_f64());
    reporter.done("binary", &spec.package, outcome, &detail);
    Ok(path)
}

/// The build's command line, for the best target that is installed.
async fn command(toolchain: &Toolchain, spec: &ImageSpec, reporter: &dyn Reporter) -> Result<Command, ImageError> {
    let musl = is_installed(toolchain, &spec.workspace).await?;
    let target = if musl { MUSL } else { GNU };
    let mut command = Command::new(&toolchain.cargo);
    command.current_dir(&spec.workspace);
    command.args(["build", "-p", &spec.package, "--bin", &spec.package]);
    command.args(["--profile", "image", "--target", target]);
    command.args(["--message-format", "json-render-diagnostics"]);
    if !musl {
        reporter.warning(&format!(
            "target `{MUSL}` is not installed: linking `{}` with static glibc instead; for a smaller image run `rustup target add {MUSL}`",
            spec.package
        ));
        let encoded = std::env::var("CARGO_ENCODED_RUSTFLAGS").ok();
        let plain = std::env::var("RUSTFLAGS").ok();
        let (key, flags) = static_flags(encoded.as_deref(), plain.as_deref());
        command.env(key, flags);
    }
    Ok(command)
}

/// Adds static linking to the user's own flags, in the variable that cargo will read.
fn static_flags(encoded: Option<&str>, plain: Option<&str>) -> (&'static str, String) {
    let add = |given: &str, separator: &str| {
        let flags = ["-C", "target-feature=+crt-static"].join(separator);
        if given.is_empty() {
            flags
        } else {
            format!("{given}{separator}{flags}")
        }
    };
    match encoded {
        Some(given) => ("CARGO_ENCODED_RUSTFLAGS", add(given, "\u{1f}")),
        None => ("RUSTFLAGS", add(plain.unwrap_or_default(), " ")),
    }
}

/// Whether the standard library for musl is there; asked in the workspace, where a toolchain file may decide.
async fn is_installed(toolchain: &Toolchain, workspace: &Path) -> Result<bool, ImageError> {
    let mut command = Command::new(&toolchain.rustc);
    command
        .args(["--print", "target-libdir", "--target", MUSL])
        .current_dir(workspace);
    let mut folder = String::new();
    let finished = cargo::run(&mut command, |line| line.clone_into(&mut folder)).await?;
    Ok(finished.status.success() && Path::new(folder.trim()).is_dir())
}

#[cfg(test)]
#[path = "build_tests.rs"]
mod tests;
