//! Settings of a cluster of ours: how they differ from what is asked, and setting right what can be, one kind a time.

use std::collections::BTreeSet;

use aws_sdk_eks::operation::update_cluster_config::builders::UpdateClusterConfigFluentBuilder;
use aws_sdk_eks::types::{
    Cluster, ComputeConfigResponse, ErrorDetail, HorizontalPodAutoscalerControllerConfigRequest,
    KubeControllerManagerConfigRequest, LogSetup, LogType, Logging, Update, UpdateStatus, VpcConfigRequest,
    VpcConfigResponse,
};

use super::reason::reason;
use super::spec::{LOG_TYPES, Settings, eks_duration};
use super::{ClusterSpec, Compute, EksCluster};
use crate::aws::Aws;
use crate::aws::drift::{Aspect, Drift, made_by_newer};
use crate::aws::error::{AwsError, api, incomplete, or_none};
use crate::aws::wait::Wait;
use crate::config::duration;
use crate::names::TAG_VERSION;
use crate::report::Reporter;

/// How a cluster of ours differs from `spec`. What is not asked for does not differ, and what others created neither.
pub fn drift(found: &EksCluster, spec: &ClusterSpec) -> Vec<Drift> {
    if !found.created_by_us {
        return Vec::new();
    }
    let (of, is) = (("cluster", found.name.as_str()), &found.settings);
    let made_by = is.made_by.as_ref().map(|version| (TAG_VERSION, version));
    let version = spec.kubernetes_version.as_ref().zip(found.version.as_ref());
    let compute = spec.compute.filter(|wanted| *wanted != is.compute);
    let drifts = [
        made_by_newer(of, made_by),
        version
            .filter(|(wanted, is)| wanted != is)
            .map(|(wanted, is)| Drift::refused(of, Aspect::Kubernetes, is, wanted)),
        compute.map(|wanted| Drift::refused(of, Aspect::Compute, is.compute.as_str(), wanted.as_str())),
        differs(&is.public_access_cidrs, &spec.public_access_cidrs)
            .map(|(is, wanted)| Drift::repaired(of, Aspect::PublicAccess, is, wanted)),
        differs(&is.logs, &spec.logs).map(|(is, wanted)| Drift::repaired(of, Aspect::Logs, is, wanted)),
        sync_period(is, spec).map(|(is, wanted)| Drift::repaired(of, Aspect::HpaSyncPeriod, is, wanted)),
    ];
    drifts.into_iter().flatten().collect()
}

/// Where a cluster of ours stands on other subnets or another role than those that are brought along.
pub fn drift_of_ground(found: &EksCluster, subnet_ids: &[String], role_arn: Option<&str>) -> Vec<Drift> {
    if !found.created_by_us {
        return Vec::new();
    }
    let (of, is) = (("cluster", found.name.as_str()), &found.settings);
    let subnets = differs(&is.subnet_ids, subnet_ids);
    let role = role_arn.filter(|wanted| is.role_arn.as_deref() != Some(wanted));
    let role =
        role.map(|wanted| Drift::refused(of, Aspect::ClusterRole, is.role_arn.clone().unwrap_or_default(), wanted));
    let subnets = subnets.map(|(is, wanted)| Drift::refused(of, Aspect::Subnets, is, wanted));
    subnets.into_iter().chain(role).collect()
}

/// Both lists as text, where something is asked for and the other has not the same members.
fn differs(is: &[String], wanted: &[String]) -> Option<(String, String)> {
    let set = |list: &[String]| list.iter().cloned().collect::<BTreeSet<_>>();
    (!wanted.is_empty() && set(is) != set(wanted)).then(|| (or_none(is), or_none(wanted)))
}

fn sync_period(is: &Settings, spec: &ClusterSpec) -> Option<(String, String)> {
    let wanted = spec.hpa_sync_period?;
    let is = is.hpa_sync_period.as_deref();
    let same = is.is_some_and(|is| duration::parse(is) == Ok(wanted));
    (!same).then(|| (is.unwrap_or("the default of EKS").to_owned(), eks_duration(wanted)))
}

/// Sets right those of `drifts` that can be; true if there were any. EKS takes one kind of change at a time.
pub(super) async fn repair(
    aws: &Aws,
    found: &EksCluster,
    (drifts, spec): (&[Drift], &ClusterSpec),
    report: &dyn Reporter,
) -> Result<bool, AwsError> {
    let mut repaired = false;
    for drift in drifts.iter().filter(|drift| drift.repaired) {
        let call = aws.eks.update_cluster_config().name(&found.name);
        let call = change(call, drift.aspect, spec)?;
        let token = aws.request_token(&["update", &found.arn, &drift.to_string()]);
        let answer = call.client_request_token(token).send().await;
        let answer = answer.map_err(api("eks:UpdateClusterConfig", "update cluster", &found.name))?;
        let update = answer.update.and_then(|update| update.id);
        let id = update.ok_or_else(|| incomplete("eks:UpdateClusterConfig", &found.name, "update"))?;
        done(aws, &found.name, &id, report).await?;
        report.note(&drift.set_right());
        repaired = true;
    }
    Ok(repaired)
}

