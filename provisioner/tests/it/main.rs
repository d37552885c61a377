//! Integration tests: one binary, everything on loopback.

#![expect(
    clippy::expect_used,
    reason = "`allow-expect-in-tests` covers test functions only; this is what they share"
)]

mod refusals;
mod registry;
mod support;
