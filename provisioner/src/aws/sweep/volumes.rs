//! EBS volumes that the cluster's storage drivers made: no VPC holds them, tags tell whose they are.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{Items, Kind, Leftover, Owner, Scope, Step, Whose, claim, marked};
use crate::aws::Aws;
use crate::aws::ec2::{List, Tag, code, tags};
use crate::aws::error::{AwsError, api};

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Volume {
    #[serde(rename = "volumeId")]
    id: String,
    status: String,
    create_time: String,
    attachment_set: Items<Attachment>,
    tag_set: Items<Tag>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Attachment {
    instance_id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Page {
    volume_set: Items<Volume>,
    next_token: String,
}

impl List for Page {
    type Item = Volume;

    fn into_page(self) -> (Vec<Volume>, String) {
        (self.volume_set.item, self.next_token)
    }
}

/// Prefix of the tags in which drivers name the volume claim that they made a volume for.
const CLAIM_PREFIX: &str = "kubernetes.io/created-for/pvc/";
/// Beginnings of the tags of volumes that a driver made; which of them it writes depends on its version and flags.
const MADE_BY_DRIVER: [&str; 3] = ["kubernetes.io/created-for/", "CSIVolumeName", "ebs.csi.aws.com/"];
/// Why a volume stays for good.
pub const KEPT: &str = "the reclaim policy of its PersistentVolume, `Retain`, keeps it";

/// Volumes whose tags name the cluster.
pub(super) async fn list(aws: &Aws, scope: &Scope) -> Result<Vec<Leftover>, AwsError> {
    let intent = "list the volumes of cluster";
    let found = marked::<Page>(aws, scope, "ec2:DescribeVolumes", intent).await?;
    Ok(found.into_iter().filter_map(|one| judge(scope, one)).collect())
}

/// None for a volume of another cluster, which has nothing to do with this one.
fn judge(scope: &Scope, mut one: Volume) -> Option<Leftover> {
    let tags = tags(std::mem::take(&mut one.tag_set.item));
    let owner = match claim::by_tags(scope, &tags) {
        Some(Owner::Ours) => owner(scope, &one, &tags),
        Some(unknown) if scope.whose == Whose::Unknown && claim::is_marked(scope, &tags) => unknown,
        _ => return None,
    };
    let claim_of = |part: &str| tags.get(&format!("{CLAIM_PREFIX}{part}"));
    let volume_claim = match (claim_of("namespace"), claim_of("name")) {
        (Some(namespace), Some(name)) => format!("of volume claim {namespace}/{name}"),
        _ => String::new(),
    };
    let attached = one.attachment_set.item.first().map(|a| a.instance_id.as_str());
    let busy = match (one.status.as_str(), attached) {
        ("available" | "error", _) => None,
        (_, Some(instance)) => Some(format!("attached to instance {instance}")),
        (status, None) => Some(status.to_owned()),
    };
    Some(Leftover {
        kind: Kind::Volume,
        name: claim::name(&one.id, &volume_claim),
        id: one.id,
        owner,
        busy,
        groups: BTreeSet::new(),
    })
}

/// Whose a volume of the cluster is: what is on it may be somebody's data.
fn owner(scope: &Scope, one: &Volume, tags: &BTreeMap<String, String>) -> Owner {
    let created: Option<jiff::Timestamp> = one.create_time.parse().ok();
    if matches!((created, scope.since), (Some(created), Some(since)) if created < since) {
        // A cluster of the same name before this one: its data is not ours to delete.
        return claim::foreign("it is older than this stack", tags);
    }
    let why = if scope.data.kept.contains(&one.id) {
        KEPT
    } else if has_data(tags) && !scope.data.released.contains(&one.id) {
        "it holds the data of a volume claim"
    } else {
        return Owner::Ours;
    };
    Owner::Foreign(why.to_owned())
}

/// Whether a volume was made for a claim.
fn has_data(tags: &BTreeMap<String, String>) -> bool {
    tags.keys()
        .any(|key| MADE_BY_DRIVER.iter().any(|begin| key.starts_with(begin)))
}

/// Asks for the deletion of a volume that nothing uses.
pub(super) async fn delete(aws: &Aws, one: &Leftover) -> Result<Step, AwsError> {
    let Err(error) = aws.ec2.call("DeleteVolume", &[("VolumeId", &one.id)]).await else {
        return Ok(Step::Asked);
    };
    match code(&error) {
        "InvalidVolume.NotFound" => Ok(Step::Asked),
        "VolumeInUse" | "IncorrectState" => Ok(Step::Busy("in use".to_owned())),
        _ => Err(api("ec2:DeleteVolume", "delete volume", &one.id)(error)),
    }
}
