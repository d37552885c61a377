//! Whose ground the foundation is: the cluster that it was made for, and whether one that lives stands on it.

use super::spec::{KIND, Parameters};
use super::stack::{self, Stack};
use crate::aws::Aws;
use crate::aws::eks::EksCluster;
use crate::aws::error::AwsError;
use crate::names::StackName;

/// A foundation that exists, in whatever state, as what a cluster stands on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ground {
    /// Whether this stack made it.
    pub ours: bool,
    /// The cluster that this stack made it for; none where it is not ours, or an older version made it, which did not
    /// write that down.
    pub made_for: Option<String>,
    /// Whether it has a NAT gateway of this stack's, which is billed.
    pub gateway: bool,
    /// Whether somebody protected it from deletion.
    protected: bool,
    /// What it gives to a cluster: its roles' ARNs, the ids of subnets and VPC.
    gives: Vec<String>,
}

/// The foundation, if there is a stack of that name.
pub async fn ground(aws: &Aws, stack: &StackName) -> Result<Option<Ground>, AwsError> {
    let found = stack::describe(aws, &stack.foundation()).await?;
    Ok(found.map(|found| Ground::of(&found, stack)))
}

impl Ground {
    pub(super) fn of(found: &Stack, stack: &StackName) -> Self {
        Self {
            ours: found.is_ours(stack),
            gateway: found.is_ours(stack) && Parameters(found).gateway(),
            made_for: found.made_for().filter(|_| found.is_ours(stack)).map(str::to_owned),
            protected: found.protected,
            gives: found
                .outputs
                .values()
                .flat_map(|value| value.split(','))
                .filter(|value| !value.is_empty())
                .map(str::to_owned)
                .collect(),
        }
    }

    /// Why its deletion is refused though it is ours; none where it is not refused.
    pub fn protection(&self, aws: &Aws, stack: &StackName) -> Option<AwsError> {
        self.protected.then(|| AwsError::Protected {
            kind: KIND,
            name: stack.foundation(),
            region: aws.region().to_owned(),
        })
    }

    /// Why the living cluster `found` needs it, `node_role` being that of its node group; none where it does not.
    pub fn needed_by(&self, found: &EksCluster, node_role: Option<&str>) -> Option<String> {
        if self.made_for.as_deref() == Some(found.name.as_str()) {
            return Some(format!("it was made for cluster `{}`, which is there", found.name));
        }
        let is = &found.settings;
        let subnets = is.subnet_ids.iter().map(String::as_str);
        let roles = [is.role_arn.as_deref(), is.node_role_arn.as_deref(), node_role];
        let mut stands_on = subnets
            .chain(roles.into_iter().flatten())
            .chain(found.vpc_id.as_deref());
        let used = stands_on.find(|used| self.gives.iter().any(|given| given == used))?;
        Some(format!("cluster `{}` stands on it: it uses `{used}`", found.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::eks::Settings;

    fn cluster(settings: Settings) -> EksCluster {
        EksCluster {
            vpc_id: Some("vpc-9".to_owned()),
            settings,
            ..crate::aws::fake::cluster("demo", false)
        }
    }

    #[test]
    fn a_cluster_that_lives_needs_the_foundation_that_it_was_made_for_or_uses() {
        let roles_only = Ground {
            ours: true,
            made_for: None,
            gives: vec!["arn:c".to_owned(), "arn:n".to_owned()],
            ..Ground::default()
        };
        let other = cluster(Settings::default());
        assert_eq!(roles_only.needed_by(&other, Some("arn:theirs")), None);
        assert!(
            roles_only.needed_by(&other, Some("arn:n")).is_some(),
            "the node group's"
        );
        let ours = cluster(Settings {
            role_arn: Some("arn:c".to_owned()),
            ..Settings::default()
        });
        let why = roles_only.needed_by(&ours, None).expect("used");
        assert_eq!(why, "cluster `demo` stands on it: it uses `arn:c`");
        let subnets = Ground {
            ours: true,
            made_for: Some("other".to_owned()),
            gives: vec!["subnet-a".to_owned()],
            ..Ground::default()
        };
        let on_subnets = cluster(Settings {
            subnet_ids: vec!["subnet-x".to_owned(), "subnet-a".to_owned()],
            ..Settings::default()
        });
        assert!(subnets.needed_by(&on_subnets, None).is_some());
        let tagged = Ground {
            ours: true,
            made_for: Some("demo".to_owned()),
            ..Ground::default()
        };
        assert!(tagged.needed_by(&other, None).is_some());
    }
}
