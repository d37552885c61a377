//! What a bootstrap has to know before it changes anything: every read that the run needs, made once, at the same time.
//!
//! ```text
//! Wanted --read--> Readings { cluster: { found, foundation, add-on, access, versions, zones }, repositories }
//!                  Readings move on into `ensure_*_from`: nothing is asked twice
//! ```
//!
//! Refusals are collected, not met one by one: whoever grants permissions does it once.

mod refusals;
mod zones;

use std::future::Future;

use futures::future::join_all;

pub use refusals::Refusals;
pub use zones::Zone;

use super::ecr;
use super::eks::{self, AccessReading, AddonReading, ClusterSpec, Compute, EksCluster, NodeGroupReading, Versions};
use super::error::or_none;
use super::foundation;
use super::{Aws, AwsError, refused};
use crate::names::StackName;

/// Platform of the nodes that Auto Mode's built-in pools bring, and of our node group's.
pub const NODE_PLATFORM: &str = "linux/amd64";
/// Zones that a control plane needs.
const ZONES: usize = 2;

/// What the run is going to need.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The stack.
    pub stack: &'a StackName,
    /// The EKS cluster; none where the cluster is elsewhere.
    pub cluster: Option<WantedCluster<'a>>,
    /// Images whose repositories in ECR are ensured; empty where images go elsewhere.
    pub images: &'a [&'a str],
}

/// The cluster that the run is going to need.
#[derive(Debug, Clone, Copy)]
pub struct WantedCluster<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether it is created where it is missing.
    pub create: bool,
    /// What it is to be like.
    pub spec: &'a ClusterSpec,
    /// The add-on that one of ours gets.
    pub addon: &'a str,
    /// Whether a network is made for a new one.
    pub network: bool,
}

/// What there is, as read at one moment.
#[derive(Debug, Clone)]
pub struct Readings {
    /// The EKS cluster and what belongs to it; none where none is wanted.
    pub cluster: Option<ClusterReadings>,
    /// The repositories, in the order of [`Wanted::images`].
    pub repositories: Vec<ecr::Reading>,
}

/// What there is of a cluster, and what a new one could be made of.
#[derive(Debug, Clone)]
pub struct ClusterReadings {
    /// The cluster; none where it does not exist.
    pub found: Option<EksCluster>,
    /// The foundation, in whatever state.
    pub foundation: foundation::Reading,
    /// The add-on of a cluster of ours, or of one that does not exist.
    pub addon: Option<AddonReading>,
    /// The administrators' access, likewise.
    pub access: Option<AccessReading>,
    /// Our node group, where the cluster has, or is to have, one.
    pub node_group: Option<NodeGroupReading>,
    /// What EKS offers, where that matters.
    pub versions: Option<Versions>,
    /// The region's zones, where a network is going to be made.
    pub zones: Option<Vec<Zone>>,
}

/// Why a run ends before it changes anything.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    /// Reads were refused, all of them named.
    #[error(transparent)]
    Refused(Refusals),
    /// A read failed.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The region has too few zones.
    #[error("cannot create a network in region `{region}`: EKS needs {ZONES} zones, usable: {}", or_none(.usable))]
    TooFewZones {
        /// The region.
        region: String,
        /// Names of the zones that EKS can use.
        usable: Vec<String>,
    },
    /// No node could run the image.
    #[error("cannot run an image for {} on nodes that are {NODE_PLATFORM}", .platforms.join(", "))]
    Platform {
        /// The image's platforms.
        platforms: Vec<String>,
    },
}

impl PreflightError {
    /// What to try, where the message does not say it all.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Refused(refusals) => Some(refusals.hint()),
            Self::Aws(error) => error.hint(),
            Self::TooFewZones { .. } => Some("choose another `--region`".to_owned()),
            Self::Platform { .. } => Some(format!("build the image for {NODE_PLATFORM}")),
        }
    }

    /// Whether something was refused, not broken: nothing was changed, exit code 2.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Aws(error) => error.is_configuration(),
            _ => true,
        }
    }
}

/// Reads everything. A cluster that is being deleted counts as missing: what follows it is a new one.
///
/// # Errors
/// All refusals together; where nothing was refused, the first failure.
pub async fn read(aws: &Aws, wanted: &Wanted<'_>) -> Result<Readings, PreflightError> {
    let mut problems = Vec::new();
    let (cluster, images) = tokio::join!(Box::pin(read_cluster(aws, wanted)), Box::pin(read_images(aws, wanted)));
    let cluster = match cluster {
        Ok(cluster) => Some(cluster),
        Err(mut found) => {
            problems.append(&mut found);
            None
        }
    };
    let repositories = match images {
        Ok(repositories) => repositories,
        Err(mut found) => {
            problems.append(&mut found);
            Vec::new()
        }
    };
    match cluster {
        Some(cluster) if problems.is_empty() => Ok(Readings { cluster, repositories }),
        _ => Err(ended(aws, problems)),
    }
}

async fn read_images(aws: &Aws, wanted: &Wanted<'_>) -> Result<Vec<ecr::Reading>, Vec<AwsError>> {
    let registry = when(!wanted.images.is_empty(), ecr::authorize(aws));
    let repositories = join_all(wanted.images.iter().map(|image| ecr::read(aws, wanted.stack, image)));
    let (registry, repositories) = tokio::join!(Box::pin(registry), Box::pin(repositories));
    let mut problems = Vec::new();
    // The connection keeps the password for the push.
    keep(&mut problems, registry);
    let repositories: Vec<_> = repositories
        .into_iter()
        .filter_map(|repository| keep(&mut problems, repository))
        .collect();
    if problems.is_empty() {
        Ok(repositories)
    } else {
        Err(problems)
    }
}

