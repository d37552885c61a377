//! Server-side apply in stages.

use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::changes::{self, Change, Options, Planned};
use super::connect::Cluster;
use super::error::{ClusterError, Failure};
use super::manifest::Component;
use super::object::ObjectRef;
use super::order;
use super::ownership::PARALLEL;
use super::ready::{Readiness, readiness};
use super::retry;
use crate::names::StackName;
use crate::report::{Outcome, Reporter};

/// Applies what differs. Everything is read and tried by dry run first; nothing is sent for what is as wanted.
pub async fn apply(
    cluster: &Cluster,
    stack: &StackName,
    components: &[Component],
    report: &dyn Reporter,
) -> Result<Vec<Change>, ClusterError> {
    let planned = changes::plan(cluster, stack, components, Options::default()).await?;
    execute(cluster, &planned, Options::default(), report).await
}

/// Carries out a plan, stage by stage.
pub async fn execute(
    cluster: &Cluster,
    planned: &[Planned],
    options: Options,
    report: &dyn Reporter,
) -> Result<Vec<Change>, ClusterError> {
    for stage in 0..order::STAGES {
        let part = planned.iter().filter(|p| order::stage(&p.object) == stage);
        let applied = part.map(|p| one(cluster, p, options, report));
        let results: Vec<_> = stream::iter(applied).buffer_unordered(PARALLEL).collect().await;
        results.into_iter().collect::<Result<Vec<()>, ClusterError>>()?;
        if stage == 0 {
            definitions_established(cluster, planned).await?;
        }
    }
    Ok(planned.iter().map(|p| p.change.clone()).collect())
}

async fn one(cluster: &Cluster, p: &Planned, options: Options, report: &dyn Reporter) -> Result<(), ClusterError> {
    if matches!(p.change.outcome, Outcome::Created | Outcome::Updated) {
        changes::send(cluster, &p.object, &p.wanted, options, false).await?;
    }
    let detail = p.change.fields.join(", ");
    report.done(&p.object.kind, &p.object.path(), p.change.outcome, &detail);
    Ok(())
}

/// Objects of a new kind can be sent only when its definition is established.
async fn definitions_established(cluster: &Cluster, planned: &[Planned]) -> Result<(), ClusterError> {
    let new = planned
        .iter()
        .filter(|p| p.object.kind == "CustomResourceDefinition" && p.change.outcome == Outcome::Created);
    let new: Vec<&ObjectRef> = new.map(|p| &p.object).collect();
    if new.is_empty() {
        return Ok(());
    }
    let started = Instant::now();
    loop {
        let mut laggards = Vec::new();
        for object in &new {
            match cluster.get(object).await?.as_ref().map(readiness) {
                Some(Readiness::Ready) => {}
                Some(Readiness::Progressing(m) | Readiness::Failed(m)) => laggards.push(format!("{object}: {m}")),
                None => laggards.push(format!("{object}: is absent")),
            }
        }
        if laggards.is_empty() {
            cluster.forget_kinds().await;
            return Ok(());
        }
        let after = started.elapsed();
        if after > Duration::from_secs(30) {
            return Err(ClusterError::NotReady { after, laggards });
        }
        sleep(Duration::from_millis(200)).await;
    }
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
}
