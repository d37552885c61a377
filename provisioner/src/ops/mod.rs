//! The commands: each file is the story of one, told in the order in which it happens.

mod ask;
mod bootstrap;
mod deploy;
mod files;
mod images;
mod kubeconfig;
mod load;
mod push;
mod receipt;
mod resume;
mod status;
mod summary;
mod teardown;
mod token;

use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

use clap::CommandFactory;

use crate::aws::Aws;
use crate::cli::{Cli, Command};
use crate::config::Config;
use crate::error::{Error, Exit};
use crate::names::StackName;
use crate::report::{Answer, Reporter};
use crate::target;

pub use resume::with_remains;

/// What every command is handed.
pub struct Context {
    /// The settings.
    pub config: Config,
    /// Takes events.
    pub report: Arc<dyn Reporter>,
    /// Whether every question is answered with yes.
    pub yes: bool,
    /// Whether a person can be asked.
    pub can_ask: bool,
    /// The region, once AWS was connected to: it may come from the AWS configuration.
    pub region: OnceLock<String>,
}

impl Context {
    /// The cluster and stack to work on.
    ///
    /// # Errors
    /// No source names a cluster.
    pub fn target(&self) -> Result<(&str, &StackName), Error> {
        let target = &self.config.target;
        match (&target.cluster, &target.stack) {
            (Some(cluster), Some(stack)) => Ok((cluster, stack)),
            _ => Err(Error::usage("no cluster is named").hint(
                "give `--cluster NAME`, set `PROVISIONER_CLUSTER`, or write `cluster` under `[target]` in provisioner.toml",
            )),
        }
    }

    /// Connects to AWS and remembers the region.
    async fn connect_aws(&self) -> Result<Aws, Error> {
        let aws = target::connect_aws(&self.config).await?;
        self.region.get_or_init(|| aws.region().to_owned());
        Ok(aws)
    }

    /// Writes a result to stdout; false where its reader has gone.
    fn print(&self, answer: &Answer) -> Result<bool, Error> {
        answer
            .write(self.config.output.format, io::stdout().lock())
            .map_err(Error::failed)
    }
}

/// Runs one command to its end, result on stdout.
pub async fn run(command: &Command, context: &Context) -> Result<Exit, Error> {
    let (answer, exit) = match command {
        Command::Bootstrap(_) => (Some(bootstrap::run(context).await?), Exit::Done),
        Command::Push(_) => (Some(push::run(context).await?), Exit::Done),
        Command::Teardown(flags) => {
            let (answer, exit) = teardown::run(flags, context).await?;
            (Some(answer), exit)
        }
        Command::Load(flags) => (Some(load::run(flags, context).await?), Exit::Done),
        Command::Status(flags) => (status::run(flags, context).await.map(|()| None)?, Exit::Done),
        Command::Token => (Some(token::run(context).await?), Exit::Done),
        Command::Kubeconfig(flags) => (kubeconfig::run(flags, context).await?, Exit::Done),
        Command::Completions(completions) => {
            return self::completions(completions.shell, io::stdout());
        }
    };
    if let Some(answer) = answer {
        context.print(&answer)?;
    }
    Ok(exit)
}

/// Writes a completion script.
pub fn completions(shell: clap_complete::Shell, mut to: impl Write) -> Result<Exit, Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "provisioner", &mut script);
    match to.write_all(&script).and_then(|()| to.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::failed(error)),
        _ => Ok(Exit::Done),
    }
}
