//! Change sets: what an update would do, as AWS computes it, before it is done.

use aws_sdk_cloudformation::operation::execute_change_set::ExecuteChangeSetError;
use aws_sdk_cloudformation::types::{
    Capability, ChangeAction, ChangeSetStatus, ChangeSetType, Parameter, Replacement, ResourceChange, Tag,
};

use super::stack::Stack;
use crate::aws::Aws;
use crate::aws::error::{AwsError, api, is};
use crate::aws::wait::Wait;
use crate::report::Reporter;

/// A change set that waits to be executed.
pub(super) struct ChangeSet {
    stack: String,
    name: String,
    /// What it would do that nothing standing on the stack survives, e.g. "replace `Vpc`".
    pub(super) harmful: Vec<String>,
}

/// Asks for the update of `stack` to `template`, its parameters as they are; none where nothing would change.
pub(super) async fn propose(
    aws: &Aws,
    stack: &Stack,
    template: &str,
    tags: Vec<(String, String)>,
    report: &dyn Reporter,
) -> Result<Option<ChangeSet>, AwsError> {
    let token = aws.request_token(&["change", &stack.id, template]);
    let name = format!("provisioner-{}", &token[..12]);
    let previous = |key: &String| Parameter::builder().parameter_key(key).use_previous_value(true).build();
    let tag = |(key, value)| Tag::builder().key(key).value(value).build();
    let call = aws
        .cloudformation
        .create_change_set()
        .stack_name(&stack.name)
        .change_set_name(&name)
        .change_set_type(ChangeSetType::Update)
        .template_body(template)
        .capabilities(Capability::CapabilityIam)
        .set_parameters(Some(stack.parameters.keys().map(previous).collect()))
        .set_tags(Some(tags.into_iter().map(tag).collect()));
    let answer = call.client_token(token).send().await;
    answer.map_err(api(
        "cloudformation:CreateChangeSet",
        "prepare the update of foundation stack",
        &stack.name,
    ))?;
    let set = ChangeSet {
        stack: stack.name.clone(),
        name,
        harmful: Vec::new(),
    };
    described(aws, set, report).await
}

/// The change set once it is computed.
async fn described(aws: &Aws, mut set: ChangeSet, report: &dyn Reporter) -> Result<Option<ChangeSet>, AwsError> {
    let wait =
        Wait::new(aws, format!("change set of foundation stack `{}`", set.stack), report).usually("some seconds");
    loop {
        let (status, reason, changes) = look(aws, &set).await?;
        match status {
            ChangeSetStatus::CreateComplete => {
                set.harmful = changes.iter().filter_map(harm).collect();
                return Ok(Some(set));
            }
            ChangeSetStatus::Failed => {
                discard(aws, &set).await?;
                if is_empty(&reason) {
                    return Ok(None);
                }
                return Err(AwsError::Failed {
                    kind: "change set of foundation stack",
                    name: set.stack,
                    status: status.as_str().to_owned(),
                    reason,
                });
            }
            other => wait.pause(other.as_str()).await?,
        }
    }
}

/// There is no status of its own for a change set without changes: the text is the interface.
fn is_empty(reason: &str) -> bool {
    ["didn't contain changes", "No updates are to be performed"]
        .iter()
        .any(|text| reason.contains(text))
}

/// Status, reason and changes of a change set, all pages.
async fn look(aws: &Aws, set: &ChangeSet) -> Result<(ChangeSetStatus, String, Vec<ResourceChange>), AwsError> {
    let call = aws.cloudformation.describe_change_set().stack_name(&set.stack);
    let mut pages = call.change_set_name(&set.name).into_paginator().send();
    let (mut status, mut reason, mut changes) = (ChangeSetStatus::CreatePending, String::new(), Vec::new());
    while let Some(page) = pages.next().await {
        let page = page.map_err(api(
            "cloudformation:DescribeChangeSet",
            "look up the change set of foundation stack",
            &set.stack,
        ))?;
        status = page.status.unwrap_or(ChangeSetStatus::CreatePending);
        reason = page.status_reason.unwrap_or(reason);
        let page = page.changes.unwrap_or_default().into_iter();
        changes.extend(page.filter_map(|change| change.resource_change));
    }
    Ok((status, reason, changes))
}

/// What a change would break, in words; none for additions and for changes in place.
fn harm(change: &ResourceChange) -> Option<String> {
    let name = change.logical_resource_id().unwrap_or("a resource");
    match (change.action(), change.replacement()) {
        (Some(ChangeAction::Add | ChangeAction::Import | ChangeAction::SyncWithActual), _)
        | (Some(ChangeAction::Modify), Some(Replacement::False)) => None,
        (Some(ChangeAction::Modify), Some(Replacement::True)) => Some(format!("replace `{name}`")),
        (Some(ChangeAction::Remove), _) => Some(format!("remove `{name}`")),
        // Conditional, dynamic, or not known here: not known to be safe.
        _ => Some(format!("perhaps replace `{name}`")),
    }
}

/// Starts the update. Where the change set is gone or executed already, the answer is what AWS said: an earlier attempt
/// whose answer was lost did that, or somebody deleted it, which the stack tells.
pub(super) async fn execute(aws: &Aws, set: &ChangeSet) -> Result<Option<AwsError>, AwsError> {
    let call = aws.cloudformation.execute_change_set().stack_name(&set.stack);
    let call = call.change_set_name(&set.name);
    let token = aws.request_token(&["execute", &set.stack, &set.name]);
    let told = api("cloudformation:ExecuteChangeSet", "update foundation stack", &set.stack);
    match call.client_request_token(token).send().await {
        Ok(_) => Ok(None),
        Err(e) if is(&e, is_gone) => Ok(Some(told(e))),
        Err(e) => Err(told(e)),
    }
}

fn is_gone(refused: &ExecuteChangeSetError) -> bool {
    refused.is_change_set_not_found_exception() || refused.is_invalid_change_set_status_exception()
}

/// Forgets a change set that is not executed.
pub(super) async fn discard(aws: &Aws, set: &ChangeSet) -> Result<(), AwsError> {
    let call = aws.cloudformation.delete_change_set().stack_name(&set.stack);
    let answer = call.change_set_name(&set.name).send().await;
    answer.map_err(api(
        "cloudformation:DeleteChangeSet",
        "delete the change set of foundation stack",
        &set.stack,
    ))?;
    Ok(())
}
