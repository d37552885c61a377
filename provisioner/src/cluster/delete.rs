//! Removes a stack, found by its labels alone: works from any half state and goes on after an interruption.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use kube::api::{DeleteParams, ListParams, Preconditions, PropagationPolicy};
use kube::core::DynamicObject;
use kube::discovery::{ApiResource, Scope, verbs};
use tokio::time::{Instant, sleep};

use super::connect::Cluster;
use super::error::{ClusterError, Failure};
use super::object::ObjectRef;
use super::order;
use super::ownership::PARALLEL;
use super::pace::Pace;
use super::ready::{condition, sentence};
use super::retry;
use crate::names::StackName;
use crate::report::{Outcome, Reporter};

/// What a teardown did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct DeleteReceipt {
    /// What is gone.
    pub deleted: Vec<ObjectRef>,
    /// What is the stack's and stays, each with the reason.
    pub left: Vec<Left>,
}

/// Something of the stack that stays.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Left {
    /// Which object.
    pub object: ObjectRef,
    /// Why it stays.
    pub reason: String,
}

/// Deletes every object that bears the stack's labels and waits until they are gone: autoscalers, the metrics API,
/// workloads, the rest, then namespaces that the stack created and that hold nothing foreign, last the `ApplySet`'s
/// parent. What does not go in `timeout` is in `left`.
pub async fn delete_stack(
    cluster: &Cluster,
    stack: &StackName,
    timeout: Duration,
    report: &dyn Reporter,
) -> Result<DeleteReceipt, ClusterError> {
    let mut run = Run {
        cluster,
        stack,
        report,
        give_up: Instant::now() + timeout,
        receipt: DeleteReceipt::default(),
    };
    let parent = stack.applyset_parent();
    let kinds = kinds(cluster).await?;
    let found = find(cluster, &kinds, &stack.selector(), None).await?;
    let (namespaces, objects): (Vec<Live>, Vec<Live>) = found.into_iter().partition(|l| l.object.kind == "Namespace");
    let (last, objects): (Vec<Live>, Vec<Live>) = objects.into_iter().partition(|l| order::is_last(&l.object, &parent));
    for wave in 0..order::WAVES {
        let part: Vec<&Live> = objects.iter().filter(|l| order::wave(&l.object) == wave).collect();
        run.delete(&part).await?;
    }
    let mut empty = Vec::new();
    for namespace in &namespaces {
        match run.foreign(&kinds, &namespace.object.name).await? {
            foreign if foreign.is_empty() => empty.push(namespace),
            foreign => run.leave(
                namespace.object.clone(),
                format!("holds what is not the stack's: {}", foreign.join(", ")),
            ),
        }
    }
    run.delete(&empty).await?;
    let gone = |l: &&Live| {
        empty
            .iter()
            .any(|n| Some(n.object.name.as_str()) == l.object.namespace.as_deref())
            && run
                .receipt
                .left
                .iter()
                .all(|left| left.object.name != l.object.namespace.clone().unwrap_or_default())
    };
    let (with_namespace, alone): (Vec<&Live>, Vec<&Live>) = last.iter().partition(gone);
    run.receipt
        .deleted
        .extend(with_namespace.iter().map(|l| l.object.clone()));
    run.delete(&alone).await?;
    Ok(run.receipt)
}

/// An object as listed.
#[derive(Debug, Clone)]
struct Live {
    object: ObjectRef,
    uid: Option<String>,
    controlled: bool,
}

struct Run<'a> {
    cluster: &'a Cluster,
    stack: &'a StackName,
    report: &'a dyn Reporter,
    give_up: Instant,
    receipt: DeleteReceipt,
}

impl Run<'_> {
    /// Deletes objects and waits until they are gone; what stays is left with its reason.
    async fn delete(&mut self, objects: &[&Live]) -> Result<(), ClusterError> {
        let cluster = self.cluster;
        let deletions = objects.iter().map(|live| delete_one(cluster, live));
        stream::iter(deletions)
            .buffered(PARALLEL)
            .try_collect::<Vec<()>>()
            .await?;
        let mut pace = Pace::new(self.report);
        let mut pending: Vec<&Live> = objects.to_vec();
        loop {
            let looks = pending.iter().map(|live| remains(cluster, live));
            let states: Vec<Option<String>> = stream::iter(looks).buffered(PARALLEL).try_collect().await?;
            let mut still = Vec::new();
            for (live, state) in pending.into_iter().zip(states) {
                match state {
                    None => {
                        self.report
                            .done(&live.object.kind, &live.object.path(), Outcome::Deleted, "");
                        self.receipt.deleted.push(live.object.clone());
                    }
                    Some(message) if Instant::now() >= self.give_up => self.leave(live.object.clone(), message),
                    Some(message) => {
                        if pace.elapsed() > Duration::from_secs(2) {
                            pace.waiting(&live.object.to_string(), &message);
                        }
                        still.push(live);
                    }
                }
            }
            if still.is_empty() {
                return Ok(());
            }
            pending = still;
            sleep(Duration::from_millis(300)).await;
        }
    }

    fn leave(&mut self, object: ObjectRef, reason: String) {
        self.report.warning(&format!("{object} stays: {reason}"));
        self.receipt.left.push(Left { object, reason });
    }

    /// What is in a namespace and neither the stack's nor made by the cluster itself.
    async fn foreign(&self, kinds: &[(ApiResource, bool)], namespace: &str) -> Result<Vec<String>, ClusterError> {
        let ours = self.stack.selector();
        let parts: Vec<(String, String)> = ours
            .split(',')
            .filter_map(|p| p.split_once('='))
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        let namespaced: Vec<(ApiResource, bool)> = kinds.iter().filter(|(_, n)| *n).cloned().collect();
        // `!=` also selects what lacks the label: an object is foreign where either label differs.
        let mut names = BTreeSet::new();
        for (key, value) in parts {
            let selector = format!("{key}!={value}");
            for live in find(self.cluster, &namespaced, &selector, Some(namespace)).await? {
                if !live.controlled && !is_built_in(&live.object) {
                    names.insert(live.object.to_string());
                }
            }
        }
        Ok(names.into_iter().collect())
    }
}

