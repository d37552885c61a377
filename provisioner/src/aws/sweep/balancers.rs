//! Load balancers and their target groups.

use std::collections::BTreeMap;

use aws_sdk_elasticloadbalancingv2::error::ProvideErrorMetadata as _;
use aws_sdk_elasticloadbalancingv2::operation::delete_load_balancer::DeleteLoadBalancerError;
use aws_sdk_elasticloadbalancingv2::operation::delete_target_group::DeleteTargetGroupError;
use aws_sdk_elasticloadbalancingv2::operation::describe_tags::DescribeTagsError;

use super::{Kind, Leftover, Scope, Step, claim};
use crate::aws::Aws;
use crate::aws::error::{AwsError, api, is};

/// Load balancers in the VPC.
pub(super) async fn list(aws: &Aws, scope: &Scope, vpc: &str) -> Result<Vec<Leftover>, AwsError> {
    let pages = aws.balancers.describe_load_balancers().into_paginator().items();
    let all: Result<Vec<_>, _> = pages.send().collect().await;
    let operation = "elasticloadbalancing:DescribeLoadBalancers";
    let all = all.map_err(api(operation, "list the load balancers of VPC", vpc))?;
    let mut found = Vec::new();
    for one in all.into_iter().filter(|one| one.vpc_id.as_deref() == Some(vpc)) {
        let arn = one.load_balancer_arn.unwrap_or_default();
        let name = one.load_balancer_name.unwrap_or_default();
        found.extend(leftover(aws, scope, Kind::LoadBalancer, arn, name).await?);
    }
    Ok(found)
}

/// Target groups in the VPC.
pub(super) async fn list_target_groups(aws: &Aws, scope: &Scope, vpc: &str) -> Result<Vec<Leftover>, AwsError> {
    let pages = aws.balancers.describe_target_groups().into_paginator().items();
    let all: Result<Vec<_>, _> = pages.send().collect().await;
    let operation = "elasticloadbalancing:DescribeTargetGroups";
    let all = all.map_err(api(operation, "list the target groups of VPC", vpc))?;
    let mut found = Vec::new();
    for one in all.into_iter().filter(|one| one.vpc_id.as_deref() == Some(vpc)) {
        let arn = one.target_group_arn.unwrap_or_default();
        let name = one.target_group_name.unwrap_or_default();
        found.extend(leftover(aws, scope, Kind::TargetGroup, arn, name).await?);
    }
    Ok(found)
}

/// With its owner; none where it went meanwhile.
async fn leftover(
    aws: &Aws,
    scope: &Scope,
    kind: Kind,
    arn: String,
    name: String,
) -> Result<Option<Leftover>, AwsError> {
    let Some(tags) = tags(aws, &arn).await? else {
        return Ok(None);
    };
    let owner = claim::by_tags(scope, &tags).unwrap_or_else(|| claim::unmarked(scope, &tags));
    Ok(Some(Leftover {
        kind,
        id: arn,
        name,
        owner,
        busy: None,
        groups: std::collections::BTreeSet::new(),
    }))
}

async fn tags(aws: &Aws, arn: &str) -> Result<Option<BTreeMap<String, String>>, AwsError> {
    let answer = match aws.balancers.describe_tags().resource_arns(arn).send().await {
        Err(e)
            if is(&e, DescribeTagsError::is_load_balancer_not_found_exception)
                || is(&e, DescribeTagsError::is_target_group_not_found_exception) =>
        {
            return Ok(None);
        }
        other => other.map_err(api("elasticloadbalancing:DescribeTags", "read the tags of", arn))?,
    };
    let lists = answer.tag_descriptions.unwrap_or_default().into_iter();
    let tags = lists.flat_map(|list| list.tags.unwrap_or_default());
    Ok(Some(
        tags.filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default())))
            .collect(),
    ))
}

/// Asks for the deletion of a load balancer; its listeners go with it.
pub(super) async fn delete_balancer(aws: &Aws, one: &Leftover) -> Result<Step, AwsError> {
    let call = aws.balancers.delete_load_balancer().load_balancer_arn(&one.id);
    let Err(error) = call.send().await else {
        return Ok(Step::Asked);
    };
    let message = error.message().unwrap_or("it is in use").to_owned();
    match error.as_service_error() {
        Some(DeleteLoadBalancerError::LoadBalancerNotFoundException(_)) => Ok(Step::Asked),
        Some(DeleteLoadBalancerError::ResourceInUseException(_)) => Ok(Step::Busy(message)),
        // Deletion protection: somebody wanted it to stay.
        Some(DeleteLoadBalancerError::OperationNotPermittedException(_)) => Ok(Step::Stuck(message)),
        _ => {
            let operation = "elasticloadbalancing:DeleteLoadBalancer";
            Err(api(operation, "delete load balancer", &one.name)(error))
        }
    }
}

/// Asks for the deletion of a target group, which a load balancer may still use for a moment.
pub(super) async fn delete_target_group(aws: &Aws, one: &Leftover) -> Result<Step, AwsError> {
    let call = aws.balancers.delete_target_group().target_group_arn(&one.id);
    let Err(error) = call.send().await else {
        return Ok(Step::Asked);
    };
    if is(&error, DeleteTargetGroupError::is_resource_in_use_exception) {
        return Ok(Step::Busy(error.message().unwrap_or("it is in use").to_owned()));
    }
    // A repeated request after a lost answer; the API's model has no variant for it.
    if error.code() == Some("TargetGroupNotFound") {
        return Ok(Step::Asked);
    }
    let operation = "elasticloadbalancing:DeleteTargetGroup";
    Err(api(operation, "delete target group", &one.name)(error))
}
