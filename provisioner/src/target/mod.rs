//! Where a stack lives: the cluster that the use cases work on and the registry of its images.
//!
//! One file per target: [`eks`] (`--cluster`) and [`context`] (`--kube-context`); [`Place`] is the one dispatch.
//! AWS is connected to only where the cluster or the images are there.

mod context;
mod credentials;
mod eks;
mod prepared;
mod registry;
mod session;

use std::time::Duration;

pub(crate) use eks::{ADDON, endpoint, existing, is_usable};
pub use prepared::{Decided, Prepared};
pub use registry::Registry;
pub use session::Session;

use crate::aws::eks::EksCluster;
use crate::aws::{Aws, Options};
use crate::config::Config;
use crate::error::Error;
use crate::names::StackName;
use crate::plan::Plan;
use crate::report::{Outcome, Reporter};
use context::Known;

/// Connects to AWS as the settings say; asks only who the credentials belong to.
///
/// # Errors
/// Missing or refused credentials or no region: exit 2.
pub async fn connect_aws(config: &Config) -> Result<Aws, Error> {
    let options = Options {
        region: config.target.region.clone(),
        profile: config.target.profile.clone(),
        poll: config.output.poll_interval,
        timeout: config.output.timeout,
    };
    Ok(Aws::connect(&options).await?)
}

/// Where the cluster is.
#[derive(Debug, Clone)]
pub enum Place {
    /// An EKS cluster of the region, by name; it may not exist yet.
    Eks(Box<Aws>, String),
    /// A cluster that a context of the kubeconfig names.
    Context(Box<Known>),
}

/// The cluster of a [`Place`], as it was found.
#[derive(Debug, Clone)]
pub enum Found {
    /// There is none yet.
    Missing,
    /// An EKS cluster.
    Eks(Box<EksCluster>),
    /// The cluster of a context.
    Context,
}

impl Place {
    /// The context that the settings name, read from the kubeconfig.
    ///
    /// # Errors
    /// An unreadable kubeconfig or an unknown context: exit 2, the known ones are listed.
    pub async fn context(name: &str) -> Result<Self, Error> {
        Ok(Self::Context(Box::new(Known::read(name).await?)))
    }

    /// AWS, where the cluster is there.
    pub fn aws(&self) -> Option<&Aws> {
        match self {
            Self::Eks(aws, _) => Some(aws),
            Self::Context(_) => None,
        }
    }

    /// Looks for the cluster. One that is being deleted is as good as missing: what follows it is a new one.
    ///
    /// # Errors
    /// AWS does not say.
    pub async fn find(&self, stack: &StackName) -> Result<Found, Error> {
        match self {
            Self::Context(_) => Ok(Found::Context),
            Self::Eks(aws, cluster) => Ok(Found::of(crate::aws::eks::find(aws, cluster, stack).await?)),
        }
    }

    /// Leads to a cluster that answers: completes one of ours, creates it where the plan says so.
    ///
    /// # Errors
    /// Whatever stops foundation or cluster, with its first cause.
    pub async fn provision(&self, plan: &Plan, prepared: &Prepared, report: &dyn Reporter) -> Result<Found, Error> {
        match (self, &prepared.cluster) {
            (Self::Eks(aws, _), Some(decided)) => {
                let cluster = Box::pin(eks::provision(aws, plan, decided, report)).await?;
                Ok(Found::Eks(Box::new(cluster)))
            }
            (Self::Eks(..), None) => Err(self.missing()),
            (Self::Context(known), _) => {
                report.done(
                    "cluster",
                    known.name(),
                    Outcome::Unchanged,
                    "not created by provisioner",
                );
                Ok(Found::Context)
            }
        }
    }

    /// Connects to the cluster.
    ///
    /// # Errors
    /// There is none, it is not active, it does not answer within `timeout`, or it is deleted meanwhile.
    pub async fn connect(&self, found: &Found, timeout: Duration, report: &dyn Reporter) -> Result<Session, Error> {
        match (self, found) {
            (Self::Context(known), _) => known.connect(timeout).await,
            (Self::Eks(aws, _), Found::Eks(found)) => session::connect(aws, found, timeout, report).await,
            (Self::Eks(..), _) => Err(self.missing()),
        }
    }

    /// Connects to a cluster that has to be there.
    ///
    /// # Errors
    /// As [`Self::find`] and [`Self::connect`].
    pub async fn session(&self, stack: &StackName, timeout: Duration, report: &dyn Reporter) -> Result<Session, Error> {
        let found = self.find(stack).await?;
        self.connect(&found, timeout, report).await
    }

    /// The error for a cluster that does not exist where one is needed.
    pub fn missing(&self) -> Error {
        match self {
            Self::Eks(aws, cluster) => eks::missing(aws, cluster),
            Self::Context(known) => Error::failed(format!("there is no cluster behind context `{}`", known.name())),
        }
    }
}

impl Found {
    fn of(cluster: Option<EksCluster>) -> Self {
        cluster.map_or(Self::Missing, |found| Self::Eks(Box::new(found)))
    }

    /// The EKS cluster, where it is one.
    pub fn eks(&self) -> Option<&EksCluster> {
        match self {
            Self::Eks(found) => Some(found),
            Self::Missing | Self::Context => None,
        }
    }

    /// What it takes to work on it now.
    pub fn state(&self) -> State {
        match self {
            Self::Context => State::Usable,
            Self::Missing => State::Missing,
            Self::Eks(found) if found.is_going() => State::Missing,
            Self::Eks(found) if is_usable(found) => State::Usable,
            Self::Eks(found) if found.created_by_us => State::Unfinished,
            Self::Eks(_) => State::Unusable,
        }
    }
}

/// Whether a cluster can be worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It has to be created.
    Missing,
    /// Ours, to be completed.
    Unfinished,
    /// It answers.
    Usable,
    /// Somebody else's, and it does not answer.
    Unusable,
}

/// The error for a cluster that is in no state to be worked on.
pub(crate) fn not_usable(found: &Found) -> Error {
    match found {
        Found::Eks(found) => eks::not_usable(found),
        Found::Missing | Found::Context => Error::failed("the cluster does not answer"),
    }
}
