//! `app load`: requests at a rate that does not wait for the server (open loop), and a report of what came back. The rate
//! over time (`rate`) gives arrivals (`schedule`); these start requests (`drive`) on connections that are renewed often
//! (`client`), so that pods added behind a Service get their share. Outcomes are recorded (`record`: `latency`, `pods`),
//! told while the run is on (`progress`, whose lines other programs read, written `aside`), reported (`report`) and judged
//! (`threshold`).

mod answer;
mod aside;
mod client;
mod drive;
mod header;
mod latency;
mod pods;
mod progress;
mod rate;
mod record;
mod report;
mod schedule;
mod target;
mod threshold;

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::duration;
use crate::shutdown::Signals;
use aside::Aside;
use client::{Client, Limits};
use drive::{Connections, Run};
use header::Header;
use progress::{Form, Progress};
use rate::{Profile, Rate, Stages};
use record::Record;
use report::Report;
use schedule::{Schedule, Spacing};
use target::Target;
use threshold::{Bound, Thresholds};

/// Flags of `app load`.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// Where to send GET requests, http:// only
    #[arg(long, env = "LOAD_URL")]
    url: Target,
    /// A header of each request, instead of our own of that name; may be given several times
    #[arg(long, env = "LOAD_HEADER", value_name = "NAME: VALUE", hide_env_values = true)]
    header: Vec<Header>,
    /// Requests per second, in total; held whatever the server does
    #[arg(long, env = "LOAD_RATE", default_value = "100", value_name = "PER_SECOND")]
    rate: Rate,
    /// How long to send
    #[arg(
        long,
        env = "LOAD_DURATION",
        default_value = "2m",
        value_name = "DURATION",
        value_parser = duration::parse
    )]
    duration: Duration,
    /// Instead of `--rate` and `--duration`: RATE:DURATION,... In each stage the rate goes in a straight line from that of the
    /// stage before (0 at first) to RATE; a stage of `0` sets it at once. `100:0,100:1m,0:30s` sends 100 per second for a
    /// minute and then less and less for 30 s
    #[arg(long, env = "LOAD_STAGES", value_name = "STAGES", conflicts_with_all = ["rate", "duration"])]
    stages: Option<Stages>,
    /// How far apart requests are
    #[arg(long, env = "LOAD_ARRIVALS", default_value = "even")]
    arrivals: Spacing,
    /// Of the random arrivals of `poisson`: the same seed, the same arrivals
    #[arg(long, env = "LOAD_SEED", default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Connections that take turns, as those of so many users do; there are more where requests overlap. Where fewer requests
    /// than that are due within the age of a connection, each has its own; 1 for as few connections as the load needs
    #[arg(long, env = "LOAD_USERS", default_value_t = 16, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    users: u32,
    /// Most requests, and so connections, at a time; a request due beyond them is dropped and counted
    #[arg(long, env = "LOAD_CONNECTIONS", default_value_t = 256, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Requests after which a connection is replaced
    #[arg(long, env = "LOAD_MAX_REQUESTS_PER_CONNECTION", default_value_t = 20,
          value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_requests_per_connection: u32,
    /// Age after which a connection is replaced; the name is resolved again for each
    #[arg(
        long,
        env = "LOAD_MAX_CONNECTION_AGE",
        default_value = "1s",
        value_name = "DURATION",
        value_parser = duration::parse
    )]
    max_connection_age: Duration,
    /// Time for a request, connecting included; then it has failed
    #[arg(
        long,
        env = "LOAD_TIMEOUT",
        default_value = "2s",
        value_name = "DURATION",
        value_parser = duration::parse
    )]
    timeout: Duration,
    /// Most requests that may fail or be dropped, as a number or a share like 1%; more make the exit code 1
    #[arg(long, env = "LOAD_MAX_FAILED", value_name = "N|P%")]
    max_failed: Option<Bound>,
    /// Most requests that may go out on another connection because the server closed the idle one while they were being
    /// put on it, as a number or a share; more make the exit code 1. Connections seen closed before a request was chosen
    /// for them do not count here, but in the report's `closed_by_server`
    #[arg(long, env = "LOAD_MAX_RESENT", value_name = "N|P%")]
    max_resent: Option<Bound>,
    /// Most requests that may be begun 10 ms or more after they were due, as a number or a share; more mean that the generator
    /// was too slow, and make the exit code 1
    #[arg(long, env = "LOAD_MAX_LATE", value_name = "N|P%")]
    max_late: Option<Bound>,
    /// Longest 99th percentile of latency; a longer one makes the exit code 1, as does more than 1% of all due requests
    /// without a latency: dropped, refused, given up
    #[arg(long, env = "LOAD_MAX_P99", value_name = "DURATION", value_parser = duration::parse)]
    max_p99: Option<Duration>,
    /// Most answers of the busiest pod in the last 10 s, in means of all pods: 1 is even, 1.5 half more than its share; more
    /// make the exit code 1
    #[arg(long, env = "LOAD_MAX_IMBALANCE", value_name = "SHARE", value_parser = threshold::share)]
    max_imbalance: Option<f64>,
    /// Form of the report on stdout [default: text on a terminal, else json]
    #[arg(long, env = "LOAD_OUTPUT")]
    output: Option<Output>,
    /// What to say on stderr meanwhile
    #[arg(long, env = "LOAD_PROGRESS", default_value = "text")]
    progress: Form,
}

