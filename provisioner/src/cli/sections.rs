//! Which settings a command uses: a mistake in others does not stop it.

use super::Command;
use crate::config::Section::{self, App, Image, Load, Prometheus, Reaction, Stack, Sync};

impl Command {
    /// The sections of settings that the command uses beside those of target and output.
    pub fn sections(&self) -> &'static [Section] {
        match self {
            Self::Push(_) => &[Image, Load, App, Stack, Reaction, Prometheus],
            // What describes the metric chain, and what makes the load.
            Self::Load(_) => &[Image, Load, App, Stack, Reaction, Prometheus, Sync],
            Self::Status(_) | Self::Doctor | Self::Dashboard(_) => &[App, Reaction, Prometheus, Sync],
            Self::Teardown(_) | Self::Token | Self::Kubeconfig(_) | Self::Completions(_) | Self::Man(_) => &[],
            Self::Bootstrap(_) | Self::Plan(_) | Self::Init(_) | Self::Config(_) => &Section::ALL,
        }
    }

    /// Whether the command takes or makes an image of the app.
    pub fn takes_image(&self) -> bool {
        matches!(self, Self::Bootstrap(_) | Self::Plan(_) | Self::Push(_))
    }
}
