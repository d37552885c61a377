//! The part of bootstrap that speaks to the cluster: render, apply, wait, verify.

use crate::chain::{self, Chain};
use crate::cluster::apply::apply;
use crate::cluster::certificate::{self, Certificates};
use crate::cluster::changes::{Change, Options};
use crate::cluster::manifest::{self, Component};
use crate::cluster::values::{Namespaces, Values};
use crate::cluster::wait::wait;
use crate::cluster::{Cluster, ObjectRef, password};
use crate::config::Config;
use crate::error::Error;
use crate::image::Published;
use crate::names::StackName;

use super::Context;

/// Stands for an image that is not pushed yet: it decides neither names nor kinds of objects.
const UNRESOLVED: &str = "unresolved.invalid/image";
/// Annotation of the stack's parent object: which image makes load, so that `load` needs no state file.
const LOAD_IMAGE: &str = "provisioner/load-image";
/// Without one of these there is no chain to verify.
const CHAIN: [&str; 3] = ["app", "prometheus", "adapter"];

/// What was done on the cluster.
pub(super) struct Deployed {
    pub(super) changes: Vec<Change>,
    /// The metric chain's figures; none where components of it were left out.
    pub(super) chain: Option<Chain>,
}

/// Reads and renders every manifest without a network.
///
/// # Errors
/// Unknown components, unknown placeholders, broken YAML: exit 2.
pub(super) fn check_manifests(config: &Config, stack: &StackName) -> Result<(), Error> {
    render_unresolved(config, stack).map(drop)
}

/// The stack's objects as far as they are known before the images are.
pub(super) fn render_unresolved(config: &Config, stack: &StackName) -> Result<Vec<Component>, Error> {
    let mut values = Values::new(stack.clone(), UNRESOLVED, UNRESOLVED);
    values.reaction = config.reaction;
    render(config, &values, &Certificates::default())
}

/// Applies the stack, waits for it, and verifies that metrics arrive.
pub(super) async fn run(
    context: &Context,
    cluster: &Cluster,
    stack: &StackName,
    (app, load): (&Published, &Published),
) -> Result<Deployed, Error> {
    let (config, report) = (&context.config, &*context.report);
    let mut values = Values::new(stack.clone(), &app.reference, &load.reference);
    values.reaction = config.reaction;
    values.tolerance = cluster.keeps_tolerance("default").await?;
    values.grafana_password = password::prepare(cluster, &values.namespaces.monitoring).await?;
    let metrics = &values.namespaces.metrics;
    let certificates = certificate::prepare(cluster, metrics, jiff::Timestamp::now()).await?;
    let mut components = render(config, &values, &certificates)?;
    remember_load_image(&mut components, stack, &load.reference);
    let options = Options {
        force_conflicts: config.stack.force_conflicts,
        ..Options::default()
    };
    let changes = apply(cluster, stack, &components, options, report).await?;

    report.phase("ready");
    wait(cluster, &components, config.output.timeout, report).await?;

    let left_out: Vec<&str> = CHAIN
        .into_iter()
        .filter(|c| config.stack.without.iter().any(|w| w == c))
        .collect();
    if !left_out.is_empty() {
        report.note(&format!("metrics are not verified without {}", left_out.join(", ")));
        return Ok(Deployed { changes, chain: None });
    }
    report.phase("metrics");
    let chain = chain::verify(cluster, config.output.timeout, report).await?;
    Ok(Deployed {
        changes,
        chain: Some(chain),
    })
}

fn remember_load_image(components: &mut [Component], stack: &StackName, reference: &str) {
    let parent = stack.applyset_parent();
    let objects = components.iter_mut().flat_map(|component| &mut component.objects);
    for object in objects.filter(|object| object.metadata.name.as_ref() == Some(&parent)) {
        let annotations = object.metadata.annotations.get_or_insert_default();
        annotations.insert(LOAD_IMAGE.to_owned(), reference.to_owned());
    }
}

/// The load generator's image, as bootstrap recorded it.
///
/// # Errors
/// There is no stack of this name on the cluster: exit 2.
pub(super) async fn load_image(cluster: &Cluster, stack: &StackName) -> Result<String, Error> {
    let parent = ObjectRef {
        api_version: "v1".to_owned(),
        kind: "Secret".to_owned(),
        namespace: Some(Namespaces::default().app),
        name: stack.applyset_parent(),
    };
    let found = cluster.get(&parent).await?;
    let image = found.and_then(|object| object.metadata.annotations?.remove(LOAD_IMAGE));
    image.ok_or_else(|| {
        Error::usage(format!("there is no stack `{stack}` on this cluster"))
            .hint("run `provisioner bootstrap` first, or name the stack with `--name`")
    })
}

fn render(config: &Config, values: &Values, certificates: &Certificates) -> Result<Vec<Component>, Error> {
    let (dir, without) = (config.stack.manifests.as_deref(), &config.stack.without);
    Ok(manifest::load(dir, without, values, certificates)?)
}