/// What Kubernetes puts into every namespace.
fn is_built_in(object: &ObjectRef) -> bool {
    matches!(
        (object.kind.as_str(), object.name.as_str()),
        ("ServiceAccount", "default") | ("ConfigMap", "kube-root-ca.crt" | "openshift-service-ca.crt")
    )
}

/// Kinds that can be listed and deleted; those that the cluster makes by itself are none of ours.
async fn kinds(cluster: &Cluster) -> Result<Vec<(ApiResource, bool)>, ClusterError> {
    cluster.forget_kinds().await;
    let discovery = cluster.discovery().await?;
    let found = discovery
        .groups()
        .flat_map(kube::discovery::ApiGroup::recommended_resources);
    Ok(found
        .filter(|(_, can)| can.supports_operation(verbs::LIST) && can.supports_operation(verbs::DELETE))
        .filter(|(kind, _)| !is_made_by_cluster(kind))
        .map(|(kind, can)| (kind, can.scope == Scope::Namespaced))
        .collect())
}

/// Kinds of objects that controllers make: some copy labels, all go with what they were made for.
fn is_made_by_cluster(kind: &ApiResource) -> bool {
    kind.group.ends_with("metrics.k8s.io")
        || matches!(
            kind.kind.as_str(),
            "Event" | "Endpoints" | "EndpointSlice" | "ControllerRevision" | "Node" | "CSINode" | "ComponentStatus"
        )
}

/// Objects by label over all kinds, in one namespace or everywhere.
async fn find(
    cluster: &Cluster,
    kinds: &[(ApiResource, bool)],
    selector: &str,
    namespace: Option<&str>,
) -> Result<Vec<Live>, ClusterError> {
    let lists = kinds.iter().map(|(kind, _)| async move {
        let api = cluster.api(kind, namespace);
        let params = ListParams::default().labels(selector);
        match retry::call(|| api.list(&params)).await {
            Ok(list) => Ok(list.items.iter().map(|o| live(kind, o)).collect()),
            // A kind whose definition or backend went meanwhile has no objects that could be found.
            Err(Failure {
                code: Some(404 | 405), ..
            }) => Ok(Vec::new()),
            Err(failure) => Err(ClusterError::request("list", format!("all {}", kind.plural), failure)),
        }
    });
    let found: Vec<Vec<Live>> = stream::iter(lists).buffered(PARALLEL).try_collect().await?;
    let mut all: Vec<Live> = found.into_iter().flatten().collect();
    if namespace.is_none() {
        all.retain(|l| !l.controlled);
    }
    all.sort_by(|a, b| a.object.cmp(&b.object));
    Ok(all)
}

fn live(kind: &ApiResource, object: &DynamicObject) -> Live {
    Live {
        object: ObjectRef::listed(kind, object),
        uid: object.metadata.uid.clone(),
        controlled: object.metadata.owner_references.as_ref().is_some_and(|o| !o.is_empty()),
    }
}

async fn delete_one(cluster: &Cluster, live: &Live) -> Result<(), ClusterError> {
    let api = cluster.api_of(&live.object).await?;
    let params = DeleteParams {
        // Foreground: a workload is gone when its pods are.
        propagation_policy: Some(PropagationPolicy::Foreground),
        preconditions: Some(Preconditions {
            uid: live.uid.clone(),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    match retry::call(|| api.delete(&live.object.name, &params)).await {
        Ok(_) => Ok(()),
        // Gone, or another object of that name by now: not ours to delete.
        Err(failure) if failure.is_not_found() || failure.is_conflict() => Ok(()),
        Err(failure) => Err(ClusterError::on("delete", &live.object, failure)),
    }
}

/// Why an object is still there; none when it is gone.
async fn remains(cluster: &Cluster, live: &Live) -> Result<Option<String>, ClusterError> {
    let Some(now) = cluster.get(&live.object).await? else {
        return Ok(None);
    };
    if now.metadata.uid != live.uid {
        return Ok(None);
    }
    let finalizers = now.metadata.finalizers.clone().unwrap_or_default();
    let said: Vec<String> = [
        "NamespaceContentRemaining",
        "NamespaceFinalizersRemaining",
        "NamespaceDeletionDiscoveryFailure",
    ]
    .iter()
    .filter_map(|name| condition(&now.data["status"], name))
    .filter(|c| c["status"] == "True")
    .map(sentence)
    .collect();
    Ok(Some(match (said.is_empty(), finalizers.is_empty()) {
        (false, _) => said.join("; "),
        (true, false) => format!("waits for finalizers {}", finalizers.join(", ")),
        (true, true) if now.metadata.deletion_timestamp.is_some() => "is being deleted".to_owned(),
        (true, true) => "is still there".to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: &str, name: &str) -> ObjectRef {
        ObjectRef {
            api_version: "v1".to_owned(),
            kind: kind.to_owned(),
            namespace: Some("a".to_owned()),
            name: name.to_owned(),
        }
    }

    #[test]
    fn what_kubernetes_puts_into_a_namespace_does_not_keep_it() {
        assert!(is_built_in(&object("ServiceAccount", "default")));
        assert!(is_built_in(&object("ConfigMap", "kube-root-ca.crt")));
        assert!(!is_built_in(&object("ConfigMap", "default")));
    }
}
