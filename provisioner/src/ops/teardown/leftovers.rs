//! What a cluster leaves on AWS besides itself, as the teardown sees it: looked for, cleared, looked for again.

use crate::aws::eks::EksCluster;
use crate::aws::logs::{self, LogGroup};
use crate::aws::removal::{self, End};
use crate::aws::sweep::{self, Data, Kind, Leftover, Owner, Scope, Swept, Whose};
use crate::aws::{Aws, foundation};
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
    /// Looks in the network of the stack's foundation, or of a cluster that has another, and for what bears the cluster's
    /// name.
    pub(super) async fn look(
        aws: &Aws,
        cluster: &str,
        stack: &StackName,
        found: Option<&EksCluster>,
    ) -> Result<Self, Error> {
        let network = foundation::network(aws, stack).await?;
        let whose = whose(found, network.is_some());
        if network.is_none() && whose == Whose::Others {
            return Ok(Self::default());
        }
        let lent = found.filter(|cluster| cluster.created_by_us);
        let lent = lent.and_then(|cluster| cluster.vpc_id.clone());
        let made = network.as_ref().and_then(|network| network.created_at);
        let since = made
            .into_iter()
            .chain(found.and_then(|cluster| cluster.created_at))
            .min();
        let scope = Scope {
            cluster: cluster.to_owned(),
            stack: stack.clone(),
            whose,
            network,
            lent,
            since,
            data: Data::default(),
        };
        Self::of(aws, scope, found.is_some()).await
    }

    /// What the cluster, while it lives, says of the data on its volumes: those that it keeps are not ours.
    pub(super) fn keep(&mut self, data: Data) {
        self.found
            .retain(|one| one.kind != Kind::Volume || !data.kept.contains(&one.id));
        if let Some(scope) = &mut self.scope {
            scope.data = data;
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
        let log_group = match scope.whose {
            Whose::Others => None,
            Whose::Ours | Whose::Unknown => logs::find(aws, &scope.cluster).await?,
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
        let log_group = self.log_group.iter().filter(|group| self.why_kept(group).is_none());
        ours.map(item)
            .chain(log_group.map(|group| Item::new(LOG_GROUP, &group.name)))
            .collect()
    }

    /// As [`Self::keep`], and everything judged anew by it.
    pub(super) async fn judged_by(mut self, aws: &Aws, data: Data) -> Result<Self, Error> {
        self.keep(data);
        match self.scope {
            Some(scope) => Self::of(aws, scope, self.alive).await,
            None => Ok(self),
        }
    }

    /// What of it would stay if it were cleared now, each with the reason.
    pub(super) fn stays(&self, region: &str) -> Vec<(Item, String)> {
        let Some(scope) = &self.scope else {
            return Vec::new();
        };
        let mut stays = others(scope, region, &self.theirs());
        stays.extend(self.kept_log_group(region));
        stays
    }

    /// Why the foundation would stay if it were cleared now: what of others is in its network.
    pub(super) fn hold_foundation(&self) -> Option<String> {
        let swept = Swept {
            foreign: self.theirs(),
            ..Swept::default()
        };
        removal::held(self.scope.as_ref()?, &swept)
    }

    /// What is others'. The interfaces of a living cluster are not judged yet.
    fn theirs(&self) -> Vec<Leftover> {
        let judged = |one: &&Leftover| !(self.alive && one.kind == Kind::NetworkInterface);
        let theirs = self.found.iter().filter(|one| one.foreign().is_some()).filter(judged);
        theirs.cloned().collect()
    }

    /// What is others' and in the network, with the reason why it counts as that. The interfaces of a living cluster
    /// are not judged yet.
    pub(super) fn foreign(&self) -> impl Iterator<Item = (Item, &str)> {
        let foreign = self.found.iter().filter_map(|one| Some((one, one.foreign()?)));
        let unknown = self.scope.as_ref().is_some_and(|scope| scope.whose == Whose::Unknown);
        let judged =
            move |kind: Kind| kind != Kind::Volume && !unknown && !(self.alive && kind == Kind::NetworkInterface);
        foreign
            .filter(move |(one, _)| judged(one.kind))
            .map(|(one, why)| (item(one), why))
    }

    /// Why a log group is not ours to delete: one from before this stack has somebody else's logs.
    fn why_kept(&self, group: &LogGroup) -> Option<&'static str> {
        let scope = self.scope.as_ref()?;
        if scope.whose == Whose::Unknown {
            return Some("nothing tells whether this stack created its cluster, which is gone");
        }
        let is_older = matches!((group.created_at, scope.since), (Some(created), Some(since)) if created < since);
        is_older.then_some("it is older than this stack")
    }

    /// Says what was not looked for, where neither cluster nor foundation name the network.
    pub(super) fn tell_unknown(&self, report: &dyn Reporter) {
        if let Some(scope) = self.scope.as_ref().filter(|scope| scope.is_blind()) {
            report.note(&format!(
                "nothing tells any more in which network cluster `{}` was: volumes, security groups and logs that bear \
                 its name are looked for, load balancers and network interfaces are not",
                scope.cluster
            ));
        }
    }

    /// Enters what is there and stays, for a teardown that has nothing else to do.
    pub(super) fn keep_all(&self, aws: &Aws, receipt: &mut Receipt, report: &dyn Reporter) {
        for (item, why) in self.stays(aws.region()) {
            receipt.keep(item, &why, report);
        }
    }

    /// A log group that is not ours to delete, with the reason.
    fn kept_log_group(&self, region: &str) -> Option<(Item, String)> {
        let group = self.log_group.as_ref()?;
        let (why, name) = (self.why_kept(group)?, &group.name);
        let why = format!("{why}; `aws logs delete-log-group --log-group-name {name} --region {region}` deletes it");
        Some((Item::new(LOG_GROUP, name), why))
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
        let removal = Box::pin(removal::remove(aws, scope, deleted_logs, report)).await?;
        for one in &removal.swept.deleted {
            receipt.gone(item(one));
        }
        for (one, why) in &removal.swept.left {
            receipt.leave(item(one), why, report);
        }
        for (item, why) in others(scope, aws.region(), &removal.swept.foreign) {
            receipt.keep(item, &why, report);
        }
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
        if let Some((item, why)) = self.kept_log_group(aws.region()) {
            receipt.keep(item, &why, report);
        } else if scope.whose == Whose::Ours {
            let group = Item::new(LOG_GROUP, &logs::name(&scope.cluster));
            receipt.enter(group, logs::delete(aws, &scope.cluster).await?, report);
        }
        Ok(())
    }
}

