//! Flags of a new cluster.

use clap::Args;

use super::{list, switch, text};
use crate::config::Layer;

/// What a new cluster is like. On a cluster that provisioner made, what is given must match, or is set right.
#[derive(Debug, Args)]
#[command(next_help_heading = "New cluster")]
pub struct EksArgs {
    /// Kubernetes version, e.g. 1.34 [default: the default of EKS]
    #[arg(long, value_name = "VERSION")]
    pub k8s_version: Option<String>,
    /// Where pods run: auto (EKS Auto Mode) or nodegroup (2 t3.large) [default: auto]
    #[arg(long, value_name = "KIND")]
    pub compute: Option<String>,
    /// Put nodes into private subnets behind a NAT gateway (costs by the hour)
    #[arg(long)]
    pub private_nodes: bool,
    /// Use these subnets, in two zones or more, instead of making a network
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub subnet_ids: Vec<String>,
    /// Use this role for the control plane instead of making one
    #[arg(long, value_name = "ARN")]
    pub cluster_role_arn: Option<String>,
    /// Use this role for the nodes instead of making one
    #[arg(long, value_name = "ARN")]
    pub node_role_arn: Option<String>,
    /// IAM role or user that also becomes the cluster's administrator; may be repeated
    #[arg(long, value_name = "ARN")]
    pub admin_arn: Vec<String>,
    /// Addresses that may reach the API server, e.g. 203.0.113.0/24; may be repeated [default: all]
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    pub public_access_cidr: Vec<String>,
    /// Logs to `CloudWatch`: api, audit, authenticator, controllerManager, scheduler [default: none]
    #[arg(long, value_name = "LOG", value_delimiter = ',')]
    pub control_plane_logs: Vec<String>,
    /// How often HPAs are evaluated, where EKS offers that, e.g. 10s [default: that of EKS]
    #[arg(long, value_name = "DURATION")]
    pub hpa_sync_period: Option<String>,
}

impl EksArgs {
    pub(super) fn layer(&self, layer: &mut Layer) {
        text(layer, "k8s-version", self.k8s_version.as_ref());
        text(layer, "compute", self.compute.as_ref());
        switch(layer, "private-nodes", self.private_nodes);
        list(layer, "subnet-ids", &self.subnet_ids);
        text(layer, "cluster-role-arn", self.cluster_role_arn.as_ref());
        text(layer, "node-role-arn", self.node_role_arn.as_ref());
        list(layer, "admin-arn", &self.admin_arn);
        list(layer, "public-access-cidr", &self.public_access_cidr);
        list(layer, "control-plane-logs", &self.control_plane_logs);
        text(layer, "hpa-sync-period", self.hpa_sync_period.as_ref());
    }
}
