//! Which settings a command uses: a mistake in others does not stop it.

use super::Command;
use crate::config::Section;

impl Command {
    /// The sections of settings that the command uses beside those of target and output.
    pub fn sections(&self) -> &'static [Section] {
        match self {
            Self::Push(_) | Self::Load(_) => &[Section::Image, Section::Load, Section::Stack],
            Self::Teardown(_) | Self::Status(_) | Self::Token | Self::Kubeconfig(_) | Self::Completions(_) => &[],
            _ => &Section::ALL,
        }
    }

    /// Whether the command takes or makes an image of the app.
    pub fn takes_image(&self) -> bool {
        matches!(self, Self::Bootstrap(_) | Self::Plan(_) | Self::Push(_))
    }
}