/// A cluster is this stack's by its tag, or, when it is gone already, by the foundation that was made for it.
fn whose(found: Option<&EksCluster>, has_foundation: bool) -> Whose {
    match found {
        Some(cluster) if cluster.created_by_us => Whose::Ours,
        Some(_) => Whose::Others,
        None if has_foundation => Whose::Ours,
        None => Whose::Unknown,
    }
}

/// What of others' stays and why, with the command that deletes it where it may well be the user's own; then what reclaim
/// policies keep and no tag marks as the cluster's, which the sweep does not see.
fn others(scope: &Scope, region: &str, foreign: &[Leftover]) -> Vec<(Item, String)> {
    let told = foreign.iter().filter_map(|one| {
        let why = one.foreign()?;
        let is_own = one.kind == Kind::Volume || scope.whose == Whose::Unknown;
        let why = if is_own {
            format!("{why}; `{}` deletes it", one.deletion(region))
        } else {
            why.to_owned()
        };
        Some((item(one), why))
    });
    let unmarked = |id: &&String| !foreign.iter().any(|one| one.id == **id);
    let kept = scope.data.kept.iter().filter(unmarked);
    told.chain(kept.map(|id| (Item::new(Kind::Volume.word(), id), sweep::KEPT.to_owned())))
        .collect()
}

fn item(one: &Leftover) -> Item {
    Item::new(one.kind.word(), &one.name)
}
