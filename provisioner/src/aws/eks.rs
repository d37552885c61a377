//! EKS: the cluster, found, ensured and deleted; with Auto Mode, or with one managed node group.
//!
//! One loop per verb looks at the cluster, does what its state allows, and waits; so every half-done state, ours or
//! someone else's, leads on from where it is.

mod access;
mod addon;
mod create;
mod delete;
mod nodegroup;
mod propagation;
mod reason;
mod settings;
mod spec;
mod versions;

use aws_sdk_eks::operation::describe_cluster::DescribeClusterError;
use aws_sdk_eks::types::{Cluster, ClusterIssue, ClusterIssueCode, ClusterStatus};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use access::{AccessReading, read as read_access};
pub use addon::{AddonReading, ensure_addon, ensure_addon_from, read_addon, read_addon_catalogue};
pub use delete::{delete, refusal};
pub use nodegroup::{
    NODES as NODE_GROUP_NODES, NodeGroupReading, ensure as ensure_node_group, read as read_node_group,
};
pub use settings::{drift, drift_of_ground};
pub use spec::{ClusterSpec, Compute, LOG_TYPES, Settings};
pub use versions::{Choice, Versions};

use self::reason::{reason, sentence};
use super::Aws;
use super::drift::refuse;
use super::error::{AwsError, api, incomplete, is};
use super::foundation::Foundation;
use super::wait::Wait;
use crate::names::StackName;
use crate::report::{Outcome, Reporter};

/// A cluster as described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EksCluster {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// AWS's word: `CREATING`, `ACTIVE`, `UPDATING`, `DELETING`, `FAILED`, `PENDING`.
    pub status: String,
    /// Kubernetes version, e.g. `1.34`.
    pub version: Option<String>,
    /// URL of the API server; none before it is `ACTIVE`.
    pub endpoint: Option<String>,
    /// Certificate authority of the API server, PEM; none before it is `ACTIVE`.
    pub ca_pem: Option<Vec<u8>>,
    /// Whether its tags say that this stack created it.
    pub created_by_us: bool,
    /// Since when it costs money.
    pub created_at: Option<jiff::Timestamp>,
    /// What EKS finds wrong with it, as sentences; empty when all is well.
    pub health: Vec<String>,
    /// Whether EKS refuses to delete it.
    pub deletion_protection: bool,
    /// The VPC that it is in.
    pub vpc_id: Option<String>,
    /// What is set on it.
    pub settings: Settings,
}

impl EksCluster {
    /// Whether it is being deleted: what follows it is a new one.
    pub fn is_going(&self) -> bool {
        self.status == "DELETING"
    }
}

/// A cluster that is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// Its name.
    pub cluster: &'a str,
    /// The stack that owns it.
    pub stack: &'a StackName,
    /// What it stands on.
    pub foundation: &'a Foundation,
    /// What it is to be like.
    pub spec: &'a ClusterSpec,
    /// What was read and decided before.
    pub known: Known<'a>,
}

/// What need not be asked for again.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// The cluster; none is looked for.
    pub found: Option<&'a EksCluster>,
    /// The Kubernetes version of a new cluster; none is chosen from what EKS offers.
    pub version: Option<&'a str>,
    /// The administrators' access; none is looked for.
    pub access: Option<&'a AccessReading>,
}

/// The cluster, if it exists, in whatever state.
pub async fn find(aws: &Aws, cluster: &str, stack: &StackName) -> Result<Option<EksCluster>, AwsError> {
    let operation = "eks:DescribeCluster";
    let answer = match aws.eks.describe_cluster().name(cluster).send().await {
        Err(e) if is(&e, DescribeClusterError::is_resource_not_found_exception) => {
            return Ok(None);
        }
        other => other.map_err(api(operation, "look up cluster", cluster))?,
    };
    let found = answer
        .cluster
        .ok_or_else(|| incomplete(operation, cluster, "cluster"))?;
    view(found, cluster, stack).map(Some)
}

/// Ends when the cluster is gone or going; says once that it does not answer yet. Whatever keeps AWS from saying so is no
/// end.
pub async fn deleted(aws: &Aws, cluster: &str, report: &dyn Reporter) {
    tokio::time::sleep(aws.poll).await;
    report.note(&format!("cluster `{cluster}` does not answer yet, it is waited for"));
    loop {
        let answer = aws.eks.describe_cluster().name(cluster).send().await;
        match answer.map(|answer| answer.cluster.and_then(|found| found.status)) {
            Ok(Some(ClusterStatus::Deleting)) => return,
            Err(e) if is(&e, DescribeClusterError::is_resource_not_found_exception) => return,
            _ => tokio::time::sleep(aws.poll).await,
        }
    }
}

