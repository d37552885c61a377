//! `teardown`: removes what bootstrap created, from any half state, and says what is left.

use std::time::{Duration, Instant};

use super::receipt::{Item, Receipt};
use super::{Context, ask, files, kubeconfig};
use crate::aws::{Aws, AwsError, ecr, eks, foundation};
use crate::cli;
use crate::cluster::delete::delete_stack;
use crate::cluster::{ObjectRef, inventory};
use crate::config::Format;
use crate::error::{Error, Exit};
use crate::names::{APP, LOAD, StackName};
use crate::report::{Answer, Outcome};
use crate::target::{self, Found, Place, Registry};

/// How long a cluster may take to answer.
const ANSWER: Duration = Duration::from_mins(1);
const NEEDS_FLAG: &str = "`--delete-cluster` was not given";

/// What there is of a stack.
struct Survey {
    cluster: Found,
    foundation: bool,
    repositories: Vec<String>,
    /// Objects on the cluster of a context; those of an EKS cluster are looked for when it is connected to.
    objects: Vec<ObjectRef>,
}

/// One teardown: what is asked for, and where.
struct Teardown<'a> {
    context: &'a Context,
    flags: &'a cli::Teardown,
    place: &'a Place,
    registry: &'a Registry,
    stack: &'a StackName,
    cluster: &'a str,
}

/// Deletes the stack's objects, then cluster and foundation, then the repositories; then looks again.
pub(super) async fn run(flags: &cli::Teardown, context: &Context) -> Result<(Answer, Exit), Error> {
    let began = Instant::now();
    let (cluster, stack) = context.target()?;
    files::check(flags.receipt.as_deref())?;
    context.report.phase("check");
    let place = context.place().await?;
    let registry = context.registry(place.aws()).await?;
    let survey = Survey::of(&place, &registry, stack).await?;
    let region = place.aws().or(registry.aws()).map(Aws::region);
    let mut receipt = Receipt::new(cluster, stack.as_str(), region, survey.items(cluster, stack));
    if !receipt.found.is_empty() {
        let teardown = Teardown {
            context,
            flags,
            place: &place,
            registry: &registry,
            stack,
            cluster,
        };
        ask::confirm(context, &teardown.question(&survey)).await?;
        teardown.remove_all(&survey, &mut receipt).await?;
        teardown.look_again(&mut receipt).await?;
    }
    receipt.elapsed_s = began.elapsed().as_secs_f64();
    let answer = Answer::of(&receipt).map_err(Error::failed)?;
    files::write(flags.receipt.as_deref(), &answer.text(Format::Json))?;
    Ok((answer, receipt.exit()))
}

impl Survey {
    async fn of(place: &Place, registry: &Registry, stack: &StackName) -> Result<Self, Error> {
        let foundation = async {
            match place.aws() {
                Some(aws) => Ok(foundation::exists(aws, stack).await?),
                None => Ok(false),
            }
        };
        let (cluster, foundation, repositories) = tokio::try_join!(
            Box::pin(place.find(stack)),
            Box::pin(foundation),
            Box::pin(repositories(registry, stack)),
        )?;
        let objects = match place {
            Place::Eks(..) => Vec::new(),
            Place::Context(_) => {
                let session = place.connect(&cluster, ANSWER).await?;
                inventory::of_stack(&session.cluster, stack).await?
            }
        };
        Ok(Self {
            cluster,
            foundation,
            repositories,
            objects,
        })
    }

    fn items(&self, cluster: &str, stack: &StackName) -> Vec<Item> {
        let cluster = self.cluster.eks().map(|_| Item::new("cluster", cluster));
        let foundation = self.foundation.then(|| Item::new("foundation", &stack.foundation()));
        let repositories = self.repositories.iter().map(|name| Item::new("repository", name));
        let objects = self
            .objects
            .iter()
            .map(|object| Item::new(&object.kind, &object.path()));
        let aws = cluster.into_iter().chain(foundation).chain(repositories);
        aws.chain(objects).collect()
    }

    /// Whether there may be objects of the stack to delete.
    fn has_objects(&self) -> bool {
        self.cluster.eks().is_some() || !self.objects.is_empty()
    }
}

/// The stack's repositories in ECR; those of another registry are not ours to delete.
async fn repositories(registry: &Registry, stack: &StackName) -> Result<Vec<String>, Error> {
    let Some(aws) = registry.aws() else {
        return Ok(Vec::new());
    };
    let (app, load) = tokio::try_join!(
        Box::pin(ecr::find_repository(aws, stack, APP)),
        Box::pin(ecr::find_repository(aws, stack, LOAD)),
    )?;
    Ok([app, load]
        .into_iter()
        .flatten()
        .map(|repository| repository.name)
        .collect())
}

