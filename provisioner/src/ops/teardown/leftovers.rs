//! What a cluster leaves on AWS besides itself, as the teardown sees it: looked for, cleared, looked for again.

use std::collections::BTreeSet;

use crate::aws::eks::EksCluster;
use crate::aws::logs::{self, LogGroup};
use crate::aws::removal::{self, End};
use crate::aws::sweep::{self, Data, Kind, Leftover, Owner, Scope, Swept};
use crate::aws::{Aws, AwsError, foundation};
use crate::error::Error;
use crate::names::StackName;
use crate::ops::receipt::{Item, Receipt};
use crate::report::Reporter;

/// Kind of the control plane's log group.
pub(super) const LOG_GROUP: &str = "log group";

/// What was found.
#[derive(Default)]
pub(super) struct Leftovers {
    /// None where the cluster and its network are not to go, or nothing says whose they were.
    scope: Option<Scope>,
    found: Vec<Leftover>,
    log_group: Option<LogGroup>,
    /// Whether the cluster still uses what was found.
    alive: bool,
}

impl Leftovers {
    /// Looks in the network of the stack's foundation and for what bears the cluster's name. A cluster is this
    /// stack's by its tag, or, when it is gone already, by the foundation that was made for it.
    pub(super) async fn look(
        aws: &Aws,
        cluster: &str,
        stack: &StackName,
        found: Option<&EksCluster>,
        claims_go: bool,
    ) -> Result<Self, Error> {
        let network = foundation::network(aws, stack).await?;
        let owns_cluster = found.map_or(network.is_some(), |cluster| cluster.created_by_us);
        if network.is_none() && !owns_cluster {
            return Ok(Self::default());
        }
        let made = network.as_ref().and_then(|network| network.created_at);
        let since = made
            .into_iter()
            .chain(found.and_then(|cluster| cluster.created_at))
            .min();
        let scope = Scope {
            cluster: cluster.to_owned(),
            stack: stack.clone(),
            owns_cluster,
            network,
            since,
            data: Data {
                claims_go,
                ..Data::default()
            },
        };
        Self::of(aws, scope, found.is_some()).await
    }

    /// Volumes that the cluster, while it lives, says its reclaim policies keep: they are not ours.
    pub(super) fn keep(&mut self, volumes: BTreeSet<String>) {
        self.found
            .retain(|one| one.kind != Kind::Volume || !volumes.contains(&one.id));
        if let Some(scope) = &mut self.scope {
            scope.data.kept = volumes;
        }
    }

    /// The same scope, as things are now.
    pub(super) async fn look_again(&self, aws: &Aws) -> Result<Self, Error> {
        let Some(scope) = &self.scope else {
            return Ok(Self::default());
        };
        let network = foundation::network(aws, &scope.stack).await?;
        let scope = Scope {
            network,
            ..scope.clone()
        };
        Self::of(aws, scope, false).await
    }

    async fn of(aws: &Aws, scope: Scope, alive: bool) -> Result<Self, Error> {
        let found = Box::pin(sweep::find(aws, &scope)).await?;
        let log_group = if scope.owns_cluster {
            logs::find(aws, &scope.cluster).await?
        } else {
            None
        };
        Ok(Self {
            scope: Some(scope),
            found,
            log_group,
            alive,
        })
    }

    /// What is ours to delete. What a living cluster uses goes with it, and is no item: only what may outlive it.
    pub(super) fn items(&self) -> Vec<Item> {
        let outlives = |one: &&Leftover| !self.alive || matches!(one.kind, Kind::LoadBalancer | Kind::Volume);
        let ours = self
            .found
            .iter()
            .filter(|one| one.owner == Owner::Ours)
            .filter(outlives);
        let log_group = self.log_group.iter().filter(|group| !self.is_older(group));
        ours.map(item)
            .chain(log_group.map(|group| Item::new(LOG_GROUP, &group.name)))
            .collect()
    }

