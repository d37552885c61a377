//! Why a stack failed: its events tell, if the right one is picked.

use aws_sdk_cloudformation::types::{ResourceStatus, StackEvent};

use super::stack::Stack;
use crate::aws::Aws;
use crate::aws::error::{AwsError, api};

/// Why the stack is in its state: the first resource that failed on its own account.
pub(super) async fn failure(aws: &Aws, stack: &Stack) -> AwsError {
    let events = aws.cloudformation.describe_stack_events().stack_name(&stack.id);
    let events: Result<Vec<_>, _> = events.into_paginator().items().send().collect().await;
    let known = stack.reason.clone();
    let reason = match events {
        Ok(events) => cause(&events, &stack.id)
            .or(known)
            .unwrap_or_else(|| "its events name no reason".to_owned()),
        Err(error) => {
            let operation = "cloudformation:DescribeStackEvents";
            let unread = api(operation, "read the events of foundation stack", &stack.name)(error).with_hint();
            known.map_or(unread.clone(), |known| format!("{known}; {unread}"))
        }
    };
    AwsError::Failed {
        kind: "foundation stack",
        name: stack.name.clone(),
        status: stack.status.as_str().to_owned(),
        reason,
    }
}

/// The earliest failure of the stack's latest operation; `events` are newest first, as AWS gives them.
fn cause(events: &[StackEvent], stack_id: &str) -> Option<String> {
    let own = |e: &&StackEvent| e.physical_resource_id() == Some(stack_id);
    let operation: Vec<_> = events.iter().take_while(|e| !(own(e) && begins(e))).collect();
    // Resources that CloudFormation itself cancelled because another one failed are no causes.
    let mut failed = operation.iter().copied().filter(|e| !own(e) && is_failure(e));
    if let Some(first) = failed.rfind(|e| !reason(e).to_ascii_lowercase().contains("cancelled")) {
        return Some(format!(
            "{} ({}): {}",
            first.logical_resource_id().unwrap_or("a resource"),
            first.resource_type().unwrap_or("unknown type"),
            reason(first)
        ));
    }
    // No resource failed by itself: the stack as a whole did, e.g. it took too long.
    let mut whole = operation.iter().copied().filter(own).map(reason);
    whole.rfind(|text| !text.is_empty()).map(str::to_owned)
}

fn begins(event: &StackEvent) -> bool {
    matches!(
        event.resource_status(),
        Some(ResourceStatus::CreateInProgress | ResourceStatus::UpdateInProgress | ResourceStatus::DeleteInProgress)
    )
}

fn is_failure(event: &StackEvent) -> bool {
    let status = event.resource_status().map_or("", ResourceStatus::as_str);
    status.ends_with("_FAILED") && !reason(event).is_empty()
}

fn reason(event: &StackEvent) -> &str {
    event.resource_status_reason().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(resource: &str, status: ResourceStatus, reason: &str) -> StackEvent {
        StackEvent::builder()
            .event_id("e")
            .stack_name("s")
            .stack_id("id")
            .logical_resource_id(resource)
            .physical_resource_id(if resource == "s" { "id" } else { "other" })
            .resource_type("AWS::X::Y")
            .resource_status(status)
            .set_resource_status_reason((!reason.is_empty()).then(|| reason.to_owned()))
            .build()
    }

    #[test]
    fn cause_is_the_first_failure_that_is_no_cancellation_of_the_latest_operation() {
        let newest_first = [
            event("s", ResourceStatus::RollbackInProgress, "[A, B] failed"),
            event("C", ResourceStatus::CreateFailed, "second failure"),
            event("B", ResourceStatus::CreateFailed, "limit of VPCs reached"),
            event("A", ResourceStatus::CreateFailed, "Resource creation cancelled"),
            event("s", ResourceStatus::CreateInProgress, "User Initiated"),
            event("Z", ResourceStatus::DeleteFailed, "of an earlier operation"),
        ];
        assert_eq!(
            cause(&newest_first, "id").as_deref(),
            Some("B (AWS::X::Y): limit of VPCs reached")
        );
        assert_eq!(cause(&newest_first[4..], "id"), None);
    }

    /// A rollback that fails too, with reasons inside reasons: the creation's failure stays the cause.
    #[test]
    fn cause_is_the_innermost_resource_not_the_stack_that_repeats_it() {
        let nested = "Resource handler returned message: \"The maximum number of VPCs has been reached. (Service: Ec2, \
                      Status Code: 400, Error Code: VpcLimitExceeded)\" (HandlerErrorCode: ServiceLimitExceeded)";
        let newest_first = [
            event(
                "s",
                ResourceStatus::RollbackFailed,
                "The following resource(s) failed to delete: [A]. ",
            ),
            event("A", ResourceStatus::DeleteFailed, "has dependencies"),
            event(
                "s",
                ResourceStatus::CreateFailed,
                "The following resource(s) failed to create: [A, Vpc]. ",
            ),
            event("A", ResourceStatus::CreateFailed, "Resource creation cancelled"),
            event("Vpc", ResourceStatus::CreateFailed, nested),
            event("s", ResourceStatus::CreateInProgress, "User Initiated"),
        ];
        assert_eq!(cause(&newest_first, "id"), Some(format!("Vpc (AWS::X::Y): {nested}")));
    }

    #[test]
    fn a_stack_that_took_too_long_says_so_itself() {
        let newest_first = [
            event("s", ResourceStatus::RollbackComplete, ""),
            event(
                "s",
                ResourceStatus::RollbackInProgress,
                "Stack creation time exceeded the specified timeout",
            ),
            event("A", ResourceStatus::CreateFailed, "Resource creation cancelled"),
            event("s", ResourceStatus::CreateInProgress, "User Initiated"),
        ];
        let told = cause(&newest_first, "id");
        assert_eq!(
            told.as_deref(),
            Some("Stack creation time exceeded the specified timeout")
        );
    }
}
