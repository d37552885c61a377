//! The dashboard as one picture.

use jiff::tz::TimeZone;

use super::board::Board;
use super::frame::Frame;
use super::layout;
use super::panel;
use super::svg::{Area, Hold, Svg, fitted};
use super::theme::Theme;
use crate::drawing::{self, DrawError, FAMILY};

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
pub(super) fn png(elements: &(f64, f64, String), theme: Theme) -> Result<Vec<u8>, DrawError> {
    let (width, height, inner) = elements;
    let text = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="{FAMILY}">{inner}</svg>"#
    );
    drawing::png(&drawing::tree(&text, Some(theme.rules()))?)
}
