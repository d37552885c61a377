//! What of the foundation exists now, in whatever state the stack is: where a sweep has to look.

use std::collections::BTreeSet;

use aws_sdk_cloudformation::types::{ResourceStatus, StackResource};

use super::stack;
use crate::aws::Aws;
use crate::aws::error::{AwsError, api};
use crate::names::StackName;

/// The template's name of the VPC.
const VPC: &str = "Vpc";

/// The resources of a foundation that this stack made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// The VPC; none where it does not exist (yet, or any more).
    pub vpc_id: Option<String>,
    /// Ids of everything that the stack made, the VPC too.
    pub resources: BTreeSet<String>,
    /// When the stack was made.
    pub created_at: Option<jiff::Timestamp>,
}

/// The network of this stack's foundation; none where there is no stack of that name, or one without our tags.
pub async fn network(aws: &Aws, stack: &StackName) -> Result<Option<Network>, AwsError> {
    let name = stack.foundation();
    let Some(found) = stack::describe(aws, &name).await?.filter(|found| found.is_ours(stack)) else {
        return Ok(None);
    };
    let call = aws.cloudformation.describe_stack_resources().stack_name(&found.id);
    let answer = match call.send().await {
        // It went between the two calls.
        Err(e) if stack::is_absent(&e) => return Ok(None),
        other => other.map_err(api(
            "cloudformation:DescribeStackResources",
            "list the resources of foundation stack",
            &name,
        ))?,
    };
    let all = answer.stack_resources.unwrap_or_default();
    let there: Vec<(Option<&str>, &str)> = all.iter().filter_map(existing).collect();
    let vpc = there.iter().find(|(logical, _)| *logical == Some(VPC));
    Ok(Some(Network {
        vpc_id: vpc.map(|(_, id)| (*id).to_owned()),
        resources: there.iter().map(|(_, id)| (*id).to_owned()).collect(),
        created_at: found.created_at,
    }))
}

/// Logical and physical name of a resource that may exist.
fn existing(resource: &StackResource) -> Option<(Option<&str>, &str)> {
    let gone = resource.resource_status() == Some(&ResourceStatus::DeleteComplete);
    let id = resource.physical_resource_id().filter(|id| !id.is_empty() && !gone)?;
    Some((resource.logical_resource_id(), id))
}
