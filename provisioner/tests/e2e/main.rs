//! The flows on the sandbox, one after another: `make e2e` starts it and sets its variables.

#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on says why")]

mod backendless;
mod certificates;
mod control;
mod controllers;
mod crash;
mod dashboard;
mod dockerfile;
mod doctor;
mod endings;
mod faults;
mod iam;
mod images;
mod job;
mod kills;
mod leftovers;
mod loader;
mod mirror;
mod operator;
mod options;
mod outages;
mod pages;
mod plan;
mod programs;
mod prometheus;
mod queries;
mod restricted;
mod rollout;
mod sbom;
mod second;
mod signer;
mod stack;
mod story;
mod support;
mod targets;
mod tokens;
mod tools;
mod troubles;
