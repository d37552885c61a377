//! The sweep: what a cluster leaves behind in its network, found, told apart from what others made, deleted.
//!
//! EKS and the controllers on a cluster make load balancers, target groups, network interfaces, security groups and
//! volumes that outlive it now and then; each of them keeps the VPC from going. Looked at is the VPC of this stack's
//! own foundation, or else that of the cluster, and the volumes that bear the cluster's tag. What nothing marks as this cluster's is somebody
//! else's: it is named, it blocks, and it is never deleted.
//!
//! ```text
//! Scope --find--> leftovers (ours | foreign)   --clear--> list, delete, list again, until nothing of ours is there
//! ```

mod balancers;
mod claim;
mod groups;
mod interfaces;
mod volumes;

use std::collections::BTreeSet;
use std::fmt;

pub use volumes::KEPT;

use serde::de::DeserializeOwned;

use super::Aws;
use super::ec2::List;
use super::error::AwsError;
use super::foundation::Network;
use super::wait::Wait;
use crate::names::StackName;
use crate::report::{Outcome, Reporter};

/// Where to look, and what counts as the cluster's.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The cluster's name, as its controllers write it into tags.
    pub cluster: String,
    /// The stack that clears up.
    pub stack: StackName,
    /// Whose the cluster is, or was.
    pub whose: Whose,
    /// The foundation's network; none where there is no foundation.
    pub network: Option<Network>,
    /// The VPC of a cluster whose network was brought along: what bears the cluster's tags is looked for there, and all
    /// else is no business of ours.
    pub lent: Option<String>,
    /// When the cluster's life began at the earliest: what is older cannot be its own.
    pub since: Option<jiff::Timestamp>,
    /// Whose data is on volumes.
    pub data: Data,
}

/// Whose a cluster is, or was. Only where it is ours do its tags make something ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// This stack created it.
    Ours,
    /// Others did.
    Others,
    /// It is gone, and nothing tells any more: what bears its tags is named, wherever it is.
    Unknown,
}

/// What is known of the data that people have on volumes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Data {
    /// Ids of volumes that the reclaim policy of their `PersistentVolume` keeps: they stay, whatever is asked for.
    pub kept: BTreeSet<String>,
    /// Ids of volumes with somebody's data that may go all the same: the cluster gives them away, and that was asked for.
    pub released: BTreeSet<String>,
}

/// Kinds of leftovers, in the order in which they can go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An application, network or gateway load balancer.
    LoadBalancer,
    /// Where a load balancer sends to.
    TargetGroup,
    /// A network interface.
    NetworkInterface,
    /// A security group.
    SecurityGroup,
    /// An EBS volume.
    Volume,
}

impl Kind {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Self::LoadBalancer => "load balancer",
            Self::TargetGroup => "target group",
            Self::NetworkInterface => "network interface",
            Self::SecurityGroup => "security group",
            Self::Volume => "volume",
        }
    }
}

/// Whose something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// The cluster's, which was this stack's: it goes.
    Ours,
    /// Somebody else's, and why it counts as that: it stays and blocks.
    Foreign(String),
    /// Part of the network itself: it goes with the foundation.
    Network,
}

/// One thing that is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// What it is.
    pub kind: Kind,
    /// What AWS calls it: an id or an ARN.
    pub id: String,
    /// What people call it, e.g. `sg-1 (eks-cluster-sg-demo-1)`.
    pub name: String,
    /// Whose it is.
    pub owner: Owner,
    /// Why it cannot go yet; none where it can be tried.
    busy: Option<String>,
    /// Security groups that it uses or that its rules name.
    groups: BTreeSet<String>,
}

impl Leftover {
    /// Why it counts as somebody else's; none where it does not.
    pub fn foreign(&self) -> Option<&str> {
        match &self.owner {
            Owner::Foreign(why) => Some(why),
            Owner::Ours | Owner::Network => None,
        }
    }
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.kind.word(), self.name)
    }
}

/// How a sweep ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// What was deleted and is no longer listed.
    pub deleted: Vec<Leftover>,
    /// What is ours and did not go, each with the reason.
    pub left: Vec<(Leftover, String)>,
    /// What is somebody else's.
    pub foreign: Vec<Leftover>,
}

impl Swept {
    /// What keeps the network from going, with reasons; volumes do not.
    pub fn blockers(&self) -> impl Iterator<Item = (&Leftover, &str)> {
        let foreign = self.foreign.iter().filter_map(|one| Some((one, one.foreign()?)));
        let left = self.left.iter().map(|(one, why)| (one, why.as_str()));
        foreign.chain(left).filter(|(one, _)| one.kind != Kind::Volume)
    }
}

/// How one try to delete something ended.
enum Step {
    /// It was asked to go.
    Asked,
    /// It cannot go yet.
    Busy(String),
    /// It will not go by waiting.
    Stuck(String),
}

impl Leftover {
    /// The command that deletes it, for what is named and left to people.
    pub fn deletion(&self, region: &str) -> String {
        let (service, action) = match self.kind {
            Kind::LoadBalancer => ("elbv2", "delete-load-balancer --load-balancer-arn"),
            Kind::TargetGroup => ("elbv2", "delete-target-group --target-group-arn"),
            Kind::NetworkInterface => ("ec2", "delete-network-interface --network-interface-id"),
            Kind::SecurityGroup => ("ec2", "delete-security-group --group-id"),
            Kind::Volume => ("ec2", "delete-volume --volume-id"),
        };
        format!("aws {service} {action} {} --region {region}", self.id)
    }
}

impl Scope {
    /// The VPC to look in.
    fn vpc(&self) -> Option<&str> {
        let own = self.network.as_ref().and_then(|network| network.vpc_id.as_deref());
        own.or(self.lent.as_deref())
    }

