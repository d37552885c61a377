//! `bootstrap` that is only a plan.

use clap::Args;

use super::Bootstrap;

/// Flags of `bootstrap`.
#[derive(Debug, Args)]
pub struct BootstrapArgs {
    /// Only show what would be done, as `provisioner plan` does
    #[arg(long)]
    pub dry_run: bool,
    /// What is made, which `plan` takes too.
    #[command(flatten)]
    pub bootstrap: Bootstrap,
}