    /// What is others' and in the network, with the reason why it counts as that. The interfaces of a living cluster
    /// are not judged yet.
    pub(super) fn foreign(&self) -> impl Iterator<Item = (Item, &str)> {
        let foreign = self.found.iter().filter_map(|one| match &one.owner {
            Owner::Foreign(why) => Some((one, why.as_str())),
            _ => None,
        });
        let judged = |kind: Kind| kind != Kind::Volume && !(self.alive && kind == Kind::NetworkInterface);
        foreign
            .filter(move |(one, _)| judged(one.kind))
            .map(|(one, why)| (item(one), why))
    }

    /// A log group from before this stack has somebody else's logs.
    fn is_older(&self, group: &LogGroup) -> bool {
        let since = self.scope.as_ref().and_then(|scope| scope.since);
        matches!((group.created_at, since), (Some(created), Some(since)) if created < since)
    }

    /// Deletes all of it, then the foundation. What stays is entered with its reason.
    pub(super) async fn remove(
        &self,
        aws: &Aws,
        stack: &StackName,
        receipt: &mut Receipt,
        report: &dyn Reporter,
    ) -> Result<(), Error> {
        let foundation = Item::new("foundation", &stack.foundation());
        let Some(scope) = &self.scope else {
            let outcome = Box::pin(foundation::delete(aws, stack, report)).await?;
            receipt.enter(foundation, outcome, report);
            return Ok(());
        };
        self.remove_log_group(aws, scope, receipt, report).await?;
        let deleted_logs = receipt.has_deleted(LOG_GROUP);
        let removal = match Box::pin(removal::remove(aws, scope, deleted_logs, report)).await {
            Err(error @ AwsError::Protected { .. }) => {
                receipt.leave(foundation, &with_hint(&error), report);
                return Ok(());
            }
            other => other?,
        };
        for one in &removal.swept.deleted {
            receipt.gone(item(one));
        }
        for (one, why) in &removal.swept.left {
            receipt.leave(item(one), why, report);
        }
        for one in &removal.swept.foreign {
            if let Owner::Foreign(why) = &one.owner {
                receipt.keep(item(one), why, report);
            }
        }
        keep_unmarked(&scope.data, &removal.swept, receipt, report);
        match removal.foundation {
            End::Done(outcome) => receipt.enter(foundation, outcome, report),
            End::Stays(why) => receipt.leave(foundation, &why, report),
        }
        Ok(())
    }

    async fn remove_log_group(
        &self,
        aws: &Aws,
        scope: &Scope,
        receipt: &mut Receipt,
        report: &dyn Reporter,
    ) -> Result<(), Error> {
        if !scope.owns_cluster {
            return Ok(());
        }
        let group = Item::new(LOG_GROUP, &logs::name(&scope.cluster));
        if self.log_group.as_ref().is_some_and(|group| self.is_older(group)) {
            receipt.keep(group, "it is older than this stack", report);
        } else {
            receipt.enter(group, logs::delete(aws, &scope.cluster).await?, report);
        }
        Ok(())
    }
}

/// What reclaim policies keep and no tag marks as the cluster's, the sweep does not see.
fn keep_unmarked(data: &Data, swept: &Swept, receipt: &mut Receipt, report: &dyn Reporter) {
    let unmarked = |id: &&String| !swept.foreign.iter().any(|one| one.id == **id);
    for id in data.kept.iter().filter(unmarked) {
        receipt.keep(Item::new(Kind::Volume.word(), id), sweep::KEPT, report);
    }
}

/// An error as the reason why something stays, with what to do about it.
pub(super) fn with_hint(error: &AwsError) -> String {
    match error.hint() {
        Some(hint) => format!("{error}: {hint}"),
        None => error.to_string(),
    }
}

fn item(one: &Leftover) -> Item {
    Item::new(one.kind.word(), &one.name)
}
