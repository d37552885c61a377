//! The suffixes of AWS's hosts, by partition (from AWS's partition data).

/// How the hosts of a partition end.
pub(super) struct Partition {
    /// Hosts that answer over IPv4.
    pub(super) dns_suffix: &'static str,
    /// Hosts that answer over IPv6 too.
    pub(super) dual_stack_suffix: &'static str,
    /// Registries that answer over IPv6 too, where there are any.
    pub(super) registries: Option<&'static str>,
}

/// The partition that a region is of; an unknown one is of the commercial partition.
pub(super) fn of(region: &str) -> Partition {
    let (dns_suffix, dual_stack_suffix) = match region {
        r if r.starts_with("cn-") => ("amazonaws.com.cn", "api.amazonwebservices.com.cn"),
        r if r.starts_with("us-isob-") => ("sc2s.sgov.gov", "api.aws.scloud"),
        r if r.starts_with("us-isof-") => ("csp.hci.ic.gov", "api.aws.hci.ic.gov"),
        r if r.starts_with("eu-isoe-") => ("cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
        r if r.starts_with("us-iso-") => ("c2s.ic.gov", "api.aws.ic.gov"),
        r if r.starts_with("eusc-") => ("amazonaws.eu", "api.amazonwebservices.eu"),
        _ => ("amazonaws.com", "api.aws"),
    };
    let registries = match dns_suffix {
        "amazonaws.com" => Some("on.aws"),
        "amazonaws.com.cn" => Some("on.amazonwebservices.com.cn"),
        _ => None,
    };
    Partition {
        dns_suffix,
        dual_stack_suffix,
        registries,
    }
}
