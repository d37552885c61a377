//! Flags of an app that is not the sample app.

use clap::Args;

use super::text;
use crate::config::Layer;

/// How the app is scraped and scaled.
#[derive(Debug, Args)]
#[command(next_help_heading = "App")]
pub struct AppArgs {
    /// Port where it answers [default: 8080]
    #[arg(long, value_name = "PORT")]
    pub app_port: Option<String>,
    /// Path of its metrics there [default: /metrics]
    #[arg(long, value_name = "PATH")]
    pub metrics_path: Option<String>,
    /// Its counter whose rate drives scaling [default: `http_requests_total`]
    #[arg(long, value_name = "NAME")]
    pub counter: Option<String>,
    /// That rate for each pod, per second [default: 10]
    #[arg(long, value_name = "RATE")]
    pub target_rate: Option<String>,
}

impl AppArgs {
    pub(super) fn layer(&self, layer: &mut Layer) {
        text(layer, "app-port", self.app_port.as_ref());
        text(layer, "metrics-path", self.metrics_path.as_ref());
        text(layer, "counter", self.counter.as_ref());
        text(layer, "target-rate", self.target_rate.as_ref());
    }
}
