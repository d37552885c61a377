//! Waits until applied objects are ready; says which lag and why, and does not wait for what cannot come right.

use std::collections::HashMap;
use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::time::{Instant, sleep};

use super::connect::Cluster;
use super::error::ClusterError;
use super::manifest::Component;
use super::mark;
use super::object::ObjectRef;
use super::ownership::PARALLEL;
use super::pace::Pace;
use super::ready::{Readiness, readiness};
use super::trouble::{self, Trouble};
use crate::report::{Outcome, Reporter};

/// How long a failure must stand: image pulls and first starts may fail once and come right.
const STANDING: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(400);

/// Waits for every object of the components. The error lists every laggard with its last message; a failure that stands
/// ends the wait before its time.
pub async fn wait(
    cluster: &Cluster,
    components: &[Component],
    timeout: Duration,
    report: &dyn Reporter,
) -> Result<(), ClusterError> {
    let mut pending: Vec<ObjectRef> = Vec::new();
    for object in components.iter().flat_map(|c| &c.objects) {
        let known = !mark::is_optional(object) || cluster.resolve(&ObjectRef::of(object).gvk()).await?.is_some();
        if known {
            pending.push(ObjectRef::of(object));
        }
    }
    let mut pace = Pace::new(report);
    let mut failing: HashMap<ObjectRef, Instant> = HashMap::new();
    loop {
        let looks = pending.iter().map(|object| async move {
            let state = look(cluster, object).await?;
            Ok::<_, ClusterError>((object.clone(), state))
        });
        let states: Vec<(ObjectRef, Readiness)> = stream::iter(looks).buffered(PARALLEL).try_collect().await?;
        let mut laggards = Vec::new();
        let mut failed = Vec::new();
        pending.clear();
        for (object, state) in states {
            let message = match state {
                Readiness::Ready => {
                    told(report, &object);
                    continue;
                }
                Readiness::Progressing(message) => {
                    failing.remove(&object);
                    message
                }
                Readiness::Failed(message) => {
                    let since = *failing.entry(object.clone()).or_insert_with(Instant::now);
                    if since.elapsed() >= STANDING {
                        failed.push(format!("{object}: {message}"));
                    }
                    message
                }
            };
            pace.waiting(&object.to_string(), &message);
            laggards.push(format!("{object}: {message}"));
            pending.push(object);
        }
        if !failed.is_empty() {
            return Err(ClusterError::Failed(failed));
        }
        if pending.is_empty() {
            return Ok(());
        }
        let after = pace.elapsed();
        if after >= timeout {
            return Err(ClusterError::NotReady { after, laggards });
        }
        sleep(POLL).await;
    }
}

/// Only kinds that take time are worth a line.
fn told(report: &dyn Reporter, object: &ObjectRef) {
    if matches!(
        object.kind.as_str(),
        "Deployment" | "StatefulSet" | "DaemonSet" | "Job" | "APIService"
    ) {
        report.done(&object.kind, &object.path(), Outcome::Ready, "");
    }
}

async fn look(cluster: &Cluster, object: &ObjectRef) -> Result<Readiness, ClusterError> {
    let Some(live) = cluster.get(object).await? else {
        return Ok(Readiness::Failed("is absent: something deleted it".to_owned()));
    };
    let state = readiness(&live);
    let Readiness::Progressing(message) = &state else {
        return Ok(state);
    };
    if object.kind != "Deployment" {
        return Ok(state);
    }
    Ok(match trouble::of_deployment(cluster, &live).await? {
        Some(Trouble::Stuck(why)) => Readiness::Failed(format!("{message}; {why}")),
        Some(Trouble::Slow(why)) => Readiness::Progressing(format!("{message}; {why}")),
        None => state,
    })
}
