//! What a command is like: the settings that it uses, whether it takes an image, whether it changes anything.
//!
//! A mistake in settings that a command does not use does not stop it. No arm stands for all others: a new command says itself
//! what it is like, and the compiler asks for it.

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

    /// Whether the command, as it is given, changes a stack: what remains of it is told where it fails.
    pub fn changes(&self) -> bool {
        match self {
            Self::Bootstrap(flags) => !flags.dry_run,
            Self::Teardown(flags) => !flags.dry_run,
            Self::Push(_) | Self::Load(_) => true,
            Self::Plan(_)
            | Self::Status(_)
            | Self::Doctor
            | Self::Dashboard(_)
            | Self::Token
            | Self::Kubeconfig(_)
            | Self::Init(_)
            | Self::Config(_)
            | Self::Completions(_)
            | Self::Man(_) => false,
        }
    }
}
