//! One error type: what failed on which object, the cause, and what to try.

use std::fmt;

/// Exit code of bad usage and missing prerequisites: nothing was changed.
const USAGE: u8 = 2;
/// Exit code of everything that failed on the way.
const FAILED: u8 = 1;

/// A failure with the sentence and the hint for the user.
#[derive(Debug, Clone)]
pub(crate) struct Error {
    message: String,
    hint: Option<String>,
    code: u8,
}

impl Error {
    /// Something failed on the way; exit 1.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            code: FAILED,
        }
    }

    /// A prerequisite is missing or the usage is wrong; exit 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            code: USAGE,
        }
    }

    /// An operation on `object` failed with `cause`.
    pub(crate) fn cannot(verb: &str, object: impl fmt::Display, cause: impl fmt::Display) -> Self {
        Self::failed(format!("cannot {verb} `{object}`: {cause}"))
    }

    /// The same error with advice.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What to try.
    pub(crate) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The process's exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