    /// Whether no network is known: what bears no tags of the cluster cannot be looked for.
    pub fn is_blind(&self) -> bool {
        self.vpc().is_none()
    }

    /// Whether the VPC is somebody else's.
    fn is_lent(&self) -> bool {
        self.network.as_ref().is_none_or(|network| network.vpc_id.is_none()) && self.lent.is_some()
    }

    /// Whether others' `one` is worth telling: in a network of ours, or with the cluster's tags.
    fn tells(&self, one: &Leftover) -> bool {
        matches!(one.owner, Owner::Foreign(_)) && (one.kind == Kind::Volume || !self.is_lent())
    }
}

/// What is left now, ours and others', in the order of [`Kind`].
pub async fn find(aws: &Aws, scope: &Scope) -> Result<Vec<Leftover>, AwsError> {
    let mut found = list(aws, scope).await?;
    found.retain(|one| one.owner == Owner::Ours || scope.tells(one));
    Ok(found)
}

/// Deletes what is ours and waits until it is no longer listed, at most as long as the options say. What is left then
/// is in the result, and no error.
///
/// # Errors
/// A call that AWS refuses for another reason than that something is still in use.
pub async fn clear(aws: &Aws, scope: &Scope, report: &dyn Reporter) -> Result<Swept, AwsError> {
    let wait = Wait::new(aws, format!("what cluster `{}` left behind", scope.cluster), report).usually("some minutes");
    let mut swept = Swept::default();
    let mut known: Vec<Leftover> = Vec::new();
    loop {
        let found = list(aws, scope).await?;
        known.retain(|one| {
            let there = found.iter().any(|now| now.id == one.id);
            if !there {
                report.done(one.kind.word(), &one.name, Outcome::Deleted, "");
                swept.deleted.push(one.clone());
            }
            there
        });
        let round = round(aws, &found, report).await?;
        for one in found.iter().filter(|one| one.owner == Owner::Ours) {
            if !known.iter().any(|known| known.id == one.id) {
                known.push(one.clone());
            }
        }
        if let Some((one, state)) = round.pending.first()
            && wait.pause(&format!("{one}: {state}")).await.is_ok()
        {
            continue;
        }
        // Nothing to wait for, or the wait is over: what is pending stays.
        swept.left = round.stuck.into_iter().chain(round.pending).collect();
        swept.foreign = found.into_iter().filter(|one| scope.tells(one)).collect();
        return Ok(swept);
    }
}

/// What one look and one try of everything gave.
#[derive(Default)]
struct Round {
    pending: Vec<(Leftover, String)>,
    stuck: Vec<(Leftover, String)>,
}

async fn round(aws: &Aws, found: &[Leftover], report: &dyn Reporter) -> Result<Round, AwsError> {
    groups::revoke_references(aws, found, report).await?;
    let mut round = Round::default();
    for one in found.iter().filter(|one| one.owner == Owner::Ours) {
        match step(aws, one, found).await? {
            Step::Asked => round.pending.push((one.clone(), "being deleted".to_owned())),
            Step::Busy(state) => round.pending.push((one.clone(), state)),
            Step::Stuck(reason) => round.stuck.push((one.clone(), reason)),
        }
    }
    Ok(round)
}

async fn step(aws: &Aws, one: &Leftover, found: &[Leftover]) -> Result<Step, AwsError> {
    if let Some(busy) = &one.busy {
        return Ok(Step::Busy(busy.clone()));
    }
    match one.kind {
        Kind::LoadBalancer => balancers::delete_balancer(aws, one).await,
        Kind::TargetGroup => balancers::delete_target_group(aws, one).await,
        Kind::NetworkInterface => interfaces::delete(aws, one).await,
        Kind::SecurityGroup => groups::delete(aws, one, found).await,
        Kind::Volume => volumes::delete(aws, one).await,
    }
}

/// Everything, the network's own parts too.
async fn list(aws: &Aws, scope: &Scope) -> Result<Vec<Leftover>, AwsError> {
    let mut found = Vec::new();
    if let Some(vpc) = scope.vpc() {
        let (balancers, target_groups, groups) = tokio::try_join!(
            Box::pin(balancers::list(aws, scope, vpc)),
            Box::pin(balancers::list_target_groups(aws, scope, vpc)),
            Box::pin(groups::list(aws, scope, vpc)),
        )?;
        // Interfaces are judged by the load balancers and groups that they belong to.
        let interfaces = interfaces::list(aws, scope, vpc, &balancers, &groups).await?;
        found.extend(
            balancers
                .into_iter()
                .chain(target_groups)
                .chain(interfaces)
                .chain(groups),
        );
    } else {
        // Nothing tells any more which network it was.
        found.extend(groups::list_marked(aws, scope).await?);
    }
    found.extend(volumes::list(aws, scope).await?);
    Ok(found)
}

/// What EC2 lists that bears a tag with the name of a cluster, in whatever network.
async fn marked<T: List + DeserializeOwned>(
    aws: &Aws,
    scope: &Scope,
    operation: &'static str,
    intent: &'static str,
) -> Result<Vec<T::Item>, AwsError> {
    let filter = claim::filter(&scope.cluster);
    let filter: Vec<(&str, &str)> = filter
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    aws.ec2.list::<T>(operation, intent, &scope.cluster, &filter).await
}

/// A list of EC2's, as XML.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(default)]
struct Items<T> {
    item: Vec<T>,
}

impl<T> Default for Items<T> {
    fn default() -> Self {
        Self { item: Vec::new() }
    }
}

#[cfg(test)]
pub(super) mod tests;
