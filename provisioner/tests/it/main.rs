<<<<<<< HEAD
//! The program from outside: one test binary.

mod cli;
mod fake_aws;
=======
//! Integration tests: one binary, everything on loopback.

mod refusals;
mod registry;
>>>>>>> image
mod support;
