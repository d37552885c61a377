//! The binary from outside: HTTP, signals, exit codes, streams.

// A test fails by panicking, its helpers too; clippy.toml reaches only functions that are tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cli;
#[cfg(feature = "otlp")]
mod collector;
mod drain;
mod limits;
mod load;
mod openapi;
#[cfg(feature = "otlp")]
mod otlp;
mod peer;
mod rollover;
mod serve;
mod support;
