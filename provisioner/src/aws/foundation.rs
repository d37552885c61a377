//! The foundation: one `CloudFormation` stack with the network and the two IAM roles that a cluster needs, as far as
//! they are not brought along; where everything is, there is no stack.
//!
//! The stack is all or nothing and its own state: whatever a run finds (nothing, half-done, failed, complete), the
//! same call leads to a complete one. Template: `foundation.json`. A newer template is applied through a change set,
//! in which AWS itself says what would happen: one that replaces or removes a resource is refused.

mod cause;
mod change;
mod ground;
mod network;
mod spec;
mod stack;

use sha2::{Digest, Sha256};

pub use self::ground::{Ground, ground};
pub use self::network::{Network, network};
pub use self::spec::FoundationSpec;
use self::spec::{KIND, Parameters};
use self::stack::{Phase, Stack};
use super::Aws;
use super::drift::{Aspect, Drift, made_by_newer, refuse};
use super::eks::Compute;
use super::error::{AwsError, incomplete};
use crate::names::{StackName, TAG_CLUSTER, TAG_TEMPLATE};
use crate::report::{Outcome, Reporter};

/// The template, as it is sent.
const TEMPLATE: &str = include_str!("foundation.json");

/// What a cluster stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foundation {
    /// The VPC, where the stack made it.
    pub vpc_id: Option<String>,
    /// Subnets of cluster and nodes, in at least two zones: the private ones where there are any.
    pub subnet_ids: Vec<String>,
    /// Role that the control plane acts with.
    pub cluster_role_arn: String,
    /// Role that the nodes act with.
    pub node_role_arn: String,
    /// What the roles are made for.
    pub compute: Compute,
}

/// The foundation's stack as it was read.
#[derive(Debug, Clone, Default)]
pub struct Reading(Option<Stack>);

impl Reading {
    /// The stack's status, AWS's word; none where there is no stack.
    pub fn status(&self) -> Option<&str> {
        self.0.as_ref().map(|stack| stack.status.as_str())
    }

    /// Whether it has a NAT gateway of this stack's, which is billed.
    pub fn has_gateway(&self, stack: &StackName) -> bool {
        let ours = self.0.as_ref().filter(|found| found.is_ours(stack));
        ours.is_some_and(|found| Parameters(found).gateway())
    }

    /// Whether the stack is complete: nothing is under way, nothing has to be made again.
    pub fn is_complete(&self) -> bool {
        self.0.as_ref().is_some_and(|stack| stack.phase() == Phase::Ready)
    }

    /// Whether the stack's resources have to be made, all of them.
    pub fn is_to_be_made(&self) -> bool {
        self.0.as_ref().is_none_or(|stack| stack.phase() == Phase::Broken)
    }
}

/// Reads the stack.
pub async fn read(aws: &Aws, stack: &StackName) -> Result<Reading, AwsError> {
    Ok(Reading(stack::describe(aws, &stack.foundation()).await?))
}

/// How a foundation of ours differs from `spec`; nothing where there is none yet.
pub fn drift(Reading(found): &Reading, stack: &StackName, spec: &FoundationSpec) -> Vec<Drift> {
    let name = stack.foundation();
    match found {
        Some(found) if !found.is_ours(stack) => Vec::new(),
        // Without a cluster on it, it is replaced, whatever it was made with.
        Some(found) if found.phase() == Phase::Broken => {
            let newer = made_by_newer((KIND, &name), &found.tags);
            newer.into_iter().chain(ground_of_others(found, spec)).collect()
        }
        Some(found) if found.phase() == Phase::Working => {
            let drifts = spec.drift(found).into_iter();
            drifts.filter(|drift| is_known_early(drift.aspect)).collect()
        }
        Some(found) => spec.drift(found),
        None => missing(&name, spec),
    }
}

/// Whether a stack that is under way, and has no outputs yet, already tells.
fn is_known_early(aspect: Aspect) -> bool {
    matches!(
        aspect,
        Aspect::MadeBy | Aspect::Cluster | Aspect::Compute | Aspect::PrivateNodes
    )
}

/// One that is broken goes and is made again, but not from under a cluster: it holds the roles, perhaps the network,
/// that the cluster lives on; nor where it was made for another cluster, which may live.
fn ground_of_others(found: &Stack, spec: &FoundationSpec) -> Vec<Drift> {
    let refused = || {
        let of = (KIND, found.name.as_str());
        Drift::refused(of, Aspect::State, found.status.as_str(), "complete")
    };
    let broken = spec.standing.then(refused);
    spec.other_cluster(found).into_iter().chain(broken).collect()
}

