//! `CreateCluster`: the request for either kind of compute.

use aws_sdk_eks::operation::create_cluster::CreateClusterError;
use aws_sdk_eks::operation::create_cluster::builders::CreateClusterFluentBuilder;
use aws_sdk_eks::types::{
    AuthenticationMode, BlockStorage, ComputeConfigRequest, CreateAccessConfigRequest, ElasticLoadBalancing,
    KubernetesNetworkConfigRequest, StorageConfigRequest, SupportType, UpgradePolicyRequest,
};

use super::{Compute, Order, Versions, propagation, settings};
use crate::aws::Aws;
use crate::aws::error::{AwsError, api};
use crate::aws::foundation::Foundation;
use crate::aws::in_flight;
use crate::report::Reporter;

/// Starts the creation. A cluster of that name that exists meanwhile is no error: its state tells.
pub(super) async fn create(aws: &Aws, order: Order<'_>, report: &dyn Reporter) -> Result<(), AwsError> {
    let version = match order.known.version {
        Some(version) => version.to_owned(),
        None => Versions::read(aws).await?.choose(order.spec)?.name,
    };
    if order.spec.public_access_cidrs.is_empty() {
        report.note("the API server will answer to every address: `--public-access-cidr` narrows that down");
    }
    let call = request(aws, order, &version);
    let cluster = order.cluster;
    let what = format!("cluster `{cluster}`");
    let wait = propagation::wait(aws, &what, report);
    let send = || in_flight::tracked(&what, report, Box::pin(call.clone().send()));
    let invalid = CreateClusterError::is_invalid_parameter_exception;
    let Err(error) = propagation::send(&wait, send, invalid).await else {
        return Ok(());
    };
    match error.as_service_error() {
        Some(CreateClusterError::ResourceInUseException(_)) => Ok(()),
        Some(CreateClusterError::UnsupportedAvailabilityZoneException(zones)) => Err(AwsError::UnsupportedZone {
            kind: "cluster",
            name: cluster.to_owned(),
            message: zones.message().unwrap_or_default().to_owned(),
            valid: zones.valid_zones().to_vec(),
        }),
        _ => Err(api("eks:CreateCluster", "create cluster", cluster)(error)),
    }
}

fn request(aws: &Aws, order: Order<'_>, version: &str) -> CreateClusterFluentBuilder {
    let Order {
        cluster,
        foundation,
        spec,
        ..
    } = order;
    let network = settings::vpc_access(spec).set_subnet_ids(Some(foundation.subnet_ids.clone()));
    // Auto Mode needs access entries, and the default over the SDK is CONFIG_MAP.
    let access = CreateAccessConfigRequest::builder()
        .authentication_mode(AuthenticationMode::Api)
        .bootstrap_cluster_creator_admin_permissions(true)
        .build();
    // Without this a forgotten cluster slips into extended support at six times the price.
    let support = UpgradePolicyRequest::builder().support_type(SupportType::Standard);
    let subnets = foundation.subnet_ids.join(",");
    let token = [cluster, version, &subnets, &foundation.cluster_role_arn];
    let call = aws
        .eks
        .create_cluster()
        .name(cluster)
        .version(version)
        .role_arn(&foundation.cluster_role_arn)
        .resources_vpc_config(network.build())
        .access_config(access)
        .upgrade_policy(support.build())
        .logging(settings::logging(spec))
        .set_kube_controller_manager_config(settings::controller_manager(spec))
        .client_request_token(aws.request_token(&token))
        .set_tags(Some(order.stack.aws_tags().into_iter().collect()));
    match foundation.compute {
        Compute::Auto => auto_mode(call, foundation),
        // The network, DNS and proxy that nodes of one's own need: EKS installs them with the cluster.
        Compute::NodeGroup => call.bootstrap_self_managed_addons(true),
    }
}

/// The three switches of Auto Mode: EKS takes them all on or all off, in one request. The pool `general-purpose`
/// alone suffices: `CoreDNS` and its like run inside the node image, `system` would mean a second node.
fn auto_mode(call: CreateClusterFluentBuilder, foundation: &Foundation) -> CreateClusterFluentBuilder {
    let compute = ComputeConfigRequest::builder()
        .enabled(true)
        .node_pools("general-purpose")
        .node_role_arn(&foundation.node_role_arn);
    let balancing = ElasticLoadBalancing::builder().enabled(true);
    let network = KubernetesNetworkConfigRequest::builder().elastic_load_balancing(balancing.build());
    let storage = StorageConfigRequest::builder().block_storage(BlockStorage::builder().enabled(true).build());
    call.compute_config(compute.build())
        .kubernetes_network_config(network.build())
        .storage_config(storage.build())
        // Auto Mode brings its own; the self-managed ones would be installed beside them.
        .bootstrap_self_managed_addons(false)
}
