//! From source to an autoscaling deployment on AWS.
//!
//! Values move down once:
//!
//! ```text
//! flags + env + provisioner.toml --config--> Config --Plan::build--> Plan
//! Config --target, aws::{ecr, foundation, eks}--> cluster endpoint, repositories
//! Config --image::{build, assemble, publish}--> repo@sha256
//! manifests --cluster::manifest--> objects --ownership--> --apply--> changes --wait--> --chain::verify--> figures
//! all of it --> summary
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
