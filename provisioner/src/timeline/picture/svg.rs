//! The few elements of SVG that the picture is made of.

use std::fmt::Write as _;

use crate::drawing::{FAMILY, escaped};

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stroke {
    pub(super) color: &'static str,
    pub(super) width: f64,
    pub(super) dashes: &'static str,
    pub(super) opacity: f64,
}

impl Stroke {
    pub(super) const fn solid(color: &'static str, width: f64) -> Self {
        Self {
            color,
            width,
            dashes: "none",
            opacity: 1.0,
        }
    }

    pub(super) const fn dashed(color: &'static str, width: f64) -> Self {
        Self {
            color,
            width,
            dashes: "7 5",
            opacity: 1.0,
        }
    }
}

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Type {
    pub(super) size: f64,
    pub(super) color: &'static str,
    pub(super) anchor: &'static str,
    pub(super) is_bold: bool,
}

/// A drawing without its outermost element.
#[derive(Debug, Default)]
pub(super) struct Svg(String);

impl Svg {
    /// A filled rectangle.
    pub(super) fn rect(&mut self, (x, y): (f64, f64), (w, h): (f64, f64), color: &str) {
        let _ = write!(
            self.0,
            r#"<rect x="{x:.1}" y="{y:.1}" width="{w:.1}" height="{h:.1}" fill="{color}"/>"#
        );
    }

    /// A straight line.
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: Stroke) {
        self.path(&[from, to], stroke);
    }

    /// A line through points.
    pub(super) fn path(&mut self, points: &[(f64, f64)], stroke: Stroke) {
        let Stroke {
            color,
            width,
            dashes,
            opacity,
        } = stroke;
        let data = data(points);
        let _ = write!(
            self.0,
            r#"<path d="{data}" fill="none" stroke="{color}" stroke-width="{width}" stroke-dasharray="{dashes}" stroke-opacity="{opacity}" stroke-linejoin="round"/>"#
        );
    }

    /// The area between a line and the height `ground`.
    pub(super) fn area(&mut self, points: &[(f64, f64)], ground: f64, color: &str) {
        let (Some(first), Some(last)) = (points.first(), points.last()) else {
            return;
        };
        let data = data(points);
        let _ = write!(
            self.0,
            r#"<path d="{data}L{:.1} {ground:.1}L{:.1} {ground:.1}Z" fill="{color}" fill-opacity="0.14"/>"#,
            last.0, first.0
        );
    }

    /// A dot.
    pub(super) fn dot(&mut self, (x, y): (f64, f64), radius: f64, color: &str) {
        let _ = write!(
            self.0,
            r##"<circle cx="{x:.1}" cy="{y:.1}" r="{radius}" fill="{color}" stroke="#ffffff" stroke-width="1.5"/>"##
        );
    }

    /// A text.
    pub(super) fn text(&mut self, (x, y): (f64, f64), kind: Type, text: &str) {
        let Type {
            size,
            color,
            anchor,
            is_bold,
        } = kind;
        let weight = if is_bold { 500 } else { 400 };
        let text = escaped(text);
        let _ = write!(
            self.0,
            r#"<text x="{x:.1}" y="{y:.1}" font-size="{size}" font-weight="{weight}" fill="{color}" text-anchor="{anchor}">{text}</text>"#
        );
    }

    /// The drawing as a document.
    pub(super) fn document(&self, (w, h): (f64, f64)) -> String {
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}" font-family="{FAMILY}">{}</svg>"#,
            self.0
        )
    }
}

fn data(points: &[(f64, f64)]) -> String {
    let mut data = String::new();
    for (nth, (x, y)) in points.iter().enumerate() {
        let _ = write!(data, "{}{x:.1} {y:.1}", if nth == 0 { 'M' } else { 'L' });
    }
    data
}
