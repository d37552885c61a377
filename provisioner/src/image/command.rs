//! The command line that builds: reproducible, and with the user's own settings.
//!
//! The same sources give the same executable in every folder and on every machine with the same compiler: paths of this
//! machine are replaced in it, and the linker is the compiler's own where the user chose none. That one also needs no
//! C toolchain for the target.

use std::path::Path;

use tokio::process::Command;
use toml::Value;

use super::cargo::Toolchain;
use super::rustc::{Rustc, Target};
use super::settings::{self, Settings};
use super::workspace::Workspace;
use super::{ImageError, ImageSpec};

/// Links the machine's C library in.
const STATIC: &str = "-Ctarget-feature=+crt-static";

/// `cargo build` of the package of an image for all targets at once, so that their linking overlaps.
///
/// # Errors
/// Cargo's own configuration cannot be read.
pub(super) fn build(
    toolchain: &Toolchain,
    workspace: &Workspace,
    (spec, rustc, targets): (&ImageSpec, &Rustc, &[Target]),
) -> Result<Command, ImageError> {
    let settings = Settings::read(&workspace.root, &toolchain.env)?;
    let mut command = Command::new(&toolchain.cargo);
    command.current_dir(&spec.workspace);
    command.args(["build", "-p", &spec.package, "--bin", &spec.package]);
    command.args(["--profile", "image", "--message-format", "json-render-diagnostics"]);
    let remaps = remaps(toolchain, workspace, rustc);
    for target in targets {
        command.args(["--target", target.triple]);
        if let Some(linker) = own_linker(*target, rustc, &settings) {
            let linker = Value::from(linker);
            command.args(["--config", &format!("target.{}.linker={linker}", target.triple)]);
        }
    }
    if !workspace.has_image_profile() {
        command.args(["--config", "profile.image.inherits=\"release\""]);
    }
    let needs_static = targets.iter().any(|target| target.is_of_machine());
    if let Some(mut flags) = settings.flags_of_env() {
        // This variable beats whatever stands in a configuration.
        flags.extend(needs_static.then(|| STATIC.to_owned()));
        flags.extend(remaps);
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
        return Ok(command);
    }
    for target in targets {
        let mut flags = settings.general_flags(target.triple);
        flags.extend(target.is_of_machine().then(|| STATIC.to_owned()));
        flags.extend(remaps.iter().cloned());
        let flags = Value::from(flags);
        command.args(["--config", &format!("target.{}.rustflags={flags}", target.triple)]);
    }
    Ok(command)
}

/// The linker that comes with the compiler, for targets that bring their own C library.
fn own_linker(target: Target, rustc: &Rustc, settings: &Settings) -> Option<&'static str> {
    if target.is_of_machine() || settings.has_linker(target.triple) {
        return None;
    }
    rustc.own_linker()
}

/// Names for the folders of this machine that would else be part of the executable. Of two that match the later counts.
fn remaps(toolchain: &Toolchain, workspace: &Workspace, rustc: &Rustc) -> Vec<String> {
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    let mut remaps = vec![remap(&workspace.root, "/source")];
    if !workspace.target_directory.starts_with(&workspace.root) {
        remaps.push(remap(&workspace.target_directory, "/source/target"));
    }
    remaps.extend(settings::home(&toolchain.env).map(|home| remap(&home, "/cargo")));
    remaps.extend(rustc.library_sources().map(|(from, to)| remap(&from, &to)));
    remaps
}
