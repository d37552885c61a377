//! Flags of `teardown`.

use std::path::PathBuf;

use clap::Args;

/// Flags of `teardown`.
#[derive(Debug, Args)]
pub struct Teardown {
    /// Also delete the EKS cluster, its network and its roles, where provisioner created them
    #[arg(long)]
    pub delete_cluster: bool,
    /// With the cluster, also delete load balancers, ingresses and volumes that others made on it
    ///
    /// Without this, a cluster with such objects of others stays: they would be orphaned on AWS.
    #[arg(long, requires = "delete_cluster")]
    pub delete_foreign: bool,
    /// Keep the ECR repositories and their images
    #[arg(long)]
    pub keep_images: bool,
    /// Only show what would go and what would stay; exit code 3 says that something would go
    #[arg(long, conflicts_with = "receipt")]
    pub dry_run: bool,
    /// Also write the receipt (found, deleted, left) to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub receipt: Option<PathBuf>,
}
