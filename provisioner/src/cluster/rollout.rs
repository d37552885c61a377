//! A stack's app moved to another image: one field of what was applied before is changed, and all of it is applied again,
//! so that a bootstrap with the same images finds nothing to do.
//!
//! ```text
//! check (before anything is built)
//! lease { read -> apply } -> wait --ready--> rolled out
//!                                 --failed--> lease { read -> apply the images before } -> wait -> rolled back
//! ```

mod running;
mod standing;

use std::time::Duration;

use kube::core::DynamicObject;

use super::changes::{self, Options};
use super::connect::Cluster;
use super::error::ClusterError;
use super::lease::{self, Terms};
use super::manifest::Component;
use super::object::ObjectRef;
use super::ownership;
use super::parent::{self, Parent};
use super::wait::wait;
use crate::names::{APP, StackName};
use crate::report::{Outcome, Reporter};
pub use running::{Running, running};
use standing::Standing;

/// The app's Deployment.
fn deployment_of(namespace: &str) -> ObjectRef {
    ObjectRef {
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        namespace: Some(namespace.to_owned()),
        name: APP.to_owned(),
    }
}

/// What a stack says of its images.
#[derive(Debug, Default)]
pub struct Installed {
    /// The app's, and the one that makes load.
    pub images: Vec<String>,
    /// Repositories that images of others were copied into.
    pub mirrored: Vec<String>,
}

/// The images that a stack says are its own: what its app is told to run, and what makes load. Those of another stack, or
/// of nobody, are not among them.
///
/// # Errors
/// The cluster does not answer.
pub async fn installed(cluster: &Cluster, stack: &StackName, namespace: &str) -> Result<Installed, ClusterError> {
    let deployment = deployment_of(namespace);
    let record = parent::reference(stack, namespace);
    let (live, record) = futures::try_join!(cluster.get(&deployment), cluster.get(&record))?;
    let is_ours = |object: &DynamicObject| ownership::is_ours(object, stack);
    let live = live.filter(is_ours);
    let app = live.as_ref().and_then(standing::app_image).map(str::to_owned);
    let record = record
        .filter(is_ours)
        .map(|record| Parent::of(&record))
        .unwrap_or_default();
    Ok(Installed {
        images: app.into_iter().chain(record.load_image).collect(),
        mirrored: record.mirrored,
    })
}

/// The images of a stack, by digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// The app's.
    pub app: String,
    /// The load generator's; none leaves the recorded one as it is.
    pub load: Option<String>,
}

/// What is to be done.
#[derive(Clone, Copy)]
pub struct Rollout<'a> {
    /// The images.
    pub images: &'a Images,
    /// Whether a rollout that fails is taken back.
    pub rollback: bool,
    /// How conflicts are treated.
    pub options: Options,
    /// Longest wait for the pods, each way.
    pub timeout: Duration,
    /// Told before the first change, so that an interruption can say what it leaves.
    pub begun: &'a (dyn Fn(&Moved) + Sync),
}

/// A Deployment that was moved from one image to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Which.
    pub deployment: ObjectRef,
    /// To this image.
    pub image: String,
    /// From this one; none where it had this image before and no pod of another one serves.
    pub previous: Option<String>,
}

/// How a rollout ended.
#[derive(Debug)]
pub struct Rolled {
    /// What was moved.
    pub moved: Moved,
    /// The end.
    pub end: End,
    /// Which images run now.
    pub running: Vec<Running>,
}

/// The end of a rollout.
#[derive(Debug)]
pub enum End {
    /// Every pod runs the image and is ready.
    RolledOut,
    /// It failed, and was left as it is.
    Failed(ClusterError),
    /// It failed, and the image before runs again.
    RolledBack(ClusterError),
    /// It failed for the first reason, and going back for the second.
    NotRolledBack(ClusterError, ClusterError),
}

/// Refuses what [`roll`] would refuse, without changing anything. False where there is no such stack.
///
/// # Errors
/// A Deployment that is absent, not ours, or whose image others changed; a newer binary's stack.
pub async fn check(
    cluster: &Cluster,
    stack: &StackName,
    namespace: &str,
    options: Options,
) -> Result<bool, ClusterError> {
    parent::check_version(cluster, stack, namespace).await?;
    if parent::read(cluster, stack, namespace).await?.is_none() {
        return Ok(false);
    }
    Standing::read(cluster, stack, namespace, options).await.map(|_| true)
}

