//! `[image]`: what only images have that are made here.

use super::Problem;
use super::read::Reader;
use crate::image::{Compression, SbomFormat};

/// Sources of images that were made elsewhere.
const ELSEWHERE: [&str; 3] = ["image.image", "image.oci-layout", "image.archive"];

impl Reader<'_> {
    /// How layers are compressed. Those of an image that was made elsewhere stay as they are.
    pub(super) fn compression(&mut self, source: Option<&str>) -> Compression {
        let made = source.filter(|source| ELSEWHERE.contains(source));
        if self.is_for_nothing("image.compression", made, "its layers stay as they are") {
            return Compression::default();
        }
        self.choice("image.compression", &Compression::ALL.map(|way| (way.name(), way)))
    }

    /// The package that is built.
    pub(super) fn package(&mut self, source: Option<&str>) -> Option<String> {
        if self.is_for_nothing("image.package", source, "nothing is built") {
            return None;
        }
        self.checked(
            "image.package",
            is_package,
            "the name of a cargo package: letters, digits, `-` and `_`",
        )
    }

    /// The bills of material. Nothing is known of what was not compiled here.
    pub(super) fn sbom(&mut self, source: Option<&str>) -> Option<SbomFormat> {
        if self.is_for_nothing("image.sbom", source, "nothing is known of what it is made of") {
            return None;
        }
        self.choice(
            "image.sbom",
            &SbomFormat::ALL.map(|format| (format.name(), Some(format))),
        )
    }

    /// Whether the setting at `path` does not go with `source`, which counts. Where it is named with it or above it,
    /// somebody expects otherwise: a problem, since `because`. Where it is named below it, it is passed over, and told.
    fn is_for_nothing(&mut self, path: &str, source: Option<&str>, because: &str) -> bool {
        let Some(source) = source else { return false };
        let (Some(setting), Some(other)) = (self.find(path), self.find(source)) else {
            return true;
        };
        let (setting, other) = (&setting.origin, &other.origin);
        if self.rank(path) <= self.rank(source) {
            let message = format!("{setting} cannot go with {other}: {because}");
            self.problems.push(Problem::new(message));
        } else {
            self.passed_over
                .push(format!("{setting} is passed over beside {other}: {because}"));
        }
        true
    }
}

/// Whether cargo takes it as the name of a package.
fn is_package(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}
