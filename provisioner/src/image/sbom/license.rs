//! Licences as manifests have them, and as the standards want them.

use spdx::{Expression, ParseMode};

/// What both standards write where a licence is not known.
pub(super) const UNKNOWN: &str = "NOASSERTION";

/// Identifiers that were given up are still what the author wrote; the older `MIT/Apache-2.0` is put right before.
const MODE: ParseMode = ParseMode {
    allow_deprecated: true,
    ..ParseMode::STRICT
};

/// `text` as a valid SPDX expression; none where it is none: <https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/>.
pub(super) fn expression(text: &str) -> Option<String> {
    let text = Expression::canonicalize(text).ok()?.unwrap_or_else(|| text.to_owned());
    Expression::parse_mode(&text, MODE).ok().map(|_| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_an_expression_or_becomes_one_is_kept() {
        for (text, expected) in [
            ("MIT", Some("MIT")),
            (
                "Apache-2.0 WITH LLVM-exception OR MIT",
                Some("Apache-2.0 WITH LLVM-exception OR MIT"),
            ),
            (
                "(MIT OR Apache-2.0) AND Unicode-3.0",
                Some("(MIT OR Apache-2.0) AND Unicode-3.0"),
            ),
            ("MIT/Apache-2.0", Some("MIT OR Apache-2.0")),
            ("MIT / Apache-2.0", Some("MIT OR Apache-2.0")),
            ("GPL-2.0", Some("GPL-2.0-only")),
            ("bzip2-1.0.5", Some("bzip2-1.0.5")),
            ("LicenseRef-Ours", Some("LicenseRef-Ours")),
            ("Our own licence", None),
            ("MIT OR", None),
            ("", None),
        ] {
            assert_eq!(expression(text).as_deref(), expected, "{text}");
        }
    }
}
