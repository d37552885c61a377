//! Parse, run, render the error, exit: the only place that exits.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::Parser;
use provisioner::cli::{Cli, Command};
use provisioner::config::{Config, Format, Output, Sources};
use provisioner::error::{Error, Exit};
use provisioner::ops::{self, Context, Undo};
use provisioner::report::{self, Ledger};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// How long work that cannot be cancelled may hold up the exit.
const GRACE: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    // Two TLS providers may be linked in; without a choice the first client would panic.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse();
    // What is not UTF-8 is refused where it is a setting, with its name, and never passed over.
    let lossy = |text: OsString| text.to_string_lossy().into_owned();
    let sources = Sources {
        flags: cli.layer(),
        variables: std::env::vars_os()
            .map(|(name, value)| (lossy(name), lossy(value)))
            .collect(),
        file: cli.global.config.clone(),
        folder: ".".into(),
    };
    let exit = start(&cli, &sources).unwrap_or_else(|error| {
        // Where nobody reads, the exit code still tells.
        let _ = writeln!(io::stderr(), "{}", error.render(sources.format()));
        error.exit()
    });
    ExitCode::from(exit.code())
}

fn start(cli: &Cli, sources: &Sources) -> Result<Exit, Error> {
    if let Command::Completions(completions) = &cli.command {
        return ops::completions(completions.shell, io::stdout());
    }
    let variable = |name| sources.variables.get(name).map(String::as_str);
    let yes = cli.global.yes || variable("PROVISIONER_YES").is_some_and(|v| v == "1" || v == "true");
    let config = Config::resolve(sources)?;
    start_log(&config.output, variable("PROVISIONER_LOG"))?;
    let ledger = Arc::new(Ledger::new(report::choose(&config.output)));
    let context = Context {
        config,
        report: ledger.clone(),
        yes,
        can_ask: io::stdin().is_terminal() && io::stderr().is_terminal(),
        undo: Undo::default(),
        region: OnceLock::new(),
    };
    let runtime = tokio::runtime::Runtime::new().map_err(Error::failed)?;
    let result = runtime.block_on(async {
        let result = tokio::select! {
            result = ops::run(&cli.command, &context) => result,
            signal = stop_signal() => Err(signal),
        };
        if result.is_err() {
            context.undo.run().await;
        }
        result
    });
    runtime.shutdown_timeout(GRACE);
    let arguments = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    result.map_err(|error| ops::with_remains(error, &cli.command, &context, ledger.entries(), arguments))
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
///
/// # Errors
/// The filter cannot be read: exit 2.
fn start_log(output: &Output, filter: Option<&str>) -> Result<(), Error> {
    let default = if output.verbose {
        "info,provisioner=debug,kube_client=off"
    } else {
        "error,kube_client=off"
    };
    let filter = filter.filter(|filter| !filter.is_empty()).unwrap_or(default);
    let filter = EnvFilter::builder()
        .parse(filter)
        .map_err(|error| Error::usage(format!("`PROVISIONER_LOG`: `{filter}` is no filter: {error}")))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        // It would tell on stderr that it cannot write to stderr, and panic.
        .log_internal_errors(false);
    match output.format {
        Format::Json => builder.json().init(),
        Format::Text => builder.with_target(false).init(),
    }
    Ok(())
}
