//! Colours, by the names that dashboards use. A picture has them as they are; the page as variables of its style sheet, so that
//! one drawing serves light and dark.

use std::fmt::Write as _;

/// Light or dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    /// Dark on light.
    #[default]
    Light,
    /// Light on dark.
    Dark,
}

/// How many colours lines take turns with.
pub(super) const PALETTE: usize = 10;

/// Name, dark theme, light theme. Lines and text keep a contrast of 3 to 1 and 4.5 to 1 with their ground.
const COLORS: [(&str, &str, &str); 21] = [
    ("c0", "#73bf69", "#2f8f3a"),
    ("c1", "#f2cc0c", "#a17600"),
    ("c2", "#5794f2", "#2866c7"),
    ("c3", "#ff9830", "#c25700"),
    ("c4", "#b877d9", "#8549b5"),
    ("c5", "#5dc9d6", "#0d7c8c"),
    ("c6", "#f28dbf", "#b3337a"),
    ("c7", "#b4d455", "#5f7d00"),
    ("c8", "#d3a57a", "#855a2c"),
    ("c9", "#9fb3d1", "#4e6684"),
    ("green", "#73bf69", "#2b8536"),
    ("yellow", "#f2cc0c", "#8f6900"),
    ("blue", "#5794f2", "#2866c7"),
    ("orange", "#ff9830", "#b85300"),
    ("red", "#ff5a6c", "#cf222e"),
    ("purple", "#b877d9", "#8549b5"),
    ("text", "#e6e8eb", "#1f2328"),
    ("muted", "#9ba3ad", "#5c6570"),
    ("grid", "#2b3037", "#e8eaed"),
    ("panel", "#181b20", "#ffffff"),
    ("ground", "#0f1115", "#f3f4f6"),
];

/// The class of a dashboard's colour; shades such as `semi-dark-red` are drawn as their colour.
pub(super) fn class_of(color: &str) -> &'static str {
    let base = color.rsplit('-').next().unwrap_or(color);
    let known = COLORS.iter().map(|(name, ..)| *name).find(|name| *name == base);
    known.unwrap_or("text")
}

/// The class of the n-th line of a panel.
pub(super) fn class_at(index: usize) -> &'static str {
    COLORS[index % PALETTE].0
}

impl Theme {
    /// The rules of a drawing with this theme's colours.
    pub(super) fn rules(self) -> String {
        rules(|name| self.value(name).to_owned())
    }

    fn value(self, name: &str) -> &'static str {
        let found = COLORS.iter().find(|(known, ..)| *known == name);
        match (self, found) {
            (Self::Dark, Some((_, dark, _))) => dark,
            (Self::Light, Some((.., light))) => light,
            (_, None) => "none",
        }
    }

    fn variables(self) -> String {
        let values = COLORS
            .iter()
            .map(|(name, ..)| format!("--{name}:{};", self.value(name)));
        values.collect()
    }
}

/// The style sheet of the page's drawings: what the browser prefers, unless the page says otherwise.
pub(super) fn sheet() -> String {
    let (light, dark) = (Theme::Light.variables(), Theme::Dark.variables());
    format!(
        ":root{{color-scheme:light;{light}}}\n\
         @media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}\n\
         :root[data-theme=dark]{{color-scheme:dark;{dark}}}\n{}",
        rules(|name| format!("var(--{name})"))
    )
}

fn rules(color: impl Fn(&str) -> String) -> String {
    let mut css = String::new();
    for (name, ..) in COLORS {
        let value = color(name);
        let _ = write!(css, ".s-{name}{{stroke:{value}}}.f-{name}{{fill:{value}}}");
    }
    css + ".title{font-size:13px;font-weight:500}.note,.tick{font-size:11px}.legend{font-size:12px}\
           .line{fill:none;stroke-width:2;stroke-linejoin:round}.dash{fill:none;stroke-width:1.5;stroke-dasharray:7 5}\
           .rule{stroke-width:1}.big{font-weight:500}.head{font-size:20px;font-weight:500}"
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance (WCAG 2).
    fn luminance(color: &str) -> f64 {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&color[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.040_45 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    #[test]
    fn lines_and_texts_can_be_told_from_their_ground() {
        for theme in [Theme::Light, Theme::Dark] {
            let panel = luminance(theme.value("panel"));
            for (name, ..) in COLORS {
                let least = match name {
                    "grid" | "panel" | "ground" => continue,
                    _ if name.starts_with('c') => 3.0,
                    _ => 4.5,
                };
                let own = luminance(theme.value(name));
                let contrast = (own.max(panel) + 0.05) / (own.min(panel) + 0.05);
                assert!(contrast >= least, "{theme:?} {name}: {contrast:.2}");
            }
        }
    }

    #[test]
    fn colours_of_dashboards_have_a_class() {
        for (color, class) in [
            ("red", "red"),
            ("semi-dark-orange", "orange"),
            ("#ff0000", "text"),
            ("text", "text"),
        ] {
            assert_eq!(class_of(color), class);
        }
        assert_eq!((class_at(0), class_at(PALETTE)), ("c0", "c0"));
    }
}
