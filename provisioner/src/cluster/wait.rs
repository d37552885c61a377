//! Waits until applied objects are ready; says which lag and why, and does not wait for what cannot come right.

use std::collections::HashMap;
use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher::Config;
use tokio::time::{Instant, sleep};

use super::connect::Cluster;
use super::error::ClusterError;
use super::last_words;
use super::manifest::Component;
use super::mark::{self, Policy};
use super::members;
use super::news::{News, Watched};
use super::object::ObjectRef;
use super::ownership::PARALLEL;
use super::pace::Pace;
use super::ready::{NO_CERT_MANAGER, Readiness, readiness};
use super::trouble::{self, Trouble};
use crate::names::StackName;
use crate::report::{Outcome, Reporter};

/// How long a failure must stand that no pod explains.
const STANDING: Duration = Duration::from_secs(10);
/// How long a controller may take to look at an object: it may be starting, or changing over.
const UNSEEN: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(400);
/// From then on watches tell when there is something to look at: most waits are over before they would be worth it.
const SHORT: Duration = Duration::from_secs(1);

/// Between two looks whatever watches tell, and at what only takes long: the events of pods.
const CLOSER: Duration = Duration::from_secs(10);

/// Waits for every object of the components, as its annotation `provisioner/wait` says. The error lists every laggard with
/// its last message and its pods' last words; a failure that stands ends the wait before its time. What is only reported
/// is never waited for: where it is not ready when the rest is, that is a warning.
///
/// All is looked at once by kind, what lags again where it is: often at first, then when a watch tells of a change.
pub async fn wait(
    (cluster, stack): (&Cluster, &StackName),
    components: &[Component],
    timeout: Duration,
    report: &dyn Reporter,
) -> Result<(), ClusterError> {
    let mut pending = awaited(cluster, components).await?;
    let mut pace = Pace::new(report);
    let (mut news, mut view) = (None, View::First);
    let mut closer_at = CLOSER;
    loop {
        if pace.elapsed() >= closer_at {
            closer_at = pace.elapsed() + CLOSER;
            view = View::Closer;
        }
        if view != View::Same {
            pending = look_at_all((cluster, stack), pending, view, report).await?;
        }
        for one in &pending {
            pace.waiting(&one.object.to_string(), &one.message());
        }
        let is_required = |one: &&Awaited| one.policy == Policy::Required;
        let laggards: Vec<&Awaited> = pending.iter().filter(is_required).collect();
        if laggards.is_empty() {
            return warn(cluster, &pending, report).await;
        }
        let failed: Vec<&Awaited> = laggards.iter().copied().filter(|one| one.has_failed()).collect();
        let after = pace.elapsed();
        if view == View::Same && (after >= timeout || !failed.is_empty()) {
            // Watches do not see all that makes something fail: what was seen a while ago ends no wait.
            view = View::Again;
            continue;
        }
        if !failed.is_empty() {
            return Err(ClusterError::Failed(explained_by_pods(cluster, &failed).await));
        }
        if after >= timeout {
            let laggards = explained_by_pods(cluster, &laggards).await;
            return Err(ClusterError::NotReady { after, laggards });
        }
        if news.is_none() && after >= SHORT {
            news = Some(watched(cluster, stack, &pending).await?);
        }
        let worth = match &mut news {
            None => {
                sleep(POLL).await;
                true
            }
            Some(news) => news.within(POLL).await,
        };
        view = if worth { View::Again } else { View::Same };
    }
}

/// Watches of what lags and of its pods: one for a kind in one place, however much lags there.
async fn watched(cluster: &Cluster, stack: &StackName, pending: &[Awaited]) -> Result<News, ClusterError> {
    let mut places: HashMap<(GroupVersionKind, Option<&str>), Vec<&str>> = HashMap::new();
    let mut pods: HashMap<&str, Vec<&str>> = HashMap::new();
    for one in pending {
        let namespace = one.object.namespace.as_deref();
        places
            .entry((one.object.gvk(), namespace))
            .or_default()
            .push(&one.object.name);
        if let (Some(selector), Some(namespace)) = (&one.pods, namespace) {
            pods.entry(namespace).or_default().push(selector);
        }
    }
    let mut watched = Vec::new();
    for ((gvk, namespace), names) in places {
        let config = match names.as_slice() {
            [name] => Config::default().fields(&format!("metadata.name={name}")),
            _ => Config::default().labels(&stack.selector()),
        };
        if let Some((resource, _)) = cluster.resolve(&gvk).await? {
            watched.push(Watched {
                resource,
                namespace,
                config,
            });
        }
    }
    for (namespace, selectors) in pods {
        watched.push(Watched {
            resource: ApiResource::erase::<Pod>(&()),
            namespace: Some(namespace),
            // No selector means several sets of pods whose labels have nothing in common: those of others wake, too.
            config: match selectors.as_slice() {
                [selector] => Config::default().labels(selector),
                _ => Config::default(),
            },
        });
    }
    Ok(News::of(cluster, watched))
}

/// Tells what only is to be told.
async fn warn(cluster: &Cluster, laggards: &[Awaited], report: &dyn Reporter) -> Result<(), ClusterError> {
    for said in explained_by_pods(cluster, &laggards.iter().collect::<Vec<_>>()).await {
        report.warning(&format!("not waited for, {said}"));
    }
    Ok(())
}