impl LoadArgs {
    fn schedule(&self) -> Schedule {
        let profile = match &self.stages {
            Some(stages) => Profile::staged(stages),
            None => Profile::constant(self.rate, self.duration),
        };
        Schedule::new(profile, self.arrivals, self.seed)
    }
}

/// Form of the report.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// Why a load failed. The report is on stdout all the same.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("cannot handle signals")]
    Signals(#[source] io::Error),
    #[error("cannot start the thread that keeps the rate")]
    Pacer(#[source] io::Error),
    #[error("cannot start the thread that tells the progress")]
    Progress(#[source] io::Error),
    #[error("cannot set up the histogram")]
    Histogram(#[from] hdrhistogram::CreationError),
    #[error("cannot write the report")]
    Report(#[source] io::Error),
    #[error("no request succeeded: {0}")]
    NothingSucceeded(String),
    #[error("missed: {0}")]
    Missed(String),
}

/// Sends the load, writes the report, judges it.
pub(crate) async fn run(args: &LoadArgs) -> Result<(), LoadError> {
    let mut signals = Signals::install().map_err(LoadError::Signals)?;
    let client = Client::new(
        &args.url,
        &args.header,
        Limits {
            requests: args.max_requests_per_connection,
            age: args.max_connection_age,
            timeout: args.timeout,
        },
    );
    let schedule = args.schedule();
    let mut stderr = Aside::new(io::stderr()).map_err(LoadError::Progress)?;
    let progress = Progress::new(args.progress, &mut stderr);
    let connections = Connections {
        users: args.users.min(args.connections) as usize,
        most: args.connections as usize,
    };
    let record = Run::new(client, &schedule, connections, Record::new()?, progress)
        .drive(&mut signals)
        .await
        .map_err(LoadError::Pacer)?;
    drop(stderr);
    let report = Report::new(&schedule, &record);
    write(&report, args.output).map_err(LoadError::Report)?;
    if report.succeeded() == 0 {
        return Err(LoadError::NothingSucceeded(record.why_nothing_succeeded()));
    }
    let thresholds = Thresholds {
        failed: args.max_failed,
        resent: args.max_resent,
        late: args.max_late,
        p99: args.max_p99,
        imbalance: args.max_imbalance,
    };
    match thresholds.missed(&report).as_slice() {
        [] => Ok(()),
        missed => Err(LoadError::Missed(missed.join("; "))),
    }
}

/// A reader that has gone away is no failure of the load.
fn write(report: &Report, output: Option<Output>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let text = match output {
        Some(Output::Text) => report.text(),
        None if stdout.is_terminal() => report.text(),
        Some(Output::Json) | None => report.json()?,
    };
    match writeln!(stdout, "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
