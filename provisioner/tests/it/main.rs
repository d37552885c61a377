//! Integration tests: one binary, everything on loopback.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test, giving up loudly is the right answer; clippy.toml covers only what bears #[test] itself"
)]

mod calls;
mod certificates;
mod cli;
mod contexts;
mod dashboard;
mod doctor;
mod documents;
mod fake_aws;
mod foreign_code;
mod full_disk;
mod help;
mod iam;
mod init;
mod load;
mod loader;
mod made;
mod mirror;
mod mounts;
mod plan;
mod plan_on_aws;
mod preflight;
mod profiles;
mod refusals;
mod registry;
mod renewal;
mod run;
mod sbom;
mod signals;
mod skip;
mod support;
mod teardown;
mod transfer;
mod watch;
mod wording;