/// Leads to an `ACTIVE` cluster from any state: creates it, joins a creation that is under way, waits for a deletion
/// or update to end. On a cluster of ours it also sets right the settings that are asked for and the administrators'
/// access; one that we did not create is used as it is.
///
/// # Errors
/// [`AwsError::Failed`] with EKS's health issues for a cluster that came to nothing; [`AwsError::UnsupportedZone`] with
/// the zones that EKS serves; [`AwsError::Drift`] for one of ours that differs in what is not set right.
pub async fn ensure(aws: &Aws, order: Order<'_>, report: &dyn Reporter) -> Result<(EksCluster, Outcome), AwsError> {
    let cluster = order.cluster;
    let wait = Wait::new(aws, format!("cluster `{cluster}`"), report);
    let mut creating = false;
    let mut known = order.known.found.cloned();
    loop {
        let found = match known.take() {
            Some(found) => Some(found),
            None => find(aws, cluster, order.stack).await?,
        };
        let state = match found {
            Some(found) if found.status == "ACTIVE" => {
                let outcome = finish(aws, &found, creating, order, report).await?;
                return Ok((found, outcome));
            }
            Some(found) if found.status == "FAILED" => return Err(failed(&found)),
            Some(found) => {
                creating = found.status == "CREATING";
                state_of(&found)
            }
            None if creating => "not visible yet".to_owned(),
            None => {
                create::create(aws, order, report).await?;
                creating = true;
                "requested".to_owned()
            }
        };
        wait.pause(&state).await?;
    }
}

/// What remains to be done on an active cluster.
async fn finish(
    aws: &Aws,
    found: &EksCluster,
    created: bool,
    Order { spec, known, .. }: Order<'_>,
    report: &dyn Reporter,
) -> Result<Outcome, AwsError> {
    if !found.created_by_us {
        tell_left_alone(found, spec, report);
        return Ok(Outcome::Unchanged);
    }
    let drifts = settings::drift(found, spec);
    refuse(&drifts)?;
    let repaired = settings::repair(aws, found, (&drifts, spec), report).await?;
    let access = match known.access {
        Some(access) => access.clone(),
        None => access::read(aws, &found.name, &spec.admin_arns).await?,
    };
    let admitted = access::ensure_admins(aws, &found.name, &access, report).await?;
    Ok(match (created, repaired || admitted) {
        (true, _) => Outcome::Created,
        (false, true) => Outcome::Updated,
        (false, false) => Outcome::Unchanged,
    })
}

/// A cluster of others is used as it is: what is asked for beyond that is named.
fn tell_left_alone(found: &EksCluster, spec: &ClusterSpec, report: &dyn Reporter) {
    if let (Some(wanted), Some(version)) = (&spec.kubernetes_version, &found.version)
        && wanted != version
    {
        report.warning(&format!(
            "cluster `{}` runs Kubernetes {version}, not {wanted}: it was not created by this stack",
            found.name
        ));
    }
    if !spec.admin_arns.is_empty() {
        report.warning(&format!(
            "cluster `{}` was not created by this stack: its access entries are left as they are",
            found.name
        ));
    }
}

fn state_of(found: &EksCluster) -> String {
    let usual = match found.status.as_str() {
        "CREATING" | "PENDING" => ", usually 10 to 15 min on AWS",
        "DELETING" => ", usually 5 to 10 min on AWS",
        "UPDATING" => ", usually 2 to 10 min on AWS",
        _ => "",
    };
    format!("{}{usual}", found.status)
}

fn failed(found: &EksCluster) -> AwsError {
    AwsError::Failed {
        kind: "cluster",
        name: found.name.clone(),
        status: found.status.clone(),
        reason: reason(&found.health),
    }
}

fn view(found: Cluster, name: &str, stack: &StackName) -> Result<EksCluster, AwsError> {
    let missing = |missing| incomplete("eks:DescribeCluster", name, missing);
    let settings = settings::settings(&found);
    let ca = found.certificate_authority.and_then(|c| c.data);
    let ca = ca.map(|data| STANDARD.decode(data)).transpose();
    let time =
        |t: aws_smithy_types::DateTime| jiff::Timestamp::new(t.secs(), t.subsec_nanos().try_into().unwrap_or(0)).ok();
    Ok(EksCluster {
        name: name.to_owned(),
        arn: found.arn.ok_or_else(|| missing("ARN"))?,
        status: found.status.as_ref().map_or("", ClusterStatus::as_str).to_owned(),
        version: found.version,
        endpoint: found.endpoint,
        ca_pem: ca.map_err(|_| missing("readable certificate authority"))?,
        created_by_us: stack.owns(found.tags.unwrap_or_default()),
        created_at: found.created_at.and_then(time),
        health: found
            .health
            .map(|h| h.issues().iter().map(issue).collect())
            .unwrap_or_default(),
        deletion_protection: found.deletion_protection.unwrap_or(false),
        vpc_id: found.resources_vpc_config.and_then(|v| v.vpc_id),
        settings,
    })
}

fn issue(issue: &ClusterIssue) -> String {
    let code = issue.code().map(ClusterIssueCode::as_str);
    sentence(code, issue.message(), issue.resource_ids())
}

#[cfg(test)]
mod tests;