/// Each with its message and what its pods said last.
async fn explained_by_pods(cluster: &Cluster, laggards: &[&Awaited]) -> Vec<String> {
    let lines = laggards.iter().map(|one| async move {
        let said = last_words::of(cluster, &one.object).await;
        let said = said.map_or_else(String::new, |said| format!("; {said}"));
        format!("{}: {}{said}", one.object, one.message())
    });
    stream::iter(lines).buffered(PARALLEL).collect().await
}

/// What is waited for: not what was left out, and not what says that it is not.
async fn awaited(cluster: &Cluster, components: &[Component]) -> Result<Vec<Awaited>, ClusterError> {
    let mut all = Vec::new();
    for wanted in components.iter().flat_map(|c| &c.objects) {
        let policy = mark::policy(wanted);
        let object = ObjectRef::of(wanted);
        let known = !mark::is_optional(wanted) || cluster.resolve(&object.gvk()).await?.is_some();
        if known && policy != Policy::None {
            all.push(Awaited {
                object,
                policy,
                pods: pods_of(wanted),
                state: State::Progressing(String::new()),
                failing: None,
                probes: None,
            });
        }
    }
    Ok(all)
}

/// The labels of a workload's pods as a selector; none where the manifest does not give them.
fn pods_of(workload: &DynamicObject) -> Option<String> {
    let labels = workload.data.pointer("/spec/selector/matchLabels")?.as_object()?;
    let terms = labels
        .iter()
        .filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)));
    Some(terms.collect::<Vec<_>>().join(",")).filter(|terms| !terms.is_empty())
}

/// An object that is waited for, as it was seen last.
#[derive(Debug)]
struct Awaited {
    object: ObjectRef,
    policy: Policy,
    /// Selects its pods, where it is known to have some.
    pods: Option<String>,
    state: State,
    /// Since when it fails.
    failing: Option<Instant>,
    /// What was said of failing probes of its pods.
    probes: Option<String>,
}

impl Awaited {
    fn message(&self) -> String {
        let said = match &self.state {
            State::Ready => "",
            State::Progressing(message) | State::Failed { message, .. } => message,
        };
        match &self.probes {
            Some(probes) if !said.contains(probes) => format!("{said}; {probes}"),
            _ => said.to_owned(),
        }
    }

    fn has_failed(&self) -> bool {
        match (&self.state, self.failing) {
            (State::Failed { patience, .. }, Some(since)) => since.elapsed() >= *patience,
            _ => false,
        }
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

/// How to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    /// At all there is.
    First,
    /// At what lagged.
    Again,
    /// Also at what only takes long.
    Closer,
    /// Nothing can be seen that was not seen before.
    Same,
}

/// Looks, tells what is ready, and answers what lags.
async fn look_at_all(
    (cluster, stack): (&Cluster, &StackName),
    awaited: Vec<Awaited>,
    view: View,
    report: &dyn Reporter,
) -> Result<Vec<Awaited>, ClusterError> {
    let objects: Vec<ObjectRef> = awaited.iter().map(|one| one.object.clone()).collect();
    let found = if view == View::First {
        members::read(cluster, stack, &objects).await?
    } else {
        members::read_near(cluster, stack, &objects).await?
    };
    let mut found: HashMap<ObjectRef, DynamicObject> = found.into_iter().collect();
    let looks = awaited.into_iter().map(|one| {
        let live = found.remove(&one.object);
        look(cluster, (one, live), view == View::Closer)
    });
    let looks: Vec<_> = looks.collect();
    let seen: Vec<Awaited> = stream::iter(looks).buffered(PARALLEL).try_collect().await?;
    let (ready, lagging): (Vec<_>, Vec<_>) = seen.into_iter().partition(|one| one.state == State::Ready);
    for one in &ready {
        told(report, &one.object);
    }
    Ok(lagging)
}

/// Looks at an object, and where it only takes long at what is said of its pods' probes.
async fn look(
    cluster: &Cluster,
    (mut one, live): (Awaited, Option<DynamicObject>),
    closer: bool,
) -> Result<Awaited, ClusterError> {
    one.state = match live {
        None => explained(Readiness::Failed("is absent: something deleted it".to_owned()), None),
        Some(live) => {
            let state = readiness(&live);
            let trouble = if state == Readiness::Ready {
                None
            } else {
                trouble::of_workload(cluster, &live).await?
            };
            if closer && state != Readiness::Ready && trouble.is_none() {
                one.probes = last_words::of_probes(cluster, &live).await;
            }
            explained(state, trouble)
        }
    };
    one.failing = match one.state {
        State::Failed { .. } => one.failing.or_else(|| Some(Instant::now())),
        _ => None,
    };
    Ok(one)
}

/// A state with its cause. The deadline of a Deployment counts from its change, also while a node is made or an image
/// is pulled over a slow line: what is slow is on its way, whatever the deadline says.
fn explained(state: Readiness, trouble: Option<Trouble>) -> State {
    let (message, failed) = match state {
        Readiness::Ready => return State::Ready,
        // A controller of cert-manager that runs looks at once.
        Readiness::Progressing(message) if message == NO_CERT_MANAGER => {
            return State::Failed {
                message,
                patience: UNSEEN,
            };
        }
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
