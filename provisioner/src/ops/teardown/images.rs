//! Which registry a teardown asks. Only repositories of ECR are ever deleted: where there can be none, AWS is not asked.

use super::super::ANSWER;
use super::Teardown;
use super::survey::Survey;
use crate::aws::ecr;
use crate::cli;
use crate::cluster::rollout;
use crate::cluster::values::Namespaces;
use crate::error::Error;
use crate::image::{ImageRef, RegistryPrefix};
use crate::names::{APP, LOAD, StackName};
use crate::ops::Context;
use crate::ops::receipt::{Item, NOT_OURS};
use crate::target::{Found, Place, Registry};

/// The registry of the stack's images: the one that is named, else that of the account of an EKS cluster, else the one
/// that the stack's own images say. None where nobody has to be asked: behind a context, a stack of the same name may have
/// its repositories in ECR, so that they are looked for only where this one says that they are its own.
///
/// # Errors
/// The cluster does not answer, or AWS cannot be connected to although images are there.
pub(super) async fn registry(
    flags: &cli::Teardown,
    context: &Context,
    place: &Place,
    stack: &StackName,
) -> Result<Option<Registry>, Error> {
    if context.config.target.registry.is_some() || place.aws().is_some() {
        return context.registry(place.aws()).await.map(Some);
    }
    let session = place.connect(&Found::Context, ANSWER, &*context.report).await?;
    let images = rollout::installed(&session.cluster, stack, &Namespaces::default().app).await?;
    let region = match told(&images, stack) {
        Some(Told::Other(prefix)) => return Ok(Some(Registry::Other(prefix))),
        Some(Told::Ecr { region }) if !flags.keep_images => region,
        Some(Told::Ecr { .. }) => return Ok(None),
        None => {
            context.report.note(
                "no image on the cluster says where the stack's images are: none are looked for; what is left of them is told \
                 with `--registry HOST/PREFIX`, and deleted in its registry",
            );
            return Ok(None);
        }
    };
    let ecr = context.registry(None).await.map_err(|error| {
        error.or_hint("give `--registry HOST/PREFIX` where the images are not in ECR, or `--keep-images`")
    })?;
    if ecr.aws().is_some_and(|aws| aws.region() != region) {
        return Err(Error::usage(format!(
            "the stack's images are in region `{region}`, which is not the one in use"
        ))
        .hint(format!("give `--region {region}`, or `--keep-images`")));
    }
    Ok(Some(ecr))
}

/// A repository of the stack's images.
pub(super) struct Repository {
    /// Whose images.
    pub(super) image: &'static str,
    pub(super) item: Item,
    /// Why it stays; none where it goes.
    pub(super) stays: Option<&'static str>,
}

/// What becomes of each repository.
pub(super) fn repositories(teardown: &Teardown<'_>, survey: &Survey) -> Vec<Repository> {
    let of = |image: &'static str| {
        let (name, stays) = match teardown.registry? {
            Registry::Other(prefix) => (
                prefix.repository(image),
                Some("images outside ECR are deleted in their registry"),
            ),
            Registry::Ecr(_) => {
                let name = teardown.stack.repository(image);
                let found = survey.repositories.iter().find(|found| found.name == name)?;
                let kept = teardown.flags.keep_images.then_some("`--keep-images` was given");
                let stays = kept.or((!found.created_by_us).then_some(NOT_OURS));
                (name, stays)
            }
        };
        let item = Item::new("repository", &name);
        Some(Repository { image, item, stays })
    };
    [APP, LOAD].into_iter().filter_map(of).collect()
}

/// Where images say that they are.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    /// In the stack's repositories in ECR.
    Ecr { region: String },
    /// In repositories of another registry.
    Other(RegistryPrefix),
}

/// The first that a stack's images tell; one that was made elsewhere is in no repository of the stack.
fn told(images: &[String], stack: &StackName) -> Option<Told> {
    let of = |image: &String| {
        let image: ImageRef = image.parse().ok()?;
        let repository = image.repository();
        if let Some(host) = ecr::Host::of(image.host()) {
            let is_own = [APP, LOAD].iter().any(|name| repository == stack.repository(name));
            return is_own.then_some(Told::Ecr { region: host.region });
        }
        let path = [APP, LOAD].iter().find_map(|name| repository.strip_suffix(name))?;
        if !path.is_empty() && !path.ends_with('/') {
            return None;
        }
        let prefix = format!("{}/{path}", image.host());
        prefix.trim_end_matches('/').parse().ok().map(Told::Other)
    };
    images.iter().find_map(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stacks_images_tell_its_registry() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let ecr = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
        for (image, told_of) in [
            ("ghcr.io/team/web-app".to_owned(), "ghcr.io/team"),
            ("ghcr.io/team/load".to_owned(), "ghcr.io/team"),
            ("localhost:5001/web-app".to_owned(), "localhost:5001"),
            (format!("{ecr}/demo/web-app"), "ecr eu-west-1"),
            (format!("{ecr}/demo/load"), "ecr eu-west-1"),
            // Images of others, and made elsewhere, are in no repository of the stack.
            (format!("{ecr}/other/web-app"), ""),
            (format!("{ecr}/demo/shop"), ""),
            ("ghcr.io/others/shop".to_owned(), ""),
            ("ghcr.io/others/my-web-app".to_owned(), ""),
            ("ghcr.io/others/download".to_owned(), ""),
        ] {
            let found = match told(&[format!("{image}@{digest}")], &"demo".parse().unwrap()) {
                Some(Told::Other(prefix)) => prefix.to_string(),
                Some(Told::Ecr { region }) => format!("ecr {region}"),
                None => String::new(),
            };
            assert_eq!(found, told_of, "{image}");
        }
        assert_eq!(
            told(&[], &"demo".parse().unwrap()),
            None,
            "a second teardown asks nobody"
        );
    }
}
