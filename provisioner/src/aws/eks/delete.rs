//! Deleting a cluster of ours: its node groups, its add-ons, itself; and waiting until it is gone.

use aws_sdk_eks::error::ProvideErrorMetadata as _;
use aws_sdk_eks::operation::delete_addon::DeleteAddonError;
use aws_sdk_eks::operation::delete_cluster::DeleteClusterError;
use aws_sdk_eks::types::NodegroupStatus;

use super::{EksCluster, find, nodegroup, state_of};
use crate::aws::Aws;
use crate::aws::error::{AwsError, api, is};
use crate::aws::wait::Wait;
use crate::names::StackName;
use crate::report::{Outcome, Reporter};

/// Deletes the cluster and waits until it is gone. EKS deletes no cluster that is being created or updated: that is
/// waited for first.
///
/// # Errors
/// [`AwsError::NotOurs`] for a cluster that this stack did not create, [`AwsError::Protected`] under deletion
/// protection; neither changes anything.
pub async fn delete(aws: &Aws, cluster: &str, stack: &StackName, report: &dyn Reporter) -> Result<Outcome, AwsError> {
    let wait = Wait::new(aws, format!("cluster `{cluster}` to be deleted"), report);
    let (mut seen, mut addons_deleted) = (false, false);
    loop {
        let Some(found) = find(aws, cluster, stack).await? else {
            return Ok(if seen { Outcome::Deleted } else { Outcome::Unchanged });
        };
        seen = true;
        let state = match found.status.as_str() {
            "DELETING" => state_of(&found),
            status => {
                if let Some(refusal) = refusal(aws, &found) {
                    return Err(refusal);
                }
                if matches!(status, "CREATING" | "PENDING" | "UPDATING") {
                    format!("{}; EKS deletes no unfinished cluster", state_of(&found))
                } else {
                    if !addons_deleted {
                        delete_addons(aws, cluster).await?;
                        addons_deleted = true;
                    }
                    step(aws, cluster, report).await?
                }
            }
        };
        wait.pause(&state).await?;
    }
}

/// Why [`delete`] would refuse a cluster that was found; none where it would not, and for one that is going already.
pub fn refusal(aws: &Aws, found: &EksCluster) -> Option<AwsError> {
    let (kind, name) = ("cluster", found.name.clone());
    if found.is_going() {
        return None;
    }
    if !found.created_by_us {
        return Some(AwsError::NotOurs { kind, name });
    }
    let region = aws.region().to_owned();
    found
        .deletion_protection
        .then_some(AwsError::Protected { kind, name, region })
}

/// Asks for the next thing that can go, and says what is waited for then.
async fn step(aws: &Aws, cluster: &str, report: &dyn Reporter) -> Result<String, AwsError> {
    let left = delete_node_groups(aws, cluster, report).await?;
    if !left.is_empty() {
        return Ok(format!(
            "node groups left: {}, usually 3 to 5 min on AWS",
            left.join(", ")
        ));
    }
    let Err(error) = aws.eks.delete_cluster().name(cluster).send().await else {
        return Ok("DELETING, usually 5 to 10 min on AWS".to_owned());
    };
    match error.as_service_error() {
        // The next look finds it gone.
        Some(DeleteClusterError::ResourceNotFoundException(_)) => Ok("gone".to_owned()),
        // Something still hangs on it (an update, a node group just made): ask again.
        Some(DeleteClusterError::ResourceInUseException(_)) => Ok(error.message().unwrap_or("in use").to_owned()),
        _ => Err(api("eks:DeleteCluster", "delete cluster", cluster)(error)),
    }
}

/// Asks for the deletion of every node group that is not being deleted; returns those that still exist.
async fn delete_node_groups(aws: &Aws, cluster: &str, report: &dyn Reporter) -> Result<Vec<String>, AwsError> {
    let pages = aws.eks.list_nodegroups().cluster_name(cluster).into_paginator().items();
    let names: Result<Vec<String>, _> = pages.send().collect().await;
    let names = names.map_err(api("eks:ListNodegroups", "list the node groups of cluster", cluster))?;
    for name in &names {
        if is_deletable(aws, cluster, name).await? {
            nodegroup::delete(aws, cluster, name).await?;
            report.note(&format!("node group `{name}` is being deleted"));
        }
    }
    Ok(names)
}

/// False while it is being deleted, or changed so that EKS would refuse.
async fn is_deletable(aws: &Aws, cluster: &str, name: &str) -> Result<bool, AwsError> {
    let Some(group) = nodegroup::describe(aws, cluster, name).await? else {
        return Ok(false);
    };
    if group.status() == Some(&NodegroupStatus::DeleteFailed) {
        return Err(nodegroup::failed(name, &group));
    }
    let busy = [
        NodegroupStatus::Deleting,
        NodegroupStatus::Creating,
        NodegroupStatus::Updating,
    ];
    Ok(!group.status().is_some_and(|s| busy.contains(s)))
}

/// Add-ons would go with the cluster; deleting them first lets them clean up what they made.
async fn delete_addons(aws: &Aws, cluster: &str) -> Result<(), AwsError> {
    let pages = aws.eks.list_addons().cluster_name(cluster).into_paginator().items();
    let names: Result<Vec<String>, _> = pages.send().collect().await;
    let names = names.map_err(api("eks:ListAddons", "list the add-ons of cluster", cluster))?;
    for name in names {
        let call = aws.eks.delete_addon().cluster_name(cluster).addon_name(&name);
        match call.send().await {
            Err(e) if is(&e, DeleteAddonError::is_resource_not_found_exception) => {}
            other => {
                other.map_err(api("eks:DeleteAddon", "delete add-on", &name))?;
            }
        }
    }
    Ok(())
}
