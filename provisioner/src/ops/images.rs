//! The two images of a stack: the app and the load generator, one binary with two commands.

use std::path::Path;

use super::{files, made};
use crate::config;
use crate::error::Error;
use crate::image::{self, Binary, ImageSpec, Platform, Published, Source};
use crate::names::{APP, LOAD, StackName};
use crate::report::Reporter;
use crate::target::Registry;

/// The cargo package of the sample service.
const PACKAGE: &str = "app";

/// Checks what can be checked of the source before anything is built or, what is more, paid for; what the images will
/// be for.
///
/// # Errors
/// A given binary cannot run in an image, there is no toolchain, or no cargo workspace with the app: exit 2.
pub(super) async fn check(config: &config::Image) -> Result<Vec<Platform>, Error> {
    files::check(config.refs.as_deref())?;
    if !builds(config) {
        return Ok(wanted(config));
    }
    let spec = spec(config, APP);
    match &spec.source {
        Source::Cargo if !spec.workspace.join("Cargo.toml").is_file() => {
            let folder = spec.workspace.display();
            Err(Error::usage(format!("folder `{folder}` is no cargo workspace"))
                .hint("name the app's workspace with `--workspace DIR`, or a built binary with `--binary PATH`"))
        }
        _ => Ok(image::check(&spec).await?),
    }
}

/// Whether there is anything to build: beside an image that was made elsewhere only a load generator, where somebody says
/// from what.
fn builds(config: &config::Image) -> bool {
    config.made.is_none() || config.workspace.is_some()
}

/// What an image that was made elsewhere has to be for.
fn wanted(config: &config::Image) -> Vec<Platform> {
    match config.platforms.as_slice() {
        [] => vec![Platform::Amd64],
        platforms => platforms.to_vec(),
    }
}

/// The static binaries of the app, one for each platform; none where nothing needs them.
pub(super) async fn build(config: &config::Image, report: &dyn Reporter) -> Result<Vec<Binary>, Error> {
    if !builds(config) {
        return Ok(Vec::new());
    }
    Ok(image::build(&spec(config, APP), report).await?)
}

/// Makes sure that the repository of `name` holds the image.
pub(super) async fn publish(
    registry: &Registry,
    stack: &StackName,
    config: &config::Image,
    (name, binaries): (&str, &[Binary]),
    report: &dyn Reporter,
) -> Result<Published, Error> {
    let assembled = image::assemble(&spec(config, name), binaries)?;
    let target = registry.target(stack, name, report).await?;
    Ok(image::publish(&assembled, &target, config.tag.as_deref(), report).await?)
}

/// App and load generator, published: one after the other, so that the registry takes over for the second what it got
/// for the first. Beside an image that was made elsewhere there may be no load generator.
pub(super) async fn publish_both(
    (registry, stack): (&Registry, &StackName),
    config: &config::Image,
    (made, binaries): (Option<&made::Found>, &[Binary]),
    report: &dyn Reporter,
) -> Result<(Published, Option<Published>), Error> {
    let app = match made {
        Some(made) => made::publish(made, (registry, stack), config.tag.as_deref(), report).await?,
        None => publish(registry, stack, config, (APP, binaries), report).await?,
    };
    if binaries.is_empty() {
        report.note(
            "no load generator was pushed: for `provisioner load`, name the workspace of the sample app with `--workspace DIR`",
        );
        return Ok((app, None));
    }
    let load = publish(registry, stack, config, (LOAD, binaries), report).await?;
    Ok((app, Some(load)))
}

/// References as the file of `--image-refs` holds them, one a line.
pub(super) fn refs(images: &[&Published]) -> String {
    images
        .iter()
        .flat_map(|image| [image.reference.as_str(), "\n"])
        .collect()
}

fn spec(config: &config::Image, name: &str) -> ImageSpec {
    let command = if name == LOAD { "load" } else { "serve" };
    ImageSpec {
        package: PACKAGE.to_owned(),
        entrypoint_args: vec![command.to_owned()],
        title: name.to_owned(),
        workspace: config.workspace.clone().unwrap_or_else(|| Path::new(".").to_owned()),
        source: if config.binaries.is_empty() {
            Source::Cargo
        } else {
            Source::Binaries(config.binaries.clone())
        },
        platforms: config.platforms.clone(),
    }
}