async fn read_cluster(aws: &Aws, wanted: &Wanted<'_>) -> Result<Option<ClusterReadings>, Vec<AwsError>> {
    let Some(cluster) = wanted.cluster else {
        return Ok(None);
    };
    let mut problems = Vec::new();
    let (found, foundation) = tokio::join!(
        Box::pin(eks::find(aws, cluster.name, wanted.stack)),
        Box::pin(foundation::read(aws, wanted.stack)),
    );
    let (found, foundation) = (keep(&mut problems, found), keep(&mut problems, foundation));
    let needs = Needs::of(cluster, found.as_ref().and_then(Option::as_ref), foundation.as_ref());
    let (name, spec) = (cluster.name, cluster.spec);
    let (versions, zones, addon, catalogue, access, node_group) = tokio::join!(
        Box::pin(when(needs.versions, Versions::read(aws))),
        Box::pin(when(needs.zones, zones::read(aws))),
        Box::pin(when(needs.parts, eks::read_addon(aws, name, cluster.addon))),
        Box::pin(when(needs.new, eks::read_addon_catalogue(aws, cluster.addon))),
        Box::pin(when(needs.parts, eks::read_access(aws, name, &spec.admin_arns))),
        Box::pin(when(needs.node_group, eks::read_node_group(aws, name))),
    );
    keep(&mut problems, catalogue);
    let readings = ClusterReadings {
        versions: keep(&mut problems, versions).flatten(),
        zones: keep(&mut problems, zones).flatten(),
        // Parts of a cluster that is going away say nothing about the next one.
        addon: keep(&mut problems, addon).flatten().filter(|_| needs.lasts),
        access: keep(&mut problems, access).flatten().filter(|_| needs.lasts),
        node_group: keep(&mut problems, node_group)
            .flatten()
            .flatten()
            .filter(|_| needs.lasts),
        found: found.flatten(),
        foundation: foundation.unwrap_or_default(),
    };
    if problems.is_empty() {
        Ok(Some(readings))
    } else {
        Err(problems)
    }
}

/// What has to be read besides cluster and foundation. Where these could not be read, as if there were none: all
/// refusals at once. Parts of a cluster that does not exist are looked up too: that shows whether it is allowed.
#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each read is needed or not, whatever the others"
)]
struct Needs {
    new: bool,
    parts: bool,
    node_group: bool,
    versions: bool,
    zones: bool,
    lasts: bool,
}

impl Needs {
    fn of(wanted: WantedCluster<'_>, found: Option<&EksCluster>, foundation: Option<&foundation::Reading>) -> Self {
        let standing = found.filter(|found| !found.is_going());
        let new = standing.is_none() && wanted.create;
        let parts = new || standing.is_some_and(|found| found.created_by_us);
        let compute = standing.map_or(wanted.spec.compute, |found| Some(found.settings.compute));
        let foundation = foundation.is_none_or(foundation::Reading::is_to_be_made);
        Self {
            new,
            parts,
            node_group: parts && compute == Some(Compute::NodeGroup),
            versions: new || (parts && wanted.spec.hpa_sync_period.is_some()),
            zones: new && wanted.network && foundation,
            lasts: found.is_none() || standing.is_some(),
        }
    }
}

async fn when<T>(wanted: bool, read: impl Future<Output = Result<T, AwsError>>) -> Result<Option<T>, AwsError> {
    if wanted { read.await.map(Some) } else { Ok(None) }
}

fn keep<T>(problems: &mut Vec<AwsError>, read: Result<T, AwsError>) -> Option<T> {
    read.map_err(|error| problems.push(error)).ok()
}

/// One error of all problems: refusals if there are any, else the first failure.
fn ended(aws: &Aws, problems: Vec<AwsError>) -> PreflightError {
    if let Some(refusals) = Refusals::among(aws, &problems) {
        return PreflightError::Refused(refusals);
    }
    // Never empty here; the fallback is no panic.
    let first = problems.into_iter().next();
    PreflightError::Aws(refused(
        first.unwrap_or_else(|| super::error::incomplete("preflight", &aws.region, "answers")),
    ))
}

/// The two zones of a new network: the first two that EKS serves.
///
/// # Errors
/// There are fewer.
pub fn two_zones(zones: &[Zone], region: &str) -> Result<[String; 2], PreflightError> {
    let usable: Vec<String> = zones.iter().filter(|z| z.is_usable()).map(|z| z.name.clone()).collect();
    match &usable[..] {
        [first, second, ..] => Ok([first.clone(), second.clone()]),
        _ => Err(PreflightError::TooFewZones {
            region: region.to_owned(),
            usable,
        }),
    }
}

/// Refuses an image that no node of a cluster of ours could run.
///
/// # Errors
/// None of `platforms` is that of the nodes.
pub fn check_platform(platforms: &[&str]) -> Result<(), PreflightError> {
    if platforms.contains(&NODE_PLATFORM) {
        return Ok(());
    }
    Err(PreflightError::Platform {
        platforms: platforms.iter().map(|platform| (*platform).to_owned()).collect(),
    })
}

#[cfg(test)]
mod tests;
