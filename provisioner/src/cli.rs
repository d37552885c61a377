//! The command line: types and help texts, no logic.

mod app;
mod config;
mod dashboard;
mod eks;
mod image;
mod init;
mod load;
mod made;
mod plan;
mod sections;
mod teardown;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use app::AppArgs;
pub use config::{ConfigArgs, ConfigCommand, ConfigShow};
pub use dashboard::Dashboard;
pub use eks::EksArgs;
pub use image::ImageArgs;
pub use init::Init;
pub use load::{Arrivals, Load, LoaderArgs, Stages};
pub use made::MadeArgs;
pub use plan::BootstrapArgs;
pub use teardown::Teardown;

use crate::cluster::manifest;
use crate::config::Layer;

const AFTER_HELP: &str = "\
Examples:
  provisioner plan --cluster demo --region eu-west-1 --create-cluster
  provisioner bootstrap --cluster demo --region eu-west-1 --create-cluster
  provisioner load --cluster demo --region eu-west-1 --rate 100 --duration 2m
  provisioner doctor --cluster demo --region eu-west-1
  provisioner teardown --cluster demo --region eu-west-1 --delete-cluster

Settings: flags, then PROVISIONER_* variables (PROVISIONER_CLUSTER, ...), then provisioner.toml.
AWS credentials come from where the AWS tools take them.

Exit codes: 0 done, 1 failed, 2 usage or configuration (nothing was changed), 3 `plan` or `--dry-run` found something to do,
130/143 interrupted.";

/// What is told beside the version: where the program comes from and what it runs on. The commit is known to releases; a
/// build of a checkout would be another one after every commit if it knew.
const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncommit: ",
    env!("BUILD_COMMIT"),
    "\ntarget: ",
    env!("BUILD_TARGET"),
    "\nprofile: ",
    env!("BUILD_PROFILE"),
    "\nfeatures: rustls with ring, EKS, kubeconfig, OCI, SBOM"
);

/// From source to an autoscaling deployment on AWS, and back to nothing
#[derive(Debug, Parser)]
#[command(name = "provisioner", version, long_version = LONG_VERSION, after_help = AFTER_HELP, max_term_width = 100)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches of a command line are independent of each other"
)]
pub struct Global {
    /// EKS cluster to work on
    #[arg(long, global = true, value_name = "CLUSTER")]
    pub cluster: Option<String>,
    /// Context of the kubeconfig to work on, instead of an EKS cluster
    #[arg(long, global = true, value_name = "CONTEXT")]
    pub kube_context: Option<String>,
    /// Registry and path for the images, e.g. ghcr.io/team [default: ECR]
    #[arg(long, global = true, value_name = "HOST/PREFIX")]
    pub registry: Option<String>,
    /// Stack's name, where the cluster's does not fit [default: CLUSTER or CONTEXT]
    #[arg(long, global = true, value_name = "NAME")]
    pub name: Option<String>,
    /// AWS region [default: that of the AWS configuration]
    #[arg(long, global = true, value_name = "REGION")]
    pub region: Option<String>,
    /// AWS profile [default: that of the AWS configuration]
    #[arg(long, global = true, value_name = "PROFILE")]
    pub profile: Option<String>,
    /// Settings file [default: ./provisioner.toml where it exists]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Form of result and events: text or json [default: text]
    #[arg(long, global = true, value_name = "FORMAT")]
    pub output: Option<String>,
    /// Only warnings and errors on stderr
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Log on stderr; a filter may be set in `PROVISIONER_LOG`
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// Answer every question with yes
    #[arg(long, short, global = true)]
    pub yes: bool,
    /// No colours (also: `NO_COLOR`)
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Longest single wait, e.g. 90s, 25m [default: 30m]
    #[arg(long, global = true, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// Pause between two looks at AWS [default: 10s]
    #[arg(long, global = true, value_name = "DURATION")]
    pub poll_interval: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build, push, create what is missing, deploy and verify; safe to repeat
    ///
    /// Everything is checked before anything changes. It ends with proof that the metrics arrive.
    /// A second run changes nothing; a run that was stopped goes on where it was.
    Bootstrap(Box<BootstrapArgs>),
    /// Show what bootstrap would do: AWS, images and every field on the cluster; changes nothing
    ///
    /// Takes the flags of bootstrap. Secret values are not shown. Exit code 3 says that there is something to do.
    Plan(Box<Bootstrap>),
    /// Build the app's image and push it; prints the reference with its digest
    Push(Box<Push>),
    /// Remove what bootstrap created, and prove that it is gone
    ///
    /// Deletes only what carries this stack's marks. A cluster that was not created by provisioner is never deleted.
    Teardown(Teardown),
    /// Send load to the app from inside the cluster and report latencies and pods
    ///
    /// An app that was built here makes its own load. Where the app was made elsewhere, a loader is needed the first time:
    /// `--loader-image`, or the sample app's workspace, from which one is built and pushed.
    Load(Box<Load>),
    /// Show pods, request rate, and why the HPA scales or does not
    Status(Status),
    /// Walk the metric chain hop by hop, name the first that is broken, and say what mends it
    ///
    /// Reads only, and works on a broken cluster: each question takes seconds at most. Exit code 1 says that a hop is broken.
    Doctor,
    /// Show the dashboard on a local page, as a picture, or forward a port to Grafana or Prometheus
    ///
    /// The page shows the panels of grafana/web-app.json every 5 seconds and needs no Grafana. It answers to this machine alone,
    /// and asks Prometheus only what the dashboard asks. Ctrl-C ends it, with exit code 0.
    Dashboard(Dashboard),
    /// Print a token for the cluster, in the form that kubectl's exec plugins prescribe
    Token,
    /// Add the cluster to the kubeconfig; its tokens come from this program
    Kubeconfig(Kubeconfig),
    /// Write settings and manifests for an app of your own; asks on a terminal, overwrites nothing
    Init(Init),
    /// Look at the settings
    Config(ConfigArgs),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Write man pages into a folder
    Man(Man),
}

