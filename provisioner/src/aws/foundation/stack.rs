//! `CloudFormation` stacks: describe, create, wait, remove.

use std::collections::HashMap;

use aws_sdk_cloudformation::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudformation::operation::create_stack::CreateStackError;
use aws_sdk_cloudformation::types::{self as cfn, Capability, OnFailure, Parameter, StackStatus, Tag};

use super::cause;
use crate::aws::Aws;
use crate::aws::error::{AwsError, api, is};
use crate::aws::in_flight;
use crate::aws::quota::QuotaIsFinal;
use crate::aws::wait::Wait;
use crate::names::{StackName, TAG_CLUSTER};
use crate::report::Reporter;

/// `CloudFormation` gives up, and rolls back, after this long.
const CREATE_MINUTES: i32 = 15;

/// What to do with a stack in a given status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its resources exist.
    Ready,
    /// Something is under way.
    Working,
    /// It never came to exist, or is half deleted: delete it to go on.
    Broken,
    /// It exists, and only a person can repair it.
    Stuck,
}

/// A stack as described.
#[derive(Debug, Clone)]
pub(super) struct Stack {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) status: StackStatus,
    pub(super) reason: Option<String>,
    pub(super) protected: bool,
    pub(super) created_at: Option<jiff::Timestamp>,
    pub(super) tags: HashMap<String, String>,
    pub(super) outputs: HashMap<String, String>,
    pub(super) parameters: HashMap<String, String>,
}

/// What to create.
pub(super) struct Order {
    pub(super) template: &'static str,
    pub(super) parameters: Vec<(&'static str, String)>,
    pub(super) tags: Vec<(String, String)>,
}

impl Stack {
    pub(super) fn phase(&self) -> Phase {
        phase(&self.status)
    }

    pub(super) fn is_ours(&self, stack: &StackName) -> bool {
        stack.owns(&self.tags)
    }

    /// The cluster that it was made for, where it tells.
    pub(super) fn made_for(&self) -> Option<&str> {
        self.tags.get(TAG_CLUSTER).map(String::as_str)
    }

    pub(super) fn is_being_created(&self) -> bool {
        self.status == StackStatus::CreateInProgress
    }
}

fn phase(status: &StackStatus) -> Phase {
    match status {
        StackStatus::CreateComplete
        | StackStatus::UpdateComplete
        | StackStatus::UpdateRollbackComplete
        | StackStatus::ImportComplete
        | StackStatus::ImportRollbackComplete => Phase::Ready,
        // A change set that was never executed made a stack without resources.
        StackStatus::ReviewInProgress
        | StackStatus::CreateFailed
        | StackStatus::RollbackComplete
        | StackStatus::RollbackFailed
        | StackStatus::DeleteFailed => Phase::Broken,
        other if other.as_str().ends_with("_IN_PROGRESS") => Phase::Working,
        _ => Phase::Stuck,
    }
}

/// None where no stack of that name exists.
pub(super) async fn describe(aws: &Aws, name: &str) -> Result<Option<Stack>, AwsError> {
    let answer = match aws.cloudformation.describe_stacks().stack_name(name).send().await {
        Err(error) if is_absent(&error) => return Ok(None),
        other => other.map_err(api("cloudformation:DescribeStacks", "look up foundation stack", name))?,
    };
    let stack = answer.stacks.and_then(|s| s.into_iter().next()).map(|s| stack(s, name));
    Ok(stack.filter(|s| s.status != StackStatus::DeleteComplete))
}

/// Whether a stack does not exist. There is no code of its own for this: the text is the interface.
pub(super) fn is_absent<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error.code() == Some("ValidationError") && error.message().is_some_and(|m| m.contains("does not exist"))
}

