//! `config`: looking at the settings.

use clap::{Args, Subcommand};

/// What to do with the settings.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print every setting with its source; asks nobody
    Show(ConfigShow),
}

/// Arguments of `config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// Flags of `config show`.
#[derive(Debug, Args)]
pub struct ConfigShow {
    /// Instead print how long the reaction profile takes: metric, sync, pods
    #[arg(long = "reaction")]
    pub reaction_budget: bool,
}