/// Flags of `bootstrap`.
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, Args)]
pub struct Bootstrap {
    /// Create the cluster where it is missing (billable, takes about 15 minutes)
    #[arg(long)]
    pub create_cluster: bool,
    /// Components that are left out.
    #[arg(long, value_name = "COMPONENT", value_delimiter = ',', help = help_of_without())]
    pub without: Vec<String>,
    /// Folder of components (NN-NAME/*.yaml) that replace shipped ones of the same name, or join them
    #[arg(long, value_name = "DIR")]
    pub manifests: Option<PathBuf>,
    /// Copy the images of others that manifests name into the stack's registry, and take them from there
    #[arg(long)]
    pub mirror: bool,
    /// Replace a metrics API that others installed; teardown gives it back
    #[arg(long)]
    pub take_over: bool,
    /// Take fields that others changed on objects of this stack
    #[arg(long)]
    pub force_conflicts: bool,
    /// Delete and make anew objects of this stack that cannot be changed in place
    #[arg(long)]
    pub recreate: bool,
    /// Mark objects of this stack again that lost their labels, after showing them
    #[arg(long)]
    pub adopt: bool,
    /// How quickly the stack reacts: fast (scraped every second, up in one step, down after 30 s) or seed (scraped every
    /// 30 s, rates over a minute, the HPA's own pace) [default: fast]
    #[arg(long, value_name = "PROFILE")]
    pub reaction: Option<String>,
    /// Use this Prometheus, as pods see it, instead of installing one; says what it has to scrape
    #[arg(long, value_name = "URL")]
    pub prometheus_url: Option<String>,
    /// Who signs the metrics API's certificate: auto (cert-manager where installed), cert-manager or own [default: auto]
    #[arg(long, value_name = "AUTHORITY")]
    pub certificates: Option<String>,
    /// How the app is scraped and scaled.
    #[command(flatten)]
    pub app: AppArgs,
    /// What is built.
    #[command(flatten)]
    pub image: ImageArgs,
    /// What a new cluster is like.
    #[command(flatten)]
    pub eks: EksArgs,
}

/// Names what can be left out: the folders of `manifests/`; the namespaces, which all others need, last.
fn help_of_without() -> String {
    let mut components = manifest::components();
    components.retain(|name| name != "namespaces");
    format!(
        "Leave a component out: {}, namespaces that are there already, or one of yours; may be repeated",
        components.join(", ")
    )
}

/// Flags of `push`.
#[derive(Debug, Args)]
pub struct Push {
    /// Then move the installed app to the image, and wait until every pod runs it
    #[arg(long)]
    pub rollout: bool,
    /// Where the rollout fails, go back to the image before and wait for that
    #[arg(long, requires = "rollout")]
    pub rollback_on_failure: bool,
    /// Take the app's image where others changed it
    #[arg(long, requires = "rollout")]
    pub force_conflicts: bool,
    /// What is built.
    #[command(flatten)]
    pub image: ImageArgs,
}

