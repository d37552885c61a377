//! The target `--cluster`: an EKS cluster of the region.

use super::prepared::Decided;
use crate::aws::drift::Drift;
use crate::aws::eks::{self, ClusterSpec, Compute, EksCluster, Known, Order};
use crate::aws::foundation::{self, Foundation, FoundationSpec};
use crate::aws::{Aws, AwsError};
use crate::cluster::Endpoint;
use crate::error::Error;
use crate::names::{NODE_GROUP, StackName};
use crate::plan::Plan;
use crate::report::{Outcome, Reporter};

/// What no kind of compute brings along and a cluster of ours gets: resource metrics.
pub(crate) const ADDON: &str = "metrics-server";

/// A cluster that is there to stay; what follows one that is being deleted is a new one.
pub(super) fn standing(found: Option<&EksCluster>) -> Option<&EksCluster> {
    found.filter(|found| !found.is_going())
}

/// Where a cluster of ours stands on something else than what is brought along.
pub(super) fn moved(found: &EksCluster, plan: &Plan) -> Vec<Drift> {
    let role = plan.eks.cluster_role_arn.as_deref();
    eks::drift_of_ground(found, &plan.eks.subnet_ids, role)
}

pub(super) fn cluster_spec(plan: &Plan) -> ClusterSpec {
    let eks = &plan.eks;
    ClusterSpec {
        kubernetes_version: eks.k8s_version.clone(),
        compute: eks.compute,
        admin_arns: eks.admin_arns.clone(),
        public_access_cidrs: eks.public_access_cidrs.clone(),
        logs: eks.control_plane_logs.clone(),
        hpa_sync_period: eks.hpa_sync_period,
    }
}

/// What the cluster is to stand on; of one that stands already, what it says itself.
pub(super) fn foundation_spec(
    plan: &Plan,
    standing: Option<&EksCluster>,
    group_role: Option<String>,
) -> FoundationSpec {
    let eks = &plan.eks;
    let asked = FoundationSpec {
        cluster: Some(plan.cluster.clone()),
        compute: eks.compute,
        private_nodes: eks.private_nodes,
        subnet_ids: eks.subnet_ids.clone(),
        cluster_role_arn: eks.cluster_role_arn.clone(),
        node_role_arn: eks.node_role_arn.clone(),
        ..FoundationSpec::default()
    };
    let Some(found) = standing else {
        return asked;
    };
    let is = &found.settings;
    let node_role = match is.compute {
        Compute::Auto => is.node_role_arn.clone(),
        Compute::NodeGroup => group_role,
    };
    FoundationSpec {
        compute: Some(is.compute),
        subnet_ids: is.subnet_ids.clone(),
        cluster_role_arn: is.role_arn.clone(),
        node_role_arn: node_role.or(asked.node_role_arn),
        standing: true,
        ..asked
    }
}

/// Leads to an active cluster. One that others created is used as it is; ours is completed from any state.
///
/// # Errors
/// Whatever stops foundation or cluster, with its first cause.
pub(super) async fn provision(
    aws: &Aws,
    plan: &Plan,
    decided: &Decided,
    report: &dyn Reporter,
) -> Result<EksCluster, Error> {
    let Decided { readings, ground, .. } = decided;
    let found = readings.found.as_ref();
    if let Some(foreign) = found.filter(|found| !found.created_by_us && is_usable(found)) {
        report.done(
            "cluster",
            &plan.cluster,
            Outcome::Unchanged,
            "not created by provisioner",
        );
        return Ok(foreign.clone());
    }
    let Some(wanted) = ground.clone() else {
        return Err(found.map_or_else(|| missing(aws, &plan.cluster), not_usable));
    };
    let ground = (readings.foundation.clone(), &wanted);
    let (foundation, outcome) = Box::pin(foundation::ensure_from(aws, &plan.stack, ground, report)).await?;
    let detail = foundation.vpc_id.as_deref().unwrap_or("network brought along");
    report.done("foundation", &plan.stack.foundation(), outcome, detail);
    let (cluster, foundation, outcome) = make_cluster(aws, plan, decided, (foundation, wanted), report).await?;
    let version = cluster.version.as_deref().unwrap_or_default();
    report.done("cluster", &plan.cluster, outcome, &format!("Kubernetes {version}"));
    if cluster.created_by_us && cluster.settings.compute == Compute::NodeGroup {
        let outcome = Box::pin(eks::ensure_node_group(aws, &cluster, &plan.stack, &foundation, report)).await?;
        report.done("node group", NODE_GROUP, outcome, "");
    }
    let outcome = match &readings.addon {
        Some(reading) if cluster.created_by_us => {
            eks::ensure_addon_from(aws, &cluster, &plan.stack, (ADDON, reading.clone()), report).await?
        }
        _ => eks::ensure_addon(aws, &cluster, &plan.stack, ADDON, report).await?,
    };
    report.done("add-on", ADDON, outcome, "");
    Ok(cluster)
}

