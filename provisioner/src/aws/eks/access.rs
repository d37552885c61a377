//! Access entries: who, besides the creator, is administrator of a cluster of ours.

use aws_sdk_eks::operation::create_access_entry::CreateAccessEntryError;
use aws_sdk_eks::operation::list_associated_access_policies::ListAssociatedAccessPoliciesError;
use aws_sdk_eks::types::{AccessScope, AccessScopeType};

use crate::aws::Aws;
use crate::aws::error::{AwsError, api, is};
use crate::report::{Outcome, Reporter};

const ADMIN: &str = "cluster-access-policy/AmazonEKSClusterAdminPolicy";

/// Principals that are to be administrators, each with its policies that hold in the whole cluster; none where it has
/// no access entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessReading(Vec<(String, Option<Vec<String>>)>);

impl AccessReading {
    /// Each principal with what making it an administrator takes.
    pub fn outcomes(&self) -> impl Iterator<Item = (&str, Outcome)> {
        self.0
            .iter()
            .map(|(principal, policies)| (principal.as_str(), outcome(policies.as_deref())))
    }
}

fn outcome(policies: Option<&[String]>) -> Outcome {
    match policies {
        Some(policies) if policies.iter().any(|p| p.ends_with(ADMIN)) => Outcome::Unchanged,
        Some(_) => Outcome::Updated,
        None => Outcome::Created,
    }
}

/// Reads the access of `arns`; a cluster that does not exist gives none.
pub async fn read(aws: &Aws, cluster: &str, arns: &[String]) -> Result<AccessReading, AwsError> {
    let mut found = Vec::new();
    for arn in arns {
        let principal = principal(arn);
        let policies = policies(aws, cluster, &principal).await?;
        found.push((principal, policies));
    }
    Ok(AccessReading(found))
}

/// Makes sure that all of them are administrators of the whole cluster. True if something had to change.
pub(super) async fn ensure_admins(
    aws: &Aws,
    cluster: &str,
    admins: &AccessReading,
    report: &dyn Reporter,
) -> Result<bool, AwsError> {
    let mut changed = false;
    for (principal, outcome) in admins.outcomes() {
        if outcome == Outcome::Created {
            create(aws, cluster, principal).await?;
        }
        if outcome != Outcome::Unchanged {
            associate(aws, cluster, principal).await?;
            changed = true;
        }
        report.done("access entry", principal, outcome, "");
    }
    Ok(changed)
}

/// Policies of `principal` that hold in the whole cluster; none where it has no access entry.
async fn policies(aws: &Aws, cluster: &str, principal: &str) -> Result<Option<Vec<String>>, AwsError> {
    let call = aws.eks.list_associated_access_policies();
    let pages = call
        .cluster_name(cluster)
        .principal_arn(principal)
        .into_paginator()
        .items();
    let found: Result<Vec<_>, _> = pages.send().collect().await;
    let absent = ListAssociatedAccessPoliciesError::is_resource_not_found_exception;
    match found {
        Err(e) if is(&e, absent) => Ok(None),
        Err(e) => Err(api("eks:ListAssociatedAccessPolicies", "read the access of", principal)(e)),
        Ok(found) => {
            let scope = |s: &AccessScope| s.r#type() == Some(&AccessScopeType::Cluster);
            let wide = found.into_iter().filter(|p| p.access_scope().is_some_and(scope));
            Ok(Some(wide.filter_map(|p| p.policy_arn).collect()))
        }
    }
}

async fn create(aws: &Aws, cluster: &str, principal: &str) -> Result<(), AwsError> {
    let call = aws.eks.create_access_entry().cluster_name(cluster);
    let token = aws.request_token(&["access", cluster, principal]);
    let call = call.principal_arn(principal).client_request_token(token);
    match call.r#type("STANDARD").send().await {
        Err(e) if is(&e, CreateAccessEntryError::is_resource_in_use_exception) => Ok(()),
        Err(e) => Err(api("eks:CreateAccessEntry", "create access entry", principal)(e)),
        Ok(_) => Ok(()),
    }
}

async fn associate(aws: &Aws, cluster: &str, principal: &str) -> Result<(), AwsError> {
    let policy = format!("arn:{}:eks::aws:{ADMIN}", aws.identity.partition);
    let scope = AccessScope::builder().r#type(AccessScopeType::Cluster);
    let call = aws.eks.associate_access_policy().cluster_name(cluster);
    let call = call.principal_arn(principal).policy_arn(policy);
    let answer = call.access_scope(scope.build()).send().await;
    answer.map_err(api(
        "eks:AssociateAccessPolicy",
        "give cluster administration to",
        principal,
    ))?;
    Ok(())
}

/// The principal that an access entry wants: of a role's session the role itself. A session's ARN does not tell the
/// role's path, so that roles with a path must be given by their own ARN.
fn principal(arn: &str) -> String {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    if let ["arn", partition, "sts", _, account, resource] = parts.as_slice()
        && let ["assumed-role", role, ..] = resource.split('/').collect::<Vec<_>>().as_slice()
    {
        return format!("arn:{partition}:iam::{account}:role/{role}");
    }
    arn.to_owned()
}

#[cfg(test)]
mod tests {
    use super::principal;

    #[test]
    fn a_session_counts_as_its_role() {
        let cases = [
            (
                "arn:aws:sts::123456789012:assumed-role/ci/run-1",
                "arn:aws:iam::123456789012:role/ci",
            ),
            (
                "arn:aws-cn:sts::123456789012:assumed-role/ci/a",
                "arn:aws-cn:iam::123456789012:role/ci",
            ),
            (
                "arn:aws:iam::123456789012:role/team/ci",
                "arn:aws:iam::123456789012:role/team/ci",
            ),
            ("arn:aws:iam::123456789012:user/a", "arn:aws:iam::123456789012:user/a"),
        ];
        for (given, expected) in cases {
            assert_eq!(principal(given), expected);
        }
    }
}
