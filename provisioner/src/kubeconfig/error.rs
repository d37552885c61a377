//! What can go wrong with a kubeconfig.

use std::io;
use std::path::PathBuf;

/// A kubeconfig that cannot be read or written. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// Neither `KUBECONFIG` nor `HOME` is set.
    #[error("cannot find the kubeconfig: neither `KUBECONFIG` nor `HOME` is set")]
    NoPlace,
    /// The file cannot be read, written or locked.
    #[error("cannot {verb} kubeconfig `{}`", path.display())]
    File {
        /// What was tried.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("cannot read kubeconfig `{}`: {why}", path.display())]
    NotOne {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// Somebody else is writing the file, or was killed while writing.
    #[error("cannot write kubeconfig `{}`: `{}` exists, so somebody else is writing it", path.display(), lock.display())]
    Locked {
        /// The file.
        path: PathBuf,
        /// Its lock.
        lock: PathBuf,
    },
    /// An entry of that name is not ours.
    #[error("cannot add context `{0}`: the kubeconfig has an entry of that name that provisioner did not write")]
    Taken(String),
    /// An entry could not run this program.
    #[error("cannot name program `{}` in the kubeconfig: {why}", path.display())]
    Program {
        /// Where it was started from.
        path: PathBuf,
        /// Why not.
        why: &'static str,
    },
}

impl KubeconfigError {
    /// What to try.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Locked { lock, .. } => Some(format!("where nobody is: `rm {}`", lock.display())),
            Self::Taken(_) => Some("rename or remove that entry, or write another file with `--file FILE`".to_owned()),
            Self::NoPlace => Some("name a file with `--file FILE`".to_owned()),
            Self::Program { .. } => Some("run `provisioner kubeconfig` from a file that stays where it is".to_owned()),
            Self::File { .. } | Self::NotOne { .. } => None,
        }
    }

    /// Whether the input is wrong, not the machine.
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::NoPlace | Self::NotOne { .. } | Self::Taken(_) | Self::Program { .. }
        )
    }
}
