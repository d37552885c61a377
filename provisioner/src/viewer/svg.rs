//! The few elements of SVG that drawings are made of.

use std::fmt::Write as _;

use crate::drawing::escaped;

/// A drawing without its outermost element.
#[derive(Debug, Clone, Default)]
pub(super) struct Svg(String);

/// A rectangle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) w: f64,
    pub(super) h: f64,
}

impl Area {
    pub(super) fn right(&self) -> f64 {
        self.x + self.w
    }

    pub(super) fn bottom(&self) -> f64 {
        self.y + self.h
    }
}

/// Where a text is held.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hold {
    Start,
    Middle,
    End,
}

impl Svg {
    pub(super) fn rect(&mut self, class: &str, area: Area, radius: f64) {
        let Area { x, y, w, h } = area;
        let _ = write!(
            self.0,
            r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{w:.1}" height="{h:.1}" rx="{radius}"/>"#
        );
    }

    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let _ = write!(
            self.0,
            r#"<line class="{class}" x1="{:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}"/>"#,
            from.0, from.1, to.0, to.1
        );
    }

    /// A path; `opacity` is that of its fill.
    pub(super) fn path(&mut self, class: &str, data: &str, opacity: f64) {
        let _ = write!(self.0, r#"<path class="{class}" fill-opacity="{opacity}" d="{data}"/>"#);
    }

    pub(super) fn text(&mut self, class: &str, at: (f64, f64), hold: Hold, text: &str) {
        let anchor = match hold {
            Hold::Start => "start",
            Hold::Middle => "middle",
            Hold::End => "end",
        };
        let _ = write!(
            self.0,
            r#"<text class="{class}" x="{:.1}" y="{:.1}" text-anchor="{anchor}">{}</text>"#,
            at.0,
            at.1,
            escaped(text)
        );
    }

    /// A text of a size of its own, from its left end.
    pub(super) fn sized(&mut self, class: &str, at: (f64, f64), size: f64, text: &str) {
        let _ = write!(
            self.0,
            r#"<text class="{class}" x="{:.1}" y="{:.1}" font-size="{size:.1}">{}</text>"#,
            at.0,
            at.1,
            escaped(text)
        );
    }

    /// Another drawing, moved.
    pub(super) fn place(&mut self, x: f64, y: f64, inner: &Self) {
        let _ = write!(self.0, r#"<g transform="translate({x:.1} {y:.1})">{}</g>"#, inner.0);
    }

    /// The elements.
    pub(super) fn inner(&self) -> &str {
        &self.0
    }
}

/// Advance widths of Roboto for the characters from space to `~`, in 2048ths of the size.
const WIDTHS: [u16; 95] = [
    508, 528, 656, 1261, 1151, 1500, 1274, 358, 701, 713, 882, 1162, 403, 566, 540, 845, 1151, 1151, 1151, 1151, 1151,
    1151, 1151, 1151, 1151, 1151, 496, 433, 1041, 1124, 1071, 968, 1839, 1336, 1276, 1333, 1344, 1164, 1132, 1395,
    1461, 557, 1130, 1285, 1103, 1788, 1461, 1409, 1292, 1409, 1262, 1216, 1222, 1328, 1304, 1817, 1284, 1230, 1227,
    543, 841, 543, 856, 924, 633, 1114, 1150, 1072, 1155, 1086, 712, 1150, 1128, 498, 490, 1038, 498, 1796, 1131, 1168,
    1150, 1164, 694, 1057, 670, 1129, 992, 1539, 1016, 969, 1016, 693, 500, 693, 1393,
];

/// How wide a text is.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let advance = |c: char| {
        let at = (c as usize).wrapping_sub(' ' as usize);
        WIDTHS.get(at).copied().unwrap_or(1200)
    };
    text.chars().map(|c| f64::from(advance(c))).sum::<f64>() * size / 2048.0
}

/// A text cut to fit, with `…` where something was left out.
pub(super) fn fitted(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if width(&kept, size) + width("…", size) > room {
            kept.pop();
            break;
        }
    }
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_an_element_or_an_attribute() {
        let mut svg = Svg::default();
        svg.text("a", (0.0, 0.0), Hold::Start, "</text><script>\"'&\u{0}");
        assert!(
            svg.inner()
                .ends_with(">&lt;/text&gt;&lt;script&gt;&quot;&#39;&amp;\u{fffd}</text>"),
            "{}",
            svg.inner()
        );
    }

    #[test]
    fn long_texts_are_cut_to_their_room() {
        assert_eq!(fitted("short", 12.0, 100.0), "short");
        let cut = fitted("web-app-6d5f9c7b8-abcde", 12.0, 80.0);
        assert!(cut.starts_with("web-app") && cut.ends_with('…'), "{cut}");
        assert!(width(&cut, 12.0) <= 80.0 && width(&cut, 12.0) > 65.0);
    }
}
