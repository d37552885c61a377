//! Removes a stack, found by its labels alone: works from any half state and goes on after an interruption.

use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use kube::api::{DeleteParams, Preconditions, PropagationPolicy};
use tokio::time::{Instant, sleep};

use super::connect::Cluster;
use super::error::ClusterError;
use super::inventory::{Kinds, Live, is_built_in, kinds, of_kinds, of_namespace};
use super::object::ObjectRef;
use super::order;
use super::ownership::PARALLEL;
use super::pace::Pace;
use super::ready::{condition, sentence};
use super::values::Namespaces;
use super::{lease, parent, retry, take_over};
use crate::names::StackName;
use crate::report::{Outcome, Reporter};

/// What a teardown did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct DeleteReceipt {
    /// What is gone.
    pub deleted: Vec<ObjectRef>,
    /// What is the stack's and stays, or was others' and is not given back, each with the reason.
    pub left: Vec<Left>,
    /// What the stack had replaced and is as it was before.
    pub restored: Vec<ObjectRef>,
}

/// Something of the stack that stays.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Left {
    /// Which object.
    pub object: ObjectRef,
    /// Why it stays.
    pub reason: String,
}

/// [`delete_stack`] while no other run changes the stack. Whether this binary may is asked anew once the lease is had: a
/// newer one may have applied the stack just before.
///
/// # Errors
/// The lease cannot be had, [`ClusterError::Newer`]: nothing was deleted. A request failed for good.
pub async fn delete_alone(
    cluster: &Cluster,
    terms: lease::Terms<'_>,
    timeout: Duration,
    report: &dyn Reporter,
) -> Result<DeleteReceipt, ClusterError> {
    let work = || async move {
        parent::check_version(cluster, terms.stack, &Namespaces::default().app).await?;
        delete_stack(cluster, terms.stack, timeout, report).await
    };
    lease::under(cluster, terms, report, |_| Box::pin(work())).await
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
    let mut run = Run::new(cluster, timeout, report);
    let record = parent::read(cluster, stack, &Namespaces::default().app).await?;
    take_over::restore(cluster, stack, record, &mut run.receipt, report).await?;
    let doomed = Doomed::find(cluster, stack, report).await?;
    run.in_waves(&doomed.objects.iter().collect::<Vec<&Live>>()).await?;
    let (empty, held) = doomed.namespaces(cluster, stack).await?;
    for left in held {
        run.leave(left.object, left.reason);
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
    let (with_namespace, alone): (Vec<&Live>, Vec<&Live>) = doomed.last.iter().partition(gone);
    run.receipt
        .deleted
        .extend(with_namespace.iter().map(|l| l.object.clone()));
    run.delete(&alone).await?;
    Ok(run.receipt)
}

/// What [`delete_stack`] would do if nobody changed anything meanwhile: its decisions, and no request that changes
/// something.
pub async fn foretell(
    cluster: &Cluster,
    stack: &StackName,
    report: &dyn Reporter,
) -> Result<DeleteReceipt, ClusterError> {
    let doomed = Doomed::find(cluster, stack, report).await?;
    let mut receipt = DeleteReceipt::default();
    if doomed.is_empty() {
        return Ok(receipt);
    }
    let record = parent::read(cluster, stack, &Namespaces::default().app).await?;
    take_over::foretell(cluster, stack, record, &mut receipt, report).await?;
    let (empty, held) = doomed.namespaces(cluster, stack).await?;
    let goes = doomed.objects.iter().chain(empty).chain(&doomed.last);
    let goes = goes.map(|live| live.object.clone());
    let restored = &receipt.restored;
    receipt.deleted = goes.filter(|object| !restored.contains(object)).collect();
    receipt.left.extend(held);
    Ok(receipt)
}

/// What bears the stack's labels, in the parts in which it goes.
struct Doomed {
    kinds: Kinds,
    /// What goes first, in waves.
    objects: Vec<Live>,
    /// Namespaces that the stack created.
    namespaces: Vec<Live>,
    /// What goes after them.
    last: Vec<Live>,
}

impl Doomed {
    async fn find(cluster: &Cluster, stack: &StackName, report: &dyn Reporter) -> Result<Self, ClusterError> {
        let parent = stack.applyset_parent();
        let kinds = kinds(cluster).await?;
        for api in &kinds.silent {
            report.warning(&format!("nothing is looked for in an API that does not answer, {api}"));
        }
        let mut found = of_kinds(cluster, &kinds, stack).await?;
        // Whoever tears down holds the Lease and gives it back at the end.
        found.retain(|live| live.object.kind != "Lease" || live.object.name != stack.lease());
        let (namespaces, objects) = found.into_iter().partition(|l| l.object.kind == "Namespace");
        let objects: Vec<Live> = objects;
        let (last, objects) = objects.into_iter().partition(|l| order::is_last(&l.object, &parent));
        Ok(Self {
            kinds,
            objects,
            namespaces,
            last,
        })
    }

    fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.namespaces.is_empty() && self.last.is_empty()
    }

    /// The namespaces that go, and those that stay because of what others have in them.
    async fn namespaces(&self, cluster: &Cluster, stack: &StackName) -> Result<(Vec<&Live>, Vec<Left>), ClusterError> {
        let (mut empty, mut held) = (Vec::new(), Vec::new());
        for namespace in &self.namespaces {
            let foreign = foreign(cluster, &self.kinds, (stack, &namespace.object.name)).await?;
            if foreign.is_empty() {
                empty.push(namespace);
                continue;
            }
            held.push(Left {
                object: namespace.object.clone(),
                reason: format!("holds what is not the stack's: {}", foreign.join(", ")),
            });
        }
        Ok((empty, held))
    }
}

