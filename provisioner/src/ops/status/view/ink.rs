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

    /// A colour where there are any.
    fn of(self, color: Color) -> Style {
        if self.colors {
            Style::new().fg(color)
        } else {
            Style::new()
        }
    }

    /// The figure that counts.
    pub(super) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// As it should be.
    pub(super) fn good(self) -> Style {
        self.of(Color::Green)
    }

    /// On its way, or worth a look.
    pub(super) fn fair(self) -> Style {
        self.of(Color::Yellow)
    }

    /// Broken.
    pub(super) fn bad(self) -> Style {
        self.of(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// Of a curve.
    pub(super) fn curve(self) -> Style {
        self.of(Color::Cyan)
    }

    /// What frames the rest.
    pub(super) fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }
}
