//! Where EC2 answers: what the environment or the profile says, else the region's own host.

use aws_config::SdkConfig;

use super::SERVICE_ID;
use crate::aws::{endpoint, partition};

/// The URL for this connection, as the rules of the SDK's own clients give it.
pub(super) fn url(config: &SdkConfig) -> String {
    let given = endpoint::configured(config, SERVICE_ID).or_else(|| config.endpoint_url().map(str::to_owned));
    let region = config.region().map_or("", |region| region.as_ref());
    let (fips, dual) = (config.use_fips(), config.use_dual_stack());
    given.unwrap_or_else(|| host(region, fips.unwrap_or(false), dual.unwrap_or(false)))
}

/// AWS's endpoint rules for EC2. The plain hosts of the government's regions are FIPS hosts already.
fn host(region: &str, fips: bool, dual_stack: bool) -> String {
    let plain_is_fips = region.starts_with("us-gov-") && !dual_stack;
    let service = if fips && !plain_is_fips { "ec2-fips" } else { "ec2" };
    let partition = partition::of(region);
    let suffix = if dual_stack {
        partition.dual_stack_suffix
    } else {
        partition.dns_suffix
    };
    format!("https://{service}.{region}.{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values: botocore's rule set `ec2/2016-11-15/endpoint-rule-set-1` resolved for the same inputs.
    #[test]
    fn hosts_are_those_of_awss_endpoint_rules() {
        let cases = [
            ("eu-central-1", false, false, "ec2.eu-central-1.amazonaws.com"),
            ("eu-central-1", true, false, "ec2-fips.eu-central-1.amazonaws.com"),
            ("eu-central-1", false, true, "ec2.eu-central-1.api.aws"),
            ("eu-central-1", true, true, "ec2-fips.eu-central-1.api.aws"),
            ("us-gov-west-1", true, false, "ec2.us-gov-west-1.amazonaws.com"),
            ("us-gov-west-1", true, true, "ec2-fips.us-gov-west-1.api.aws"),
            ("cn-north-1", false, false, "ec2.cn-north-1.amazonaws.com.cn"),
            ("cn-north-1", false, true, "ec2.cn-north-1.api.amazonwebservices.com.cn"),
            ("us-iso-east-1", false, true, "ec2.us-iso-east-1.api.aws.ic.gov"),
            ("us-isob-east-1", true, false, "ec2-fips.us-isob-east-1.sc2s.sgov.gov"),
            ("us-isof-south-1", false, true, "ec2.us-isof-south-1.api.aws.hci.ic.gov"),
            ("eu-isoe-west-1", false, false, "ec2.eu-isoe-west-1.cloud.adc-e.uk"),
            (
                "eusc-de-east-1",
                true,
                true,
                "ec2-fips.eusc-de-east-1.api.amazonwebservices.eu",
            ),
        ];
        for (region, fips, dual, expected) in cases {
            assert_eq!(host(region, fips, dual), format!("https://{expected}"));
        }
    }
}
