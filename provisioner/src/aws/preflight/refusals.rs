//! Calls that AWS refused, told together, each as a policy names it.

use std::fmt;

use crate::aws::error::ApiError;
use crate::aws::error::hint::POLICY;
use crate::aws::{Aws, AwsError};

/// Everything that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusals {
    account: String,
    identity: String,
    /// Each as "ACTION on RESOURCE".
    refused: Vec<String>,
    /// What failed otherwise at the same time.
    others: Vec<String>,
}

impl Refusals {
    /// The refusals among `problems`; none where there are none.
    pub(super) fn among(aws: &Aws, problems: &[AwsError]) -> Option<Self> {
        let (mut refused, mut others) = (Vec::new(), Vec::new());
        for problem in problems {
            match problem {
                AwsError::Api(error) if error.is_denied() => refused.push(line(aws, error)),
                other => others.push(other.to_string()),
            }
        }
        refused.sort();
        refused.dedup();
        let (account, identity) = (aws.identity.account.clone(), aws.identity.arn.clone());
        (!refused.is_empty()).then_some(Self {
            account,
            identity,
            refused,
            others,
        })
    }

    pub(super) fn hint(&self) -> String {
        format!(
            "attach the policy in {POLICY} to `{}`: it has all of them",
            self.identity
        )
    }
}

impl std::error::Error for Refusals {}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, identity, .. } = self;
        write!(f, "cannot begin: account {account} refuses to `{identity}`")?;
        for line in &self.refused {
            write!(f, "\n  {line}")?;
        }
        for line in &self.others {
            write!(f, "\n  besides, {line}")?;
        }
        Ok(())
    }
}

fn line(aws: &Aws, error: &ApiError) -> String {
    format!("{} on {}", error.operation, resource(aws, error))
}

/// The ARN that the call is about, as IAM checks it; `*` for calls that are about none.
fn resource(aws: &Aws, error: &ApiError) -> String {
    let arn = |service: &str, rest: String| {
        let (partition, account) = (&aws.identity.partition, &aws.identity.account);
        format!("arn:{partition}:{service}:{}:{account}:{rest}", aws.region)
    };
    let object = &error.object;
    match error.operation {
        "eks:DescribeCluster" => arn("eks", format!("cluster/{object}")),
        "cloudformation:DescribeStacks" => arn("cloudformation", format!("stack/{object}/*")),
        "ecr:DescribeRepositories" | "ecr:ListTagsForResource" | "ecr:GetLifecyclePolicy" => {
            arn("ecr", format!("repository/{object}"))
        }
        "eks:DescribeAddon" => arn("eks", format!("addon/*/{object}/*")),
        "eks:DescribeNodegroup" => arn("eks", format!("nodegroup/*/{object}/*")),
        "eks:ListAssociatedAccessPolicies" => arn("eks", "access-entry/*".to_owned()),
        _ => "*".to_owned(),
    }
}
