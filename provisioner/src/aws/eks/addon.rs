//! Add-ons: what Auto Mode does not bring along.

use aws_sdk_eks::operation::create_addon::CreateAddonError;
use aws_sdk_eks::operation::describe_addon::DescribeAddonError;
use aws_sdk_eks::types::{Addon, AddonHealth, AddonInfo, AddonStatus, Compatibility, ResolveConflicts};

use super::EksCluster;
use super::reason::reason;
use crate::aws::Aws;
use crate::aws::error::{AwsError, api, incomplete, is};
use crate::names::StackName;
use crate::report::{Outcome, Reporter};

/// An add-on as it was read.
#[derive(Debug, Clone)]
pub struct AddonReading(Option<Addon>);

impl AddonReading {
    /// What [`ensure_addon_from`] does about it.
    pub fn outcome(&self) -> Outcome {
        match self.0.as_ref().map(Addon::status) {
            None => Outcome::Created,
            Some(Some(AddonStatus::CreateFailed | AddonStatus::UpdateFailed)) => Outcome::Updated,
            Some(_) => Outcome::Unchanged,
        }
    }
}

/// Reads the add-on of a cluster; one that does not exist has none.
pub async fn read_addon(aws: &Aws, cluster: &str, addon: &str) -> Result<AddonReading, AwsError> {
    describe(aws, cluster, addon).await.map(AddonReading)
}

/// Reads whether EKS offers the add-on at all.
///
/// # Errors
/// [`AwsError::Incomplete`] where it does not.
pub async fn read_addon_catalogue(aws: &Aws, addon: &str) -> Result<(), AwsError> {
    offered_version(aws, None, addon).await.map(drop)
}

/// Makes sure that a cluster of ours has `addon` (e.g. `metrics-server`), without waiting for it: on Auto Mode it is
/// not active until a node exists, and nodes come with the first pods. On other clusters it is [`Outcome::Skipped`].
pub async fn ensure_addon(
    aws: &Aws,
    cluster: &EksCluster,
    stack: &StackName,
    addon: &str,
    report: &dyn Reporter,
) -> Result<Outcome, AwsError> {
    if !cluster.created_by_us {
        return Ok(Outcome::Skipped);
    }
    let reading = read_addon(aws, &cluster.name, addon).await?;
    ensure_addon_from(aws, cluster, stack, (addon, reading), report).await
}

/// [`ensure_addon`] from what was read before, of a cluster of ours.
///
/// # Errors
/// As there.
pub async fn ensure_addon_from(
    aws: &Aws,
    cluster: &EksCluster,
    stack: &StackName,
    (addon, reading): (&str, AddonReading),
    report: &dyn Reporter,
) -> Result<Outcome, AwsError> {
    let outcome = reading.outcome();
    let Some(found) = reading.0 else {
        return create(aws, cluster, stack, addon).await;
    };
    let health = health(&found);
    if outcome == Outcome::Updated {
        report.warning(&format!("add-on `{addon}` failed, it is installed again: {health}"));
        update(aws, &cluster.name, addon).await?;
    }
    // Heals by itself once nodes exist.
    if found.status() == Some(&AddonStatus::Degraded) {
        report.warning(&format!("add-on `{addon}` is degraded: {health}"));
    }
    Ok(outcome)
}

async fn describe(aws: &Aws, cluster: &str, addon: &str) -> Result<Option<Addon>, AwsError> {
    let call = aws.eks.describe_addon().cluster_name(cluster).addon_name(addon);
    match call.send().await {
        Err(e) if is(&e, DescribeAddonError::is_resource_not_found_exception) => Ok(None),
        Err(e) => Err(api("eks:DescribeAddon", "look up add-on", addon)(e)),
        Ok(answer) => Ok(answer.addon),
    }
}

async fn create(aws: &Aws, cluster: &EksCluster, stack: &StackName, addon: &str) -> Result<Outcome, AwsError> {
    let version = offered_version(aws, cluster.version.clone(), addon).await?;
    let call = aws
        .eks
        .create_addon()
        .cluster_name(&cluster.name)
        .addon_name(addon)
        .addon_version(&version)
        .resolve_conflicts(ResolveConflicts::Overwrite)
        .client_request_token(aws.request_token(&["addon", &cluster.arn, addon, &version]))
        .set_tags(Some(stack.aws_tags().into_iter().collect()));
    match call.send().await {
        Err(e) if is(&e, CreateAddonError::is_resource_in_use_exception) => Ok(Outcome::Unchanged),
        Err(e) => Err(api("eks:CreateAddon", "create add-on", addon)(e)),
        Ok(_) => Ok(Outcome::Created),
    }
}

/// Applies the add-on's version again, over whatever was in its way.
async fn update(aws: &Aws, cluster: &str, addon: &str) -> Result<(), AwsError> {
    let call = aws.eks.update_addon().cluster_name(cluster).addon_name(addon);
    let answer = call.resolve_conflicts(ResolveConflicts::Overwrite).send().await;
    answer.map_err(api("eks:UpdateAddon", "install again add-on", addon))?;
    Ok(())
}

/// EKS's default version of the add-on for the cluster's Kubernetes; else the first compatible one, the newest.
async fn offered_version(aws: &Aws, kubernetes: Option<String>, addon: &str) -> Result<String, AwsError> {
    let operation = "eks:DescribeAddonVersions";
    let call = aws.eks.describe_addon_versions().addon_name(addon);
    let call = call.set_kubernetes_version(kubernetes);
    let answer = call.send().await;
    let answer = answer.map_err(api(operation, "look up the versions of add-on", addon))?;
    let versions = answer.addons().iter().flat_map(AddonInfo::addon_versions);
    let versions: Vec<_> = versions.collect();
    let default = versions
        .iter()
        .find(|v| v.compatibilities().iter().any(Compatibility::default_version));
    default
        .or_else(|| versions.first())
        .and_then(|v| v.addon_version())
        .map(str::to_owned)
        .ok_or_else(|| incomplete(operation, addon, "version for this cluster"))
}

fn health(addon: &Addon) -> String {
    let issues = addon.health().map(AddonHealth::issues).unwrap_or_default();
    let texts: Vec<_> = issues.iter().filter_map(|i| i.message()).collect();
    reason(&texts)
}
