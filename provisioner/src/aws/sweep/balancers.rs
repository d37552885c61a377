//! Load balancers and their target groups.

use std::collections::BTreeMap;

use aws_sdk_elasticloadbalancingv2::error::ProvideErrorMetadata as _;
use aws_sdk_elasticloadbalancingv2::operation::delete_load_balancer::DeleteLoadBalancerError;
use aws_sdk_elasticloadbalancingv2::operation::delete_target_group::DeleteTargetGroupError;
use aws_sdk_elasticloadbalancingv2::operation::describe_tags::DescribeTagsError;

use super::{Kind, Leftover, Owner, Scope, Step, claim};
use crate::aws::Aws;
use crate::aws::error::{AwsError, api, is};

/// Most resources that one request for tags takes.
const TAGGED_AT_ONCE: usize = 20;

/// A load balancer or target group as listed.
struct Listed {
    kind: Kind,
    arn: String,
    name: String,
    created: Option<jiff::Timestamp>,
}

/// Load balancers in the VPC.
pub(super) async fn list(aws: &Aws, scope: &Scope, vpc: &str) -> Result<Vec<Leftover>, AwsError> {
    let pages = aws.balancers.describe_load_balancers().into_paginator().items();
    let all: Result<Vec<_>, _> = pages.send().collect().await;
    let operation = "elasticloadbalancing:DescribeLoadBalancers";
    let all = all.map_err(api(operation, "list the load balancers of VPC", vpc))?;
    let here = all.into_iter().filter(|one| one.vpc_id.as_deref() == Some(vpc));
    let listed = here.map(|one| Listed {
        kind: Kind::LoadBalancer,
        created: one
            .created_time
            .and_then(|time| jiff::Timestamp::from_second(time.secs()).ok()),
        arn: one.load_balancer_arn.unwrap_or_default(),
        name: one.load_balancer_name.unwrap_or_default(),
    });
    judged(aws, scope, listed.collect()).await
}

/// Target groups in the VPC.
pub(super) async fn list_target_groups(aws: &Aws, scope: &Scope, vpc: &str) -> Result<Vec<Leftover>, AwsError> {
    let pages = aws.balancers.describe_target_groups().into_paginator().items();
    let all: Result<Vec<_>, _> = pages.send().collect().await;
    let operation = "elasticloadbalancing:DescribeTargetGroups";
    let all = all.map_err(api(operation, "list the target groups of VPC", vpc))?;
    let here = all.into_iter().filter(|one| one.vpc_id.as_deref() == Some(vpc));
    let listed = here.map(|one| Listed {
        kind: Kind::TargetGroup,
        created: None,
        arn: one.target_group_arn.unwrap_or_default(),
        name: one.target_group_name.unwrap_or_default(),
    });
    judged(aws, scope, listed.collect()).await
}

/// With their owners; without what went meanwhile.
async fn judged(aws: &Aws, scope: &Scope, listed: Vec<Listed>) -> Result<Vec<Leftover>, AwsError> {
    let mut tags = BTreeMap::new();
    for part in listed.chunks(TAGGED_AT_ONCE) {
        tags.append(&mut tags_of(aws, part).await?);
    }
    let leftovers = listed.into_iter().filter_map(|one| {
        let owner = owner(scope, &one, tags.get(&one.arn)?);
        Some(Leftover {
            kind: one.kind,
            id: one.arn,
            name: one.name,
            owner,
            busy: None,
            groups: std::collections::BTreeSet::new(),
        })
    });
    Ok(leftovers.collect())
}

/// One that is older than the stack is of an earlier cluster of that name, and may serve somebody.
fn owner(scope: &Scope, one: &Listed, tags: &BTreeMap<String, String>) -> Owner {
    match claim::by_tags(scope, tags) {
        Some(Owner::Ours) if matches!((one.created, scope.since), (Some(created), Some(since)) if created < since) => {
            claim::foreign("it is older than this stack", tags)
        }
        owner => owner.unwrap_or_else(|| claim::unmarked(scope, tags)),
    }
}

/// The tags by ARN. One that went meanwhile makes AWS refuse the whole request: each is asked for by itself then.
async fn tags_of(aws: &Aws, part: &[Listed]) -> Result<BTreeMap<String, BTreeMap<String, String>>, AwsError> {
    let arns = part.iter().map(|one| one.arn.clone()).collect();
    let answer = match aws.balancers.describe_tags().set_resource_arns(Some(arns)).send().await {
        Err(e) if is(&e, is_gone) && part.len() > 1 => {
            let mut all = BTreeMap::new();
            for one in part.chunks(1) {
                all.append(&mut Box::pin(tags_of(aws, one)).await?);
            }
            return Ok(all);
        }
        Err(e) if is(&e, is_gone) => return Ok(BTreeMap::new()),
        other => other.map_err(api(
            "elasticloadbalancing:DescribeTags",
            "read the tags of",
            &part[0].arn,
        ))?,
    };
    let lists = answer.tag_descriptions.unwrap_or_default().into_iter();
    let by_arn = lists.filter_map(|list| {
        let tags = list.tags.unwrap_or_default().into_iter();
        let tags = tags.filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default())));
        Some((list.resource_arn?, tags.collect()))
    });
    Ok(by_arn.collect())
}

fn is_gone(error: &DescribeTagsError) -> bool {
    error.is_load_balancer_not_found_exception() || error.is_target_group_not_found_exception()
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
