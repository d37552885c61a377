//! The managed node group of a cluster of ours without Auto Mode: ensured from any state, like the cluster.
//!
//! One that failed in an earlier run is replaced; one that fails in this run is told with EKS's health issues.

use aws_sdk_eks::operation::create_nodegroup::CreateNodegroupError;
use aws_sdk_eks::operation::create_nodegroup::builders::CreateNodegroupFluentBuilder;
use aws_sdk_eks::operation::delete_nodegroup::DeleteNodegroupError;
use aws_sdk_eks::operation::describe_nodegroup::DescribeNodegroupError;
use aws_sdk_eks::types::{
    AmiTypes, CapacityTypes, Issue, Nodegroup, NodegroupHealth, NodegroupIssueCode, NodegroupScalingConfig,
    NodegroupStatus,
};

use super::reason::{reason, sentence};
use super::{EksCluster, propagation};
use crate::aws::Aws;
use crate::aws::error::{AwsError, api, is};
use crate::aws::foundation::Foundation;
use crate::aws::in_flight;
use crate::aws::wait::Wait;
use crate::names::{NODE_GROUP, StackName};
use crate::report::{Outcome, Reporter};

/// Type and number of the nodes of a new group: two vCPUs and 8 GiB each; two hold the stack with ten pods of the app.
pub const NODES: (&str, u32) = ("t3.large", 2);
const MIN: i32 = 1;
const MAX: i32 = 3;

/// Our node group as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeGroupReading {
    /// Role of its nodes.
    pub role: Option<String>,
    /// AWS's word: `CREATING`, `ACTIVE`, `CREATE_FAILED`.
    pub status: String,
}

impl NodeGroupReading {
    /// Whether [`ensure`] leaves it as it is.
    pub fn is_settled(&self) -> bool {
        matches!(self.status.as_str(), "ACTIVE" | "DEGRADED")
    }
}

/// Reads our node group, if it exists.
pub async fn read(aws: &Aws, cluster: &str) -> Result<Option<NodeGroupReading>, AwsError> {
    let group = describe(aws, cluster, NODE_GROUP).await?;
    Ok(group.map(|group| NodeGroupReading {
        status: group.status().map_or("", NodegroupStatus::as_str).to_owned(),
        role: group.node_role,
    }))
}

/// Leads to an `ACTIVE` node group from any state. The cluster must be `ACTIVE` and ours.
///
/// # Errors
/// [`AwsError::Failed`] with EKS's health issues for one that came to nothing.
pub async fn ensure(
    aws: &Aws,
    cluster: &EksCluster,
    stack: &StackName,
    foundation: &Foundation,
    report: &dyn Reporter,
) -> Result<Outcome, AwsError> {
    let wait = Wait::new(
        aws,
        format!("node group `{NODE_GROUP}` of cluster `{}`", cluster.name),
        report,
    )
    .usually("3 to 5 min");
    let (mut requested, mut joined) = (false, false);
    loop {
        let Some(group) = describe(aws, &cluster.name, NODE_GROUP).await? else {
            let state = if requested { "not visible yet" } else { "requested" };
            if !requested {
                create(aws, cluster, request(aws, cluster, stack, foundation), report).await?;
                requested = true;
            }
            wait.pause(state).await?;
            continue;
        };
        let new = requested || joined;
        let state = match group.status() {
            Some(status @ (NodegroupStatus::Active | NodegroupStatus::Degraded)) => {
                if *status == NodegroupStatus::Degraded {
                    report.warning(&format!("node group `{NODE_GROUP}` is degraded: {}", health(&group)));
                }
                return Ok(if new { Outcome::Created } else { Outcome::Unchanged });
            }
            Some(NodegroupStatus::CreateFailed) if !new => {
                replace(aws, &cluster.name, &group, report).await?;
                "CREATE_FAILED, it is replaced"
            }
            Some(NodegroupStatus::CreateFailed | NodegroupStatus::DeleteFailed) => {
                return Err(failed(NODE_GROUP, &group));
            }
            // A creation, an update or a deletion ends by itself.
            other => {
                joined |= other == Some(&NodegroupStatus::Creating);
                other.map_or("of unknown status", NodegroupStatus::as_str)
            }
        };
        wait.pause(state).await?;
    }
}

