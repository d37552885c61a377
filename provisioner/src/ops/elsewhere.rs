//! An image that was made elsewhere, in the place of one that is built: found before anything is changed, pushed later.

use super::Context;
use crate::aws::Aws;
use crate::config::{self, Made};
use crate::error::Error;
use crate::image::{self, Image, ImageRef, Platform, Published, RetryPolicy};
use crate::names::{APP, StackName};
use crate::report::{Outcome, Reporter};
use crate::target::Registry;

/// The image of the settings, as it was found.
pub(super) enum Found {
    /// On this machine.
    Local(Box<Image>),
    /// In a registry, to be used there.
    InPlace(Published),
    /// In a registry, to be copied; with the repository that it is in.
    Copied { image: Box<Image>, from: (String, String) },
}

impl Found {
    /// What it is for.
    pub(super) fn platforms(&self) -> &[String] {
        match self {
            Self::Local(image) | Self::Copied { image, .. } => &image.platforms,
            Self::InPlace(published) => &published.platforms,
        }
    }
}

/// Where images go. Where the app's is used where it is, and nothing but a context is known, nobody else has to be: no
/// other registry, and no AWS.
///
/// # Errors
/// As [`Context::registry`].
pub(super) async fn registry(context: &Context, aws: Option<&Aws>) -> Result<Registry, Error> {
    let (target, stack) = (&context.config.target, &context.config.stack);
    let needs_none = aws.is_none() && target.registry.is_none() && !stack.mirror;
    match &context.config.image.made {
        Some(Made::Remote { image, copy: false }) if needs_none => registry_of(image, context, aws).await,
        _ => context.registry(aws).await,
    }
}

/// The registry to read an image from that is used where it is: its own, where that can be asked without AWS.
///
/// # Errors
/// As [`Context::registry`].
pub(super) async fn registry_of(image: &ImageRef, context: &Context, aws: Option<&Aws>) -> Result<Registry, Error> {
    match Registry::of(image) {
        Some(own) => Ok(own),
        None => context.registry(aws).await,
    }
}

/// Finds the image that the settings name, if they name one, and checks that it is for all `platforms`.
///
/// # Errors
/// It is no image for them: exit 2. The registry does not give it: exit 1.
pub(super) async fn find(
    config: &config::Image,
    registry: &Registry,
    platforms: &[Platform],
    report: &dyn Reporter,
) -> Result<Option<Found>, Error> {
    let wanted: Vec<&str> = platforms.iter().map(|platform| platform.name()).collect();
    match &config.made {
        None => Ok(None),
        Some(Made::Local(local)) => {
            let image = image::import(local, &wanted).await?;
            Ok(Some(Found::Local(Box::new(image))))
        }
        Some(Made::Remote { image, copy }) => {
            let source = registry.source(image).await?;
            let patience = (RetryPolicy::default(), report);
            let found = image::find(image, &source, &wanted, patience).await?;
            if !copy {
                return Ok(Some(Found::InPlace(Published::in_place(&found, image.tag()))));
            }
            let from = (source.registry, source.repository);
            let image = Box::new(found.image(report).await?);
            Ok(Some(Found::Copied { image, from }))
        }
    }
}

/// Makes sure that the image is where it is used.
pub(super) async fn publish(
    found: &Found,
    (registry, stack): (&Registry, &StackName),
    tag: Option<&str>,
    report: &dyn Reporter,
) -> Result<Published, Error> {
    let (image, from) = match found {
        Found::InPlace(published) => {
            let detail = "used where it is";
            report.done("image", &published.reference, Outcome::Unchanged, detail);
            return Ok(published.clone());
        }
        Found::Local(image) => (image, None),
        Found::Copied { image, from } => (image, Some(from)),
    };
    let mut target = registry.target(stack, APP, report).await?;
    // Blobs of another repository of the same registry need not pass this machine.
    if let Some((_, repository)) = from.filter(|(host, _)| *host == target.registry) {
        target = target.beside(repository.clone());
    }
    Ok(image::publish(image, &target, tag, report).await?)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::given;
    use super::*;

    #[tokio::test]
    async fn an_image_that_stays_where_it_is_needs_no_registry_and_no_aws() {
        let line = [
            "provisioner",
            "plan",
            "--kube-context",
            "kind",
            "--image",
            "ghcr.io/team/shop:1",
        ];
        let (_, context) = given(&line);
        let found = registry(&context, None).await.expect("nobody is asked");
        assert!(matches!(found, Registry::Other(prefix) if prefix.to_string() == "ghcr.io/team"));
        let (_, context) = given(&[&line[..], &["--registry", "quay.io/other"]].concat());
        let found = registry(&context, None).await.expect("nobody is asked");
        assert!(matches!(found, Registry::Other(prefix) if prefix.to_string() == "quay.io/other"));
    }
}