impl Teardown<'_> {
    fn question(&self, survey: &Survey) -> String {
        let mut parts = Vec::new();
        if survey.has_objects() {
            parts.push(format!("stack `{}` on cluster `{}`", self.stack, self.cluster));
        }
        if self.goes(&survey.cluster) {
            parts.push(format!("cluster `{}`", self.cluster));
        }
        if self.flags.delete_cluster && survey.foundation {
            parts.push(format!("foundation `{}`", self.stack.foundation()));
        }
        if !self.flags.keep_images && !survey.repositories.is_empty() {
            parts.push(format!(
                "repositories `{}` with their images",
                survey.repositories.join("`, `")
            ));
        }
        if parts.is_empty() {
            parts.push("nothing but what is half done".to_owned());
        }
        let aws = self.place.aws().or(self.registry.aws());
        let region = aws
            .map(|aws| format!(" in region {}", aws.region()))
            .unwrap_or_default();
        format!("delete{region}: {}?", parts.join(", "))
    }

    /// Whether the cluster is ours and asked to go.
    fn goes(&self, cluster: &Found) -> bool {
        self.flags.delete_cluster && cluster.eks().is_some_and(|cluster| cluster.created_by_us)
    }

    async fn remove_all(&self, survey: &Survey, receipt: &mut Receipt) -> Result<(), Error> {
        let report = &*self.context.report;
        if survey.has_objects() {
            report.phase("stack");
            self.remove_stack(&survey.cluster, receipt).await?;
        }
        match self.place {
            Place::Eks(aws, _) => {
                report.phase("cluster");
                self.remove_cluster(aws, survey, receipt).await?;
            }
            Place::Context(_) if self.flags.delete_cluster => {
                let item = Item::new("cluster", self.cluster);
                receipt.leave(
                    item,
                    "the cluster of a kube-context was not created by provisioner",
                    report,
                );
            }
            Place::Context(_) => {}
        }
        report.phase("registry");
        self.remove_images(survey, receipt).await
    }

    /// The Kubernetes objects. A cluster that goes anyway takes them along where it does not answer.
    async fn remove_stack(&self, found: &Found, receipt: &mut Receipt) -> Result<(), Error> {
        let (report, timeout) = (&*self.context.report, self.context.config.output.timeout);
        if let Some(found) = found.eks().filter(|found| !target::is_usable(found)) {
            report.note(&format!(
                "cluster `{}` is {}: there is no stack on it to remove",
                found.name, found.status
            ));
            return Ok(());
        }
        let objects = async {
            let session = self.place.connect(found, ANSWER.min(timeout)).await?;
            Ok(delete_stack(&session.cluster, self.stack, timeout, report).await?)
        };
        match objects.await {
            Ok(objects) => receipt.enter_objects(&objects),
            Err(error) if self.goes(found) => {
                let cause: Error = error;
                report.warning(&format!(
                    "objects on cluster `{}` go with it: {}",
                    self.cluster,
                    cause.message()
                ));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The cluster if it is ours and asked to go, then its foundation. A refusal is entered, and the rest goes on.
    async fn remove_cluster(&self, aws: &Aws, survey: &Survey, receipt: &mut Receipt) -> Result<(), Error> {
        let report = &*self.context.report;
        if !self.flags.delete_cluster {
            for item in survey.items(self.cluster, self.stack) {
                if item.kind != "repository" {
                    receipt.keep(item, NEEDS_FLAG, report);
                }
            }
            return Ok(());
        }
        let (cluster, foundation) = (
            Item::new("cluster", self.cluster),
            Item::new("foundation", &self.stack.foundation()),
        );
        match eks::delete(aws, self.cluster, self.stack, report).await {
            Ok(outcome) => receipt.enter(cluster, outcome, report),
            Err(error @ AwsError::NotOurs { .. }) => {
                receipt.leave(cluster, &error.to_string(), report);
            }
            Err(error @ AwsError::Protected { .. }) => {
                receipt.leave(cluster, &error.to_string(), report);
                receipt.keep(foundation, "the cluster needs it", report);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        if receipt.left.iter().all(|left| left.item.kind != "cluster") {
            kubeconfig::forget(self.cluster, aws.region(), report);
        }
        if survey.cluster.eks().is_none() {
            report.note(&format!("cluster `{}` is gone already", self.cluster));
        }
        let outcome = foundation::delete(aws, self.stack, report).await?;
        receipt.enter(foundation, outcome, report);
        Ok(())
    }

    async fn remove_images(&self, survey: &Survey, receipt: &mut Receipt) -> Result<(), Error> {
        let report = &*self.context.report;
        let aws = match self.registry {
            Registry::Ecr(aws) => aws,
            Registry::Other(prefix) => {
                for image in [APP, LOAD] {
                    let item = Item::new("repository", &prefix.repository(image));
                    receipt.keep(item, "images outside ECR are deleted in their registry", report);
                }
                return Ok(());
            }
        };
        if self.flags.keep_images {
            for name in &survey.repositories {
                receipt.keep(Item::new("repository", name), "`--keep-images` was given", report);
            }
            return Ok(());
        }
        for image in [APP, LOAD] {
            let outcome = ecr::delete_repository(aws, self.stack, image).await?;
            receipt.enter(Item::new("repository", &self.stack.repository(image)), outcome, report);
        }
        Ok(())
    }

    /// The proof: what was deleted is looked up once more.
    async fn look_again(&self, receipt: &mut Receipt) -> Result<(), Error> {
        let report = &*self.context.report;
        report.phase("proof");
        let there = Survey::of(self.place, self.registry, self.stack).await?;
        for item in there.items(self.cluster, self.stack) {
            if receipt.deleted.contains(&item) {
                receipt.deleted.retain(|deleted| *deleted != item);
                receipt.leave(item, "it was deleted and is there again", report);
            }
        }
        report.done("teardown", self.stack.as_str(), Outcome::Ready, "looked up again");
        Ok(())
    }
}
