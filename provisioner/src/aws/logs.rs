//! The control plane's log group, which EKS makes and never deletes.

use aws_sdk_cloudwatchlogs::operation::delete_log_group::DeleteLogGroupError;

use super::Aws;
use super::error::{AwsError, api, is};
use super::wait::Wait;
use crate::report::{Outcome, Reporter};

/// EKS may write once more just after the deletion, and the group is there again: so many looks in a row, a poll
/// interval apart, must find nothing.
const QUIET_LOOKS: u32 = 3;
/// How long that is watched at most.
const WATCH: std::time::Duration = std::time::Duration::from_mins(2);

/// A log group as described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogGroup {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: Option<jiff::Timestamp>,
}

/// The name that EKS gives to the log group of a cluster.
pub fn name(cluster: &str) -> String {
    format!("/aws/eks/{cluster}/cluster")
}

/// The log group of a cluster, if there is one.
pub async fn find(aws: &Aws, cluster: &str) -> Result<Option<LogGroup>, AwsError> {
    let name = name(cluster);
    let pages = aws.logs.describe_log_groups().log_group_name_prefix(&name);
    let groups: Result<Vec<_>, _> = pages.into_paginator().items().send().collect().await;
    let groups = groups.map_err(api("logs:DescribeLogGroups", "look up log group", &name))?;
    let found = groups
        .into_iter()
        .find(|group| group.log_group_name.as_ref() == Some(&name));
    Ok(found.map(|group| LogGroup {
        created_at: group
            .creation_time
            .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()),
        name,
    }))
}

/// Deletes the log group of a cluster. [`keep_away`] is for the end, when EKS has written its last.
pub async fn delete(aws: &Aws, cluster: &str) -> Result<Outcome, AwsError> {
    if find(aws, cluster).await?.is_none() {
        return Ok(Outcome::Unchanged);
    }
    delete_once(aws, &name(cluster)).await?;
    Ok(Outcome::Deleted)
}

/// Looks again at a log group that was deleted, and deletes it again where EKS made it anew, until it stays away.
///
/// # Errors
/// [`AwsError::TimedOut`] where it kept coming back.
pub async fn keep_away(aws: &Aws, cluster: &str, report: &dyn Reporter) -> Result<(), AwsError> {
    let group = name(cluster);
    let wait = Wait::new(aws, format!("log group `{group}` to stay away"), report).at_most(WATCH);
    let mut quiet = 0;
    loop {
        if find(aws, cluster).await?.is_some() {
            delete_once(aws, &group).await?;
            quiet = 0;
        } else {
            quiet += 1;
        }
        if quiet >= QUIET_LOOKS {
            return Ok(());
        }
        wait.pause("deleted, EKS may write once more").await?;
    }
}

async fn delete_once(aws: &Aws, name: &str) -> Result<(), AwsError> {
    match aws.logs.delete_log_group().log_group_name(name).send().await {
        Err(e) if is(&e, DeleteLogGroupError::is_resource_not_found_exception) => Ok(()),
        other => {
            other.map_err(api("logs:DeleteLogGroup", "delete log group", name))?;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::aws::fake::Wire;
    use crate::report::Silent;

    fn groups(names: &[&str]) -> serde_json::Value {
        let group = |name: &&str| json!({"logGroupName": name, "creationTime": 1_795_000_000_000_u64});
        json!({"logGroups": names.iter().map(group).collect::<Vec<_>>()})
    }

    #[tokio::test]
    async fn a_group_that_comes_back_is_deleted_again() {
        let wire = Wire::default()
            .on("DescribeLogGroups", 200, groups(&[]))
            .on("DescribeLogGroups", 200, groups(&["/aws/eks/demo/cluster"]))
            .on("DescribeLogGroups", 200, groups(&[]))
            .on("DeleteLogGroup", 200, "");
        keep_away(&wire.aws(), "demo", &Silent).await.expect("away");
        let deletions = wire.calls().iter().filter(|call| *call == "DeleteLogGroup").count();
        assert_eq!((deletions, wire.calls().len()), (1, 6), "three quiet looks end it");
    }

    #[tokio::test]
    async fn one_that_keeps_coming_back_is_given_up() {
        let wire = Wire::default()
            .on("DescribeLogGroups", 200, groups(&["/aws/eks/demo/cluster"]))
            .on("DeleteLogGroup", 200, "");
        let aws = Aws {
            timeout: std::time::Duration::from_millis(20),
            ..wire.aws()
        };
        let error = keep_away(&aws, "demo", &Silent).await.expect_err("endless");
        assert!(matches!(error, AwsError::TimedOut { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_longer_name_is_another_group() {
        let wire = Wire::default().on("DescribeLogGroups", 200, groups(&["/aws/eks/demo/cluster-old"]));
        let done = delete(&wire.aws(), "demo").await;
        assert_eq!(done.expect("nothing"), Outcome::Unchanged);
        assert_eq!(wire.calls(), ["DescribeLogGroups"]);
    }
}
