//! The program from outside: one test binary.

mod cli;
mod fake_aws;
mod support;
