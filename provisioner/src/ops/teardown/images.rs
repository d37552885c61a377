//! Which registry a teardown asks. Only repositories of ECR are ever deleted: where there can be none, AWS is not asked.

use super::super::ANSWER;
use crate::aws::ecr;
use crate::cli;
use crate::cluster::rollout;
use crate::cluster::values::Namespaces;
use crate::error::Error;
use crate::image::ImageRef;
use crate::names::APP;
use crate::ops::Context;
use crate::target::{Found, Place, Registry};

/// The registry of the stack's images: the one that is named, else the one that the installed app is pulled from, else
/// ECR. None where nobody has to be asked.
///
/// # Errors
/// The cluster does not answer, or AWS cannot be connected to although images may be there.
pub(super) async fn registry(
    flags: &cli::Teardown,
    context: &Context,
    place: &Place,
) -> Result<Option<Registry>, Error> {
    if context.config.target.registry.is_some() || place.aws().is_some() {
        return context.registry(place.aws()).await.map(Some);
    }
    let session = place.connect(&Found::Context, ANSWER, &*context.report).await?;
    let image = rollout::installed(&session.cluster, &Namespaces::default().app).await?;
    if let Some(registry) = image.as_deref().and_then(elsewhere) {
        return Ok(Some(registry));
    }
    if flags.keep_images {
        return Ok(None);
    }
    let ecr = context.registry(None).await;
    ecr.map(Some).map_err(|error| {
        error.or_hint("give `--registry HOST/PREFIX` where the images are not in ECR, or `--keep-images`")
    })
}

/// The registry of an image that is not in ECR.
fn elsewhere(image: &str) -> Option<Registry> {
    let image: ImageRef = image.parse().ok()?;
    if ecr::Host::of(image.host()).is_some() {
        return None;
    }
    let path = image.repository().strip_suffix(APP)?;
    let prefix = format!("{}/{path}", image.host());
    prefix.trim_end_matches('/').parse().ok().map(Registry::Other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_outside_of_ecr_tells_its_registry() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (image, prefix) in [
            ("ghcr.io/team/web-app", Some("ghcr.io/team")),
            ("localhost:5001/web-app", Some("localhost:5001")),
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/demo/web-app", None),
            // An image that was made elsewhere is in no repository of the stack.
            ("ghcr.io/others/shop", None),
        ] {
            let found = match elsewhere(&format!("{image}@{digest}")) {
                Some(Registry::Other(prefix)) => Some(prefix.to_string()),
                Some(Registry::Ecr(_)) => panic!("{image} is not in ECR"),
                None => None,
            };
            assert_eq!(found.as_deref(), prefix, "{image}");
        }
    }
}
