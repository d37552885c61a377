//! Integration tests: one binary, everything on loopback.

mod cli;
mod fake_aws;
mod refusals;
mod registry;
mod run;
mod support;
