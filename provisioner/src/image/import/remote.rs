//! An image in a registry: what its name stands for, and the image itself with its blobs left where they are.

use std::sync::Arc;

use oci_client::RegistryOperation;

use super::document::platforms;
use super::graph::{self, Configurations, Walk};
use super::narrow::{self, Part};
use super::{Defect, ImageRef};
use crate::image::content::{Content, Image, Manifest};
use crate::image::media::MANIFESTS;
use crate::image::repository::Repository;
use crate::image::{Digest, ImageError, RegistryTarget, RetryPolicy};
use crate::report::Reporter;

/// An image that a registry has.
#[derive(Debug, Clone)]
pub struct Found {
    /// What to deploy: `HOST/NAME@sha256:...`.
    pub reference: String,
    /// As it was named.
    name: String,
    root: Manifest,
    repository: Arc<Repository>,
    /// The platforms that it runs on.
    pub platforms: Vec<String>,
}

/// Looks up what `image` stands for in `target`, its repository, and that it runs on every platform of `wanted`.
///
/// # Errors
/// [`ImageError::Registry`] where the registry does not give it, [`ImageError::Import`] where it is no image for `wanted`.
pub async fn find(
    image: &ImageRef,
    target: &RegistryTarget,
    wanted: &[&str],
    (policy, reporter): (RetryPolicy, &dyn Reporter),
) -> Result<Found, ImageError> {
    let repository = Repository::sign_in(target, RegistryOperation::Pull, policy, reporter).await?;
    let root = repository.manifest(image.name(), reporter).await?;
    let mut found = Found {
        reference: format!("{}@{}", target.reference_base, root.digest()),
        name: image.to_string(),
        platforms: platforms(&root).unwrap_or_default(),
        repository: Arc::new(repository),
        root,
    };
    if found.platforms.is_empty() {
        found.platforms = found.walked(reporter).await?.platforms;
    }
    graph::runs_on(&found.platforms, wanted).map_err(|defect| found.refused(defect))?;
    Ok(found)
}

impl Found {
    /// Its digest.
    pub fn digest(&self) -> &Digest {
        self.root.digest()
    }

    /// The image, ready to be pushed elsewhere: its blobs are read when they are sent.
    ///
    /// # Errors
    /// As [`find`].
    pub async fn image(&self, reporter: &dyn Reporter) -> Result<Image, ImageError> {
        self.walked(reporter).await
    }

    /// The same for the platforms of `wanted` alone: what others would have to be sent stays away. For one platform it is
    /// that platform's own manifest, for several an index over these.
    ///
    /// # Errors
    /// As [`find`].
    pub async fn image_for(&self, wanted: &[&str], reporter: &dyn Reporter) -> Result<Image, ImageError> {
        let refused = |defect| self.refused(defect);
        let root = match narrow::part(&self.root, wanted).map_err(refused)? {
            Part::Whole => self.root.clone(),
            Part::Index(index) => index,
            Part::Child(child) => {
                let manifest = self.repository.manifest(child.digest.as_str(), reporter).await?;
                graph::matches(&child, &manifest.bytes).map_err(refused)?;
                manifest
            }
        };
        let image = self.walked_from(root, reporter).await?;
        graph::runs_on(&image.platforms, wanted).map_err(refused)?;
        Ok(image)
    }

    async fn walked(&self, reporter: &dyn Reporter) -> Result<Image, ImageError> {
        self.walked_from(self.root.clone(), reporter).await
    }

    async fn walked_from(&self, root: Manifest, reporter: &dyn Reporter) -> Result<Image, ImageError> {
        let refused = |defect| self.refused(defect);
        let mut walk = Walk::from(root, Configurations::ForPlatform).map_err(refused)?;
        while let Some(wanted) = walk.wanted() {
            let bytes = if MANIFESTS.contains(&wanted.media_type.as_str()) {
                self.repository.manifest(wanted.digest.as_str(), reporter).await?.bytes
            } else {
                self.repository.small_blob(wanted, reporter).await?
            };
            walk.give(bytes).map_err(refused)?;
        }
        let content = |_: &_, _: Option<&_>| Ok(Content::Remote(self.repository.clone()));
        walk.finish(content).map_err(refused)
    }

    fn refused(&self, source: Defect) -> ImageError {
        let origin = self.name.clone();
        ImageError::Import { origin, source }
    }
}