/// Flags of `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// Until interrupted: a live view on a terminal (`?` shows its keys, q ends it), else one line each second
    #[arg(long, short)]
    pub watch: bool,
}

/// Flags of `kubeconfig`.
#[derive(Debug, Args)]
pub struct Kubeconfig {
    /// Add to this file [default: that of KUBECONFIG, else ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Print a kubeconfig of this cluster alone, and write nothing
    #[arg(long, conflicts_with_all = ["file", "current"])]
    pub stdout: bool,
    /// Also make it the current context
    #[arg(long)]
    pub current: bool,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct Man {
    /// The folder
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

/// What words that are no command line ask for as to the form of errors: the flag `--output` as a layer, and `--config`.
pub fn form_of_errors(words: impl IntoIterator<Item = String>) -> (Layer, Option<PathBuf>) {
    let (mut output, mut config) = (None, None);
    let mut words = words.into_iter().take_while(|word| word != "--");
    while let Some(word) = words.next() {
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        match flag {
            "--output" => output = value.or_else(|| words.next()),
            "--config" => config = value.or_else(|| words.next()),
            _ => {}
        }
    }
    let mut layer = Layer::default();
    text(&mut layer, "output", output.as_ref());
    (layer, config.map(PathBuf::from))
}

impl Cli {
    /// The flags that were given, as the highest layer of settings.
    pub fn layer(&self) -> Layer {
        let mut layer = Layer::default();
        let global = &self.global;
        text(&mut layer, "cluster", global.cluster.as_ref());
        text(&mut layer, "kube-context", global.kube_context.as_ref());
        text(&mut layer, "registry", global.registry.as_ref());
        text(&mut layer, "name", global.name.as_ref());
        text(&mut layer, "region", global.region.as_ref());
        text(&mut layer, "profile", global.profile.as_ref());
        text(&mut layer, "output", global.output.as_ref());
        text(&mut layer, "timeout", global.timeout.as_ref());
        text(&mut layer, "poll-interval", global.poll_interval.as_ref());
        switch(&mut layer, "quiet", global.quiet);
        switch(&mut layer, "verbose", global.verbose);
        switch(&mut layer, "no-color", global.no_color);
        match &self.command {
            Command::Bootstrap(given) => given.bootstrap.layer(&mut layer),
            Command::Plan(bootstrap) => bootstrap.layer(&mut layer),
            Command::Push(push) => {
                switch(&mut layer, "force-conflicts", push.force_conflicts);
                push.image.layer(&mut layer);
            }
            Command::Load(load) => load.loader.layer(&mut layer),
            Command::Init(init) => init.layer(&mut layer),
            _ => {}
        }
        layer
    }
}

impl Bootstrap {
    fn layer(&self, layer: &mut Layer) {
        switch(layer, "create-cluster", self.create_cluster);
        self.eks.layer(layer);
        path(layer, "manifests", self.manifests.as_ref());
        switch(layer, "mirror", self.mirror);
        switch(layer, "take-over", self.take_over);
        switch(layer, "force-conflicts", self.force_conflicts);
        switch(layer, "recreate", self.recreate);
        switch(layer, "adopt", self.adopt);
        text(layer, "reaction", self.reaction.as_ref());
        text(layer, "prometheus-url", self.prometheus_url.as_ref());
        text(layer, "certificates", self.certificates.as_ref());
        list(layer, "without", &self.without);
        self.app.layer(layer);
        self.image.layer(layer);
    }
}

fn text(layer: &mut Layer, flag: &'static str, value: Option<&String>) {
    if let Some(value) = value {
        layer.flag(flag, vec![value.clone()]);
    }
}

fn list(layer: &mut Layer, flag: &'static str, values: &[String]) {
    if !values.is_empty() {
        layer.flag(flag, values.to_vec());
    }
}

fn path(layer: &mut Layer, flag: &'static str, value: Option<&PathBuf>) {
    if let Some(value) = value {
        layer.flag(flag, vec![value.display().to_string()]);
    }
}

fn switch(layer: &mut Layer, flag: &'static str, on: bool) {
    if on {
        layer.flag(flag, vec!["true".to_owned()]);
    }
}
