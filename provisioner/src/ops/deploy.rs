//! The part of bootstrap that speaks to the cluster: render, apply, wait, verify.

use crate::chain::{self, Chain};
use crate::cluster::apply::apply;
use crate::cluster::certificate::{self, Certificates};
use crate::cluster::changes::Change;
use crate::cluster::manifest::{self, Component};
use crate::cluster::values::Values;
use crate::cluster::wait::wait;
use crate::cluster::{Cluster, password};
use crate::config::Config;
use crate::error::Error;
use crate::image::Published;
use crate::names::StackName;

use super::Context;

/// Stands for an image that is not pushed yet: it decides neither names nor kinds of objects.
const UNRESOLVED: &str = "unresolved.invalid/image";
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
    let components = render(config, &values, &certificates)?;
    let changes = apply(cluster, stack, &components, report).await?;

    report.phase("ready");
    wait(cluster, &components, config.output.timeout, report).await?;

    let left_out: Vec<&str> = CHAIN.into_iter().filter(|c| config.stack.without.iter().any(|w| w == c)).collect();
    if !left_out.is_empty() {
        report.note(&format!("metrics are not verified without {}", left_out.join(", ")));
        return Ok(Deployed { changes, chain: None });
    }
    report.phase("metrics");
    let chain = chain::verify(cluster, &values, config.output.timeout, report).await?;
    Ok(Deployed { changes, chain: Some(chain) })
}

fn render(config: &Config, values: &Values, certificates: &Certificates) -> Result<Vec<Component>, Error> {
    let (dir, without) = (config.stack.manifests.as_deref(), &config.stack.without);
    Ok(manifest::load(dir, without, values, certificates)?)
}