/// Deletes the named objects and waits until they are gone; what does not go in `timeout` is in `left`.
pub(super) async fn delete_objects(
    cluster: &Cluster,
    objects: impl Iterator<Item = ObjectRef>,
    timeout: Duration,
    report: &dyn Reporter,
) -> Result<DeleteReceipt, ClusterError> {
    let mut run = Run::new(cluster, timeout, report);
    let mut there = Vec::new();
    for object in objects {
        if let Some(now) = cluster.get(&object).await? {
            there.push(Live {
                object,
                uid: now.metadata.uid,
                controlled: false,
                owners: Vec::new(),
                ours: true,
            });
        }
    }
    run.delete(&there.iter().collect::<Vec<&Live>>()).await?;
    Ok(run.receipt)
}

/// One deletion of several objects.
pub(super) struct Run<'a> {
    cluster: &'a Cluster,
    report: &'a dyn Reporter,
    give_up: Instant,
    pub(super) receipt: DeleteReceipt,
}

impl<'a> Run<'a> {
    pub(super) fn new(cluster: &'a Cluster, timeout: Duration, report: &'a dyn Reporter) -> Self {
        Self {
            cluster,
            report,
            give_up: Instant::now() + timeout,
            receipt: DeleteReceipt::default(),
        }
    }

    /// Deletes objects and waits until they are gone, what needs others before those.
    pub(super) async fn in_waves(&mut self, objects: &[&Live]) -> Result<(), ClusterError> {
        for wave in 0..order::WAVES {
            let part = objects.iter().filter(|l| order::wave(&l.object) == wave).copied();
            self.delete(&part.collect::<Vec<&Live>>()).await?;
        }
        Ok(())
    }

    /// Deletes objects and waits until they are gone; what stays is left with its reason.
    pub(super) async fn delete(&mut self, objects: &[&Live]) -> Result<(), ClusterError> {
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
}

/// What is in a namespace and neither the stack's nor made by the cluster itself.
async fn foreign(
    cluster: &Cluster,
    kinds: &Kinds,
    (stack, namespace): (&StackName, &str),
) -> Result<Vec<String>, ClusterError> {
    let all = of_namespace(cluster, kinds, stack, namespace).await?;
    let foreign = all
        .into_iter()
        .filter(|live| !live.ours && !live.controlled && !is_built_in(&live.object));
    Ok(foreign.map(|live| live.object.to_string()).collect())
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
