//! Security groups: those of the cluster and of its load balancers, which may name each other in their rules.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{Items, Kind, Leftover, Owner, Scope, Step, claim, marked};
use crate::aws::Aws;
use crate::aws::ec2::{List, Tag, code, tags};
use crate::aws::error::{AwsError, api};
use crate::report::Reporter;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Group {
    #[serde(rename = "groupId")]
    id: String,
    #[serde(rename = "groupName")]
    name: String,
    ip_permissions: Items<Permission>,
    ip_permissions_egress: Items<Permission>,
    tag_set: Items<Tag>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Permission {
    groups: Items<Named>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Named {
    group_id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Page {
    security_group_info: Items<Group>,
    next_token: String,
}

impl List for Page {
    type Item = Group;

    fn into_page(self) -> (Vec<Group>, String) {
        (self.security_group_info.item, self.next_token)
    }
}

/// Groups in the VPC. Its default group and those of the foundation are the network's.
pub(super) async fn list(aws: &Aws, scope: &Scope, vpc: &str) -> Result<Vec<Leftover>, AwsError> {
    let filter = [("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", vpc)];
    let operation = "ec2:DescribeSecurityGroups";
    let found = aws
        .ec2
        .list::<Page>(operation, "list the security groups of VPC", vpc, &filter)
        .await?;
    Ok(found.into_iter().map(|one| judge(scope, one)).collect())
}

/// Groups that the cluster's tags mark, in whatever VPC.
pub(super) async fn list_marked(aws: &Aws, scope: &Scope) -> Result<Vec<Leftover>, AwsError> {
    let intent = "list the security groups of cluster";
    let found = marked::<Page>(aws, scope, "ec2:DescribeSecurityGroups", intent).await?;
    let marked = found
        .into_iter()
        .filter(|one| claim::is_marked(scope, &tags(one.tag_set.item.clone())));
    Ok(marked.map(|one| judge(scope, one)).collect())
}

fn judge(scope: &Scope, one: Group) -> Leftover {
    let tags = tags(one.tag_set.item);
    let is_default = one.name == "default";
    let part = |network: &crate::aws::foundation::Network| network.resources.contains(&one.id);
    let owner = if is_default && scope.is_lent() {
        claim::unmarked(scope, &tags)
    } else if is_default || scope.network.as_ref().is_some_and(part) {
        Owner::Network
    } else if is_cluster_group(&one.name, &scope.cluster) {
        claim::by_tags(scope, &tags).unwrap_or_else(|| claim::of_cluster(scope, &tags))
    } else {
        claim::by_tags(scope, &tags).unwrap_or_else(|| claim::unmarked(scope, &tags))
    };
    let rules = one
        .ip_permissions
        .item
        .into_iter()
        .chain(one.ip_permissions_egress.item);
    let named = rules.flat_map(|rule| rule.groups.item).map(|group| group.group_id);
    Leftover {
        kind: Kind::SecurityGroup,
        name: claim::name(&one.id, &one.name),
        groups: named.filter(|id| *id != one.id).collect(),
        id: one.id,
        owner,
        busy: None,
    }
}

/// `eks-cluster-sg-NAME-DIGITS`; a longer cluster name that begins alike does not match.
fn is_cluster_group(group: &str, cluster: &str) -> bool {
    let rest = group
        .strip_prefix("eks-cluster-sg-")
        .and_then(|rest| rest.strip_prefix(cluster));
    let digits = rest.and_then(|rest| rest.strip_prefix('-')).unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// Revokes rules of our groups and of the network's that name a group which is to go: two groups that name each other
/// keep each other. Rules of others' groups are left alone.
pub(super) async fn revoke_references(aws: &Aws, found: &[Leftover], report: &dyn Reporter) -> Result<(), AwsError> {
    let groups = || found.iter().filter(|one| one.kind == Kind::SecurityGroup);
    let going: BTreeSet<&String> = groups()
        .filter(|one| one.owner == Owner::Ours)
        .map(|one| &one.id)
        .collect();
    for one in groups().filter(|one| one.foreign().is_none()) {
        if one.groups.iter().any(|named| going.contains(named)) {
            let rules = rules_naming(aws, one, &going).await?;
            revoke(aws, one, &rules).await?;
            report.note(&format!("rules of {one} that name groups of the cluster are revoked"));
        }
    }
    Ok(())
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Rule {
    security_group_rule_id: String,
    is_egress: bool,
    referenced_group_info: Named,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Rules {
    security_group_rule_set: Items<Rule>,
    next_token: String,
}

impl List for Rules {
    type Item = Rule;

    fn into_page(self) -> (Vec<Rule>, String) {
        (self.security_group_rule_set.item, self.next_token)
    }
}

/// Ids of the rules of `one` that name another group that goes, by direction (true: outbound).
async fn rules_naming(
    aws: &Aws,
    one: &Leftover,
    going: &BTreeSet<&String>,
) -> Result<BTreeMap<bool, Vec<String>>, AwsError> {
    let filter = [("Filter.1.Name", "group-id"), ("Filter.1.Value.1", &one.id)];
    let operation = "ec2:DescribeSecurityGroupRules";
    let rules = aws
        .ec2
        .list::<Rules>(operation, "list the rules of security group", &one.id, &filter)
        .await?;
    let mut by_direction: BTreeMap<bool, Vec<String>> = BTreeMap::new();
    for rule in rules {
        let named = &rule.referenced_group_info.group_id;
        if *named != one.id && going.contains(named) {
            let ids = by_direction.entry(rule.is_egress).or_default();
            ids.push(rule.security_group_rule_id);
        }
    }
    Ok(by_direction)
}

async fn revoke(aws: &Aws, one: &Leftover, rules: &BTreeMap<bool, Vec<String>>) -> Result<(), AwsError> {
    for (egress, ids) in rules {
        let (action, operation) = if *egress {
            ("RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupEgress")
        } else {
            ("RevokeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress")
        };
        let keys: Vec<String> = (1..=ids.len()).map(|n| format!("SecurityGroupRuleId.{n}")).collect();
        let ids = keys.iter().map(String::as_str).zip(ids.iter().map(String::as_str));
        let parameters: Vec<(&str, &str)> = [("GroupId", one.id.as_str())].into_iter().chain(ids).collect();
        match aws.ec2.call(action, &parameters).await {
            Err(error) if !is_gone(code(&error)) => {
                return Err(api(operation, "revoke rules of security group", &one.id)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Codes that say that a group or a rule went already.
fn is_gone(code: &str) -> bool {
    matches!(
        code,
        "InvalidGroup.NotFound" | "InvalidPermission.NotFound" | "InvalidSecurityGroupRuleId.NotFound"
    )
}

/// Asks for the deletion of a group, unless something of others holds it.
pub(super) async fn delete(aws: &Aws, one: &Leftover, found: &[Leftover]) -> Result<Step, AwsError> {
    let holds = |other: &&Leftover| other.foreign().is_some() && other.groups.contains(&one.id);
    if let Some(holder) = found.iter().find(holds) {
        return Ok(Step::Stuck(format!("{holder}, which is not the stack's, uses it")));
    }
    let Err(error) = aws.ec2.call("DeleteSecurityGroup", &[("GroupId", &one.id)]).await else {
        return Ok(Step::Asked);
    };
    match code(&error) {
        gone if is_gone(gone) => Ok(Step::Asked),
        "DependencyViolation" | "InvalidGroup.InUse" => Ok(Step::Busy("in use".to_owned())),
        _ => Err(api("ec2:DeleteSecurityGroup", "delete security group", &one.id)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clusters_group_is_known_by_its_whole_name() {
        assert!(is_cluster_group("eks-cluster-sg-demo-1234567", "demo"));
        for other in [
            "eks-cluster-sg-demo-2-1234567",
            "eks-cluster-sg-demo-",
            "eks-cluster-sg-demo",
            "eks-cluster-sg-democracy-1",
            "my-eks-cluster-sg-demo-1",
        ] {
            assert!(!is_cluster_group(other, "demo"), "{other}");
        }
    }
}
