//! Images that the registry has already, found by what they were made from.
//!
//! The map from inputs to image is a tag of the image itself: it needs no state file, every machine finds it with one
//! request, and it goes when the image goes.

use oci_client::RegistryOperation;

use super::content::Image;
use super::repository::Repository;
use super::{ImageError, ImageSpec, Inputs, RegistryTarget, RetryPolicy, publish};
use crate::report::{Reporter, Silent};

/// The image of `spec` that was made from `inputs`, if the registry has it: to be published under other tags, for which
/// nothing but its manifest is sent.
///
/// # Errors
/// The registry does not answer or refuses.
pub async fn find(
    target: &RegistryTarget,
    (spec, inputs): (&ImageSpec, &Inputs),
    reporter: &dyn Reporter,
) -> Result<Option<Image>, ImageError> {
    let policy = RetryPolicy::default();
    let repository = Repository::sign_in(target, RegistryOperation::Pull, policy, reporter).await?;
    match repository.manifest(&inputs.tag(spec), reporter).await {
        Ok(root) => Ok(Some(Image {
            root,
            children: Vec::new(),
            blobs: Vec::new(),
            platforms: spec.platforms().iter().map(ToString::to_string).collect(),
        })),
        Err(ImageError::Registry { source, .. }) if source.status() == Some(404) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Records that `image`, which is published, is what `inputs` make; the bytes that it sent for that.
///
/// # Errors
/// The registry does not answer or refuses; [`ImageError::TagTaken`] where the same inputs made another image before.
pub async fn record(
    target: &RegistryTarget,
    (spec, inputs): (&ImageSpec, &Inputs),
    image: &Image,
) -> Result<u64, ImageError> {
    let manifest = Image {
        children: Vec::new(),
        blobs: Vec::new(),
        ..image.clone()
    };
    let tag = inputs.tag(spec);
    let published = publish(&manifest, target, Some(&tag), &Silent).await?;
    Ok(published.bytes_sent)
}
