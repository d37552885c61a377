//! From source to an autoscaling deployment on AWS.
//!
//! Values move down once:
//!
//! ```text
//! flags + env + provisioner.toml --config--> Config
//! Config --target.provision--> Site { cluster, registry }      ECR, foundation, EKS
//! Config --image::publish----> Images { name -> repo@sha256 }
//! manifests --cluster::manifest--> objects --apply--> ChangeSet --wait--> Readiness --chain::verify--> Chain
//! all of it --------------------> Summary
//! ```
//!
//! Logic never prints: it hands [`report::Event`]s to a [`report::Reporter`].

pub mod aws;
pub mod chain;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod drawing;
pub mod error;
pub mod image;
pub mod kubeconfig;
mod loopback;
pub mod names;
pub mod ops;
pub mod plan;
pub mod reference;
pub mod report;
pub mod spelling;
pub mod target;
pub mod timeline;
pub mod viewer;
