//! Parse, run, render the error, exit: the only place that exits.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::Parser;
use provisioner::cli::{Cli, Command};
use provisioner::config::{Config, Format, Output, Sources};
use provisioner::error::{Error, Exit};
use provisioner::ops::{self, Context};
use provisioner::report::{self, Ledger};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// How long work that cannot be cancelled may hold up the exit.
const GRACE: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    // Two TLS providers may be linked in; without a choice the first client would panic.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse();
    let variables: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let format = asked_format(&cli, &variables);
    let exit = match start(&cli, variables) {
        Ok(exit) => exit,
        Err(error) => {
            // Where nobody reads, the exit code still tells.
            let _ = writeln!(io::stderr(), "{}", error.render(format));
            error.exit()
        }
    };
    ExitCode::from(exit.code())
}

/// The format for errors of the settings themselves, before they are valid.
fn asked_format(cli: &Cli, variables: &BTreeMap<String, String>) -> Format {
    let asked = cli
        .global
        .output
        .as_ref()
        .or_else(|| variables.get("PROVISIONER_OUTPUT"));
    if asked.is_some_and(|format| format == "json") {
        Format::Json
    } else {
        Format::Text
    }
}

fn start(cli: &Cli, variables: BTreeMap<String, String>) -> Result<Exit, Error> {
    if let Command::Completions(completions) = &cli.command {
        return ops::completions(completions.shell, io::stdout());
    }
    let yes = cli.global.yes
        || variables
            .get("PROVISIONER_YES")
            .is_some_and(|v| v == "1" || v == "true");
    let log = variables.get("PROVISIONER_LOG").cloned();
    let config = Config::resolve(&Sources {
        flags: cli.layer(),
        variables,
        file: cli.global.config.clone(),
        folder: ".".into(),
    })?;
    start_log(&config.output, log.as_deref());
    let ledger = Arc::new(Ledger::new(report::choose(&config.output)));
    let context = Context {
        config,
        report: ledger.clone(),
        yes,
        can_ask: io::stdin().is_terminal() && io::stderr().is_terminal(),
        region: OnceLock::new(),
    };
    let runtime = tokio::runtime::Runtime::new().map_err(Error::failed)?;
    let result = runtime.block_on(async {
        tokio::select! {
            result = ops::run(&cli.command, &context) => result,
            signal = stop_signal() => Err(signal),
        }
    });
    runtime.shutdown_timeout(GRACE);
    result.map_err(|error| ops::with_remains(error, &cli.command, &context, ledger.entries(), std::env::args()))
}

async fn stop_signal() -> Error {
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => tokio::select! {
            _ = interrupt.recv() => Error::signal(Exit::Interrupted),
            _ = terminate.recv() => Error::signal(Exit::Terminated),
        },
        (Err(error), _) | (_, Err(error)) => Error::failed(error),
    }
}

/// The log is for looking inside; what people need to know goes through the reporter.
fn start_log(output: &Output, filter: Option<&str>) {
    let default = if output.verbose {
        "info,provisioner=debug,kube_client=off"
    } else {
        "error,kube_client=off"
    };
    let filter = EnvFilter::new(filter.unwrap_or(default));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    match output.format {
        Format::Json => builder.json().init(),
        Format::Text => builder.with_target(false).init(),
    }
}
