//! How things are marked. Colours only add to what words say.

use ratatui::style::{Color, Modifier, Style};

/// Colours, or none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ink {
    colors: bool,
}

impl Ink {
    pub(super) fn new(colors: bool) -> Self {
        Self { colors }
    }

    /// A colour where there are any, and a modifier everywhere.
    fn style(self, color: Option<Color>, modifier: Modifier) -> Style {
        let style = Style::new().add_modifier(modifier);
        match color {
            Some(color) if self.colors => style.fg(color),
            _ => style,
        }
    }

    /// The figure that counts.
    pub(super) fn strong(self) -> Style {
        self.style(None, Modifier::BOLD)
    }

    /// As it should be.
    pub(super) fn good(self) -> Style {
        self.style(Some(Color::Green), Modifier::empty())
    }

    /// On its way, or worth a look.
    pub(super) fn fair(self) -> Style {
        self.style(Some(Color::Yellow), Modifier::empty())
    }

    /// Broken.
    pub(super) fn bad(self) -> Style {
        self.style(Some(Color::Red), Modifier::BOLD)
    }

    /// Of a curve.
    pub(super) fn curve(self) -> Style {
        self.style(Some(Color::Cyan), Modifier::empty())
    }

    /// What frames the rest.
    pub(super) fn faint(self) -> Style {
        self.style(None, Modifier::DIM)
    }
}
