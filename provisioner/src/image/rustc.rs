//! The compiler that will be used, and what it is able to build for.

use std::path::{Path, PathBuf};

use futures::future::try_join_all;
use tokio::process::Command;

use super::ImageError;
use super::cargo::{self, Toolchain, command_line};
use super::platform::Platform;

/// The compiler, as it answers in the workspace, where a toolchain file may decide.
#[derive(Debug, Clone)]
pub(super) struct Rustc {
    /// All of `rustc -vV`: two compilers that say the same are the same.
    pub(super) version: String,
    /// Its folder: libraries and the linker that comes with it.
    sysroot: PathBuf,
}

/// What one platform is compiled as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) platform: Platform,
    pub(super) triple: &'static str,
}

impl Target {
    /// Whether the C library is that of the machine, to be linked statically.
    pub(super) fn is_of_machine(self) -> bool {
        self.triple == self.platform.gnu()
    }
}

/// Asks the compiler who it is and chooses the best installed target for each platform.
///
/// # Errors
/// [`ImageError::Toolchain`] where there is none; [`ImageError::NoTarget`] where it cannot build for a platform.
pub(super) async fn choose(
    toolchain: &Toolchain,
    workspace: &Path,
    platforms: &[Platform],
) -> Result<(Rustc, Vec<Target>), ImageError> {
    let version = ask(toolchain, workspace, &["-vV"]).await?;
    let host = line(&version, "host: ").unwrap_or_default().to_owned();
    let (host, version) = (&host, version.join("\n"));
    let chosen = platforms.iter().map(|&platform| async move {
        let musl = look(toolchain, workspace, platform.musl()).await?;
        let triple = if musl.is_installed {
            platform.musl()
        } else if host == platform.gnu() {
            platform.gnu()
        } else {
            return Err(ImageError::NoTarget { platform });
        };
        Ok((Target { platform, triple }, musl.sysroot))
    });
    let chosen = try_join_all(chosen).await?;
    let sysroot = chosen.first().map(|(_, sysroot)| sysroot.clone()).unwrap_or_default();
    let targets = chosen.into_iter().map(|(target, _)| target).collect();
    Ok((Rustc { version, sysroot }, targets))
}

impl Rustc {
    /// The linker that comes with the compiler: the same on every machine, for every target. None where a distribution
    /// leaves it out.
    pub(super) fn own_linker(&self) -> Option<&'static str> {
        const NAME: &str = "rust-lld";
        let host = self.said("host: ")?;
        let path = self.sysroot.join("lib/rustlib").join(host).join("bin").join(NAME);
        path.is_file().then_some(NAME)
    }

    /// Where the sources of the standard library are if they are installed, and what stands for them where they are not.
    pub(super) fn library_sources(&self) -> Option<(PathBuf, String)> {
        let commit = self.said("commit-hash: ")?;
        Some((self.sysroot.join("lib/rustlib/src/rust"), format!("/rustc/{commit}")))
    }

    fn said(&self, key: &str) -> Option<&str> {
        self.version.lines().find_map(|line| line.strip_prefix(key))
    }
}

fn line<'a>(lines: &'a [String], key: &str) -> Option<&'a str> {
    lines.iter().find_map(|line| line.strip_prefix(key))
}

/// The compiler's folder, and whether the standard library of a target is in it.
struct Library {
    sysroot: PathBuf,
    is_installed: bool,
}

async fn look(toolchain: &Toolchain, workspace: &Path, target: &str) -> Result<Library, ImageError> {
    let questions = ["--print", "sysroot", "--print", "target-libdir", "--target", target];
    let answer = ask(toolchain, workspace, &questions).await?;
    let folder = |index| answer.get(index).map(|line: &String| PathBuf::from(line.trim()));
    Ok(Library {
        sysroot: folder(0).unwrap_or_default(),
        is_installed: folder(1).is_some_and(|libraries| libraries.is_dir()),
    })
}

/// The lines of the compiler's answer.
async fn ask(toolchain: &Toolchain, workspace: &Path, arguments: &[&str]) -> Result<Vec<String>, ImageError> {
    let mut command = Command::new(&toolchain.rustc);
    command.args(arguments).current_dir(workspace);
    let mut lines = Vec::new();
    let finished = cargo::run(&mut command, |line| lines.push(line.to_owned())).await?;
    if finished.status.success() {
        return Ok(lines);
    }
    Err(ImageError::Compiler {
        command: command_line(&command),
        status: finished.status.to_string(),
        output: finished.tail,
    })
}
