//! Flags of `dashboard`.

use std::path::PathBuf;

use clap::Args;

use crate::viewer::Range;

/// Flags of `dashboard`.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, Args)]
pub struct Dashboard {
    /// Forward a local port to the stack's Grafana instead
    #[arg(long, conflicts_with_all = ["prometheus", "png"])]
    pub grafana: bool,
    /// With --grafana, also print the password of its user admin
    #[arg(long, requires = "grafana")]
    pub show_password: bool,
    /// Forward a local port to Prometheus instead
    #[arg(long, conflicts_with = "png")]
    pub prometheus: bool,
    /// Write the dashboard as a picture and end
    #[arg(long, value_name = "FILE")]
    pub png: Option<PathBuf>,
    /// With --png, light figures on a dark ground
    #[arg(long, requires = "png")]
    pub dark: bool,
    /// How far back to look: 5m, 15m or 1h; the page offers all of them
    #[arg(long, value_name = "RANGE", default_value_t, conflicts_with_all = ["grafana", "prometheus"])]
    pub range: Range,
    /// Local port [default: a free one]
    #[arg(long, default_value_t = 0, hide_default_value = true, value_parser = port, conflicts_with = "png")]
    pub port: u16,
}

/// A port, 0 for any that is free.
fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| "it is no port".to_owned())
}
