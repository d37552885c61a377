//! The managed node group of a cluster of ours without Auto Mode: ensured from any state, like the cluster.
//!
//! One that failed in an earlier run is replaced; one that fails in this run is told with EKS's health issues.

use aws_sdk_eks::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_eks::operation::create_nodegroup::CreateNodegroupError;
use aws_sdk_eks::operation::create_nodegroup::builders::CreateNodegroupFluentBuilder;
use aws_sdk_eks::operation::delete_nodegroup::DeleteNodegroupError;
use aws_sdk_eks::operation::describe_nodegroup::DescribeNodegroupError;
use aws_sdk_eks::types::{
    AmiTypes, CapacityTypes, Issue, Nodegroup, NodegroupHealth, NodegroupScalingConfig, NodegroupStatus,
};

use super::{EksCluster, propagation};
use crate::aws::Aws;
use crate::aws::error::{AwsError, api, incomplete, is};
use crate::aws::foundation::Foundation;
use crate::aws::in_flight;
use crate::aws::wait::Wait;
use crate::names::{NODE_GROUP, StackName};
use crate::report::{Outcome, Reporter};

/// Type and number of the nodes of a new group: two vCPUs and 8 GiB each; two hold the stack with ten pods of the app.
pub const NODES: (&str, u32) = ("t3.large", 2);
const MIN: i32 = 1;
const MAX: i32 = 3;

/// Role of the nodes in our node group, if it exists.
pub async fn role(aws: &Aws, cluster: &str) -> Result<Option<String>, AwsError> {
    Ok(describe(aws, cluster).await?.and_then(|group| group.node_role))
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
        let found = describe(aws, &cluster.name).await?;
        let state = match found.as_ref().and_then(Nodegroup::status) {
            Some(NodegroupStatus::Active) if requested || joined => return Ok(Outcome::Created),
            Some(NodegroupStatus::Active) => return Ok(Outcome::Unchanged),
            Some(NodegroupStatus::Creating) => {
                joined = true;
                "CREATING".to_owned()
            }
            Some(NodegroupStatus::CreateFailed) if !requested && !joined => {
                replace(aws, &cluster.name, found.as_ref(), report).await?;
                "CREATE_FAILED, it is replaced".to_owned()
            }
            Some(NodegroupStatus::CreateFailed | NodegroupStatus::DeleteFailed) => {
                return Err(found.map_or_else(absent, |group| failed(NODE_GROUP, &group)));
            }
            Some(NodegroupStatus::Degraded) => {
                tell_degraded(found.as_ref(), report);
                return Ok(if requested || joined {
                    Outcome::Created
                } else {
                    Outcome::Unchanged
                });
            }
            // An update or a deletion ends by itself.
            Some(other) => other.as_str().to_owned(),
            None if requested => "not visible yet".to_owned(),
            None => {
                create(aws, cluster, request(aws, cluster, stack, foundation), report).await?;
                requested = true;
                "requested".to_owned()
            }
        };
        wait.pause(&state).await?;
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

fn absent() -> AwsError {
    incomplete("eks:DescribeNodegroup", NODE_GROUP, "node group")
}

fn health(group: &Nodegroup) -> String {
    let issues = group.health().map(NodegroupHealth::issues).unwrap_or_default();
    let texts: Vec<String> = issues.iter().map(sentence).collect();
    if texts.is_empty() {
        return "EKS names no reason".to_owned();
    }
    texts.join("; ")
}

fn sentence(issue: &Issue) -> String {
    let code = issue.code().map_or("issue", |code| code.as_str());
    let message = issue.message().unwrap_or("no message");
    match issue.resource_ids() {
        [] => format!("{code}: {message}"),
        ids => format!("{code}: {message} ({})", ids.join(", ")),
    }
}

fn tell_degraded(group: Option<&Nodegroup>, report: &dyn Reporter) {
    let health = group.map(health).unwrap_or_default();
    report.warning(&format!("node group `{NODE_GROUP}` is degraded: {health}"));
}

async fn describe(aws: &Aws, cluster: &str) -> Result<Option<Nodegroup>, AwsError> {
    let call = aws.eks.describe_nodegroup().cluster_name(cluster);
    match call.nodegroup_name(NODE_GROUP).send().await {
        Err(e) if is(&e, DescribeNodegroupError::is_resource_not_found_exception) => Ok(None),
        Err(e) => Err(api("eks:DescribeNodegroup", "look up node group", NODE_GROUP)(e)),
        Ok(answer) => Ok(answer.nodegroup),
    }
}

async fn replace(aws: &Aws, cluster: &str, group: Option<&Nodegroup>, report: &dyn Reporter) -> Result<(), AwsError> {
    let why = group.map(health).unwrap_or_default();
    report.warning(&format!(
        "node group `{NODE_GROUP}` failed earlier, it is made again: {why}"
    ));
    let call = aws
        .eks
        .delete_nodegroup()
        .cluster_name(cluster)
        .nodegroup_name(NODE_GROUP);
    match call.send().await {
        Err(e) if is(&e, DeleteNodegroupError::is_resource_not_found_exception) => Ok(()),
        Err(e) => Err(api("eks:DeleteNodegroup", "delete node group", NODE_GROUP)(e)),
        Ok(_) => Ok(()),
    }
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
    loop {
        let answer = in_flight::tracked(&what, report, Box::pin(call.clone().send())).await;
        let Err(error) = answer else {
            return Ok(());
        };
        if is(&error, CreateNodegroupError::is_resource_in_use_exception) {
            return Ok(());
        }
        let pending = is_propagation(&error);
        let error = api("eks:CreateNodegroup", "create node group", NODE_GROUP)(error);
        if !pending || wait.pause("not yet seen by EKS").await.is_err() {
            return Err(error);
        }
    }
}

fn is_propagation(error: &SdkError<CreateNodegroupError>) -> bool {
    is(error, CreateNodegroupError::is_invalid_parameter_exception) && propagation::is_pending(error.message())
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
