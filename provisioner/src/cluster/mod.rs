//! Kubernetes: read manifests, apply, wait, delete; all by ownership labels.
//!
//! ```text
//! manifests/ --manifest::load(values, certificates)--> components
//! components --ownership::look---> existing objects and members, in lists   (foreign ones are refused before anything changes)
//!            --preview::check---> what is refused before images are there
//!            --changes::plan-----> created | updated | unchanged, by dry run where what was read does not tell
//! lease::under(...)               one run at a time changes a stack
//!            --apply::apply------> changes --wait::wait--> ready
//! members    --prune::prune--> what is wanted no longer is gone
//! applied    --rollout::roll--> another image, waited for, taken back where it fails
//! labels     --delete::delete_stack--> receipt
//! ```

pub mod app;
mod applied;
pub mod apply;
mod as_applied;
pub mod authority;
pub mod certificate;
pub mod changes;
mod connect;
mod content;
pub mod delete;
pub mod diff;
mod diff_text;
pub mod dry_run;
mod embedded;
pub mod error;
pub mod external;
mod failure;
pub mod forward;
mod images;
pub mod inventory;
mod last_words;
pub mod lease;
pub mod load_job;
pub mod manifest;
mod mark;
mod members;
pub mod monitoring;
mod news;
pub mod nodes;
mod object;
mod order;
pub mod ownership;
pub(crate) mod pace;
pub mod parent;
pub mod password;
mod paths;
pub(crate) mod placeholders;
pub mod preview;
pub mod prune;
pub mod reaction;
pub mod ready;
mod recreate;
mod retry;
pub mod rollout;
mod scale;
mod scope;
mod source;
mod stored;
pub mod take_over;
pub(crate) mod template;
pub(crate) mod trouble;
pub mod values;
pub mod wait;

pub use connect::{Cluster, Endpoint};
pub use error::ClusterError;
pub use object::ObjectRef;

#[cfg(test)]
mod claim_tests;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod flow_tests;
#[cfg(test)]
mod network_tests;
#[cfg(test)]
mod pod_tests;
#[cfg(test)]
mod prune_limits_tests;
#[cfg(test)]
mod prune_tests;
#[cfg(test)]
mod recreate_tests;
#[cfg(test)]
mod render_tests;
#[cfg(test)]
mod restricted_tests;
#[cfg(test)]
mod rights_tests;
#[cfg(test)]
mod safety_tests;
#[cfg(test)]
mod scale_tests;
#[cfg(test)]
mod stack_tests;
#[cfg(test)]
mod wait_tests;
#[cfg(test)]
mod wire;
