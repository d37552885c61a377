//! Integration tests: one binary, everything on loopback.

mod refusals;
mod registry;
mod support;