/// The cluster on its foundation. Where EKS does not serve the zones of a network of ours, on which nothing stands yet,
/// the network is made again in zones that it does serve; once.
async fn make_cluster(
    aws: &Aws,
    plan: &Plan,
    decided: &Decided,
    (foundation, wanted): (Foundation, FoundationSpec),
    report: &dyn Reporter,
) -> Result<(EksCluster, Foundation, Outcome), Error> {
    let spec = cluster_spec(plan);
    let order = |foundation| Order {
        cluster: &plan.cluster,
        stack: &plan.stack,
        foundation,
        spec: &spec,
        known: Known {
            found: None,
            version: decided.version.as_ref().map(|version| version.name.as_str()),
            access: decided.readings.access.as_ref(),
        },
    };
    let mut first = order(&foundation);
    first.known.found = decided.readings.found.as_ref();
    let zones = match Box::pin(eks::ensure(aws, first, report)).await {
        Ok((cluster, outcome)) => return Ok((cluster, foundation, outcome)),
        Err(error) => other_zones(error, &wanted, report)?,
    };
    let wanted = FoundationSpec {
        zones: Some(zones),
        ..wanted
    };
    let foundation = Box::pin(foundation::move_to_zones(aws, &plan.stack, &wanted, report)).await?;
    let (cluster, outcome) = Box::pin(eks::ensure(aws, order(&foundation), report)).await?;
    Ok((cluster, foundation, outcome))
}

/// Two zones that EKS serves, where it refused those of a network that can be made again; else the error.
fn other_zones(error: AwsError, wanted: &FoundationSpec, report: &dyn Reporter) -> Result<[String; 2], AwsError> {
    if let AwsError::UnsupportedZone { valid, message, .. } = &error
        && wanted.subnet_ids.is_empty()
        && let [first, second, ..] = valid.as_slice()
    {
        report.warning(message);
        report.note(&format!("the network is made again in zones {first} and {second}"));
        return Ok([first.clone(), second.clone()]);
    }
    Err(error)
}

/// The cluster, for commands that create none.
///
/// # Errors
/// It does not exist in this region: exit 2.
pub(crate) async fn existing(aws: &Aws, cluster: &str, stack: &StackName) -> Result<EksCluster, Error> {
    match eks::find(aws, cluster, stack).await? {
        None => Err(missing(aws, cluster)),
        Some(found) => Ok(found),
    }
}

/// Whether the cluster answers now; one that is being updated does.
pub(crate) fn is_usable(found: &EksCluster) -> bool {
    matches!(found.status.as_str(), "ACTIVE" | "UPDATING")
}

/// Where an active cluster answers.
///
/// # Errors
/// It is not active yet.
pub(crate) fn endpoint(found: &EksCluster) -> Result<Endpoint, Error> {
    match (&found.endpoint, &found.ca_pem) {
        (Some(server), Some(ca_pem)) => Ok(Endpoint {
            server: server.clone(),
            ca_pem: ca_pem.clone(),
        }),
        _ => Err(not_usable(found)),
    }
}

/// The error for a cluster that is in no state to be worked on.
pub(super) fn not_usable(found: &EksCluster) -> Error {
    Error::failed(format!("cluster `{}` is {}", found.name, found.status))
        .hint("wait until it is active, then run the command again")
}

/// The error for a cluster that does not exist where one is needed.
pub(super) fn missing(aws: &Aws, cluster: &str) -> Error {
    Error::usage(format!("there is no cluster `{cluster}` in region {}", aws.region()))
        .hint("check `--cluster` and `--region`, or let `provisioner bootstrap --create-cluster` create it")
}
