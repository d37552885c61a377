<<<<<<< HEAD
//! The program from outside: one test binary.

mod cli;
mod fake_aws;
=======
//! Integration tests: one binary, everything on loopback.

#![expect(
    clippy::expect_used,
    reason = "`allow-expect-in-tests` covers test functions only; this is what they share"
)]

mod refusals;
mod registry;
>>>>>>> image
mod support;
