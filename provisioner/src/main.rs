//! Parse, run, render the error, exit: the only place that exits.

use std::ffi::OsStr;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind;
use provisioner::cli::{Cli, Command, form_of_errors};
use provisioner::cluster::lease::{Holder, Machine};
use provisioner::config::{Config, Format, Layer, Output, Sources};
use provisioner::error::{Error, Exit};
use provisioner::ops::{self, Context, Underway, Undo};
use provisioner::report::{self, Ledger};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;

/// How long work that cannot be cancelled may hold up the exit.
const GRACE: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    // Two TLS providers may be linked in; without a choice the first client would panic.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let exit = match Cli::try_parse() {
        Ok(cli) => {
            let sources = sources(cli.layer(), cli.global.config.clone());
            start(&cli, &sources).unwrap_or_else(|error| tell(&error, sources.format()))
        }
        Err(error) => refuse(&error),
    };
    ExitCode::from(exit.code())
}

fn sources(flags: Layer, file: Option<PathBuf>) -> Sources {
    Sources {
        flags,
        // What is not UTF-8 is refused where it is a setting, with its name, and never passed over.
        variables: std::env::vars_os()
            .map(|(name, value)| (lossy(&name), lossy(&value)))
            .collect(),
        file,
        folder: ".".into(),
    }
}

fn lossy(text: &OsStr) -> String {
    text.to_string_lossy().into_owned()
}

/// Tells what is wrong with the command line, in the form that is asked for; help and version are text, and no errors.
fn refuse(error: &clap::Error) -> Exit {
    let (flags, file) = form_of_errors(std::env::args_os().skip(1).map(|word| lossy(&word)));
    let is_json = || sources(flags, file).format() == Format::Json;
    if error.use_stderr() && is_json() {
        return tell(&misused(error), Format::Json);
    }
    // Where nobody reads, the exit code still tells.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage } else { Exit::Done }
}

/// The same error as ours: its first paragraph is what is wrong, the others are what to try.
fn misused(error: &clap::Error) -> Error {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Error::usage("no command is given").hint("`--help` shows them");
    }
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
    match text.split_once("\n\n") {
        Some((what, rest)) => Error::usage(what.to_owned()).hint(rest.trim_start()),
        None => Error::usage(text.to_owned()),
    }
}

/// Tells the error. Where nobody reads, the exit code still tells.
fn tell(error: &Error, format: Format) -> Exit {
    let _ = writeln!(io::stderr(), "{}", error.render(format));
    error.exit()
}

/// Whether the variable `PROVISIONER_YES` answers every question with yes.
fn says_yes(value: Option<&str>) -> Result<bool, Error> {
    match value.unwrap_or_default() {
        "1" | "true" => Ok(true),
        "" | "0" | "false" => Ok(false),
        other => Err(Error::usage(format!(
            "`PROVISIONER_YES` must be `true` or `false`, not `{other}`"
        ))),
    }
}

fn start(cli: &Cli, sources: &Sources) -> Result<Exit, Error> {
    if let Command::Completions(completions) = &cli.command {
        return ops::completions(completions.shell, io::stdout());
    }
    let variable = |name| sources.variables.get(name).map(String::as_str);
    let yes = cli.global.yes || says_yes(variable("PROVISIONER_YES"))?;
    let config = Config::resolve_for(sources, cli.command.sections())?;
    start_log(&config.output, variable("PROVISIONER_LOG"))?;
    let ledger = Arc::new(Ledger::new(report::choose(&config.output)));
    let context = Context {
        config,
        report: ledger.clone(),
        yes,
        can_ask: io::stdin().is_terminal() && io::stderr().is_terminal(),
        undo: Undo::default(),
        rollout: Underway::default(),
        region: OnceLock::new(),
        bill: OnceLock::new(),
        holder: holder(),
    };
    let runtime = Runtime::new().map_err(Error::failed)?;
    let result = runtime.block_on(async {
        let result = tokio::select! {
            result = ops::run(&cli.command, &context) => result,
            signal = stop_signal() => Err(signal),
        };
        if result.is_err() {
            context.undo.run().await;
        }
        context.holder.released(GRACE).await;
        result
    });
    let arguments = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    // What remains is told before anything that may hold up the end.
    let exit = result.unwrap_or_else(|error| {
        let error = ops::with_remains(error, &cli.command, &context, ledger.entries(), arguments);
        tell(&error, context.config.output.format)
    });
    let second = wind_down(runtime);
    Ok(if exit.is_signal() { second.unwrap_or(exit) } else { exit })
}

/// Ends what still runs, within [`GRACE`]; a signal meanwhile ends the program at once, and decides its exit code.
fn wind_down(runtime: Runtime) -> Option<Exit> {
    let own = Builder::new_current_thread().enable_all().build().ok()?;
    own.block_on(async {
        let (ended, end) = oneshot::channel();
        std::thread::spawn(move || {
            runtime.shutdown_timeout(GRACE);
            let _ = ended.send(());
        });
        tokio::select! {
            _ = end => None,
            signal = stop_signal() => Some(signal.exit()).filter(|exit| exit.is_signal()),
        }
    })
}

/// This run, told from every other by host, process and start, and where the system tells by machine.
fn holder() -> Holder {
    let host = hostname::get().unwrap_or_default();
    let started = jiff::Timestamp::now().subsec_nanosecond().unsigned_abs();
    let holder = Holder::new(
        &host.to_string_lossy(),
        std::process::id(),
        started,
        jiff::Timestamp::now,
    );
    match Machine::this() {
        Some(machine) => holder.on(machine),
        None => holder,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Work that cannot be cancelled holds up the end; without the second signal it would be none after [`GRACE`]. One
    /// test, since a signal reaches whatever waits for one in this process.
    #[test]
    fn nothing_holds_up_the_end_and_a_second_signal_ends_the_program_and_decides_its_exit_code() {
        assert_eq!(wind_down(Runtime::new().unwrap()), None);
        let runtime = Runtime::new().unwrap();
        // The handler stays in place, so that a signal that comes early does not end the test.
        let _handler = runtime.block_on(async { signal(SignalKind::terminate()).unwrap() });
        let (_keep, never) = std::sync::mpsc::channel::<()>();
        runtime.spawn_blocking(move || never.recv());
        let winding = std::thread::spawn(move || wind_down(runtime));
        while !winding.is_finished() {
            let own = std::process::id().to_string();
            let sent = std::process::Command::new("kill").args(["-TERM", &own]).status();
            assert!(sent.unwrap().success());
        }
        assert_eq!(winding.join().unwrap(), Some(Exit::Terminated));
    }
}
