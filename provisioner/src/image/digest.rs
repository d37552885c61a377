//! Digests: the names of content.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sha2::Digest as _;

const ALGORITHM: &str = "sha256:";

/// `sha256:` and 64 lower-case hexadecimal digits, as the OCI specifications write it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(Arc<str>);

/// Why a text is no [`Digest`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no digest: `sha256:` and 64 lower-case hexadecimal digits")]
pub struct InvalidDigest(String);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::default();
        hasher.update(bytes);
        hasher.finish()
    }

    /// Whole, with its algorithm.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits after the algorithm.
    pub fn hex(&self) -> &str {
        self.0.strip_prefix(ALGORITHM).unwrap_or(&self.0)
    }

    /// The first 12 digits: enough to tell contents apart in a message or as a tag.
    pub fn short(&self) -> &str {
        self.hex().get(..12).unwrap_or_default()
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_digit = |c: char| matches!(c, '0'..='9' | 'a'..='f');
        match text.strip_prefix(ALGORITHM) {
            Some(hex) if hex.len() == 64 && hex.chars().all(is_digit) => Ok(Self(text.into())),
            _ => Err(InvalidDigest(text.chars().take(100).collect())),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq<str> for Digest {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A digest in the making.
#[derive(Debug, Clone, Default)]
pub(super) struct Hasher(sha2::Sha256);

impl Hasher {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn finish(self) -> Digest {
        Digest(format!("{ALGORITHM}{}", hex::encode(self.0.finalize())).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sha256_in_lower_case_is_a_digest() {
        let digest = Digest::of(b"");
        let text = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest.as_str(), text);
        assert_eq!(digest.short(), "e3b0c44298fc");
        assert_eq!(text.parse(), Ok(digest));
        for text in [
            "",
            "sha256:",
            &text[..70],
            &text.to_uppercase(),
            "sha512:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "sha256:../../../../etc/passwd000000000000000000000000000000000000000000",
        ] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }
}