/// The error of a node group that does not come to be, or does not go: its health issues, as sentences.
pub(super) fn failed(name: &str, group: &Nodegroup) -> AwsError {
    AwsError::Failed {
        kind: "node group",
        name: name.to_owned(),
        status: group.status().map_or("", NodegroupStatus::as_str).to_owned(),
        reason: health(group),
    }
}

fn health(group: &Nodegroup) -> String {
    let issues = group.health().map(NodegroupHealth::issues).unwrap_or_default();
    let sentence = |issue: &Issue| {
        let code = issue.code().map(NodegroupIssueCode::as_str);
        sentence(code, issue.message(), issue.resource_ids())
    };
    reason(&issues.iter().map(sentence).collect::<Vec<_>>())
}

/// A node group of the cluster; none where it does not exist.
pub(super) async fn describe(aws: &Aws, cluster: &str, name: &str) -> Result<Option<Nodegroup>, AwsError> {
    let call = aws.eks.describe_nodegroup().cluster_name(cluster);
    match call.nodegroup_name(name).send().await {
        Err(e) if is(&e, DescribeNodegroupError::is_resource_not_found_exception) => Ok(None),
        Err(e) => Err(api("eks:DescribeNodegroup", "look up node group", name)(e)),
        Ok(answer) => Ok(answer.nodegroup),
    }
}

/// Asks for the deletion of a node group. One that is gone, or that EKS changes just now, is no error: its state tells.
pub(super) async fn delete(aws: &Aws, cluster: &str, name: &str) -> Result<(), AwsError> {
    let call = aws.eks.delete_nodegroup().cluster_name(cluster).nodegroup_name(name);
    match call.send().await {
        Err(e) if is(&e, DeleteNodegroupError::is_resource_not_found_exception) => Ok(()),
        Err(e) if is(&e, DeleteNodegroupError::is_resource_in_use_exception) => Ok(()),
        Err(e) => Err(api("eks:DeleteNodegroup", "delete node group", name)(e)),
        Ok(_) => Ok(()),
    }
}

async fn replace(aws: &Aws, cluster: &str, group: &Nodegroup, report: &dyn Reporter) -> Result<(), AwsError> {
    let why = health(group);
    report.warning(&format!(
        "node group `{NODE_GROUP}` failed earlier, it is made again: {why}"
    ));
    delete(aws, cluster, NODE_GROUP).await
}

/// Starts the creation. One of that name that exists meanwhile is no error: its state tells.
async fn create(
    aws: &Aws,
    cluster: &EksCluster,
    call: CreateNodegroupFluentBuilder,
    report: &dyn Reporter,
) -> Result<(), AwsError> {
    let what = format!("node group `{NODE_GROUP}`");
    let wait = propagation::wait(aws, &format!("the nodes of cluster `{}`", cluster.name), report);
    let send = || in_flight::tracked(&what, report, Box::pin(call.clone().send()));
    let invalid = CreateNodegroupError::is_invalid_parameter_exception;
    match propagation::send(&wait, send, invalid).await {
        Err(e) if is(&e, CreateNodegroupError::is_resource_in_use_exception) => Ok(()),
        Err(e) => Err(api("eks:CreateNodegroup", "create node group", NODE_GROUP)(e)),
        Ok(_) => Ok(()),
    }
}

fn request(
    aws: &Aws,
    cluster: &EksCluster,
    stack: &StackName,
    foundation: &Foundation,
) -> CreateNodegroupFluentBuilder {
    let scaling = NodegroupScalingConfig::builder()
        .min_size(MIN)
        .desired_size(NODES.1.try_into().unwrap_or(MAX))
        .max_size(MAX)
        .build();
    let subnets = foundation.subnet_ids.join(",");
    let token = ["nodes", &cluster.arn, &subnets, &foundation.node_role_arn];
    aws.eks
        .create_nodegroup()
        .cluster_name(&cluster.name)
        .nodegroup_name(NODE_GROUP)
        .scaling_config(scaling)
        .instance_types(NODES.0)
        .ami_type(AmiTypes::Al2023X8664Standard)
        .capacity_type(CapacityTypes::OnDemand)
        .node_role(&foundation.node_role_arn)
        .set_subnets(Some(foundation.subnet_ids.clone()))
        .client_request_token(aws.request_token(&token))
        .set_tags(Some(stack.aws_tags().into_iter().collect()))
}
