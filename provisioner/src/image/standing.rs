//! Whether a registry has an image already, under the tag that a push gives it: asked without sending anything.

use oci_client::RegistryOperation;

use super::content::Image;
use super::digest::Digest;
use super::push::is_tag;
use super::repository::Repository;
use super::{ImageError, RegistryTarget, RetryPolicy};
use crate::names::MOVING_TAG;
use crate::report::Reporter;

/// What a push of an image finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The tag points to it: there is nothing to send.
    Same,
    /// The tag does not exist.
    Absent,
    /// The tag points to another image, and may move.
    Moves,
}

/// The image that `tag` points to, if it exists.
///
/// # Errors
/// The registry does not answer or refuses.
pub async fn tagged(target: &RegistryTarget, tag: &str, reporter: &dyn Reporter) -> Result<Option<Digest>, ImageError> {
    let policy = RetryPolicy::default();
    let repository = Repository::sign_in(target, RegistryOperation::Pull, policy, reporter).await?;
    repository.find(tag, reporter).await
}

/// What a push of `image` under `tag`, or under [`Image::default_tag`], finds.
///
/// # Errors
/// [`ImageError::TagTaken`] and [`ImageError::Tag`] as a push; the registry does not answer or refuses.
pub async fn standing(
    image: &Image,
    target: &RegistryTarget,
    tag: Option<&str>,
    reporter: &dyn Reporter,
) -> Result<Standing, ImageError> {
    let tag = tag.map_or_else(|| image.default_tag(), str::to_owned);
    if !is_tag(&tag) {
        return Err(ImageError::Tag { tag });
    }
    let policy = RetryPolicy::default();
    let repository = Repository::sign_in(target, RegistryOperation::Pull, policy, reporter).await?;
    match repository.find(&tag, reporter).await? {
        None => Ok(Standing::Absent),
        Some(digest) if digest == *image.digest() => Ok(Standing::Same),
        Some(_) if tag.starts_with(MOVING_TAG) => Ok(Standing::Moves),
        Some(existing) => Err(ImageError::TagTaken {
            place: target.place(),
            tag,
            existing: existing.to_string(),
            digest: image.digest().to_string(),
        }),
    }
}