fn stack(found: cfn::Stack, name: &str) -> Stack {
    let tags = found.tags.unwrap_or_default().into_iter();
    let outputs = found.outputs.unwrap_or_default().into_iter();
    let parameters = found.parameters.unwrap_or_default().into_iter();
    Stack {
        id: found.stack_id.unwrap_or_else(|| name.to_owned()),
        name: name.to_owned(),
        status: found.stack_status.unwrap_or_else(|| "UNKNOWN".into()),
        reason: found.stack_status_reason,
        protected: found.enable_termination_protection.unwrap_or(false),
        created_at: found
            .creation_time
            .and_then(|time| jiff::Timestamp::from_second(time.secs()).ok()),
        tags: tags.filter_map(|t| Some((t.key?, t.value?))).collect(),
        outputs: outputs.filter_map(|o| Some((o.output_key?, o.output_value?))).collect(),
        parameters: parameters
            .filter_map(|p| Some((p.parameter_key?, p.parameter_value?)))
            .collect(),
    }
}

/// Waits while something is under way, from the state `stack` on; none once the stack is gone.
pub(super) async fn settled(
    aws: &Aws,
    name: &str,
    mut stack: Option<Stack>,
    report: &dyn Reporter,
) -> Result<Option<Stack>, AwsError> {
    let wait = Wait::new(aws, format!("foundation stack `{name}`"), report).usually("3 min");
    while let Some(found) = stack.take_if(|s| s.phase() == Phase::Working) {
        wait.pause(found.status.as_str()).await?;
        stack = describe(aws, name).await?;
    }
    Ok(stack)
}

/// Starts the creation. A stack of that name that exists meanwhile is no error: its state tells.
pub(super) async fn create(aws: &Aws, name: &str, order: Order, report: &dyn Reporter) -> Result<(), AwsError> {
    let parameter = |(key, value)| Parameter::builder().parameter_key(key).parameter_value(value).build();
    let tag = |(key, value)| Tag::builder().key(key).value(value).build();
    let parameters: Vec<_> = order.parameters.into_iter().map(parameter).collect();
    let token = aws.request_token(&["create", name, order.template, &format!("{parameters:?}")]);
    let call = aws
        .cloudformation
        .create_stack()
        .stack_name(name)
        .template_body(order.template)
        .set_parameters(Some(parameters))
        .capabilities(Capability::CapabilityIam)
        .on_failure(OnFailure::Rollback)
        .timeout_in_minutes(CREATE_MINUTES)
        .client_request_token(token)
        .set_tags(Some(order.tags.into_iter().map(tag).collect()));
    let quota = aws_sdk_cloudformation::Config::builder().retry_classifier(QuotaIsFinal::<CreateStackError>::new());
    let call = call.customize().config_override(quota);
    match in_flight::tracked(&format!("foundation stack `{name}`"), report, Box::pin(call.send())).await {
        Err(e) if is(&e, CreateStackError::is_already_exists_exception) => Ok(()),
        Err(e) => Err(api("cloudformation:CreateStack", "create foundation stack", name)(e)),
        Ok(_) => Ok(()),
    }
}

/// Deletes a stack and waits until it is gone.
pub(super) async fn remove(aws: &Aws, stack: &Stack, report: &dyn Reporter) -> Result<(), AwsError> {
    let name = &stack.name;
    let call = aws.cloudformation.delete_stack().stack_name(name);
    let answer = call.send().await;
    answer.map_err(api("cloudformation:DeleteStack", "delete foundation stack", name))?;
    let wait = Wait::new(aws, format!("foundation stack `{name}` to be deleted"), report).usually("2 min");
    while let Some(found) = describe(aws, name).await? {
        if found.status == StackStatus::DeleteFailed {
            return Err(cause::failure(aws, &found).await);
        }
        wait.pause(found.status.as_str()).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_phase() {
        for status in StackStatus::values() {
            let phase = phase(&StackStatus::from(*status));
            let expected = match *status {
                "REVIEW_IN_PROGRESS" | "CREATE_FAILED" | "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "DELETE_FAILED" => {
                    Phase::Broken
                }
                s if s.ends_with("_IN_PROGRESS") => Phase::Working,
                "UPDATE_FAILED" | "UPDATE_ROLLBACK_FAILED" | "IMPORT_ROLLBACK_FAILED" | "DELETE_COMPLETE" => {
                    Phase::Stuck
                }
                _ => Phase::Ready,
            };
            assert_eq!(phase, expected, "{status}");
        }
    }
}
