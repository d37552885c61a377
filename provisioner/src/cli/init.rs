//! Flags of `init`.

use std::path::PathBuf;

use clap::Args;

use super::{AppArgs, text};
use crate::config::Layer;

/// Flags of `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// Folder that gets the files
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub folder: PathBuf,
    /// Image of your app, where it is made elsewhere [default: the app is built from a cargo workspace]
    #[arg(long, value_name = "REF")]
    pub image: Option<String>,
    /// How the app is scraped and scaled.
    #[command(flatten)]
    pub app: AppArgs,
}

impl Init {
    pub(super) fn layer(&self, layer: &mut Layer) {
        text(layer, "image", self.image.as_ref());
        self.app.layer(layer);
    }
}
