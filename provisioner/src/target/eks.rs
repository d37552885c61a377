//! The target `--cluster`: an EKS cluster of the region.

use crate::aws::eks::{self, ClusterSpec, EksCluster};
use crate::aws::{Aws, foundation};
use crate::cluster::Endpoint;
use crate::error::Error;
use crate::names::StackName;
use crate::plan::Plan;
use crate::report::{Outcome, Reporter};

/// What Auto Mode does not bring along and a cluster of ours gets: resource metrics.
const ADDON: &str = "metrics-server";

/// Leads to an active cluster. One that others created is used as it is; ours is completed from any state.
///
/// # Errors
/// Whatever stops foundation or cluster, with its first cause.
pub(super) async fn provision(
    aws: &Aws,
    plan: &Plan,
    found: Option<&EksCluster>,
    report: &dyn Reporter,
) -> Result<EksCluster, Error> {
    if let Some(foreign) = found.filter(|found| !found.created_by_us && is_usable(found)) {
        report.done(
            "cluster",
            &plan.cluster,
            Outcome::Unchanged,
            "not created by provisioner",
        );
        return Ok(foreign.clone());
    }
    let (foundation, outcome) = foundation::ensure(aws, &plan.stack, report).await?;
    report.done("foundation", &plan.stack.foundation(), outcome, &foundation.vpc_id);
    let spec = ClusterSpec {
        kubernetes_version: plan.k8s_version.clone(),
        admin_arns: plan.admin_arn.iter().cloned().collect(),
    };
    let (cluster, outcome) = eks::ensure(aws, &plan.cluster, &plan.stack, &foundation, &spec, report).await?;
    let version = cluster.version.as_deref().unwrap_or_default();
    report.done("cluster", &plan.cluster, outcome, &format!("Kubernetes {version}"));
    let outcome = eks::ensure_addon(aws, &cluster, &plan.stack, ADDON, report).await?;
    report.done("add-on", ADDON, outcome, "");
    Ok(cluster)
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
