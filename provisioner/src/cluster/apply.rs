//! Server-side apply in stages.

use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use kube::core::{DynamicObject, GroupVersionKind};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::changes::{self, Change, Options, Planned};
use super::connect::Cluster;
use super::error::{ClusterError, Failure};
#[cfg(test)]
use super::manifest::Component;
use super::mark;
use super::object::ObjectRef;
use super::order;
use super::ownership::PARALLEL;
use super::ready::{Readiness, readiness};
use super::{authority, recreate, retry, scale};
#[cfg(test)]
use crate::names::StackName;
use crate::report::{Outcome, Reporter};

/// How long a new kind may take to be served.
const ESTABLISHED: Duration = Duration::from_secs(30);

/// Plans and carries out at once.
#[cfg(test)]
pub(super) async fn apply(
    cluster: &Cluster,
    stack: &StackName,
    components: &[Component],
    options: Options,
    report: &dyn Reporter,
) -> Result<Vec<Change>, ClusterError> {
    let planned = changes::plan(cluster, stack, components, options).await?;
    execute(cluster, &planned, options, report).await
}

/// Takes the namespace that was made for the lease of this run out of a plan: it is told already, and counts as created.
pub fn made_before(planned: &mut Vec<Planned>, home: &DynamicObject) -> Option<Change> {
    let home = ObjectRef::of(home);
    let is_home = |p: &Planned| p.object == home && p.change.outcome == Outcome::Unchanged;
    let mut change = planned.remove(planned.iter().position(is_home)?).change;
    change.outcome = Outcome::Created;
    Some(change)
}

/// Carries out a plan, stage by stage, but for what is to be deleted: see [`super::prune`]. The `ApplySet`'s parent is
/// first, in its namespace: what it does not record would not be found again after an interruption.
pub async fn execute(
    cluster: &Cluster,
    planned: &[Planned],
    options: Options,
    report: &dyn Reporter,
) -> Result<Vec<Change>, ClusterError> {
    let (first, others) = parent_first(planned);
    for p in first {
        one(cluster, p, options, report).await?;
    }
    for stage in 0..order::STAGES {
        let part = others.iter().filter(|p| stage_of(p) == stage);
        let applied = part.map(|p| one(cluster, p, options, report));
        let results: Vec<_> = stream::iter(applied).buffer_unordered(PARALLEL).collect().await;
        results.into_iter().collect::<Result<Vec<()>, ClusterError>>()?;
        if stage == 0 {
            definitions_established(cluster, planned).await?;
        }
    }
    let done = planned.iter().filter(|p| p.change.outcome != Outcome::Deleted);
    Ok(done.map(|p| p.change.clone()).collect())
}

/// The parent after its namespace, and all others.
fn parent_first(planned: &[Planned]) -> (Vec<&Planned>, Vec<&Planned>) {
    let parent = planned.iter().find(|p| mark::is_parent(&p.wanted));
    let home = parent.and_then(|p| p.object.namespace.as_deref());
    let is_home = |p: &Planned| p.object.kind == "Namespace" && Some(p.object.name.as_str()) == home;
    let (mut first, others): (Vec<&Planned>, Vec<&Planned>) = planned
        .iter()
        .filter(|p| p.change.outcome != Outcome::Deleted)
        .partition(|p| mark::is_parent(&p.wanted) || is_home(p));
    first.sort_by_key(|p| mark::is_parent(&p.wanted));
    (first, others)
}

/// An `APIService` that is answered by the same server as before learns whom to trust before that server gets a
/// certificate of another authority: its bundle has the former one too. What has its backend still to come waits for it.
fn stage_of(p: &Planned) -> u8 {
    let trusts = |field: &String| field == "spec.caBundle" || field.starts_with("metadata.");
    let keeps_backend = p.change.outcome == Outcome::Updated && p.change.fields.iter().all(trusts);
    if p.object.kind == "APIService" && keeps_backend {
        return 0;
    }
    order::stage(&p.object)
}

