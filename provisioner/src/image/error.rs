//! What can go wrong between the source and the registry, and what to try then.

mod hint;

use std::io;
use std::path::PathBuf;

use super::answer::RegistryError;
use super::content::Mismatch;
use super::digest::Digest;
use super::elf::Defect;
use super::import;
use super::platform::Platform;

/// Why an image could not be built, assembled or pushed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// A program of the Rust toolchain could not be started.
    #[error("cannot run `{program}`")]
    Toolchain {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// `cargo metadata` did not accept the workspace.
    #[error("cannot read the cargo workspace `{}`: `{command}` failed\n{output}", workspace.display())]
    Workspace {
        /// Its folder.
        workspace: PathBuf,
        /// The command line.
        command: String,
        /// What it said last.
        output: String,
    },
    /// The compiler does not even say who it is, e.g. because rustup does not have the one that the workspace asks for.
    #[error("cannot use the compiler: `{command}` failed ({status})\n{output}")]
    Compiler {
        /// The command line.
        command: String,
        /// Its exit status.
        status: String,
        /// What it said last.
        output: String,
    },
    /// The toolchain has no standard library for a platform.
    #[error("cannot build for `{platform}`: target `{}` is not installed", platform.musl())]
    NoTarget {
        /// The platform.
        platform: Platform,
    },
    /// A configuration file of cargo is not valid.
    #[error("cannot read cargo's settings in `{}`: {reason}", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A platform is asked for, but no executable of it was given.
    #[error("cannot make an image for `{platform}`: no binary for it is given")]
    NoBinary {
        /// The platform.
        platform: Platform,
    },
    /// Two executables were given for one platform.
    #[error("cannot choose a binary for `{platform}`: `{}` and `{}` are both for it", paths[0].display(), paths[1].display())]
    SamePlatform {
        /// The platform.
        platform: Platform,
        /// The files.
        paths: [PathBuf; 2],
    },
    /// The workspace has no such package with a binary of its name.
    #[error("cannot build package `{package}`: the workspace `{}` has no binary of that name", workspace.display())]
    NoPackage {
        /// The package.
        package: String,
        /// The workspace's folder.
        workspace: PathBuf,
        /// Packages with a binary that it does have.
        known: Vec<String>,
    },
    /// The compiler or linker failed.
    #[error("cannot build package `{package}`: `{command}` failed ({status})\n{output}")]
    Build {
        /// The package.
        package: String,
        /// The command line.
        command: String,
        /// Its exit status.
        status: String,
        /// What the compiler wrote, from the first error on.
        output: String,
        /// Where cargo builds.
        folder: PathBuf,
    },
    /// Cargo succeeded without naming the executable.
    #[error("cannot find the executable of package `{package}`: `{command}` named none")]
    NoExecutable {
        /// The package.
        package: String,
        /// The command line.
        command: String,
    },
    /// Cargo does not say what a package is made of.
    #[error("cannot list the crates of package `{package}`: {reason}")]
    Crates {
        /// The package.
        package: String,
        /// Why.
        reason: String,
    },
    /// An image has no manifest for a platform.
    #[error("cannot attach a bill of materials for `{platform}`: image {digest} is not for it")]
    NoSubject {
        /// The platform.
        platform: Platform,
        /// The image.
        digest: Digest,
    },
    /// The registry has no place for the list of what refers to a manifest.
    #[error(
        "cannot list {digest} in `{place}`: tag `{tag}` is the image itself there, so this registry keeps no such lists"
    )]
    NoLists {
        /// What should be listed.
        digest: Digest,
        /// The tag of the list.
        tag: String,
        /// Registry and repository.
        place: String,
    },
    /// The list of what refers to a manifest is kept by clients, and cannot be.
    #[error("cannot list {digest} under tag `{tag}` of `{place}`: {reason}")]
    NotListed {
        /// What should be listed.
        digest: Digest,
        /// The tag of the list.
        tag: String,
        /// Registry and repository.
        place: String,
        /// Why.
        reason: String,
    },
    /// A file could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The executable cannot be the only file of an image.
    #[error("cannot use `{}` in an image", path.display())]
    NotRunnable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Defect,
    },
    /// No image can be made for these platforms.
    #[error("cannot make an image for the platforms `{}`: one binary for each is needed", given.join("`, `"))]
    Platforms {
        /// The platforms of the binaries.
        given: Vec<String>,
    },
    /// A layer could not be written.
    #[error("cannot write an image layer")]
    Archive(#[source] io::Error),
    /// `SOURCE_DATE_EPOCH` is no time.
    #[error("cannot read `SOURCE_DATE_EPOCH`: `{given}` is not a number of seconds since 1970")]
    Epoch {
        /// Its value.
        given: String,
    },
    /// A registry's address is not usable.
    #[error("cannot use registry endpoint `{endpoint}`: {reason}")]
    Endpoint {
        /// The address, without credentials.
        endpoint: String,
        /// Why.
        reason: String,
    },
    /// The registry no longer took the credentials, and there are no new ones.
    #[error("cannot renew the credentials for `{place}`")]
    Renewal {
        /// Registry and repository.
        place: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A text is no tag.
    #[error("cannot use tag `{tag}`: 1 to 128 letters, digits, `_`, `.` and `-`, not starting with `.` or `-`")]
    Tag {
        /// The text.
        tag: String,
    },
    /// The tag names another image.
    #[error("cannot push {digest} to `{place}`: tag `{tag}` already points to {existing}; tags are immutable")]
    TagTaken {
        /// Registry and repository.
        place: String,
        /// The tag.
        tag: String,
        /// What it points to.
        existing: String,
        /// What should have been pushed.
        digest: String,
    },
    /// The registry shows another image than the one that was pushed.
    #[error("cannot verify `{place}:{tag}`: pushed {pushed}, but the registry shows {shown}")]
    NotVerified {
        /// Registry and repository.
        place: String,
        /// The tag.
        tag: String,
        /// What was pushed.
        pushed: String,
        /// What the registry shows, or `nothing`.
        shown: String,
    },
    /// The registry refused a request or did not answer.
    #[error("cannot {action} `{place}` (attempts: {attempts})")]
    Registry {
        /// What was attempted, with its object, e.g. "push blob sha256:... to".
        action: String,
        /// Registry and repository.
        place: String,
        /// How often it was tried.
        attempts: u32,
        /// Whether nothing but reading was wanted there.
        reads: bool,
        /// The last answer.
        source: Box<RegistryError>,
    },
    /// An image that was made elsewhere is not used.
    #[error("cannot use the image `{origin}`")]
    Import {
        /// Where it is.
        origin: String,
        /// Why.
        source: import::Defect,
    },
    /// Content is not what its descriptor says.
    #[error("cannot use blob {digest} of {origin}")]
    Content {
        /// The blob.
        digest: Digest,
        /// Where it was read.
        origin: String,
        /// Why.
        source: Mismatch,
    },
}

/// Whether a compiler or linker ran out of space: Rust's programs give the system's number, others its words, and a
/// linker that writes through a memory map is killed where the file has no room.
fn says_disk_is_full(output: &str) -> bool {
    ["(os error 28)", "No space left on device", "(SIGBUS)"]
        .iter()
        .any(|sign| output.contains(sign))
}

impl ImageError {
    /// What to try, as one sentence without a period; none where the message says it all.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Toolchain { .. } => Some(
                "install Rust from https://rustup.rs; or give a static executable with `--binary PATH`, or an image made elsewhere with `--image REF`, `--archive FILE` or `--oci-layout DIR`"
                    .to_owned(),
            ),
            Self::Build { output, folder, .. } if says_disk_is_full(output) => Some(format!(
                "the disk of `{}` is full: free some of it, or build elsewhere with `CARGO_TARGET_DIR`",
                folder.display()
            )),
            Self::NoTarget { platform } => Some(format!(
                "run `rustup target add {}`, leave the platform out, or give a binary with `--binary {platform}=PATH`",
                platform.musl()
            )),
            Self::NoBinary { platform } => Some(format!("give one with `--binary {platform}=PATH`")),
            Self::NoPackage { known, .. } if known.is_empty() => {
                Some("run it in the project's folder".to_owned())
            }
            Self::NoPackage { known, .. } => {
                Some(format!(
                    "packages with a binary: `{}`; name one with `--package NAME`",
                    known.join("`, `")
                ))
            }
            Self::NotRunnable { source: Defect::Dynamic(_), .. } => Some(
                "link it statically: build with a target like `x86_64-unknown-linux-musl` and without `-C target-feature=-crt-static`"
                    .to_owned(),
            ),
            Self::Tag { .. } | Self::TagTaken { .. } => Some(
                "choose another `--tag`, or leave it out: the default is derived from the content".to_owned(),
            ),
            Self::NotVerified { .. } => {
                Some("somebody else may have pushed the same tag: push again".to_owned())
            }
            Self::NoLists { .. } => Some("leave out `--sbom` for this registry".to_owned()),
            Self::NotListed { tag, .. } => Some(format!(
                "something else may use tag `{tag}`, which is made for such lists: delete it, or push again"
            )),
            Self::Import { source, .. } => source.hint(),
            Self::Registry { source, reads, .. } => hint::of_registry(source, *reads),
            _ => None,
        }
    }

    /// What a registry said last.
    pub(super) fn refusal(&self) -> Option<&RegistryError> {
        match self {
            Self::Registry { source, .. } => Some(source),
            _ => None,
        }
    }

    /// The HTTP status of a registry's refusal.
    pub(super) fn status(&self) -> Option<u16> {
        self.refusal().and_then(RegistryError::status)
    }

    /// Whether the content that this is about may be had a moment later.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Content { source, .. } => matches!(source, Mismatch::BrokenOff(_)),
            _ => self.refusal().is_some_and(RegistryError::is_transient),
        }
    }

    /// The same after so many attempts.
    pub(super) fn after(mut self, all: u32) -> Self {
        if let Self::Registry { attempts, .. } = &mut self {
            *attempts = all;
        }
        self
    }

    /// Whether the user's input or environment is at fault and nothing was changed (exit code 2).
    pub fn is_configuration(&self) -> bool {
        match self {
            // A full disk is nobody's setting.
            Self::Import { source, .. } => !matches!(source, import::Defect::Unpack { .. }),
            _ => self.is_of_settings(),
        }
    }

    fn is_of_settings(&self) -> bool {
        matches!(
            self,
            Self::Toolchain { .. }
                | Self::Workspace { .. }
                | Self::NoPackage { .. }
                | Self::Compiler { .. }
                | Self::NoTarget { .. }
                | Self::Settings { .. }
                | Self::NoBinary { .. }
                | Self::SamePlatform { .. }
                | Self::Read { .. }
                | Self::NotRunnable { .. }
                | Self::Platforms { .. }
                | Self::Epoch { .. }
                | Self::Endpoint { .. }
                | Self::Tag { .. }
        )
    }
}
