//! `teardown`: removes what bootstrap created, from any half state, and says what is left.

use std::time::{Duration, Instant};

use super::receipt::{Item, Receipt};
use super::{Context, ask, files};
use crate::aws::eks::{self, EksCluster};
use crate::aws::{Aws, AwsError, ecr, foundation};
use crate::cli;
use crate::cluster::delete::delete_stack;
use crate::config::Format;
use crate::error::{Error, Exit};
use crate::names::{APP, LOAD, StackName};
use crate::report::{Answer, Outcome};
use crate::target;

/// How long a cluster may take to answer.
const ANSWER: Duration = Duration::from_mins(1);
const NEEDS_FLAG: &str = "`--delete-cluster` was not given";

/// What there is of a stack on AWS.
struct Survey {
    cluster: Option<EksCluster>,
    foundation: bool,
    repositories: Vec<String>,
}

/// One teardown: what is asked for, and where.
struct Teardown<'a> {
    context: &'a Context,
    flags: &'a cli::Teardown,
    aws: &'a Aws,
    stack: &'a StackName,
    cluster: &'a str,
}

/// Deletes the stack's objects, then cluster and foundation, then the repositories; then looks again.
pub(super) async fn run(flags: &cli::Teardown, context: &Context) -> Result<(Answer, Exit), Error> {
    let began = Instant::now();
    let (cluster, stack) = context.target()?;
    files::check(flags.receipt.as_deref())?;
    context.report.phase("check");
    let aws = context.connect_aws().await?;
    let survey = Survey::of(&aws, cluster, stack).await?;
    let mut receipt = Receipt::new(cluster, stack.as_str(), aws.region(), survey.items(cluster, stack));
    if !receipt.found.is_empty() {
        let teardown = Teardown {
            context,
            flags,
            aws: &aws,
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
    async fn of(aws: &Aws, cluster: &str, stack: &StackName) -> Result<Self, Error> {
        let (cluster, foundation, app, load) = tokio::try_join!(
            Box::pin(eks::find(aws, cluster, stack)),
            Box::pin(foundation::exists(aws, stack)),
            Box::pin(ecr::find_repository(aws, stack, APP)),
            Box::pin(ecr::find_repository(aws, stack, LOAD)),
        )?;
        let repositories = [app, load].into_iter().flatten().map(|repository| repository.name);
        Ok(Self {
            cluster,
            foundation,
            repositories: repositories.collect(),
        })
    }

    fn items(&self, cluster: &str, stack: &StackName) -> Vec<Item> {
        let cluster = self.cluster.iter().map(|_| Item::new("cluster", cluster));
        let foundation = self.foundation.then(|| Item::new("foundation", &stack.foundation()));
        let repositories = self.repositories.iter().map(|name| Item::new("repository", name));
        cluster.chain(foundation).chain(repositories).collect()
    }
}

impl Teardown<'_> {
    fn question(&self, survey: &Survey) -> String {
        let mut parts = Vec::new();
        if survey.cluster.is_some() {
            parts.push(format!("stack `{}` on cluster `{}`", self.stack, self.cluster));
        }
        if self.goes(survey.cluster.as_ref()) {
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
        format!("delete in region {}: {}?", self.aws.region(), parts.join(", "))
    }

    /// Whether the cluster is ours and asked to go.
    fn goes(&self, cluster: Option<&EksCluster>) -> bool {
        self.flags.delete_cluster && cluster.is_some_and(|cluster| cluster.created_by_us)
    }

    async fn remove_all(&self, survey: &Survey, receipt: &mut Receipt) -> Result<(), Error> {
        let report = &*self.context.report;
        if let Some(cluster) = &survey.cluster {
            report.phase("stack");
            self.remove_stack(cluster, receipt).await?;
        }
        report.phase("cluster");
        if self.flags.delete_cluster {
            self.remove_cluster(survey.cluster.as_ref(), receipt).await?;
        } else {
            for item in survey.items(self.cluster, self.stack) {
                if item.kind != "repository" {
                    receipt.keep(item, NEEDS_FLAG, report);
                }
            }
        }
        report.phase("registry");
        self.remove_images(survey, receipt).await
    }

    /// The Kubernetes objects. A cluster that goes anyway takes them along where it does not answer.
    async fn remove_stack(&self, found: &EksCluster, receipt: &mut Receipt) -> Result<(), Error> {
        let (report, timeout) = (&*self.context.report, self.context.config.output.timeout);
        if !target::is_usable(found) {
            report.note(&format!(
                "cluster `{}` is {}: there is no stack on it to remove",
                found.name, found.status
            ));
            return Ok(());
        }
        let objects = async {
            let session = target::connect(self.aws, found, ANSWER.min(timeout)).await?;
            Ok(delete_stack(&session.cluster, self.stack, timeout, report).await?)
        };
        match objects.await {
            Ok(objects) => receipt.enter_objects(&objects),
            Err(error) if self.goes(Some(found)) => {
                let cause: Error = error;
                report.warning(&format!(
                    "objects on cluster `{}` go with it: {}",
                    found.name,
                    cause.message()
                ));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The cluster if it is ours, then its foundation. A refusal is entered, and the rest goes on.
    async fn remove_cluster(&self, found: Option<&EksCluster>, receipt: &mut Receipt) -> Result<(), Error> {
        let report = &*self.context.report;
        let (cluster, foundation) = (
            Item::new("cluster", self.cluster),
            Item::new("foundation", &self.stack.foundation()),
        );
        match eks::delete(self.aws, self.cluster, self.stack, report).await {
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
        if found.is_none() {
            report.note(&format!("cluster `{}` is gone already", self.cluster));
        }
        let outcome = foundation::delete(self.aws, self.stack, report).await?;
        receipt.enter(foundation, outcome, report);
        Ok(())
    }

    async fn remove_images(&self, survey: &Survey, receipt: &mut Receipt) -> Result<(), Error> {
        let report = &*self.context.report;
        if self.flags.keep_images {
            for name in &survey.repositories {
                receipt.keep(Item::new("repository", name), "`--keep-images` was given", report);
            }
            return Ok(());
        }
        for image in [APP, LOAD] {
            let outcome = ecr::delete_repository(self.aws, self.stack, image).await?;
            receipt.enter(Item::new("repository", &self.stack.repository(image)), outcome, report);
        }
        Ok(())
    }

    /// The proof: what was deleted is looked up once more.
    async fn look_again(&self, receipt: &mut Receipt) -> Result<(), Error> {
        let report = &*self.context.report;
        report.phase("proof");
        let there = Survey::of(self.aws, self.cluster, self.stack).await?;
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
