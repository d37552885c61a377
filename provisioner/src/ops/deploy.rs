//! The part of bootstrap that speaks to the cluster: render, apply, wait, verify.

use std::collections::{BTreeMap, BTreeSet};

use kube::core::DynamicObject;
use tokio::try_join;

use crate::chain::{self, Chain, Route};
use crate::cluster::apply::{execute, made_before};
use crate::cluster::authority::{self, Authority};
use crate::cluster::certificate::{self, Certificates};
use crate::cluster::changes::{self, Change, Options, Planned};
use crate::cluster::manifest::{self, Component};
use crate::cluster::prune::prune;
use crate::cluster::values::{Namespaces, Values};
use crate::cluster::wait::wait;
use crate::cluster::{Cluster, ClusterError, lease, parent, password, take_over};
use crate::config::Config;
use crate::error::Error;
use crate::image::RegistryPrefix;
use crate::names::{ANNOTATION_LOAD_IMAGE, ANNOTATION_MIRRORED, StackName};
use crate::report::{Outcome, Reporter};

use super::scraped::Scraped;
use super::{Context, doctor};

/// The images that manifests name.
#[derive(Clone, Copy)]
pub(super) struct Images<'a> {
    /// The app's.
    pub(super) app: &'a str,
    /// The one that makes load, where this run decides that.
    pub(super) load: Option<&'a str>,
    /// Where images of others are taken from, by what manifests write.
    pub(super) mirrored: &'a BTreeMap<String, String>,
}

/// Stands for an image that is not pushed yet: it decides neither names nor kinds of objects.
pub(super) const UNRESOLVED: &str = "unresolved.invalid/image";
/// Without one of these there is no chain to verify.
const CHAIN: [&str; 3] = ["app", "prometheus", ADAPTER];
/// The component whose certificate somebody has to sign.
const ADAPTER: &str = "adapter";

/// What was done on the cluster.
pub(super) struct Deployed {
    pub(super) changes: Vec<Change>,
    /// The metric chain's figures; none where components of it were left out.
    pub(super) chain: Option<Chain>,
    /// What a Prometheus of others has to scrape, where one is used.
    pub(super) prometheus: Option<Scraped>,
}

/// The stack's objects as far as they are known before the images are: reads and renders every manifest without a
/// network. Which objects there are depends on who signs certificates.
///
/// # Errors
/// Unknown components, unknown placeholders, broken YAML: exit 2.
pub(super) fn render_unresolved(
    config: &Config,
    stack: &StackName,
    authority: Authority,
    mirrored: &BTreeMap<String, String>,
) -> Result<Vec<Component>, Error> {
    let mut values = Values::new(stack.clone(), UNRESOLVED, UNRESOLVED);
    values.images.clone_from(mirrored);
    values.app.clone_from(&config.app);
    values.reaction = config.reaction;
    values.own.clone_from(&config.values);
    values.prometheus_url.clone_from(&config.prometheus.url);
    let certificates = Certificates {
        authority,
        ..Certificates::default()
    };
    render(config, &values, &certificates)
}

/// Who signs the certificate of the custom metrics API; nobody is asked where the stack has none.
pub(super) async fn authority(config: &Config, cluster: &Cluster) -> Result<Authority, ClusterError> {
    if has_adapter(config) {
        authority::decide(cluster, config.certificates).await
    } else {
        Ok(Authority::Own)
    }
}

/// Whether the custom metrics API is part of the stack.
pub(super) fn has_adapter(config: &Config) -> bool {
    !config.stack.without.iter().any(|left_out| left_out == ADAPTER)
}

/// Applies the stack, waits for it, and verifies that metrics arrive. What the server said of objects before, it is not
/// asked again as long as nothing changed.
pub(super) async fn run(
    context: &Context,
    (cluster, stack): (&Cluster, &StackName),
    images: Images<'_>,
    former: &[Planned],
) -> Result<Deployed, Error> {
    let (config, report) = (&context.config, &*context.report);
    let wanted = Wanted {
        config,
        cluster,
        stack,
        images,
        tolerance: cluster.keeps_tolerance("default").await?,
    };
    let (components, mut changes, leftovers) = Box::pin(wanted.apply(context, former)).await?;

    report.phase("ready");
    let ready = wait((cluster, stack), &components, config.output.timeout, report).await;
    ready.map_err(|error| explained(error, config.target.registry.as_ref()))?;

    // Said before its series are waited for.
    let prometheus = Scraped::find(config, stack, &changes);
    if let Some(prometheus) = &prometheus {
        report.note(&prometheus.to_string());
    }
    let chain = verify(config, cluster, report).await?;
    // Last of all: what worked before goes only once what takes its place does. Else the next run goes on with it.
    if leftovers {
        changes.extend(wanted.prune(context, &components).await?);
    }
    Ok(Deployed {
        changes,
        chain,
        prometheus,
    })
}

