//! The foundation: one `CloudFormation` stack with the network and the two IAM roles that a cluster needs.
//!
//! The stack is all or nothing and its own state: whatever a run finds (nothing, half-done, failed, complete), the
//! same call leads to a complete one. Template: `foundation.json`.

mod cause;
mod network;
mod stack;

use sha2::{Digest, Sha256};

pub use self::network::{Network, network};
use self::stack::{Phase, Stack};
use super::Aws;
use super::error::{AwsError, incomplete};
use crate::names::{StackName, TAG_VERSION};
use crate::report::{Outcome, Reporter};

/// The template, as it is sent.
const TEMPLATE: &str = include_str!("foundation.json");
/// Tag with the hash of the template that the stack was made from.
const TAG_TEMPLATE: &str = "provisioner:template";

/// What the stack made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foundation {
    /// The VPC.
    pub vpc_id: String,
    /// Two public subnets in two zones.
    pub subnet_ids: Vec<String>,
    /// Role that the control plane acts with.
    pub cluster_role_arn: String,
    /// Role that the nodes act with.
    pub node_role_arn: String,
}

/// The foundation, if it is complete; a stack that is under way, failed or being deleted is none.
pub async fn find(aws: &Aws, stack: &StackName) -> Result<Option<Foundation>, AwsError> {
    match stack::describe(aws, &stack.foundation()).await? {
        Some(found) if found.phase() == Phase::Ready => Ok(Some(foundation(&found)?)),
        _ => Ok(None),
    }
}

/// Whether the stack exists, in whatever state.
pub async fn exists(aws: &Aws, stack: &StackName) -> Result<bool, AwsError> {
    Ok(stack::describe(aws, &stack.foundation()).await?.is_some())
}

/// Leads to a complete foundation from any state: joins a creation that is under way, replaces one of ours that
/// failed, updates one of ours that an older version made. A complete stack without our tags is used as it is.
///
/// # Errors
/// [`AwsError::Failed`] with the first real cause from the stack's events.
pub async fn ensure(aws: &Aws, stack: &StackName, report: &dyn Reporter) -> Result<(Foundation, Outcome), AwsError> {
    let name = stack.foundation();
    let first = stack::describe(aws, &name).await?;
    let joined = first.as_ref().is_some_and(Stack::is_being_created);
    let Some(found) = stack::settled(aws, &name, first, report).await? else {
        return create(aws, stack, report).await;
    };
    match found.phase() {
        Phase::Broken => {
            require_ours(stack, &found)?;
            let status = found.status.as_str();
            report.note(&format!("foundation stack `{name}` is {status}: it is replaced"));
            stack::remove(aws, &found, report).await?;
            create(aws, stack, report).await
        }
        Phase::Ready if is_outdated(stack, &found, report) => update(aws, stack, found, report).await,
        Phase::Ready if joined => Ok((foundation(&found)?, Outcome::Created)),
        Phase::Ready => Ok((foundation(&found)?, Outcome::Unchanged)),
        Phase::Working | Phase::Stuck => Err(cause::failure(aws, &found).await),
    }
}

/// Deletes the stack and waits until it is gone. One without our tags is [`Outcome::Skipped`].
///
/// # Errors
/// [`AwsError::Failed`] with the resource that blocks and why; [`AwsError::Protected`] under termination protection.
pub async fn delete(aws: &Aws, stack: &StackName, report: &dyn Reporter) -> Result<Outcome, AwsError> {
    let name = stack.foundation();
    let Some(found) = stack::describe(aws, &name).await? else {
        return Ok(Outcome::Unchanged);
    };
    if !found.is_ours(stack) {
        report.note(&format!(
            "foundation stack `{name}` was not created by this stack: it stays"
        ));
        return Ok(Outcome::Skipped);
    }
    if found.protected {
        return Err(AwsError::Protected {
            kind: "foundation stack",
            name,
        });
    }
    // A stack that is under way may refuse; one that is being deleted is gone at the end of this wait.
    if let Some(settled) = stack::settled(aws, &name, Some(found), report).await? {
        stack::remove(aws, &settled, report).await?;
    }
    Ok(Outcome::Deleted)
}

