//! `[image]`: an image that was made elsewhere, and which of the sources of an image counts.

use super::read::Reader;
use super::{Made, Problem};
use crate::image::{ImageRef, Local};

/// Settings that each name an image or what it is made from.
const SOURCES: [&str; 4] = ["image.binary", "image.image", "image.oci-layout", "image.archive"];

impl Reader<'_> {
    /// The one source of the image that counts: that of the highest layer, unless a workspace is named in a higher one. Two
    /// in one layer are a problem.
    pub(super) fn source(&mut self) -> Option<&'static str> {
        let ranked = SOURCES.iter().filter_map(|path| Some((self.rank(path)?, *path)));
        let ranked: Vec<_> = ranked.collect();
        let (rank, first) = ranked.iter().min_by_key(|(rank, _)| rank).copied()?;
        if self.rank("image.workspace").is_some_and(|workspace| workspace < rank) {
            return None;
        }
        let origins = ranked.iter().filter(|(other, _)| *other == rank);
        let origins: Vec<&str> = origins
            .filter_map(|(_, path)| Some(self.find(path)?.origin.as_str()))
            .collect();
        if let [_, .., last] = origins.as_slice() {
            let others = origins[..origins.len() - 1].join(", ");
            let message = format!("{others} and {last} are named at once: an image has one source");
            self.problems.push(Problem::new(message));
            return None;
        }
        Some(first)
    }

    /// The image that was made elsewhere, where that is the source that counts.
    pub(super) fn made(&mut self, source: Option<&str>) -> Option<Made> {
        let copy = self.copied(source);
        match source? {
            "image.image" => {
                let image = self.image_ref("image.image")?;
                Some(Made::Remote { image, copy })
            }
            "image.oci-layout" => {
                let folder = self.existing("image.oci-layout", "folder")?;
                Some(Made::Local(Local::Layout(folder)))
            }
            "image.archive" => {
                let file = self.existing("image.archive", "file")?;
                Some(Made::Local(Local::Archive(file)))
            }
            _ => None,
        }
    }

    /// An image of a registry.
    pub(super) fn image_ref(&mut self, path: &str) -> Option<ImageRef> {
        let setting = self.find(path)?;
        match setting.texts.concat().parse() {
            Ok(image) => Some(image),
            Err(error) => {
                // The text itself may hold a password.
                let message = format!("{} is no image: {error}", setting.origin);
                self.problems.push(Problem::new(message));
                None
            }
        }
    }

    /// Whether an image is copied; that and a tag are for nothing where none is.
    fn copied(&mut self, source: Option<&str>) -> bool {
        let copy = self.switch("image.copy");
        let source_or_workspace = source.unwrap_or("image.workspace");
        let rank = self.rank(source_or_workspace);
        let is_meant = |of: Option<usize>| of.is_some_and(|of| rank.is_none_or(|rank| of <= rank));
        let (copied, image) = (self.rank("image.copy"), self.rank("image.image"));
        if copy && source != Some("image.image") && is_meant(copied) && copied != image {
            let message = "`copy` needs `--image`: everything else is pushed anyway".to_owned();
            self.problems.push(Problem::new(message));
        }
        if !copy && source == Some("image.image") && is_meant(self.rank("image.tag")) {
            let message = "`tag` needs `--copy` with `--image`: an image that stays where it is gets no tag".to_owned();
            self.problems.push(Problem::new(message));
        }
        copy
    }
}
