//! The price table. A new one is a new date and new numbers; nothing else knows a price.

/// Day of the prices.
pub const AS_OF: &str = "2026-08-01";
/// The region whose list prices these are, in dollars.
pub const REGION: &str = "us-east-1";

/// A control plane in standard support, an hour.
pub(super) const CONTROL_PLANE: f64 = 0.10;
/// Auto Mode's part of a node's on-demand price.
pub(super) const AUTO_MODE_FEE: f64 = 0.12;
/// A NAT gateway, an hour, without its traffic.
pub(super) const NAT_GATEWAY: f64 = 0.045;
/// A public IPv4 address, an hour.
pub(super) const PUBLIC_IPV4: f64 = 0.005;
/// A gigabyte in ECR, a month.
pub(super) const ECR_GB_MONTH: f64 = 0.10;

/// On-demand Linux prices of size `large`, an hour. The sizes of a family are multiples of it.
const LARGE: [(&str, f64); 18] = [
    ("c5", 0.085),
    ("c5a", 0.077),
    ("c6a", 0.0765),
    ("c6i", 0.085),
    ("c7a", 0.102_64),
    ("c7i", 0.089_25),
    ("m5", 0.096),
    ("m5a", 0.086),
    ("m6a", 0.0864),
    ("m6i", 0.096),
    ("m7a", 0.115_92),
    ("m7i", 0.1008),
    ("r5", 0.126),
    ("r6a", 0.1134),
    ("r6i", 0.126),
    ("r7i", 0.1323),
    ("t3", 0.0832),
    ("t3a", 0.0752),
];

/// An instance type's price, an hour; none for what the table does not have.
pub(super) fn instance(instance_type: &str) -> Option<f64> {
    let (family, size) = instance_type.split_once('.')?;
    let (_, large) = LARGE.into_iter().find(|(known, _)| *known == family)?;
    Some(large * parts(size)?)
}

/// A size in units of `large`.
fn parts(size: &str) -> Option<f64> {
    match size {
        "small" => Some(0.25),
        "medium" => Some(0.5),
        "large" => Some(1.0),
        "xlarge" => Some(2.0),
        _ => size
            .strip_suffix("xlarge")?
            .parse::<u8>()
            .ok()
            .map(|count| 2.0 * f64::from(count)),
    }
}
