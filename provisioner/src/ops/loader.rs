//! Which image makes load: the one that the settings name, the one that the stack remembers (the app itself where it was
//! built here), else the sample app's, built and pushed on first use.

use super::{Context, deploy, elsewhere, images};
use crate::cli;
use crate::cluster::values::Namespaces;
use crate::cluster::{Cluster, lease, parent};
use crate::config;
use crate::error::Error;
use crate::image::{self, ImageRef, Platform, RetryPolicy};
use crate::names::{ANNOTATION_LOAD_IMAGE, LOAD, StackName};
use crate::target::Place;

/// Where the loader comes from.
#[derive(Debug, Clone, PartialEq)]
enum Loader {
    /// An image of a registry, used where it is.
    Named(ImageRef),
    /// What the stack remembers.
    Remembered(String),
    /// Built in a workspace.
    Built(Box<config::Image>),
}

/// The loader's image that the stack remembers.
///
/// # Errors
/// There is no stack of this name on the cluster: exit 2.
pub(super) async fn remembered(cluster: &Cluster, stack: &StackName) -> Result<Option<String>, Error> {
    let known = parent::read(cluster, stack, &Namespaces::default().app).await?;
    known
        .map(|known| known.load_image)
        .ok_or_else(|| deploy::no_stack(stack))
}

/// The loader's image by its digest, which the stack remembers from then on. Everything is decided before anything is
/// changed.
///
/// # Errors
/// Nothing that makes load is named or found: exit 2.
pub(super) async fn image(
    flags: &cli::LoaderArgs,
    context: &Context,
    (place, cluster): (&Place, &Cluster),
    (stack, remembered): (&StackName, Option<String>),
) -> Result<String, Error> {
    let image = match choose(&context.config, flags, remembered.clone()) {
        Loader::Remembered(image) => return Ok(image),
        Loader::Named(image) => named(&image, context, place).await?,
        Loader::Built(source) => {
            check(&source, stack).await?;
            built(&source, context, place, stack).await?
        }
    };
    if remembered.as_ref() != Some(&image) {
        let home = lease::home(stack, &Namespaces::default().app);
        let terms = context.lease_terms(stack, &home);
        let annotation = (ANNOTATION_LOAD_IMAGE, image.as_str());
        Box::pin(parent::remember(cluster, terms, annotation, &*context.report)).await?;
    }
    Ok(image)
}

/// A workspace that this command line names counts before anything that was said earlier; then what the settings name,
/// then what the stack remembers.
fn choose(config: &config::Config, flags: &cli::LoaderArgs, remembered: Option<String>) -> Loader {
    let built = || {
        Loader::Built(Box::new(config::Image {
            workspace: config.image.workspace.clone(),
            platforms: config.image.platforms.clone(),
            compression: config.image.compression,
            sbom: config.image.sbom,
            ..config::Image::default()
        }))
    };
    match (&config.load.image, remembered) {
        _ if flags.workspace.is_some() => built(),
        (Some(image), _) => Loader::Named(image.clone()),
        (None, Some(image)) => Loader::Remembered(image),
        (None, None) => built(),
    }
}

/// Makes sure that there is a loader to build, before anything is asked of a registry. What is wrong with a workspace is
/// told where a flag, a variable or a file names it.
async fn check(source: &config::Image, stack: &StackName) -> Result<(), Error> {
    let named = source.workspace.as_deref();
    let ways = format!(
        "`--loader-image REF` names an image that understands `load --url URL --rate N --duration D --output json`; \
         `--workspace DIR` names the cargo workspace of the sample app, from which one is built and pushed to `{}`; \
         an app built here with `load = true` under `[package.metadata.provisioner]` needs neither",
        stack.repository(LOAD)
    );
    let is_workspace = images::is_workspace(source);
    match named {
        Some(folder) if !is_workspace => {
            let message = format!("folder `{}` is no cargo workspace", folder.display());
            return Err(Error::usage(message).hint(ways));
        }
        None if !is_workspace => return Err(Error::usage(nothing_loads(stack)).hint(ways)),
        _ => {}
    }
    match (images::makes_load(source).await, named) {
        (Ok(true), _) => images::check(source).await.map(drop),
        (Ok(false), Some(folder)) => Err(Error::usage(format!(
            "package `{}` in `{}` does not make load: it lacks `load = true` under `[package.metadata.provisioner]`",
            images::PACKAGE,
            folder.display()
        ))
        .hint(ways)),
        (Err(error), Some(_)) => Err(error),
        // Whatever lies in the working directory was not meant.
        (Ok(false) | Err(_), None) => Err(Error::usage(nothing_loads(stack)).hint(ways)),
    }
}

