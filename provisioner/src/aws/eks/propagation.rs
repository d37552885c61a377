//! Patience with IAM, whose new roles take a while to be seen everywhere.

use std::time::Duration;

use aws_sdk_eks::error::{ProvideErrorMetadata, SdkError};

use crate::aws::Aws;
use crate::aws::error::is;
use crate::aws::wait::Wait;
use crate::report::Reporter;

/// How long a role may take to be seen by EKS.
const LIMIT: Duration = Duration::from_mins(2);

/// What `InvalidParameterException` says while a new role is not seen yet; there is no code of its own, and these are
/// the messages that Terraform's provider waits for.
const MESSAGES: [&str; 6] = [
    "does not exist",
    "Error in role params",
    "Role could not be assumed because the trusted entity is not correct",
    "could not be assumed because it does not exist or the trusted entity is not correct",
    "doesn't have the Amazon EKS Managed Policies",
    "IAM role's policy must include",
];

/// Whether an `InvalidParameterException` with this message may be a role that is not seen yet. A subnet that does not
/// exist is none.
fn is_pending(message: Option<&str>) -> bool {
    message.is_some_and(|m| MESSAGES.iter().any(|p| m.contains(p)) && !m.contains("subnet"))
}

/// A wait for the roles of `what`.
pub(super) fn wait<'a>(aws: &Aws, what: &str, report: &'a dyn Reporter) -> Wait<'a> {
    Wait::new(aws, format!("IAM roles of {what}"), report)
        .at_most(LIMIT)
        .usually("some seconds")
}

/// Sends a request until EKS sees the roles that it names, `wait` long at most. Past that EKS's own words are the error:
/// they are worth more than "timed out". `is_invalid` knows the `InvalidParameterException` of the operation.
pub(super) async fn send<T, E, F>(
    wait: &Wait<'_>,
    request: impl Fn() -> F,
    is_invalid: fn(&E) -> bool,
) -> Result<T, SdkError<E>>
where
    F: Future<Output = Result<T, SdkError<E>>>,
    E: ProvideErrorMetadata,
{
    loop {
        let answer = request().await;
        let pending = |error| is(error, is_invalid) && is_pending(error.message());
        if !answer.as_ref().err().is_some_and(pending) || wait.pause("not yet seen by EKS").await.is_err() {
            return answer;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_pending;

    #[test]
    fn only_messages_about_roles_are_waited_out() {
        let role =
            "Role with arn: arn:c, could not be assumed because it does not exist or the trusted entity is not correct";
        assert!(is_pending(Some(role)));
        assert!(is_pending(Some("Error in role params")));
        for other in [
            None,
            Some("unsupported Kubernetes version 9.9"),
            Some("The subnet ID 'subnet-1' does not exist"),
        ] {
            assert!(!is_pending(other), "{other:?}");
        }
    }
}