fn change(
    call: UpdateClusterConfigFluentBuilder,
    aspect: Aspect,
    spec: &ClusterSpec,
) -> Result<UpdateClusterConfigFluentBuilder, AwsError> {
    Ok(match aspect {
        Aspect::PublicAccess => call.resources_vpc_config(vpc_access(spec).build()),
        Aspect::Logs => call.logging(logging(spec)),
        Aspect::HpaSyncPeriod => call.set_kube_controller_manager_config(controller_manager(spec)),
        other => {
            return Err(AwsError::Request {
                what: "eks:UpdateClusterConfig".to_owned(),
                reason: format!("{other:?} is not set right in place"),
            });
        }
    })
}

/// The endpoint: public for the ranges that are asked for, and private, so that nodes need none of them.
pub(super) fn vpc_access(spec: &ClusterSpec) -> aws_sdk_eks::types::builders::VpcConfigRequestBuilder {
    let cidrs = (!spec.public_access_cidrs.is_empty()).then(|| spec.public_access_cidrs.clone());
    VpcConfigRequest::builder()
        .endpoint_public_access(true)
        .endpoint_private_access(true)
        .set_public_access_cidrs(cidrs)
}

/// The logs that are asked for on, the others off.
pub(super) fn logging(spec: &ClusterSpec) -> Logging {
    let setup = |enabled: bool| {
        let types = LOG_TYPES
            .iter()
            .filter(|name| spec.logs.iter().any(|l| l == *name) == enabled);
        let types: Vec<LogType> = types.map(|name| LogType::from(*name)).collect();
        (!types.is_empty()).then(|| LogSetup::builder().set_types(Some(types)).enabled(enabled).build())
    };
    let setups = [true, false].into_iter().filter_map(setup).collect();
    Logging::builder().set_cluster_logging(Some(setups)).build()
}

pub(super) fn controller_manager(spec: &ClusterSpec) -> Option<KubeControllerManagerConfigRequest> {
    let period = eks_duration(spec.hpa_sync_period?);
    let hpa = HorizontalPodAutoscalerControllerConfigRequest::builder().horizontal_pod_autoscaler_sync_period(period);
    let config = KubeControllerManagerConfigRequest::builder();
    Some(config.horizontal_pod_autoscaler_controller_config(hpa.build()).build())
}

/// Waits for an update to end.
async fn done(aws: &Aws, cluster: &str, id: &str, report: &dyn Reporter) -> Result<(), AwsError> {
    let wait = Wait::new(aws, format!("update of cluster `{cluster}`"), report).usually("2 to 10 min");
    loop {
        let answer = aws.eks.describe_update().name(cluster).update_id(id).send().await;
        let answer = answer.map_err(api("eks:DescribeUpdate", "look up the update of cluster", cluster))?;
        let update = answer
            .update
            .ok_or_else(|| incomplete("eks:DescribeUpdate", cluster, "update"))?;
        match update.status() {
            Some(UpdateStatus::Successful) => return Ok(()),
            Some(UpdateStatus::Failed | UpdateStatus::Cancelled) => return Err(failed(cluster, &update)),
            other => wait.pause(other.map_or("in progress", UpdateStatus::as_str)).await?,
        }
    }
}

fn failed(cluster: &str, update: &Update) -> AwsError {
    let reasons: Vec<_> = update.errors().iter().filter_map(ErrorDetail::error_message).collect();
    AwsError::Failed {
        kind: "update of cluster",
        name: cluster.to_owned(),
        status: update.status().map_or("", UpdateStatus::as_str).to_owned(),
        reason: reason(&reasons),
    }
}

/// What is set on a cluster, as described.
pub(super) fn settings(found: &Cluster) -> Settings {
    let vpc = found.resources_vpc_config();
    let list = |values: Option<&[String]>| values.unwrap_or_default().to_vec();
    let compute = found.compute_config();
    let auto = compute.and_then(ComputeConfigResponse::enabled).unwrap_or(false);
    let setups = found.logging().map(Logging::cluster_logging).unwrap_or_default();
    let on = setups.iter().filter(|setup| setup.enabled() == Some(true));
    let hpa = found
        .kube_controller_manager_config()
        .and_then(|manager| manager.horizontal_pod_autoscaler_controller_config());
    Settings {
        compute: if auto { Compute::Auto } else { Compute::NodeGroup },
        subnet_ids: list(vpc.map(VpcConfigResponse::subnet_ids)),
        role_arn: found.role_arn().map(str::to_owned),
        node_role_arn: compute.and_then(|c| c.node_role_arn()).map(str::to_owned),
        public_access_cidrs: list(vpc.map(VpcConfigResponse::public_access_cidrs)),
        logs: on
            .flat_map(LogSetup::types)
            .map(|log| log.as_str().to_owned())
            .collect(),
        hpa_sync_period: hpa
            .and_then(|hpa| hpa.horizontal_pod_autoscaler_sync_period())
            .map(str::to_owned),
        made_by: found.tags().and_then(|tags| tags.get(TAG_VERSION)).cloned(),
    }
}
