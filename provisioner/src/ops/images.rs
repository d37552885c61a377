//! The images of a stack that are built here: the app, and the load generator beside one that was made elsewhere.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Context, elsewhere, files};
use crate::config;
use crate::error::Error;
use crate::image::{self, Binary, Image, ImageSpec, Inputs, Platform, Published, RegistryTarget, Sbom, Source};
use crate::names::{APP, LOAD, StackName};
use crate::report::{Outcome, Reporter};
use crate::target::Registry;

/// The cargo package of the sample service.
pub(super) const PACKAGE: &str = "app";

/// What is known of the images before anything is built.
pub(super) struct Checked {
    /// What they will be for.
    pub(super) platforms: Vec<Platform>,
    /// Whether the app makes load too; of what was not built here that is not known.
    pub(super) makes_load: bool,
}

/// Checks what can be checked of the source before anything is built or, what is more, paid for.
///
/// # Errors
/// A given binary cannot run in an image, there is no toolchain, or no cargo workspace with the app: exit 2.
pub(super) async fn check(config: &config::Image) -> Result<Checked, Error> {
    files::check(config.refs.as_deref())?;
    if config.made.is_some() {
        return Ok(Checked {
            platforms: wanted(config),
            makes_load: false,
        });
    }
    let spec = spec(config, APP);
    match &spec.source {
        Source::Cargo if !is_workspace(config) => {
            let folder = spec.workspace.display();
            Err(Error::usage(format!("folder `{folder}` is no cargo workspace"))
                .hint(
                    "name the app's workspace with `--workspace DIR`, a built binary with `--binary PATH`, or an image made elsewhere with `--image REF`, `--archive FILE` or `--oci-layout DIR`",
                ))
        }
        _ => Ok(Checked {
            platforms: image::check(&spec).await?,
            makes_load: image::makes_load(&spec).await?,
        }),
    }
}

/// Whether the folder that is built in, if anything is, has a manifest of cargo's.
pub(super) fn is_workspace(config: &config::Image) -> bool {
    spec(config, APP).workspace.join("Cargo.toml").is_file()
}

/// Whether the app in the workspace says that it makes load.
///
/// # Errors
/// The workspace cannot be read, or has no app: exit 2.
pub(super) async fn makes_load(config: &config::Image) -> Result<bool, Error> {
    Ok(image::makes_load(&spec(config, LOAD)).await?)
}

/// What an image that was made elsewhere has to be for.
pub(super) fn wanted(config: &config::Image) -> Vec<Platform> {
    match config.platforms.as_slice() {
        [] => vec![Platform::Amd64],
        platforms => platforms.to_vec(),
    }
}

/// The images of a bootstrap that are built or found by what they are built from.
pub(super) fn names(config: &config::Image) -> &'static [&'static str] {
    if config.made.is_none() { &[APP] } else { &[] }
}

/// What the images of a stack are made of, found in the registry or built.
#[derive(Default)]
pub(super) struct Made {
    /// Images that the registry has of the same inputs, by name.
    found: BTreeMap<&'static str, Image>,
    /// One binary for each platform; none where all images were found.
    binaries: Vec<Binary>,
    /// What they were built from, where that is known and all of it.
    inputs: Option<Inputs>,
    /// What the binaries are made of, where that is asked for.
    sboms: Vec<Sbom>,
}

