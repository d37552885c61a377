//! Flags of images that were made elsewhere.

use std::path::PathBuf;

use clap::Args;

use super::{path, switch, text};
use crate::config::Layer;

/// An image that was made elsewhere, instead of one that is built here.
#[derive(Debug, Args)]
#[command(next_help_heading = "Image made elsewhere")]
pub struct MadeArgs {
    /// Use this image of a registry, where it is, by its digest
    #[arg(long, value_name = "REF")]
    pub image: Option<String>,
    /// With --image, copy it into the stack's own repository
    #[arg(long)]
    pub copy: bool,
    /// Push the image in this folder, which has the OCI image layout
    #[arg(long, value_name = "DIR")]
    pub oci_layout: Option<PathBuf>,
    /// Push the image in this archive: of such a folder, or of docker save; may be gzipped
    #[arg(long, value_name = "FILE")]
    pub archive: Option<PathBuf>,
}

impl MadeArgs {
    pub(super) fn layer(&self, layer: &mut Layer) {
        text(layer, "image", self.image.as_ref());
        switch(layer, "copy", self.copy);
        path(layer, "oci-layout", self.oci_layout.as_ref());
        path(layer, "archive", self.archive.as_ref());
    }
}
