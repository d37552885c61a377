//! A real Kubernetes behind a local AWS endpoint, for tests and `make demo`.
//!
//! `up` flows down once: [`install`] (packages, venv, Go builds, all cached by the hash of their inputs) -> [`pki`] ->
//! [`network`] and [`sysctl`] -> one component after another ([`components`], run by [`process`]) -> [`images`] in the registry ->
//! [`addons`]. `down` is [`cleanup`]. Whose sandbox it is:
//! [`owner`]. Where everything lives: [`state`]. While it runs, what clients ask passes [`front`].

mod addons;
mod cleanup;
mod cli;
mod command;
mod components;
mod error;
mod front;
mod images;
mod inputs;
mod install;
mod kubeconfig;
mod network;
mod node;
mod owner;
mod packages;
mod pki;
mod process;
mod restart;
mod say;
mod state;
mod sysctl;
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
