//! Availability zones: EKS needs two that it serves.

use serde::Deserialize;

use crate::aws::ec2::List;
use crate::aws::{Aws, AwsError};

/// Zones, by id, in which EKS makes no control planes (EKS user guide, subnet requirements). Names differ between
/// accounts, ids do not. Others that it does not serve are named by EKS itself, and are avoided then.
const WITHOUT_EKS: [&str; 3] = ["use1-az3", "usw1-az2", "cac1-az3"];

/// A zone of the region.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Zone {
    /// Its name in this account, e.g. `us-east-1a`.
    #[serde(rename = "zoneName")]
    pub name: String,
    /// The same in every account, e.g. `use1-az4`.
    #[serde(rename = "zoneId")]
    pub id: String,
    /// AWS's word: `available`, `impaired`, ...
    #[serde(rename = "zoneState")]
    pub state: String,
    /// AWS's word: `availability-zone`, `local-zone`, `wavelength-zone`; may be empty.
    #[serde(rename = "zoneType")]
    pub kind: String,
}

impl Zone {
    /// Whether a control plane can be there.
    pub fn is_usable(&self) -> bool {
        let is_zone = self.kind.is_empty() || self.kind == "availability-zone";
        self.state == "available" && is_zone && !WITHOUT_EKS.contains(&self.id.as_str())
    }
}

/// `DescribeAvailabilityZonesResponse / availabilityZoneInfo / item`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    #[serde(rename = "availabilityZoneInfo")]
    info: Info,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Info {
    item: Vec<Zone>,
}

impl List for Answer {
    type Item = Zone;

    fn into_page(self) -> (Vec<Zone>, String) {
        (self.info.item, String::new())
    }
}

/// The zones of the region that the account may use.
pub(super) async fn read(aws: &Aws) -> Result<Vec<Zone>, AwsError> {
    let operation = "ec2:DescribeAvailabilityZones";
    aws.ec2
        .list::<Answer>(operation, "list the zones of", &aws.region, &[])
        .await
}