/// Moves the app to `rollout.images` and waits until every pod runs them.
///
/// # Errors
/// Whatever keeps it from being applied; once it is, how it went is in [`Rolled::end`].
pub async fn roll(
    cluster: &Cluster,
    terms: Terms<'_>,
    rollout: Rollout<'_>,
    report: &dyn Reporter,
) -> Result<Rolled, ClusterError> {
    let run = Run {
        cluster,
        terms,
        rollout,
        report,
    };
    let (moved, before) = run.apply(rollout.images, None).await?;
    let end = match run.ready(rollout.images, &moved.deployment).await {
        Ok(()) => End::RolledOut,
        Err(why) => match before.filter(|_| rollout.rollback) {
            None => End::Failed(why),
            Some(before) => match run.go_back(&before).await {
                Ok(()) => End::RolledBack(why),
                Err(error) => End::NotRolledBack(why, error),
            },
        },
    };
    let running = running(cluster, &moved.deployment).await.unwrap_or_default();
    Ok(Rolled { moved, end, running })
}

/// One rollout under way.
struct Run<'a> {
    cluster: &'a Cluster,
    terms: Terms<'a>,
    rollout: Rollout<'a>,
    report: &'a dyn Reporter,
}

impl Run<'_> {
    /// Applies the images under the stack's lease, and says what was there before. Where everything is as wanted, nothing
    /// is written. `only_from` is the image that nobody may have changed meanwhile.
    async fn apply(&self, images: &Images, only_from: Option<&str>) -> Result<(Moved, Option<Images>), ClusterError> {
        let (cluster, stack) = (self.cluster, self.terms.stack);
        let standing = self.standing().await?;
        if standing.has(images) {
            let object = &standing.deployment;
            self.report.done(&object.kind, &object.path(), Outcome::Unchanged, "");
            let told = self.told(&standing, images).await?;
            if only_from.is_none() {
                (self.rollout.begun)(&told.0);
            }
            return Ok(told);
        }
        let work = || async {
            parent::check_version(cluster, stack, &self.namespace()).await?;
            // What was read before is stale by now: another run may have ended just before the lease was had.
            let standing = self.standing().await?;
            if only_from.is_some_and(|image| image != standing.images.app) {
                return Err(standing::overtaken(&standing.deployment, &standing.images.app));
            }
            let told = self.told(&standing, images).await?;
            if only_from.is_none() {
                (self.rollout.begun)(&told.0);
            }
            for (object, wanted) in standing.wanted(images) {
                changes::send(cluster, &object, &wanted, self.rollout.options, false).await?;
                self.report.done(&object.kind, &object.path(), Outcome::Updated, "");
            }
            Ok(told)
        };
        lease::under(cluster, self.terms, self.report, |_| work()).await
    }

    /// Tells what is about to be moved. One that has the image already may still have pods of the one before.
    async fn told(&self, standing: &Standing, images: &Images) -> Result<(Moved, Option<Images>), ClusterError> {
        let before = if standing.images.app == images.app {
            let others = running(self.cluster, &standing.deployment).await?;
            let mut others = others
                .into_iter()
                .filter(|one| one.ready > 0 && one.image != images.app);
            others.next().map(|one| Images {
                app: one.image,
                load: None,
            })
        } else {
            Some(standing.images.clone())
        };
        let moved = Moved {
            deployment: standing.deployment.clone(),
            image: images.app.clone(),
            previous: before.as_ref().map(|before| before.app.clone()),
        };
        Ok((moved, before))
    }

    /// Waits for the pods; a Deployment that others moved meanwhile is not ours to be content with.
    async fn ready(&self, images: &Images, deployment: &ObjectRef) -> Result<(), ClusterError> {
        let component = Component {
            name: APP.to_owned(),
            objects: vec![standing::bare(deployment)],
        };
        wait(
            (self.cluster, self.terms.stack),
            &[component],
            self.rollout.timeout,
            self.report,
        )
        .await?;
        let live = self.cluster.get(deployment).await?;
        let image = live.as_ref().and_then(standing::app_image).unwrap_or_default();
        if image == images.app {
            return Ok(());
        }
        Err(standing::overtaken(deployment, image))
    }

    async fn go_back(&self, before: &Images) -> Result<(), ClusterError> {
        let (moved, _) = self.apply(before, Some(&self.rollout.images.app)).await?;
        self.ready(before, &moved.deployment).await
    }

    async fn standing(&self) -> Result<Standing, ClusterError> {
        let (cluster, stack) = (self.cluster, self.terms.stack);
        Standing::read(cluster, stack, &self.namespace(), self.rollout.options).await
    }

    fn namespace(&self) -> String {
        self.terms.home.metadata.name.clone().unwrap_or_default()
    }
}

#[cfg(test)]
#[path = "rollout_tests.rs"]
mod tests;