/// What cannot be told or made any more without a stack, since a cluster stands already.
fn missing(name: &str, spec: &FoundationSpec) -> Vec<Drift> {
    if !spec.standing {
        return Vec::new();
    }
    let refused = |aspect, found: &str, wanted: &str| Drift::refused((KIND, name), aspect, found, wanted);
    let private = spec
        .private_nodes
        .then(|| refused(Aspect::PrivateNodes, "unknown", "made"));
    let role = spec.node_role_arn.is_none();
    let role = role.then(|| refused(Aspect::NodeRole, "unknown", "given with `--node-role-arn`"));
    private.into_iter().chain(role).collect()
}

/// Leads from what was read to a complete foundation: joins a creation that is under way, replaces one of ours that
/// failed, updates one of ours that an older version made. A complete stack without our tags is used as it is.
/// [`Outcome::Skipped`]: everything was brought along, there is no stack.
///
/// # Errors
/// [`AwsError::Failed`] with the first real cause from the stack's events; [`AwsError::Drift`] for one of ours that
/// differs from `spec` in what is not changed in place, before anything was changed.
pub async fn ensure_from(
    aws: &Aws,
    stack: &StackName,
    (Reading(first), spec): (Reading, &FoundationSpec),
    report: &dyn Reporter,
) -> Result<(Foundation, Outcome), AwsError> {
    let name = stack.foundation();
    let joined = first.as_ref().is_some_and(Stack::is_being_created);
    let Some(found) = stack::settled(aws, &name, first, report).await? else {
        refuse(&missing(&name, spec))?;
        return match spec.brought_along() {
            Some(given) => Ok((given, Outcome::Skipped)),
            None => create(aws, stack, spec, report).await,
        };
    };
    match found.phase() {
        Phase::Broken => {
            if found.is_ours(stack) {
                refuse(&ground_of_others(&found, spec))?;
            }
            let status = found.status.as_str();
            replace_stack(aws, stack, (&found, status), report).await?;
            create(aws, stack, spec, report).await
        }
        Phase::Ready if found.is_ours(stack) => {
            let drifts = spec.drift(&found);
            refuse(&drifts)?;
            if drifts.iter().any(|drift| drift.aspect == Aspect::Template) {
                return update(aws, stack, (found, spec), report).await;
            }
            let outcome = if joined { Outcome::Created } else { Outcome::Unchanged };
            Ok((foundation(&found, spec)?, outcome))
        }
        Phase::Ready => Ok((foundation(&found, spec)?, Outcome::Unchanged)),
        Phase::Working | Phase::Stuck => Err(cause::failure(aws, &found).await),
    }
}

/// Makes the network again in the zones that `spec` names: for a foundation of ours on which no cluster came to stand,
/// since EKS does not serve its zones.
///
/// # Errors
/// As [`ensure_from`]; [`AwsError::NotOurs`] for a stack without our tags.
pub async fn move_to_zones(
    aws: &Aws,
    stack: &StackName,
    spec: &FoundationSpec,
    report: &dyn Reporter,
) -> Result<Foundation, AwsError> {
    let name = stack.foundation();
    let first = stack::describe(aws, &name).await?;
    if let Some(found) = stack::settled(aws, &name, first, report).await? {
        replace_stack(aws, stack, (&found, "in zones that EKS does not serve"), report).await?;
    }
    Ok(create(aws, stack, spec, report).await?.0)
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
    let ground = Ground::of(&found, stack);
    if !ground.ours {
        report.note(&format!(
            "foundation stack `{name}` was not created by this stack: it stays"
        ));
        return Ok(Outcome::Skipped);
    }
    if let Some(refusal) = ground.protection(aws, stack) {
        return Err(refusal);
    }
    // A stack that is under way may refuse; one that is being deleted is gone at the end of this wait.
    if let Some(settled) = stack::settled(aws, &name, Some(found), report).await? {
        stack::remove(aws, &settled, report).await?;
    }
    Ok(Outcome::Deleted)
}