async fn create(aws: &Aws, stack: &StackName, report: &dyn Reporter) -> Result<(Foundation, Outcome), AwsError> {
    let name = stack.foundation();
    stack::create(aws, &name, TEMPLATE, tags(stack)).await?;
    let made = finished(aws, &name, report).await?;
    Ok((foundation(&made)?, Outcome::Created))
}

async fn update(
    aws: &Aws,
    stack: &StackName,
    found: Stack,
    report: &dyn Reporter,
) -> Result<(Foundation, Outcome), AwsError> {
    stack::update(aws, &found, TEMPLATE, tags(stack)).await?;
    let updated = finished(aws, &found.name, report).await?;
    // UPDATE_ROLLBACK_COMPLETE is a working stack, but not the one that was wanted.
    if !is_current(&updated) {
        return Err(cause::failure(aws, &updated).await);
    }
    Ok((foundation(&updated)?, Outcome::Updated))
}

/// The stack once nothing is under way; fails with the cause unless it works.
async fn finished(aws: &Aws, name: &str, report: &dyn Reporter) -> Result<Stack, AwsError> {
    let first = stack::describe(aws, name).await?;
    match stack::settled(aws, name, first, report).await? {
        Some(stack) if stack.phase() == Phase::Ready => Ok(stack),
        Some(stack) => Err(cause::failure(aws, &stack).await),
        None => Err(AwsError::Failed {
            kind: "foundation stack",
            name: name.to_owned(),
            status: "gone".to_owned(),
            reason: "it was deleted while it was waited for".to_owned(),
        }),
    }
}

fn require_ours(stack: &StackName, found: &Stack) -> Result<(), AwsError> {
    if found.is_ours(stack) {
        return Ok(());
    }
    Err(AwsError::NotOurs {
        kind: "foundation stack",
        name: found.name.clone(),
    })
}

fn is_outdated(stack: &StackName, found: &Stack, report: &dyn Reporter) -> bool {
    if !found.is_ours(stack) || is_current(found) {
        return false;
    }
    let made_by = found.tags.get(TAG_VERSION).map_or("", String::as_str);
    if version(made_by) > version(env!("CARGO_PKG_VERSION")) {
        report.warning(&format!(
            "foundation stack `{}` was made by version {made_by}, newer than this one: it is left as it is",
            found.name
        ));
        return false;
    }
    true
}

fn is_current(found: &Stack) -> bool {
    found.tags.get(TAG_TEMPLATE) == Some(&template_hash())
}

/// Dotted numbers, for comparison; what is none counts as 0.
fn version(text: &str) -> Vec<u64> {
    text.split('.').map(|n| n.parse().unwrap_or(0)).collect()
}

fn template_hash() -> String {
    hex::encode(Sha256::digest(TEMPLATE))[..16].to_owned()
}

fn tags(stack: &StackName) -> Vec<(String, String)> {
    let template = (TAG_TEMPLATE.to_owned(), template_hash());
    stack.aws_tags().into_iter().chain([template]).collect()
}

fn foundation(found: &Stack) -> Result<Foundation, AwsError> {
    let output = |key: &'static str| {
        let value = found.outputs.get(key).filter(|v| !v.is_empty()).cloned();
        value.ok_or_else(|| incomplete("cloudformation:DescribeStacks", &found.name, key))
    };
    Ok(Foundation {
        vpc_id: output("VpcId")?,
        subnet_ids: output("SubnetIds")?.split(',').map(str::to_owned).collect(),
        cluster_role_arn: output("ClusterRoleArn")?,
        node_role_arn: output("NodeRoleArn")?,
    })
}

#[cfg(test)]
mod tests;
