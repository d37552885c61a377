//! Drawings as pictures: SVG with the program's own font, and PNG made of it.
//!
//! The dashboard's viewer and the timeline of a load draw different things; how that becomes a picture is the same.

mod steps;
mod text;

use std::sync::Arc;

pub(crate) use steps::{round_up, ticks};
pub(crate) use text::escaped;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

/// The font of pictures and pages: Roboto's Latin letters (Apache License 2.0), so that a text is as wide on every machine.
pub(crate) const REGULAR: &[u8] = include_bytes!("font/Roboto-Regular.ttf");
/// The same for titles and figures, in weight 500.
pub(crate) const MEDIUM: &[u8] = include_bytes!("font/Roboto-Medium.ttf");
/// The family of both.
pub(crate) const FAMILY: &str = "Roboto";

/// Pixels of a PNG for each unit of the drawing: as dense displays show it.
const SCALE: f32 = 2.0;

/// A drawing became no picture.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw the picture: {0}")]
pub struct DrawError(String);

/// Reads a document, with the rules of a style sheet if there is one.
///
/// # Errors
/// It is no SVG.
pub(crate) fn tree(document: &str, style_sheet: Option<String>) -> Result<Tree, DrawError> {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(REGULAR.to_vec());
    fonts.load_font_data(MEDIUM.to_vec());
    let options = Options {
        font_family: FAMILY.to_owned(),
        fontdb: Arc::new(fonts),
        style_sheet,
        ..Options::default()
    };
    Tree::from_str(document, &options).map_err(|error| DrawError(error.to_string()))
}

/// A drawing as PNG.
///
/// # Errors
/// It is too large for memory.
pub(crate) fn png(tree: &Tree) -> Result<Vec<u8>, DrawError> {
    let wrong = |why: &str| DrawError(why.to_owned());
    let size = tree.size().to_int_size().scale_by(SCALE);
    let size = size.ok_or_else(|| wrong("it has no size"))?;
    let pixels = Pixmap::new(size.width(), size.height());
    let mut pixels = pixels.ok_or_else(|| wrong("it is too large"))?;
    resvg::render(tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| wrong(&error.to_string()))
}
