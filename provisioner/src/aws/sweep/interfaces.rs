//! Network interfaces: what nodes, load balancers and control planes leave in subnets.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{Items, Kind, Leftover, Owner, Scope, Step, claim};
use crate::aws::Aws;
use crate::aws::ec2::{List, Tag, code, tags};
use crate::aws::error::{AwsError, api};

/// How EC2 describes an interface.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Interface {
    network_interface_id: String,
    description: String,
    status: String,
    attachment: Attachment,
    group_set: Items<Group>,
    tag_set: Items<Tag>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Attachment {
    instance_id: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Group {
    group_id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Page {
    network_interface_set: Items<Interface>,
    next_token: String,
}

impl List for Page {
    type Item = Interface;

    fn into_page(self) -> (Vec<Interface>, String) {
        (self.network_interface_set.item, self.next_token)
    }
}

/// Interfaces in the VPC. Those of a load balancer that is listed go with it, and are told by its name.
pub(super) async fn list(
    aws: &Aws,
    scope: &Scope,
    vpc: &str,
    balancers: &[Leftover],
    groups: &[Leftover],
) -> Result<Vec<Leftover>, AwsError> {
    let filter = [("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", vpc)];
    let operation = "ec2:DescribeNetworkInterfaces";
    let found = aws
        .ec2
        .list::<Page>(operation, "list the network interfaces of VPC", vpc, &filter)
        .await?;
    let judged = found.into_iter().map(|one| judge(scope, one, balancers, groups));
    Ok(judged.flatten().collect())
}

fn judge(scope: &Scope, one: Interface, balancers: &[Leftover], groups: &[Leftover]) -> Option<Leftover> {
    let tags = tags(one.tag_set.item);
    let used: BTreeSet<String> = one.group_set.item.into_iter().map(|group| group.group_id).collect();
    let owner = match claim::by_tags(scope, &tags) {
        Some(owner) => owner,
        None => by_description(scope, &one.description, &tags, balancers, &used, groups)?,
    };
    let attached = &one.attachment.instance_id;
    let busy = match (one.status.as_str(), attached.is_empty()) {
        ("available", _) => None,
        (_, false) => Some(format!("attached to instance {attached}")),
        (status, true) => Some(status.to_owned()),
    };
    let owner = match owner {
        Owner::Foreign(why) if !attached.is_empty() => {
            Owner::Foreign(format!("{why}; attached to instance {attached}"))
        }
        other => other,
    };
    Some(Leftover {
        kind: Kind::NetworkInterface,
        name: claim::name(&one.network_interface_id, &one.description),
        id: one.network_interface_id,
        owner,
        busy,
        groups: used,
    })
}

/// By what AWS writes into descriptions; none for the interface of something that is listed itself.
fn by_description(
    scope: &Scope,
    description: &str,
    tags: &BTreeMap<String, String>,
    balancers: &[Leftover],
    used: &BTreeSet<String>,
    groups: &[Leftover],
) -> Option<Owner> {
    if let Some(path) = description.strip_prefix("ELB ") {
        let listed = balancers.iter().any(|one| one.id.ends_with(&format!("/{path}")));
        // `app/NAME/ID`, `net/NAME/ID`: of one that just went, its interfaces follow within minutes.
        return match (listed, path.contains('/')) {
            (true, _) => None,
            // In a network of others it may be anybody's.
            (false, true) if scope.is_lent() => Some(claim::unmarked(scope, tags)),
            (false, true) => Some(claim::of_cluster(scope, tags)),
            (false, false) => {
                let reason = format!("it is of classic load balancer `{path}`, which is not looked after here");
                Some(claim::foreign(&reason, tags))
            }
        };
    }
    if let Some(gateway) = description.strip_prefix("Interface for NAT Gateway ") {
        let network = scope.network.as_ref();
        let own = network.is_some_and(|network| network.resources.contains(gateway));
        return Some(if own {
            Owner::Network
        } else {
            claim::foreign(&format!("it is of NAT gateway `{gateway}`"), tags)
        });
    }
    if let Some(cluster) = description.strip_prefix("Amazon EKS ") {
        return Some(if cluster == scope.cluster {
            claim::of_cluster(scope, tags)
        } else {
            claim::foreign(&format!("it is of cluster `{cluster}`"), tags)
        });
    }
    let is_ours = |id: &String| groups.iter().any(|group| group.id == *id && group.owner == Owner::Ours);
    let in_groups_of_ours = !used.is_empty() && used.iter().all(is_ours);
    let of_a_node = description.starts_with("aws-K8S-");
    // In a network of others theirs may use our groups.
    let ours = if scope.is_lent() {
        in_groups_of_ours && of_a_node
    } else {
        in_groups_of_ours || of_a_node
    };
    Some(if ours {
        claim::of_cluster(scope, tags)
    } else {
        claim::unmarked(scope, tags)
    })
}

/// Asks for the deletion of an interface that nothing uses.
pub(super) async fn delete(aws: &Aws, one: &Leftover) -> Result<Step, AwsError> {
    let parameters = [("NetworkInterfaceId", one.id.as_str())];
    let Err(error) = aws.ec2.call("DeleteNetworkInterface", &parameters).await else {
        return Ok(Step::Asked);
    };
    match code(&error) {
        "InvalidNetworkInterfaceID.NotFound" => Ok(Step::Asked),
        "InvalidNetworkInterface.InUse" | "InvalidParameterValue" => Ok(Step::Busy("in use".to_owned())),
        // Made by AWS for a service of its own: it goes with that service.
        "OperationNotPermitted" | "AuthFailure" => Ok(Step::Busy("managed by AWS".to_owned())),
        _ => Err(api("ec2:DeleteNetworkInterface", "delete network interface", &one.id)(
            error,
        )),
    }
}
