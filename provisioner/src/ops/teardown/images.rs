//! Which registry a teardown asks. Only repositories of ECR are ever deleted: where there can be none, AWS is not asked.

use super::super::ANSWER;
use super::Teardown;
use super::survey::Survey;
use crate::aws::ecr;
use crate::cli;
use crate::cluster::rollout::{self, Installed};
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
    let installed = rollout::installed(&session.cluster, stack, &Namespaces::default().app).await?;
    let region = match told(&installed, stack) {
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
    /// Whose images: what follows the name of the stack.
    pub(super) image: String,
    pub(super) item: Item,
    /// Why it stays; none where it goes.
    pub(super) stays: Option<&'static str>,
}

/// What becomes of each repository: those of app and loader, then those of copies.
pub(super) fn repositories(teardown: &Teardown<'_>, survey: &Survey) -> Vec<Repository> {
    match teardown.registry {
        None => Vec::new(),
        Some(Registry::Other(prefix)) => elsewhere(prefix, survey),
        Some(Registry::Ecr(_)) => in_ecr(teardown, survey),
    }
}

/// Only those of ECR are ours to delete.
fn elsewhere(prefix: &RegistryPrefix, survey: &Survey) -> Vec<Repository> {
    let own = [APP, LOAD].map(|image| prefix.repository(image));
    let of = |name: &String| Repository {
        image: name.clone(),
        item: Item::new("repository", name),
        stays: Some("images outside ECR are deleted in their registry"),
    };
    own.iter().chain(&survey.mirrored).map(of).collect()
}

fn in_ecr(teardown: &Teardown<'_>, survey: &Survey) -> Vec<Repository> {
    let kept = teardown.flags.keep_images.then_some("`--keep-images` was given");
    let prefix = teardown.stack.repository("");
    let of = |found: &ecr::Repository| Repository {
        image: found.name.strip_prefix(&prefix).unwrap_or(&found.name).to_owned(),
        item: Item::new("repository", &found.name),
        stays: kept.or((!found.created_by_us).then_some(NOT_OURS)),
    };
    survey.repositories.iter().map(of).collect()
}

/// Where images say that they are.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    /// In the stack's repositories in ECR.
    Ecr { region: String },
    /// In repositories of another registry.
    Other(RegistryPrefix),
}

/// The first that the stack's copies tell, which are always in its registry, else the first of its images; one that was
/// made elsewhere is in no repository of the stack.
fn told(installed: &Installed, stack: &StackName) -> Option<Told> {
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
    let of_copy = |repository: &String| {
        let image: ImageRef = repository.parse().ok()?;
        if let Some(host) = ecr::Host::of(image.host()) {
            let is_own = image.repository() == stack.repository(image.last_part());
            return is_own.then_some(Told::Ecr { region: host.region });
        }
        let prefix = repository.strip_suffix(image.last_part())?;
        prefix.trim_end_matches('/').parse().ok().map(Told::Other)
    };
    let of_copies = installed.mirrored.iter().find_map(of_copy);
    of_copies.or_else(|| installed.images.iter().find_map(of))
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
            let installed = Installed {
                images: vec![format!("{image}@{digest}")],
                ..Installed::default()
            };
            let found = match told(&installed, &"demo".parse().unwrap()) {
                Some(Told::Other(prefix)) => prefix.to_string(),
                Some(Told::Ecr { region }) => format!("ecr {region}"),
                None => String::new(),
            };
            assert_eq!(found, told_of, "{image}");
        }
        assert_eq!(
            told(&Installed::default(), &"demo".parse().unwrap()),
            None,
            "a second teardown asks nobody"
        );
    }

    #[test]
    fn copies_tell_it_where_the_app_is_used_where_it_is() {
        let told = |repository: &str| {
            let installed = Installed {
                // One of others may have the name of the app's own.
                images: vec![format!("ghcr.io/others/web-app@sha256:{}", "a".repeat(64))],
                mirrored: vec![repository.to_owned()],
            };
            told(&installed, &"demo".parse().unwrap())
        };
        let region = "eu-west-1".to_owned();
        let ecr = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
        assert_eq!(told(&format!("{ecr}/demo/grafana")), Some(Told::Ecr { region }));
        let others = "ghcr.io/others".parse().map(Told::Other).unwrap();
        assert_eq!(
            told(&format!("{ecr}/other/grafana")),
            Some(others),
            "the copy is another stack's"
        );
        let other = "ghcr.io/team".parse().map(Told::Other).unwrap();
        assert_eq!(told("ghcr.io/team/grafana"), Some(other));
    }
}
