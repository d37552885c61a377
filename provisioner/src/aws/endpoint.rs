//! Where the services are spoken to: AWS's own endpoints, or what environment and profile say instead.

use aws_config::SdkConfig;
use aws_types::service_config::ServiceConfigKey;

use super::{AwsError, ec2, token};
use crate::loopback::is_loopback;

/// Ids of the services that [`super::Aws`] has clients for, and of those that its credentials may come from, as the
/// SDK looks their endpoints up.
const SERVICES: [&str; 9] = [
    "STS",
    "ECR",
    "EKS",
    "CloudFormation",
    ec2::SERVICE_ID,
    "Elastic Load Balancing v2",
    "CloudWatch Logs",
    "SSO",
    "SSO OIDC",
];

/// Plain HTTP shows registry tokens to the network: only this machine may be spoken to that way, whether the
/// environment or the profile names the endpoint, for one service or for all.
///
/// # Errors
/// [`AwsError::InsecureEndpoint`] with the first endpoint that is neither.
pub(super) fn check(config: &SdkConfig) -> Result<(), AwsError> {
    let of_services = SERVICES.iter().filter_map(|service| configured(config, service));
    for url in of_services.chain(config.endpoint_url().map(str::to_owned)) {
        refuse_insecure(&url)?;
    }
    Ok(())
}

/// Where STS is asked.
pub(super) fn sts(config: &SdkConfig, region: &str) -> String {
    configured(config, "STS")
        .or_else(|| config.endpoint_url().map(str::to_owned))
        .unwrap_or_else(|| format!("https://{}", token::sts_host(region)))
}

/// What environment or profile say for one service, e.g. `AWS_ENDPOINT_URL_STS`, or `endpoint_url` below `sts` in the
/// `[services ...]` of the profile.
pub(super) fn configured(config: &SdkConfig, service: &str) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id(service)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url");
    config.service_config()?.load_config(key.build().ok()?)
}

pub(super) fn refuse_insecure(endpoint: &str) -> Result<(), AwsError> {
    let here = |url: &url::Url| url.host().is_some_and(|host| is_loopback(&host));
    match url::Url::parse(endpoint) {
        Ok(url) if url.scheme() == "http" && !here(&url) => Err(AwsError::InsecureEndpoint {
            url: endpoint.to_owned(),
        }),
        _ => Ok(()),
    }
}
