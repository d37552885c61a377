//! What images are built for: one row per platform, with all that differs between them.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// An operating system and processor that images are built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Platform {
    /// `linux/amd64`.
    Amd64,
    /// `linux/arm64`.
    Arm64,
}

impl Platform {
    /// Every platform.
    pub const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// `os/architecture` as OCI spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "linux/amd64",
            Self::Arm64 => "linux/arm64",
        }
    }

    /// The compile target that is static by default and brings its own C library: nothing but rustup is needed.
    pub(super) fn musl(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-musl",
            Self::Arm64 => "aarch64-unknown-linux-musl",
        }
    }

    /// The compile target that is static with a flag and the C library of a machine of this platform.
    pub(super) fn gnu(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// `e_machine` of its executables (`elf(5)`).
    pub(super) fn machine(self) -> u16 {
        match self {
            Self::Amd64 => 62,
            Self::Arm64 => 183,
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text names no platform that images are built for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of `linux/amd64`, `linux/arm64`")]
pub struct UnknownPlatform(String);

impl FromStr for Platform {
    type Err = UnknownPlatform;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|platform| platform.name() == text);
        known.ok_or_else(|| UnknownPlatform(text.to_owned()))
    }
}

/// An executable that was built elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// What it is said to run on; none leaves it to the file itself.
    pub platform: Option<Platform>,
    /// Where it is.
    pub path: PathBuf,
}

impl Given {
    /// Divides `PLATFORM=PATH`; a text without a platform before its first `=` is a path.
    pub(crate) fn split(text: &str) -> (Option<&str>, &str) {
        match text.split_once('=') {
            Some((platform, path)) if looks_like_platform(platform) => (Some(platform), path),
            _ => (None, text),
        }
    }
}

impl FromStr for Given {
    type Err = UnknownPlatform;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (platform, path) = Self::split(text);
        Ok(Self {
            platform: platform.map(str::parse).transpose()?,
            path: path.into(),
        })
    }
}

/// `os/architecture`, known or not: a misspelt platform must not become part of a path.
fn looks_like_platform(text: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    text.split_once('/')
        .is_some_and(|(os, architecture)| is_word(os) && architecture.split('/').all(is_word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_read_as_they_are_written() {
        for platform in Platform::ALL {
            assert_eq!(platform.to_string().parse(), Ok(platform));
        }
        let error = "linux/arm".parse::<Platform>().unwrap_err();
        assert_eq!(error.to_string(), "`linux/arm` is none of `linux/amd64`, `linux/arm64`");
    }

    #[test]
    fn a_binary_may_say_its_platform() {
        let given = |platform, path: &str| {
            Ok(Given {
                platform,
                path: path.into(),
            })
        };
        let cases = [
            ("target/app", given(None, "target/app")),
            ("linux/arm64=a/b=c", given(Some(Platform::Arm64), "a/b=c")),
            ("./a=b", given(None, "./a=b")),
            ("/srv/a=b", given(None, "/srv/a=b")),
            ("linux/arm=app", Err(UnknownPlatform("linux/arm".into()))),
            ("linux/arm/v7=app", Err(UnknownPlatform("linux/arm/v7".into()))),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Given>(), expected, "{text}");
        }
    }
}
