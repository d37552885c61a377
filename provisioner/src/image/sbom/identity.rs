//! Names that hold all over the world: package URLs, and numbers of documents.

use super::crates::{Crate, Origin};
use crate::image::Digest;

impl Crate {
    /// Its package URL: <https://github.com/package-url/purl-spec>, type `cargo`.
    pub(super) fn purl(&self) -> String {
        let purl = format!("pkg:cargo/{}@{}", encoded(&self.name), encoded(&self.version));
        match &self.origin {
            Origin::CratesIo | Origin::Local => purl,
            Origin::Registry(index) => format!("{purl}?repository_url={}", encoded(index)),
            Origin::Git { .. } => {
                let place = self.download().unwrap_or_default();
                format!("{purl}?vcs_url={}", encoded(&place))
            }
        }
    }

    /// What it is called within a document: its package URL, unless that is of crates.io, which may have one of the same
    /// name and version.
    pub(super) fn local_name(&self) -> String {
        match self.origin {
            Origin::Local => format!("local:{}@{}", self.name, self.version),
            _ => self.purl(),
        }
    }

    /// Where its sources are, as SPDX writes it; none where that is nowhere to be had.
    pub(super) fn download(&self) -> Option<String> {
        match &self.origin {
            Origin::CratesIo => Some(format!(
                "https://static.crates.io/crates/{}/{}/download",
                self.name,
                encoded(&self.version)
            )),
            Origin::Git { url, commit } => Some(format!("git+{url}@{commit}")),
            Origin::Registry(_) | Origin::Local => None,
        }
    }
}

/// All but letters, digits and what the specification leaves as it is.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'.' | b'-' | b'_' | b'~' | b':' => char::from(byte).to_string(),
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// A UUID that stands for `draft`, a document without its number: version 8 of RFC 9562, whose bits are SHA-256's. So
/// the same document has the same number, and no other one has.
pub(super) fn uuid(draft: &str) -> String {
    let digest = Digest::of(draft.as_bytes());
    let hex = digest.hex();
    let part = |from, to| hex.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-8{}-a{}-{}",
        part(0, 8),
        part(8, 12),
        part(12, 15),
        part(15, 18),
        part(18, 30)
    )
}