/// Waits for the metric chain; none where a component of it was left out.
async fn verify(config: &Config, cluster: &Cluster, report: &dyn Reporter) -> Result<Option<Chain>, Error> {
    let is_there = |component: &str| component == "prometheus" && config.prometheus.url.is_some();
    let left_out: Vec<&str> = CHAIN
        .into_iter()
        .filter(|c| config.stack.without.iter().any(|w| w == c) && !is_there(c))
        .collect();
    if !left_out.is_empty() {
        report.note(&format!("metrics are not verified without {}", left_out.join(", ")));
        return Ok(None);
    }
    report.phase("metrics");
    let route = Route {
        namespaces: Namespaces::default(),
        prometheus: config.prometheus.url.clone(),
    };
    match chain::verify(cluster, (&route, &config.app), config.output.timeout, report).await {
        Ok(chain) => Ok(Some(chain)),
        Err(broken) => Err(doctor::explained(config, cluster, broken).await),
    }
}

/// What an apply of the stack would do, by dry run, and what of it others changed. Changes nothing.
///
/// # Errors
/// Whatever an apply would refuse, but for fields that others changed: exit 2.
pub(super) async fn plan(
    context: &Context,
    cluster: &Cluster,
    stack: &StackName,
    images: Images<'_>,
) -> Result<(Vec<Planned>, Vec<String>), Error> {
    let wanted = Wanted {
        config: &context.config,
        cluster,
        stack,
        images,
        tolerance: cluster.keeps_tolerance("default").await?,
    };
    let components = Box::pin(wanted.components()).await?;
    let options = options(&context.config);
    let planned = changes::plan(cluster, stack, &components, options).await;
    if let Err(ClusterError::Rejected(problems)) = &planned
        && !options.force_conflicts
    {
        let forced = Options {
            force_conflicts: true,
            ..options
        };
        // Where that does not help, more than others' fields is in the way.
        if let Ok(planned) = changes::plan(cluster, stack, &components, forced).await {
            return Ok((planned, problems.clone()));
        }
    }
    let planned = planned.map_err(refused_before_any_change)?;
    Ok((planned, Vec::new()))
}

/// The error with the right to pull, where that may be what pods lack.
fn explained(error: ClusterError, registry: Option<&RegistryPrefix>) -> Error {
    match right_to_pull(&error, registry) {
        // What the error knows itself is nearer.
        Some(hint) if error.hint().is_none() => Error::from(error).hint(hint),
        _ => error.into(),
    }
}

/// Pods that fail may lack the right to pull: a registry that is not ECR is one that nodes need not know.
pub(super) fn right_to_pull(error: &ClusterError, registry: Option<&RegistryPrefix>) -> Option<String> {
    let (ClusterError::Failed(_), Some(prefix)) = (error, registry) else {
        return None;
    };
    Some(format!(
        "where pods cannot pull: let the nodes pull from `{}`, or add a pull secret to ServiceAccount `default` of namespace `{}`",
        prefix.host(),
        Namespaces::default().app
    ))
}

/// A refusal leaves everything as it was; a failure may be over when the command is run again.
pub(super) fn refused_before_any_change(error: ClusterError) -> Error {
    let is_refusal = error.is_refusal();
    let error = Error::from(error);
    if is_refusal { error.before_any_change() } else { error }
}

/// The error for a stack that is not there.
pub(super) fn no_stack(stack: &StackName) -> Error {
    Error::usage(format!("there is no stack `{stack}` on this cluster"))
        .hint("run `provisioner bootstrap` first, or name the stack with `--name`")
}

/// What the cluster is to look like.
struct Wanted<'a> {
    config: &'a Config,
    cluster: &'a Cluster,
    stack: &'a StackName,
    images: Images<'a>,
    /// Whether the server keeps the tolerance of an HPA.
    tolerance: bool,
}

