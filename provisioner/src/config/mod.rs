//! Settings: flags > `PROVISIONER_*` > `provisioner.toml` > defaults, validated once into [`Config`].
//!
//! Nothing here touches the network, and every problem is reported, not only the first.

mod app;
mod built;
pub mod duration;
mod eks;
pub(crate) mod keys;
mod layer;
mod made;
mod read;
mod section;
mod shown;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use layer::Layer;
pub(crate) use read::is_cluster;
pub use section::Section;
pub use shown::Shown;

use crate::aws::eks::Compute;
use crate::cluster::app::App;
use crate::cluster::authority::Choice;
use crate::cluster::monitoring::address::PrometheusUrl;
use crate::cluster::reaction::Reaction;
use crate::image::{Compression, Given, ImageRef, Local, Platform, RegistryPrefix, SbomFormat};
use crate::names::StackName;
use read::Reader;

/// The file that is read from the working directory where `--config` names none.
pub const FILE: &str = "provisioner.toml";

/// Every setting, valid.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where to work.
    pub target: Target,
    /// How a cluster is created.
    pub eks: Eks,
    /// What is built and pushed.
    pub image: Image,
    /// What makes load.
    pub load: Load,
    /// How the app is scraped and scaled.
    pub app: App,
    /// What is applied.
    pub stack: Stack,
    /// `[values]`: placeholders of the user's own in manifests, as they stand in YAML.
    pub values: BTreeMap<String, String>,
    /// How quickly the stack reacts to load.
    pub reaction: Reaction,
    /// Which Prometheus is used.
    pub prometheus: Prometheus,
    /// Who signs the certificate of the custom metrics API.
    pub certificates: Choice,
    /// How the tool talks and how long it waits.
    pub output: Output,
    /// Settings of the image that are passed over, since another one that counts more leaves nothing for them; sentences.
    pub passed_over: Vec<String>,
}

/// `[target]`: where to work.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Target {
    /// The EKS cluster; none where no source names one, or one of the same or higher rank names a context.
    pub cluster: Option<String>,
    /// A context of the kubeconfig, instead of an EKS cluster.
    pub kube_context: Option<String>,
    /// Where images go; none is ECR.
    pub registry: Option<RegistryPrefix>,
    /// The stack: `--name`, else the name of the cluster or context.
    pub stack: Option<StackName>,
    /// AWS region; none leaves it to the AWS configuration.
    pub region: Option<String>,
    /// AWS profile; none leaves it to the AWS configuration.
    pub profile: Option<String>,
}

/// `[eks]`: how a cluster is created. On a cluster of ours, what is given must match or is set right; what is not
/// given is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Eks {
    /// Whether a missing cluster is created.
    #[serde(skip)]
    pub create_cluster: bool,
    /// Kubernetes version of a new cluster; none takes the default of EKS.
    pub k8s_version: Option<String>,
    /// Where pods run; none is as found, or Auto Mode.
    pub compute: Option<Compute>,
    /// Whether nodes get private subnets behind a NAT gateway.
    pub private_nodes: bool,
    /// Existing subnets instead of a network of its own.
    pub subnet_ids: Vec<String>,
    /// Existing role of the control plane.
    pub cluster_role_arn: Option<String>,
    /// Existing role of the nodes.
    pub node_role_arn: Option<String>,
    /// IAM principals that also become the cluster's administrators.
    pub admin_arns: Vec<String>,
    /// IPv4 ranges that may reach the API server; empty leaves it open.
    pub public_access_cidrs: Vec<String>,
    /// Logs of the control plane that go to `CloudWatch`.
    pub control_plane_logs: Vec<String>,
    /// How often HPAs are evaluated, whole seconds.
    #[serde(rename = "hpa_sync_period_s", serialize_with = "whole_seconds")]
    pub hpa_sync_period: Option<Duration>,
}

#[expect(clippy::ref_option, reason = "the signature is serde's")]
fn whole_seconds<S: serde::Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&value.map(|period| period.as_secs()), serializer)
}

/// `[image]`: what is built and pushed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Image {
    /// Tag; none takes one from the content.
    pub tag: Option<String>,
    /// Prebuilt static binaries; none builds the workspace.
    pub binaries: Vec<Given>,
    /// What images are for, without repetitions; none is `linux/amd64`, or what the binaries are for.
    pub platforms: Vec<Platform>,
    /// An image that was made elsewhere, instead of one from a binary or workspace.
    pub made: Option<Made>,
    /// Cargo workspace of the app; none is the working directory.
    pub workspace: Option<PathBuf>,
    /// Its package there; none is the sample app's.
    pub package: Option<String>,
    /// Whether it is built although the registry has an image of the same inputs.
    pub rebuild: bool,
    /// How the layers of what is built are compressed.
    pub compression: Compression,
    /// The bills of material that what is built gets; none gets none.
    pub sbom: Option<SbomFormat>,
    /// File that receives the pushed references, one a line.
    pub refs: Option<PathBuf>,
}

