//! `app serve` is the instrumented web service, `app load` the load generator that makes it scale.
//!
//! Exit codes: 0 done, 1 failed, 2 usage or configuration.

mod config;
mod connections;
mod descriptors;
mod duration;
mod limits;
mod load;
mod metrics;
mod observe;
mod otel;
#[cfg_attr(not(feature = "otlp"), path = "no_otlp.rs")]
mod otlp;
mod process;
mod routes;
mod runtime;
mod semconv;
mod serve;
mod shutdown;
#[cfg_attr(not(feature = "otlp"), path = "no_spans.rs")]
mod spans;
mod telemetry;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{Parser, Subcommand};

/// An instrumented web service and its load generator.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve HTTP until SIGTERM or SIGINT, then drain
    #[command(after_help = otel::HELP)]
    Serve(config::ServeArgs),
    /// Send requests at a rate that holds, whatever the server does, and report what came back
    Load(Box<load::LoadArgs>),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let error = without_secrets(error);
            // A closed stdout or stderr is no reason to fail: nobody reads the message.
            error.print().ok();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            writeln!(std::io::stderr(), "error: {}", chain(&*failure.error)).ok();
            ExitCode::from(failure.code)
        }
    }
}

/// A header or a URL that cannot be used may be a credential all the same: its value is in no message.
fn without_secrets(mut error: clap::Error) -> clap::Error {
    let names_one = matches!(error.get(ContextKind::InvalidArg), Some(ContextValue::String(arg))
        if ["--header", "--url"].iter().any(|flag| arg.starts_with(flag)));
    if names_one {
        error.insert(
            ContextKind::InvalidValue,
            ContextValue::String("(not shown)".to_owned()),
        );
    }
    error
}

struct Failure {
    code: u8,
    error: Box<dyn Error>,
}

fn failed(error: impl Error + 'static) -> Failure {
    Failure {
        code: 1,
        error: Box::new(error),
    }
}

/// One thread: a pod is scaled out, not up, and one core answers far more than a pod is asked for. Only scrapes (`serve`)
/// and name lookups (`load`) run beside it, on threads that end when idle.
fn run(command: Command) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(8)
        .build()
        .map_err(failed)?;
    let result = match command {
        Command::Serve(args) => {
            let settings = args.resolve().map_err(|error| Failure {
                code: 2,
                error: Box::new(error),
            })?;
            runtime.block_on(serve::run(settings)).map_err(failed)
        }
        Command::Load(args) => runtime.block_on(load::run(&args)).map_err(failed),
    };
    // A lookup that hangs must not keep the process.
    runtime.shutdown_background();
    result
}

/// The error and its causes on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_may_be_credentials_are_in_no_message() {
        for (args, why) in [
            (["--url", "http://me:secret@web/"], "credentials in the URL"),
            (["--url", "https://web/?token=secret"], "https is not supported"),
            (["--header", "authorization Bearer secret"], "not a header"),
        ] {
            let error = Cli::try_parse_from([&["app", "load"], &args[..]].concat()).unwrap_err();
            let text = without_secrets(error).to_string();
            assert!(text.contains(why) && text.contains(args[0]), "{text}");
            assert!(!text.contains("secret"), "{text}");
        }
        let error = Cli::try_parse_from(["app", "load", "--url", "http://web", "--rate", "much"]).unwrap_err();
        assert!(without_secrets(error).to_string().contains("'much'"));
    }
}