impl Wanted<'_> {
    /// Applies what differs, under the stack's lease; where nothing does, nothing at all is written. Also says whether
    /// there is something that the stack no longer wants.
    async fn apply(&self, context: &Context, former: &[Planned]) -> Result<(Vec<Component>, Vec<Change>, bool), Error> {
        let (cluster, stack, report) = (self.cluster, self.stack, &*context.report);
        let options = options(self.config);
        let components = Box::pin(self.components()).await?;
        let planned = changes::plan_again(cluster, stack, &components, (options, former)).await;
        let planned = planned.map_err(refused_before_any_change)?;
        if planned.iter().all(Planned::is_as_wanted) {
            let changes = execute(cluster, &planned, options, report).await?;
            return Ok((components, changes, false));
        }
        let home = &self.home(&components);
        let terms = context.lease_terms(stack, home);
        // What was read before is stale by now: another run may have ended just before the lease was had. What the
        // server said of an object holds as long as it is the same.
        let former = &planned;
        let work = |made_home: bool| async move {
            parent::check_version(cluster, stack, &Namespaces::default().app).await?;
            let components = Box::pin(self.components()).await?;
            let planned = changes::plan_again(cluster, stack, &components, (options, former)).await;
            let mut planned = planned.map_err(refused_before_any_change)?;
            // The lease needs its namespace first: what this run made for it counts as made.
            let made = made_home.then(|| made_before(&mut planned, home)).flatten();
            let mut changes = execute(cluster, &planned, options, report).await?;
            changes.extend(made);
            let leftovers = planned.iter().any(|p| p.change.outcome == Outcome::Deleted);
            Ok::<_, Error>((components, changes, leftovers))
        };
        lease::under(cluster, terms, report, |made_home| Box::pin(work(made_home))).await
    }

    /// Removes what the stack no longer wants, under its lease.
    async fn prune(&self, context: &Context, components: &[Component]) -> Result<Vec<Change>, Error> {
        let (report, timeout) = (&*context.report, self.config.output.timeout);
        report.phase("prune");
        let home = self.home(components);
        let terms = context.lease_terms(self.stack, &home);
        Ok(prune(self.cluster, terms, components, timeout, report).await?)
    }

    /// The namespace of the lease.
    fn home(&self, components: &[Component]) -> DynamicObject {
        let name = Namespaces::default().app;
        let wanted = manifest::find(components, "Namespace", &name).cloned();
        wanted.unwrap_or_else(|| lease::home(self.stack, &name))
    }

    /// The objects, with what the cluster keeps for them: certificates, password, what was replaced. Changes nothing.
    async fn components(&self) -> Result<Vec<Component>, Error> {
        let (cluster, stack, Images { app, load, mirrored }) = (self.cluster, self.stack, self.images);
        let at = Namespaces::default();
        let (parent, password, authority) = try_join!(
            parent::read(cluster, stack, &at.app),
            password::prepare(cluster, &at.monitoring),
            authority(self.config, cluster),
        )?;
        let parent = parent.unwrap_or_default();
        // What makes load already goes on where this run does not say what does.
        let load = load.map(ToOwned::to_owned).or_else(|| parent.load_image.clone());
        let mut values = Values::new(stack.clone(), app, load.as_deref().unwrap_or_default());
        values.images.clone_from(mirrored);
        values.app.clone_from(&self.config.app);
        values.reaction = self.config.reaction;
        values.prometheus_url.clone_from(&self.config.prometheus.url);
        values.tolerance = self.tolerance;
        values.own.clone_from(&self.config.values);
        values.grafana_password = password;
        let now = jiff::Timestamp::now();
        let certificates = Box::pin(certificate::prepare(cluster, &at.metrics, authority, now)).await?;
        let mut components = render(self.config, &values, &certificates)?;
        if let Some(load) = &load {
            parent::annotate(&mut components, stack, ANNOTATION_LOAD_IMAGE, load);
        }
        let repositories = repositories(&parent.mirrored, mirrored);
        if !repositories.is_empty() {
            parent::annotate(&mut components, stack, ANNOTATION_MIRRORED, &repositories);
        }
        let take_over = (&parent, self.config.stack.take_over);
        take_over::remember(cluster, stack, take_over, &mut components).await?;
        Ok(components)
    }
}

/// The repositories of copies, as the stack remembers them: also those of earlier runs, which teardown has to find.
fn repositories(earlier: &[String], mirrored: &BTreeMap<String, String>) -> String {
    let repositories = mirrored.values().filter_map(|image| image.split('@').next());
    let each_once: BTreeSet<&str> = earlier.iter().map(String::as_str).chain(repositories).collect();
    Vec::from_iter(each_once).join(",")
}

/// How the settings treat what others own.
pub(super) fn options(config: &Config) -> Options {
    Options {
        force_conflicts: config.stack.force_conflicts,
        take_over: config.stack.take_over,
        adopt: config.stack.adopt,
        recreate: config.stack.recreate,
    }
}

fn render(config: &Config, values: &Values, certificates: &Certificates) -> Result<Vec<Component>, Error> {
    let (dir, without) = (config.stack.manifests.as_deref(), &config.stack.without);
    Ok(manifest::load(dir, without, values, certificates)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_that_fail_are_explained_by_the_right_to_pull_where_images_are_not_in_ecr() {
        let registry: RegistryPrefix = "ghcr.io/team".parse().unwrap();
        let failed = || ClusterError::Failed(vec!["Deployment `web-app/web-app`: ImagePullBackOff".to_owned()]);
        let text = explained(failed(), Some(&registry)).to_string();
        assert!(text.contains("let the nodes pull from `ghcr.io`"), "{text}");
        assert!(!explained(failed(), None).to_string().contains("pull secret"));
    }

    #[test]
    fn repositories_of_copies_are_not_forgotten_by_a_run_that_makes_none() {
        let earlier = ["r/demo/grafana".to_owned()];
        assert_eq!(repositories(&earlier, &BTreeMap::new()), "r/demo/grafana");
        let copy = |name: &str| (format!("quay.io/{name}:1"), format!("r/demo/{name}@sha256:00"));
        let now = BTreeMap::from([copy("grafana"), copy("prometheus")]);
        assert_eq!(repositories(&earlier, &now), "r/demo/grafana,r/demo/prometheus");
        assert_eq!(repositories(&[], &BTreeMap::new()), "");
    }
}
