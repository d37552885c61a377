//! The commands: each file is the story of one, told in the order in which it happens.

mod ask;
mod bill;
mod bootstrap;
mod config_show;
mod dashboard;
mod deploy;
mod doctor;
mod elsewhere;
mod files;
#[cfg(test)]
mod fixtures;
mod forecast;
mod images;
mod init;
mod intents;
mod kubeconfig;
mod load;
mod loader;
mod man;
mod mirror;
mod plan;
mod push;
mod receipt;
mod resume;
mod rollout;
mod scraped;
mod status;
mod summary;
mod teardown;
mod token;
mod undo;

use std::io::{self, Write};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::CommandFactory;
use kube::core::DynamicObject;

use crate::aws::Aws;
use crate::cli::{self, Cli, Command};
use crate::cluster::lease::{Holder, Terms};
use crate::config::Config;
use crate::error::{Error, Exit};
use crate::names::StackName;
use crate::report::{Answer, Reporter};
use crate::target::{self, Place, Registry};

pub use bill::Bill;
pub use config_show::config_show;
pub use resume::with_remains;
pub use rollout::Underway;
pub use undo::Undo;

/// The phase in which a command looks around and changes nothing.
const CHECK: &str = "check";
/// How long a cluster that exists may take to answer.
const ANSWER: Duration = Duration::from_mins(1);
/// How long another run may keep the lease of a stack: applying takes seconds, a teardown a minute.
const LEASE: Duration = Duration::from_mins(5);

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
    /// What is taken back where the command does not reach its end.
    pub undo: Undo,
    /// A rollout that was begun and did not come to a good end.
    pub rollout: Underway,
    /// This run, as it holds the lease of a stack.
    pub holder: Holder,
    /// The region, once AWS was connected to: it may come from the AWS configuration.
    pub region: OnceLock<String>,
    /// What the stack costs, once that is known.
    pub bill: OnceLock<Bill>,
    /// Set where the command goes on until it is interrupted: then an interrupt is its good end.
    pub serving: OnceLock<()>,
}

impl Context {
    /// The cluster, by its name or its context's, and the stack to work on.
    ///
    /// # Errors
    /// No source names a cluster.
    pub fn target(&self) -> Result<(&str, &StackName), Error> {
        let target = &self.config.target;
        match (target.cluster.as_ref().or(target.kube_context.as_ref()), &target.stack) {
            (Some(cluster), Some(stack)) => Ok((cluster, stack)),
            _ => Err(Error::usage("no cluster is named").hint(
                "give `--cluster NAME`, set `PROVISIONER_CLUSTER`, or write `cluster` under `[target]` in provisioner.toml; \
                 `--kube-context CONTEXT` for a cluster outside AWS; `provisioner init` writes the settings of a new project",
            )),
        }
    }

    /// The stack to work on, where the cluster does not matter.
    ///
    /// # Errors
    /// No source names one.
    pub fn stack(&self) -> Result<&StackName, Error> {
        match &self.config.target.stack {
            Some(stack) => Ok(stack),
            None => Err(Error::usage("no stack is named").hint(
                "give `--name NAME`, or `--cluster NAME` for the stack that bears its cluster's name; \
                 `PROVISIONER_NAME` and `name` under `[target]` in provisioner.toml do too",
            )),
        }
    }

    /// Where the cluster is: in EKS, then AWS is connected to, or behind a context.
    async fn place(&self) -> Result<Place, Error> {
        let target = &self.config.target;
        match (&target.cluster, &target.kube_context) {
            (Some(cluster), _) => Ok(Place::Eks(Box::new(self.connect_aws().await?), cluster.clone())),
            (None, Some(name)) => Place::context(name).await,
            (None, None) => self.target().and_then(|_| Err(Error::usage("no cluster is named"))),
        }
    }

    /// Where images go: a registry that is named, else ECR, for which AWS is connected to unless it was already.
    async fn registry(&self, aws: Option<&Aws>) -> Result<Registry, Error> {
        match (&self.config.target.registry, aws) {
            (Some(prefix), _) => Ok(Registry::Other(prefix.clone())),
            (None, Some(aws)) => Ok(Registry::ecr(aws.clone())),
            (None, None) => match self.connect_aws().await {
                Ok(aws) => Ok(Registry::ecr(aws)),
                // Whoever names a context may not think of AWS at all.
                Err(error) if self.config.target.kube_context.is_some() => {
                    Err(error.or_hint("images go to ECR unless `--registry HOST/PREFIX` names another registry"))
                }
                Err(error) => Err(error),
            },
        }
    }

    /// Connects to AWS and remembers the region.
    async fn connect_aws(&self) -> Result<Aws, Error> {
        let aws = target::connect_aws(&self.config).await?;
        self.region.get_or_init(|| aws.region().to_owned());
        Ok(aws)
    }

    /// How a command that changes a stack holds its lease.
    fn lease_terms<'a>(&'a self, stack: &'a StackName, home: &'a DynamicObject) -> Terms<'a> {
        Terms {
            stack,
            home,
            holder: &self.holder,
            wait: LEASE.min(self.config.output.timeout),
        }
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
    if command.takes_image() {
        for note in &context.config.passed_over {
            context.report.note(note);
        }
    }
    let (answer, exit) = match command {
        Command::Plan(flags) => plan(flags, context).await?,
        Command::Bootstrap(flags) if flags.dry_run => plan(&flags.bootstrap, context).await?,
        Command::Bootstrap(_) => (Some(Box::pin(bootstrap::run(context)).await?), Exit::Done),
        Command::Push(flags) if flags.rollout => {
            let (answer, verdict) = Box::pin(rollout::run(flags, context)).await?;
            context.print(&answer)?;
            return verdict.map(|()| Exit::Done);
        }
        Command::Push(_) => (Some(push::run(context).await?), Exit::Done),
        Command::Teardown(flags) => {
            let (answer, exit) = Box::pin(teardown::run(flags, context)).await?;
            (Some(answer), exit)
        }
        Command::Load(flags) => {
            let (answer, verdict) = load::run(flags, context).await?;
            context.print(&answer)?;
            return verdict.map(|()| Exit::Done);
        }
        Command::Init(flags) => (Some(init::run(flags, context).await?), Exit::Done),
        Command::Status(flags) => (status::run(flags, context).await.map(|()| None)?, Exit::Done),
        Command::Doctor => {
            let (answer, exit) = doctor::run(context).await?;
            (Some(answer), exit)
        }
        Command::Dashboard(flags) => (dashboard::run(flags, context).await.map(|()| None)?, Exit::Done),
        Command::Token => (Some(token::run(context).await?), Exit::Done),
        Command::Kubeconfig(flags) => (Some(kubeconfig::run(flags, context).await?), Exit::Done),
        Command::Man(flags) => (Some(man::run(&flags.folder)?), Exit::Done),
        // Asked of the sources of settings, before there is a context.
        Command::Config(_) => (None, Exit::Done),
        Command::Completions(completions) => {
            return self::completions(completions.shell, io::stdout());
        }
    };
    if let Some(answer) = answer {
        context.print(&answer)?;
    }
    Ok(exit)
}

async fn plan(flags: &cli::Bootstrap, context: &Context) -> Result<(Option<Answer>, Exit), Error> {
    if flags.image.image_refs.is_some() {
        return Err(
            Error::usage("`--image-refs` writes what was pushed, and a plan pushes nothing")
                .hint("leave it out here: the plan itself names the image"),
        );
    }
    let (answer, exit) = Box::pin(plan::run(context)).await?;
    Ok((Some(answer), exit))
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
