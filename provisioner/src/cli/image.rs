//! Flags of images that are built, or made of what was built.

use std::path::PathBuf;

use clap::Args;

use super::{MadeArgs, list, path, switch, text};
use crate::config::Layer;

/// Flags of everything that builds an image.
#[derive(Debug, Args)]
#[command(next_help_heading = "Image")]
pub struct ImageArgs {
    /// Tag of the image [default: from its content]
    #[arg(long, value_name = "TAG")]
    pub tag: Option<String>,
    /// What the image is for: linux/amd64, linux/arm64 or both [default: linux/amd64]
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    pub platform: Vec<String>,
    /// Use this static binary instead of building one; once for each platform
    #[arg(long, value_name = "[PLATFORM=]PATH", conflicts_with = "workspace")]
    pub binary: Vec<String>,
    /// Cargo workspace to build the app from [default: the working directory]
    #[arg(long, value_name = "DIR")]
    pub workspace: Option<PathBuf>,
    /// Package there that is built, with a binary of the same name [default: app]
    #[arg(long, value_name = "NAME", conflicts_with = "binary")]
    pub package: Option<String>,
    /// Build also where the registry has an image of the same sources
    #[arg(long)]
    pub rebuild: bool,
    /// How its layers are compressed: gzip or zstd [default: gzip]
    #[arg(long, value_name = "FORMAT")]
    pub compression: Option<String>,
    /// List the crates that it is made of beside it in the registry: cyclonedx or spdx [default: no list]
    #[arg(long, value_name = "FORMAT")]
    pub sbom: Option<String>,
    /// Also write the pushed references to this file, one a line
    #[arg(long, value_name = "FILE")]
    pub image_refs: Option<PathBuf>,
    /// What is used instead.
    #[command(flatten)]
    pub made: MadeArgs,
}

impl ImageArgs {
    pub(super) fn layer(&self, layer: &mut Layer) {
        text(layer, "tag", self.tag.as_ref());
        list(layer, "platform", &self.platform);
        list(layer, "binary", &self.binary);
        path(layer, "workspace", self.workspace.as_ref());
        text(layer, "package", self.package.as_ref());
        switch(layer, "rebuild", self.rebuild);
        text(layer, "compression", self.compression.as_ref());
        text(layer, "sbom", self.sbom.as_ref());
        path(layer, "image-refs", self.image_refs.as_ref());
        self.made.layer(layer);
    }
}