/// An image that was made elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// On this machine: it is pushed.
    Local(Local),
    /// In a registry.
    Remote {
        /// The image.
        image: ImageRef,
        /// Whether it is copied into the stack's own repository, and not used where it is.
        copy: bool,
    },
}

/// `[load]`: what makes load.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Load {
    /// An image that understands `load --url URL --rate N --duration D --output json`, instead of the one that the stack
    /// has.
    pub image: Option<ImageRef>,
}

/// `[stack]`: what is applied.
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches of a section are independent of each other"
)]
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stack {
    /// Components left out.
    pub without: Vec<String>,
    /// Folder of components that replace shipped ones or join them.
    pub manifests: Option<PathBuf>,
    /// Whether images of others are copied into the stack's registry, and taken from there.
    pub mirror: bool,
    /// Whether a metrics API of others is replaced until teardown.
    pub take_over: bool,
    /// Whether fields that others changed are taken back.
    pub force_conflicts: bool,
    /// Whether objects of this stack that lost their labels are marked again.
    pub adopt: bool,
    /// Whether objects that cannot be changed in place are deleted and made anew.
    pub recreate: bool,
}

/// `[prometheus]`: which Prometheus is used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prometheus {
    /// One that others run, as pods see it; none applies the stack's own.
    pub url: Option<PrometheusUrl>,
}

/// Text for people or JSON for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Text.
    #[default]
    Text,
    /// One JSON object on stdout, JSON lines on stderr.
    Json,
}

/// `[output]`: how the tool talks and how long it waits.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// Format of result and events.
    pub format: Format,
    /// Only warnings and errors on stderr.
    pub quiet: bool,
    /// Debug log on stderr.
    pub verbose: bool,
    /// No colours, as `NO_COLOR` asks.
    pub no_color: bool,
    /// Longest single wait.
    pub timeout: Duration,
    /// Pause between two looks at AWS.
    pub poll_interval: Duration,
}

/// Where settings are read from; handed in, so that tests need no process of their own.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Flags that were given.
    pub flags: Layer,
    /// The environment.
    pub variables: BTreeMap<String, String>,
    /// `--config`.
    pub file: Option<PathBuf>,
    /// Folder whose `provisioner.toml` is read where no file is named.
    pub folder: PathBuf,
}

impl Config {
    /// Reads and validates every source.
    ///
    /// # Errors
    /// All problems of all sources at once.
    pub fn resolve(sources: &Sources) -> Result<Self, Problems> {
        Self::resolve_for(sources, &Section::ALL)
    }

    /// Reads every source, and validates the sections that are used beside those of target and output.
    ///
    /// # Errors
    /// All problems of these sections, and every name of a setting that there is not.
    pub fn resolve_for(sources: &Sources, used: &'static [Section]) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let file = match sources.named_file() {
            Some(path) => Layer::from_file(&path, &mut problems),
            None => Layer::default(),
        };
        let env = Layer::from_env(&sources.variables, &mut problems);
        let no_color = sources.variables.get("NO_COLOR").is_some_and(|v| !v.is_empty());
        let mut reader = Reader::new([&sources.flags, &env, &file], problems).using(used);
        let mut config = reader.config();
        config.output.no_color |= no_color;
        match reader.problems {
            problems if problems.is_empty() => Ok(config),
            problems => Err(Problems(problems)),
        }
    }
}

impl Sources {
    /// The format that these sources ask for, also where something else in them is wrong: an error about settings is
    /// read by whoever reads the results.
    pub fn format(&self) -> Format {
        let mut ignored = Vec::new();
        let file = self.named_file().map(|path| Layer::from_file(&path, &mut ignored));
        let env = Layer::from_env(&self.variables, &mut ignored);
        let file = file.unwrap_or_default();
        Reader::new([&self.flags, &env, &file], ignored).format()
    }

    fn named_file(&self) -> Option<PathBuf> {
        let variable = self.variables.get("PROVISIONER_CONFIG").filter(|v| !v.is_empty());
        let named = self.file.clone().or_else(|| variable.map(PathBuf::from));
        named.or_else(|| Some(self.folder.join(FILE)).filter(|path| Path::is_file(path)))
    }
}

/// One thing wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, naming the source.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl Problem {
    pub(crate) fn new(message: String) -> Self {
        Self { message, hint: None }
    }

    pub(crate) fn unknown(message: String, near: Option<&str>) -> Self {
        let hint = near.map(|near| format!("did you mean `{near}`?"));
        Self { message, hint }
    }
}

/// Everything wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\nerror: ")?;
            }
            f.write_str(&problem.message)?;
            if let Some(hint) = &problem.hint {
                write!(f, ", {hint}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod made_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod values_tests;
