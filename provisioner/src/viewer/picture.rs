//! The dashboard as one picture.

use std::sync::Arc;

use jiff::tz::TimeZone;
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use super::board::Board;
use super::frame::Frame;
use super::layout;
use super::panel;
use super::svg::{Area, Hold, Svg, fitted};
use super::theme::Theme;

/// The font of pictures and of the page: Roboto's Latin letters (Apache License 2.0), so that a text is as wide on every machine.
pub(super) const REGULAR: &[u8] = include_bytes!("font/Roboto-Regular.ttf");
/// The same for titles and figures.
pub(super) const MEDIUM: &[u8] = include_bytes!("font/Roboto-Medium.ttf");
const FAMILY: &str = "Roboto";

/// Pixels of the picture for each unit of the drawing: as dense displays show it.
const SCALE: f32 = 2.0;

/// A drawing became no picture.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw the picture: {0}")]
pub struct PictureError(String);

/// The whole dashboard as SVG: width, height, text.
pub(super) fn svg(board: &Board, frame: &Frame, subtitle: &str, width: f64, zone: &TimeZone) -> (f64, f64, String) {
    const MARGIN: f64 = 16.0;
    const HEAD: f64 = 64.0;
    let (places, bottom) = layout::place(&board.panels, width - 2.0 * MARGIN);
    let height = HEAD + bottom + MARGIN;
    let mut all = Svg::default();
    let ground = Area {
        x: 0.0,
        y: 0.0,
        w: width,
        h: height,
    };
    all.rect("f-ground", ground, 0.0);
    all.text("head f-text", (MARGIN, 32.0), Hold::Start, &board.title);
    let note = fitted(subtitle, 12.0, width * 0.6);
    all.text("legend f-muted", (MARGIN, 52.0), Hold::Start, &note);
    let at = frame.at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z");
    let when = format!("{}, {at}", frame.range.words());
    all.text("legend f-muted", (width - MARGIN, 52.0), Hold::End, &when);
    let panels = board.panels.iter().zip(&frame.panels).zip(places);
    for ((panel, lines), place) in panels {
        let drawn = panel::draw(panel, lines, &frame.span, (place.w, place.h), zone);
        all.place(MARGIN + place.x, HEAD + place.y, &drawn.svg);
    }
    (width, height, all.inner().to_owned())
}

/// An SVG's elements as PNG, with the colours of `theme`.
///
/// # Errors
/// It is too large for memory, or no SVG at all.
pub(super) fn png(drawing: &(f64, f64, String), theme: Theme) -> Result<Vec<u8>, PictureError> {
    let (width, height, inner) = drawing;
    let text = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="{FAMILY}">{inner}</svg>"#
    );
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(REGULAR.to_vec());
    fonts.load_font_data(MEDIUM.to_vec());
    let options = Options {
        font_family: FAMILY.to_owned(),
        fontdb: Arc::new(fonts),
        style_sheet: Some(theme.rules()),
        ..Options::default()
    };
    let wrong = |error: &dyn std::fmt::Display| PictureError(error.to_string());
    let tree = Tree::from_str(&text, &options).map_err(|error| wrong(&error))?;
    let size = tree.size().to_int_size().scale_by(SCALE);
    let size = size.ok_or_else(|| PictureError("it has no size".to_owned()))?;
    let pixels = Pixmap::new(size.width(), size.height());
    let mut pixels = pixels.ok_or_else(|| PictureError("it is too large".to_owned()))?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| wrong(&error))
}
