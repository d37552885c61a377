//! What is asked of a cluster.

use std::fmt;
use std::time::Duration;

/// Where pods run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Compute {
    /// EKS Auto Mode: nodes come and go with the pods.
    #[default]
    Auto,
    /// One managed node group.
    NodeGroup,
}

impl Compute {
    /// As flag, setting and parameter of the foundation spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::NodeGroup => "nodegroup",
        }
    }
}

impl fmt::Display for Compute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Logs that a control plane can write to `CloudWatch`.
pub const LOG_TYPES: [&str; 5] = ["api", "audit", "authenticator", "controllerManager", "scheduler"];

/// What to create, and what to set right on a cluster of ours. What is not asked for is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClusterSpec {
    /// Kubernetes version; none: EKS's default.
    pub kubernetes_version: Option<String>,
    /// Where pods run; none: as found, else [`Compute::Auto`].
    pub compute: Option<Compute>,
    /// IAM users and roles (session ARNs of roles too) that become administrators, besides the creator.
    pub admin_arns: Vec<String>,
    /// IPv4 ranges that may reach the API server; empty: all.
    pub public_access_cidrs: Vec<String>,
    /// Logs that the control plane writes, of [`LOG_TYPES`]; empty: none.
    pub logs: Vec<String>,
    /// How often HPAs are evaluated, whole seconds; none: EKS's default.
    pub hpa_sync_period: Option<Duration>,
}

/// What is set on a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// Where pods run.
    pub compute: Compute,
    /// Subnets of the control plane.
    pub subnet_ids: Vec<String>,
    /// Role of the control plane.
    pub role_arn: Option<String>,
    /// Role of Auto Mode's nodes.
    pub node_role_arn: Option<String>,
    /// IPv4 ranges that may reach the API server.
    pub public_access_cidrs: Vec<String>,
    /// Logs that the control plane writes.
    pub logs: Vec<String>,
    /// How often HPAs are evaluated, as EKS writes it; none where EKS does not tell.
    pub hpa_sync_period: Option<String>,
    /// Version of the tool that made it, by its tag.
    pub made_by: Option<String>,
}

/// A duration as EKS takes it: one number and one unit.
pub(super) fn eks_duration(period: Duration) -> String {
    format!("{}s", period.as_secs())
}