async fn create(
    aws: &Aws,
    stack: &StackName,
    spec: &FoundationSpec,
    report: &dyn Reporter,
) -> Result<(Foundation, Outcome), AwsError> {
    let name = stack.foundation();
    let order = stack::Order {
        template: TEMPLATE,
        parameters: spec.parameters(),
        tags: tags(stack, spec.cluster.as_deref()),
    };
    stack::create(aws, &name, order, report).await?;
    let made = finished(aws, &name, report).await?;
    Ok((foundation(&made, spec)?, Outcome::Created))
}

/// Removes one of ours, so that another can be made.
async fn replace_stack(
    aws: &Aws,
    stack: &StackName,
    (found, why): (&Stack, &str),
    report: &dyn Reporter,
) -> Result<(), AwsError> {
    if !found.is_ours(stack) {
        let name = found.name.clone();
        return Err(AwsError::NotOurs { kind: KIND, name });
    }
    refuse(made_by_newer((KIND, &found.name), &found.tags).as_slice())?;
    report.note(&format!("foundation stack `{}` is {why}: it is replaced", found.name));
    stack::remove(aws, found, report).await
}

async fn update(
    aws: &Aws,
    stack: &StackName,
    (found, spec): (Stack, &FoundationSpec),
    report: &dyn Reporter,
) -> Result<(Foundation, Outcome), AwsError> {
    let tags = tags(stack, found.made_for().or(spec.cluster.as_deref()));
    let Some(set) = change::propose(aws, &found, TEMPLATE, tags, report).await? else {
        return Ok((foundation(&found, spec)?, Outcome::Unchanged));
    };
    if !set.harmful.is_empty() {
        change::discard(aws, &set).await?;
        let wanted = format!("{}, which would {}", template_hash(), set.harmful.join(", "));
        let was = found.tags.get(TAG_TEMPLATE).cloned().unwrap_or_default();
        refuse(&[Drift::refused((KIND, &found.name), Aspect::Template, was, wanted)])?;
    }
    let gone = change::execute(aws, &set).await?;
    let updated = finished(aws, &found.name, report).await?;
    // UPDATE_ROLLBACK_COMPLETE is a working stack, but not the one that was wanted.
    if updated.tags.get(TAG_TEMPLATE) != Some(&template_hash()) {
        return Err(match gone {
            // Nothing ran: the stack is as it was.
            Some(said) if updated.status == found.status => said,
            _ => cause::failure(aws, &updated).await,
        });
    }
    Ok((foundation(&updated, spec)?, Outcome::Updated))
}

/// The stack once nothing is under way; fails with the cause unless it works.
async fn finished(aws: &Aws, name: &str, report: &dyn Reporter) -> Result<Stack, AwsError> {
    let first = stack::describe(aws, name).await?;
    match stack::settled(aws, name, first, report).await? {
        Some(stack) if stack.phase() == Phase::Ready => Ok(stack),
        Some(stack) => Err(cause::failure(aws, &stack).await),
        None => Err(AwsError::Failed {
            kind: KIND,
            name: name.to_owned(),
            status: "gone".to_owned(),
            reason: "it was deleted while it was waited for".to_owned(),
        }),
    }
}

fn template_hash() -> String {
    hex::encode(Sha256::digest(TEMPLATE))[..16].to_owned()
}

fn tags(stack: &StackName, cluster: Option<&str>) -> Vec<(String, String)> {
    let template = (TAG_TEMPLATE.to_owned(), template_hash());
    let cluster = cluster.map(|cluster| (TAG_CLUSTER.to_owned(), cluster.to_owned()));
    stack.aws_tags().into_iter().chain([template]).chain(cluster).collect()
}

/// What the stack made, and for the rest what was brought along.
fn foundation(found: &Stack, spec: &FoundationSpec) -> Result<Foundation, AwsError> {
    let output = |key: &str| found.outputs.get(key).filter(|v| !v.is_empty()).cloned();
    let known = |key: &'static str, given: Option<String>| {
        let value = output(key).or(given);
        value.ok_or_else(|| incomplete("cloudformation:DescribeStacks", &found.name, key))
    };
    let given = (!spec.subnet_ids.is_empty()).then(|| spec.subnet_ids.join(","));
    Ok(Foundation {
        vpc_id: output("VpcId"),
        subnet_ids: known("SubnetIds", given)?.split(',').map(str::to_owned).collect(),
        cluster_role_arn: known("ClusterRoleArn", spec.cluster_role_arn.clone())?,
        node_role_arn: known("NodeRoleArn", spec.node_role_arn.clone())?,
        compute: Parameters(found).compute(),
    })
}

#[cfg(test)]
mod tests;
