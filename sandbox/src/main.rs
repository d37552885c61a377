//! A real Kubernetes behind a local AWS endpoint, for tests and `make demo`.
//!
//! `up` flows down once: [`install`] (packages, venv, Go builds, all cached by the hash of their inputs) -> [`pki`] ->
//! [`network`] -> one component after another ([`components`], run by [`process`]) -> [`images`] in the registry ->
//! [`addons`]. `down` is [`cleanup`]. Where everything lives: [`state`].

mod addons;
mod cleanup;
mod cli;
mod components;
mod error;
mod images;
mod install;
mod kubeconfig;
mod network;
mod node;
mod pki;
mod process;
mod say;
mod state;
mod up;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    match cli::run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::failure(&error);
            ExitCode::from(error.exit_code())
        }
    }
}