async fn one(cluster: &Cluster, p: &Planned, options: Options, report: &dyn Reporter) -> Result<(), ClusterError> {
    if p.hands_over {
        scale::hand_over(cluster, &p.object).await?;
    }
    if !p.strips.is_empty() {
        authority::strip(cluster, &p.object, &p.strips).await?;
    }
    match p.change.outcome {
        Outcome::Created | Outcome::Updated => {
            changes::send(cluster, &p.object, &p.wanted, options.forced(p.force), false).await?;
        }
        Outcome::Recreated => recreate::anew(cluster, p, options, report).await?,
        _ => {}
    }
    let detail = p.change.fields.join(", ");
    report.done(&p.object.kind, &p.object.path(), p.change.outcome, &detail);
    Ok(())
}

/// Objects of a new kind can be sent only when its definition is established and discovery tells of it: the two are
/// not one moment.
async fn definitions_established(cluster: &Cluster, planned: &[Planned]) -> Result<(), ClusterError> {
    let new: Vec<&Planned> = planned
        .iter()
        .filter(|p| p.object.kind == "CustomResourceDefinition" && p.change.outcome == Outcome::Created)
        .collect();
    if new.is_empty() {
        return Ok(());
    }
    let started = Instant::now();
    loop {
        let mut laggards = Vec::new();
        cluster.forget_kinds().await;
        for p in &new {
            let laggard = match cluster.get(&p.object).await?.as_ref().map(readiness) {
                Some(Readiness::Ready) => not_served(cluster, &p.wanted).await?,
                Some(Readiness::Progressing(message) | Readiness::Failed(message)) => Some(message),
                None => Some("is absent".to_owned()),
            };
            laggards.extend(laggard.map(|message| format!("{}: {message}", p.object)));
        }
        if laggards.is_empty() {
            return Ok(());
        }
        let after = started.elapsed();
        if after > ESTABLISHED {
            return Err(ClusterError::NotReady { after, laggards });
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// The first version of a definition that the server does not tell of yet.
async fn not_served(cluster: &Cluster, definition: &DynamicObject) -> Result<Option<String>, ClusterError> {
    let spec = &definition.data["spec"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let versions = spec["versions"].as_array().into_iter().flatten();
    for version in versions.filter(|v| v["served"] == true) {
        let kind = GroupVersionKind::gvk(
            &text(&spec["group"]),
            &text(&version["name"]),
            &text(&spec["names"]["kind"]),
        );
        if cluster.resolve(&kind).await?.is_none() {
            return Ok(Some(format!("version `{}` is not served yet", kind.version)));
        }
    }
    Ok(None)
}

impl Cluster {
    /// Whether the server keeps `behavior.scaleUp.tolerance` of an HPA (KEP-4951): asked by a dry run, since a version
    /// does not say which features are on. `namespace` must exist; `default` does.
    pub async fn keeps_tolerance(&self, namespace: &str) -> Result<bool, ClusterError> {
        let probe = serde_json::json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "provisioner-probe", "namespace": namespace},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "provisioner-probe"},
                "maxReplicas": 1,
                "behavior": {"scaleUp": {"tolerance": "50m"}},
            }
        });
        let path = format!("/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers?dryRun=All");
        let answer = retry::call(|| async {
            let request = http::Request::post(&path)
                .header(http::header::CONTENT_TYPE, "application/json")
                .body(probe.to_string().into_bytes())
                .map_err(kube::Error::HttpError)?;
            self.client().request::<Value>(request).await
        })
        .await;
        match answer {
            // A webhook that takes no part in dry runs says nothing of the field: its version has to do.
            Err(failure) if failure.is_of_dry_runs() => self.has_tolerance_by_default().await,
            Ok(kept) => Ok(kept.pointer("/spec/behavior/scaleUp/tolerance").is_some()),
            Err(Failure {
                code: Some(400 | 422), ..
            }) => Ok(false),
            Err(failure) => Err(ClusterError::request(
                "try",
                "HorizontalPodAutoscaler `provisioner-probe`",
                failure,
            )),
        }
    }

    /// Whether this version has the field unless somebody switched it off: since 1.35.
    async fn has_tolerance_by_default(&self) -> Result<bool, ClusterError> {
        let version = self.get_json("/version").await;
        let version =
            version.map_err(|failure| ClusterError::request("read", "the version of the cluster", failure))?;
        // Some add a plus to the minor version.
        let number = |field: &str| {
            let text = version[field].as_str().unwrap_or_default();
            text.trim_end_matches('+').parse::<u32>().unwrap_or_default()
        };
        Ok((number("major"), number("minor")) >= (1, 35))
    }
}
