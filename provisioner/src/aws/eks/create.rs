//! `CreateCluster`: the request, and patience with IAM, whose new roles take a while to be seen everywhere.

use std::time::Duration;

use aws_sdk_eks::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_eks::operation::create_cluster::CreateClusterError;
use aws_sdk_eks::operation::create_cluster::builders::CreateClusterFluentBuilder;
use aws_sdk_eks::types::{
    AuthenticationMode, BlockStorage, ComputeConfigRequest, CreateAccessConfigRequest, ElasticLoadBalancing,
    KubernetesNetworkConfigRequest, StorageConfigRequest, SupportType, UpgradePolicyRequest, VpcConfigRequest,
};

use super::ClusterSpec;
use crate::aws::Aws;
use crate::aws::error::{AwsError, api, incomplete, is};
use crate::aws::foundation::Foundation;
use crate::aws::wait::Wait;
use crate::names::StackName;
use crate::report::Reporter;

/// How long a role may take to be seen by EKS.
const PROPAGATION: Duration = Duration::from_mins(2);

/// What `InvalidParameterException` says while a new role is not seen yet; there is no code of its own (AWS.md 6).
const PROPAGATION_MESSAGES: [&str; 6] = [
    "does not exist",
    "Error in role params",
    "Role could not be assumed because the trusted entity is not correct",
    "could not be assumed because it does not exist or the trusted entity is not correct",
    "doesn't have the Amazon EKS Managed Policies",
    "IAM role's policy must include",
];

/// Starts the creation. A cluster of that name that exists meanwhile is no error: its state tells.
pub(super) async fn create(
    aws: &Aws,
    cluster: &str,
    stack: &StackName,
    foundation: &Foundation,
    spec: &ClusterSpec,
    report: &dyn Reporter,
) -> Result<(), AwsError> {
    let version = match &spec.kubernetes_version {
        Some(version) => version.clone(),
        None => default_version(aws).await?,
    };
    let call = request(aws, cluster, stack, foundation, &version);
    let what = format!("IAM roles of cluster `{cluster}`");
    let wait = Wait::new(aws, what, report).at_most(PROPAGATION);
    loop {
        let Err(error) = call.clone().send().await else {
            return Ok(());
        };
        if is(&error, CreateClusterError::is_resource_in_use_exception) {
            return Ok(());
        }
        let pending = is_propagation(&error);
        let error = api("eks:CreateCluster", "create cluster", cluster)(error);
        // Past the limit EKS's own words are worth more than "timed out".
        if !pending || wait.pause("not yet seen by EKS").await.is_err() {
            return Err(error);
        }
    }
}

fn is_propagation(error: &SdkError<CreateClusterError>) -> bool {
    let invalid = error.as_service_error();
    invalid.is_some_and(CreateClusterError::is_invalid_parameter_exception)
        && error
            .message()
            .is_some_and(|m| PROPAGATION_MESSAGES.iter().any(|p| m.contains(p)))
}

/// Asked, never hard-coded: versions leave standard support every few months.
async fn default_version(aws: &Aws) -> Result<String, AwsError> {
    let operation = "eks:DescribeClusterVersions";
    let answer = aws.eks.describe_cluster_versions().default_only(true).send().await;
    let answer = answer.map_err(api(operation, "ask for the default Kubernetes version", ""))?;
    let versions = answer.cluster_versions();
    let default = versions.iter().find(|v| v.default_version());
    let version = default.and_then(|v| v.cluster_version());
    let version = version.ok_or_else(|| incomplete(operation, &aws.region, "default version"))?;
    Ok(version.to_owned())
}

fn request(
    aws: &Aws,
    cluster: &str,
    stack: &StackName,
    foundation: &Foundation,
    version: &str,
) -> CreateClusterFluentBuilder {
    let network = VpcConfigRequest::builder()
        .set_subnet_ids(Some(foundation.subnet_ids.clone()))
        .endpoint_public_access(true)
        .endpoint_private_access(true)
        .build();
    // Auto Mode needs access entries, and the default over the SDK is CONFIG_MAP.
    let access = CreateAccessConfigRequest::builder()
        .authentication_mode(AuthenticationMode::Api)
        .bootstrap_cluster_creator_admin_permissions(true)
        .build();
    // Without this a forgotten cluster slips into extended support at six times the price.
    let support = UpgradePolicyRequest::builder().support_type(SupportType::Standard);
    let token = [cluster, version, &foundation.vpc_id, &foundation.cluster_role_arn];
    let call = aws
        .eks
        .create_cluster()
        .name(cluster)
        .version(version)
        .role_arn(&foundation.cluster_role_arn)
        .resources_vpc_config(network)
        .access_config(access)
        .upgrade_policy(support.build())
        .client_request_token(aws.request_token(&token))
        .set_tags(Some(stack.aws_tags().into_iter().collect()));
    auto_mode(call, foundation)
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
