//! What the host of a registry says: whose registry of ECR it is, and where.

use crate::aws::partition;

/// The host of an account's registry in a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Account id, 12 digits.
    pub account: String,
    /// The region, e.g. `eu-central-1`: passwords are good in their own only.
    pub region: String,
    /// Whether it is the host that ECR itself calls the registry: not that for FIPS or IPv6.
    pub is_usual: bool,
}

impl Host {
    /// Reads `ACCOUNT.dkr.ecr.REGION.SUFFIX`, with the suffix of the region's partition and nothing else: a password is
    /// sent there. Also the hosts for FIPS and for IPv6.
    pub fn of(host: &str) -> Option<Self> {
        let (account, rest) = host.split_once('.')?;
        if account.len() != 12 || !account.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let services = [
            ("dkr.ecr.", false, true),
            ("dkr.ecr-fips.", false, false),
            ("dkr-ecr.", true, false),
            ("dkr-ecr-fips.", true, false),
        ];
        services.into_iter().find_map(|(service, is_dual_stack, is_usual)| {
            let (region, suffix) = rest.strip_prefix(service)?.split_once('.')?;
            let partition = partition::of(region);
            let wanted = if is_dual_stack {
                partition.registries
            } else {
                Some(partition.dns_suffix)
            };
            let is_region = !region.is_empty() && region.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
            (is_region && wanted == Some(suffix)).then(|| Self {
                account: account.to_owned(),
                region: region.to_owned(),
                is_usual,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_ecr_say_account_and_region() {
        for (host, region, is_usual) in [
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "eu-west-1", true),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1", true),
            (
                "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu",
                "eusc-de-east-1",
                true,
            ),
            (
                "123456789012.dkr.ecr.us-gov-west-1.amazonaws.com",
                "us-gov-west-1",
                true,
            ),
            ("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", "us-east-1", false),
            ("123456789012.dkr-ecr.eu-west-1.on.aws", "eu-west-1", false),
            (
                "123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn",
                "cn-north-1",
                false,
            ),
        ] {
            let found = Host::of(host).unwrap_or_else(|| panic!("{host}"));
            let found = (found.account.as_str(), found.region.as_str(), found.is_usual);
            assert_eq!(found, ("123456789012", region, is_usual), "{host}");
        }
    }

    #[test]
    fn no_other_host_gets_a_password() {
        for host in [
            "",
            "public.ecr.aws",
            "12345678901.dkr.ecr.eu-west-1.amazonaws.com",
            "12345678901x.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com:5000",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com.cn",
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com",
            "123456789012.dkr.ecr.evil.example",
            "123456789012.dkr.ecr.eu-west-1.on.aws",
            "123456789012.dkr.ecr..amazonaws.com",
            "123456789012.dkr.ecr.EU-WEST-1.amazonaws.com",
            "123456789012.dkr-ecr.cn-north-1.on.aws",
            "123456789012.s3.eu-west-1.amazonaws.com",
        ] {
            assert_eq!(Host::of(host), None, "{host}");
        }
    }
}