fn nothing_loads(stack: &StackName) -> String {
    format!("stack `{stack}` remembers no image that makes load")
}

/// Looks up what the name stands for now.
async fn named(image: &ImageRef, context: &Context, place: &Place) -> Result<String, Error> {
    let report = &*context.report;
    report.phase("loader");
    let registry = elsewhere::registry_of(image, context, place.aws()).await?;
    let source = registry.source(image).await?;
    let wanted: Vec<&str> = images::wanted(&context.config.image)
        .into_iter()
        .map(Platform::name)
        .collect();
    let found = image::find(image, &source, &wanted, (RetryPolicy::default(), report)).await?;
    Ok(found.reference)
}

/// Builds the loader and pushes it, unless the registry has it of the same sources.
async fn built(source: &config::Image, context: &Context, place: &Place, stack: &StackName) -> Result<String, Error> {
    let report = &*context.report;
    report.phase("loader");
    let registry = context.registry(place.aws()).await?;
    registry.check().await?;
    let registry = registry.read(stack, &[LOAD]).await?;
    let made = Box::pin(images::make((&registry, stack), source, &[LOAD], report)).await?;
    let published = Box::pin(images::publish(&registry, stack, source, (LOAD, &made), report)).await?;
    Ok(published.reference)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::fixtures::given;
    use super::*;
    use crate::cli::{Cli, Command};

    const OURS: &str = "r/web-app@sha256:0";

    fn chosen(flags: &[&str], remembered: Option<&str>) -> Loader {
        let line = [&["provisioner", "load", "--cluster", "demo"], flags].concat();
        let (_, context) = given(&line);
        let Command::Load(load) = Cli::parse_from(line).command else {
            panic!("load");
        };
        choose(&context.config, &load.loader, remembered.map(str::to_owned))
    }

    fn in_workspace(folder: Option<&str>) -> Loader {
        Loader::Built(Box::new(config::Image {
            workspace: folder.map(Into::into),
            ..config::Image::default()
        }))
    }

    #[test]
    fn what_is_named_counts_before_what_the_stack_remembers_and_that_before_a_build() {
        let named = || Loader::Named("ghcr.io/team/load:1".parse().expect("a reference"));
        let remembered = Loader::Remembered(OURS.to_owned());
        let flag = ["--loader-image", "ghcr.io/team/load:1"];
        for (flags, known, want) in [
            (&[][..], Some(OURS), remembered),
            (&[], None, in_workspace(None)),
            (&flag, Some(OURS), named()),
            (&flag, None, named()),
            (&["--workspace", "/"], Some(OURS), in_workspace(Some("/"))),
            (&["--workspace", "/"], None, in_workspace(Some("/"))),
        ] {
            assert_eq!(chosen(flags, known), want, "{flags:?} {known:?}");
        }
    }

    #[tokio::test]
    async fn without_a_loader_both_ways_to_one_are_named() {
        let in_folder = |folder: &str| config::Image {
            workspace: Some(folder.into()),
            ..config::Image::default()
        };
        let stack: StackName = "demo".parse().expect("a name");
        let refused = check(&in_folder("/nowhere"), &stack).await.expect_err("none");
        insta::assert_snapshot!(refused, @r"
        error: folder `/nowhere` is no cargo workspace

        hint: `--loader-image REF` names an image that understands `load --url URL --rate N --duration D --output json`; `--workspace DIR` names the cargo workspace of the sample app, from which one is built and pushed to `demo/load`; an app built here with `load = true` under `[package.metadata.provisioner]` needs neither
        ");
    }
}