/// Finds the images of `names` by their inputs; where one is missing, builds the app. Changes nothing but the build's
/// own folder.
pub(super) async fn make(
    (registry, stack): (&Registry, &StackName),
    config: &config::Image,
    names: &[&'static str],
    report: &dyn Reporter,
) -> Result<Made, Error> {
    if names.is_empty() {
        return Ok(Made::default());
    }
    let app = spec(config, APP);
    let inputs = image::inputs(&app).await?;
    let mut found = BTreeMap::new();
    if let Some(inputs) = inputs.as_ref().filter(|_| !config.rebuild) {
        for &name in names {
            let spec = spec(config, name);
            let Some(image) = find(registry, stack, (name, &spec, inputs), report).await else {
                break;
            };
            found.insert(name, image);
        }
    }
    if found.len() == names.len() {
        report.done(
            "binary",
            &app.package,
            Outcome::Unchanged,
            "the registry has images of the same sources",
        );
        return Ok(Made {
            found,
            sboms: sboms(config, &app).await?,
            ..Made::default()
        });
    }
    let binaries = image::build(&app, report).await?;
    let inputs = settled(&app, inputs, &binaries, report).await;
    Ok(Made {
        found,
        binaries,
        inputs,
        sboms: sboms(config, &app).await?,
    })
}

/// The bills of material that the settings ask for: also of images that were found, which may lack them.
async fn sboms(config: &config::Image, app: &ImageSpec) -> Result<Vec<Sbom>, Error> {
    match config.sbom {
        Some(format) => Ok(image::sboms(app, format).await?),
        None => Ok(Vec::new()),
    }
}

/// The image of these inputs, if the registry says that it has it. Where it cannot be asked, the push will tell why.
pub(super) async fn find(
    registry: &Registry,
    stack: &StackName,
    (name, spec, inputs): (&str, &ImageSpec, &Inputs),
    report: &dyn Reporter,
) -> Option<Image> {
    let looked = async {
        match registry.existing(stack, name).await? {
            Some(target) => Ok(image::built::find(&target, (spec, inputs), report).await?),
            None => Ok::<_, Error>(None),
        }
    };
    looked.await.unwrap_or_else(|error| {
        report.warning(&format!(
            "cannot look for an image of the same sources: {}",
            error.message()
        ));
        None
    })
}

/// The inputs of a build that is done: none where it read more than that, or where they changed meanwhile.
async fn settled(
    app: &ImageSpec,
    before: Option<Inputs>,
    binaries: &[Binary],
    report: &dyn Reporter,
) -> Option<Inputs> {
    let before = before?;
    let after = image::inputs(app).await.ok().flatten()?;
    match before.uncovered(binaries) {
        Ok(None) => Some(before).filter(|before| before.is(&after)),
        Ok(Some(read)) => {
            report.note(&format!(
                "the next run builds again: this build read {read}, outside the sources of `{}`",
                app.package
            ));
            None
        }
        Err(error) => {
            report.note(&format!("the next run builds again: {error}"));
            None
        }
    }
}

/// Makes sure that the repository of `name` holds the image, and records what it was made from.
pub(super) async fn publish(
    registry: &Registry,
    stack: &StackName,
    config: &config::Image,
    (name, made): (&str, &Made),
    report: &dyn Reporter,
) -> Result<Published, Error> {
    let spec = spec(config, name);
    let tag = config.tag.as_deref();
    if let Some(found) = made.found.get(name) {
        let target = registry.target(stack, name, report).await?;
        let published = image::publish(found, &target, tag, report).await?;
        return described(published, (found, &target), &made.sboms, report).await;
    }
    let assembled = image::assemble(&spec, &made.binaries)?;
    let target = registry.target(stack, name, report).await?;
    let mut published = image::publish(&assembled, &target, tag, report).await?;
    if let Some(inputs) = &made.inputs {
        match image::built::record(&target, (&spec, inputs), &assembled).await {
            Ok(bytes) => published.bytes_sent += bytes,
            // The image is there and is what is deployed; that a later run builds it again is no failure of this one.
            Err(error) => report.warning(&format!("the next run builds again: {}", Error::from(error).message())),
        }
    }
    described(published, (&assembled, &target), &made.sboms, report).await
}

/// What was published, with the bills of material that refer to it.
async fn described(
    published: Published,
    (image, target): (&Image, &RegistryTarget),
    sboms: &[Sbom],
    report: &dyn Reporter,
) -> Result<Published, Error> {
    if sboms.is_empty() {
        return Ok(published);
    }
    Ok(published.with(image::attach(image, target, sboms, report).await?))
}

/// The app's image where it is used, and which image makes load from now on: the app's own where it can and no other one
/// is named; none leaves the one that the stack has.
pub(super) async fn publish_app(
    context: &Context,
    (registry, stack): (&Registry, &StackName),
    checked: &Checked,
    (elsewhere, made): (Option<&elsewhere::Found>, &Made),
) -> Result<(Published, Option<String>), Error> {
    let (config, report) = (&context.config.image, &*context.report);
    let app = match elsewhere {
        Some(found) => elsewhere::publish(found, (registry, stack), config.tag.as_deref(), report).await?,
        None => publish(registry, stack, config, (APP, made), report).await?,
    };
    files::write(config.refs.as_deref(), &format!("{}\n", app.reference))?;
    let load = makes_load_too(context, checked).then(|| app.reference.clone());
    Ok((app, load))
}

/// Whether the app makes load from now on: where it can, and no other image is named.
pub(super) fn makes_load_too(context: &Context, checked: &Checked) -> bool {
    checked.makes_load && context.config.load.image.is_none()
}

pub(super) fn spec(config: &config::Image, name: &str) -> ImageSpec {
    let command = if name == LOAD { "load" } else { "serve" };
    // What another package wants to be told is not known: its manifests say it.
    let args = config.package.is_none().then(|| command.to_owned());
    ImageSpec {
        package: config.package.clone().unwrap_or_else(|| PACKAGE.to_owned()),
        entrypoint_args: args.into_iter().collect(),
        title: name.to_owned(),
        workspace: config.workspace.clone().unwrap_or_else(|| Path::new(".").to_owned()),
        source: if config.binaries.is_empty() {
            Source::Cargo
        } else {
            Source::Binaries(config.binaries.clone())
        },
        platforms: config.platforms.clone(),
        compression: config.compression,
    }
}
