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
use super::ready::{NO_CERT_MANAGER, Readiness, readiness};
use super::trouble::{self, Trouble};
use crate::report::{Outcome, Reporter};

/// How long a failure must stand that no pod explains.
const STANDING: Duration = Duration::from_secs(10);
/// How long a controller may take to look at an object: it may be starting, or changing over.
const UNSEEN: Duration = Duration::from_mins(2);
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
        let states: Vec<(ObjectRef, State)> = stream::iter(looks).buffered(PARALLEL).try_collect().await?;
        let mut laggards = Vec::new();
        let mut failed = Vec::new();
        pending.clear();
        for (object, state) in states {
            let message = match state {
                State::Ready => {
                    told(report, &object);
                    continue;
                }
                State::Progressing(message) => {
                    failing.remove(&object);
                    message
                }
                State::Failed { message, patience } => {
                    let since = *failing.entry(object.clone()).or_insert_with(Instant::now);
                    if since.elapsed() >= patience {
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

/// What is known of an object, its pods asked where it is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Ready,
    Progressing(String),
    /// Final when it has stood so long.
    Failed {
        message: String,
        patience: Duration,
    },
}

async fn look(cluster: &Cluster, object: &ObjectRef) -> Result<State, ClusterError> {
    let Some(live) = cluster.get(object).await? else {
        let message = "is absent: something deleted it".to_owned();
        return Ok(explained(Readiness::Failed(message), None));
    };
    let state = readiness(&live);
    if let Some(unseen) = unseen(&state) {
        return Ok(unseen);
    }
    let trouble = match &state {
        Readiness::Progressing(_) | Readiness::Failed(_) if object.kind == "Deployment" => {
            trouble::of_deployment(cluster, &live).await?
        }
        _ => None,
    };
    Ok(explained(state, trouble))
}

/// An object of cert-manager that none of its controllers looks at: a controller that runs looks at once.
fn unseen(state: &Readiness) -> Option<State> {
    match state {
        Readiness::Progressing(message) if message == NO_CERT_MANAGER => Some(State::Failed {
            message: message.clone(),
            patience: UNSEEN,
        }),
        _ => None,
    }
}

/// A state with its cause. The deadline of a Deployment counts from its change, also while a node is made or an image
/// is pulled over a slow line: what is slow is on its way, whatever the deadline says.
fn explained(state: Readiness, trouble: Option<Trouble>) -> State {
    let (message, failed) = match state {
        Readiness::Ready => return State::Ready,
        Readiness::Progressing(message) => (message, false),
        Readiness::Failed(message) => (message, true),
    };
    let Some(trouble) = trouble else {
        return if failed {
            State::Failed {
                message,
                patience: STANDING,
            }
        } else {
            State::Progressing(message)
        };
    };
    let message = format!("{message}; {}", trouble.why());
    match trouble.patience() {
        Some(patience) => State::Failed { message, patience },
        None => State::Progressing(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deadline() -> Readiness {
        Readiness::Failed("ProgressDeadlineExceeded".to_owned())
    }

    #[test]
    fn a_deadline_that_passes_while_a_node_or_an_image_is_slow_is_no_failure() {
        let state = explained(deadline(), Some(Trouble::Slow("pod `p` has no node yet".to_owned())));
        let message = "ProgressDeadlineExceeded; pod `p` has no node yet".to_owned();
        assert_eq!(state, State::Progressing(message));
    }

    #[test]
    fn a_failure_names_what_its_pods_say_and_takes_their_time() {
        let trouble = Trouble::Failing("pod `p`: ImagePullBackOff".to_owned());
        for (state, said) in [
            (deadline(), "ProgressDeadlineExceeded"),
            (Readiness::Progressing("0 of 1 pods".to_owned()), "0 of 1 pods"),
        ] {
            let want = State::Failed {
                message: format!("{said}; pod `p`: ImagePullBackOff"),
                patience: trouble.patience().expect("bounded"),
            };
            assert_eq!(explained(state, Some(trouble.clone())), want);
        }
        let alone = State::Failed {
            message: "ProgressDeadlineExceeded".to_owned(),
            patience: STANDING,
        };
        assert_eq!(explained(deadline(), None), alone);
    }
}
