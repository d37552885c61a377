//! `teardown`: removes what bootstrap created, from any half state, and says what is left.
//!
//! ```text
//! Survey::of --question--> objects::look, remove --> cloud::remove_cluster --> leftovers, foundation --> repositories
//!            --> log group once more --> Survey::of again: the proof
//! ```
//!
//! What goes and what stays is decided in [`objects`] (others on the cluster), [`fate`] (the cluster and what it stands
//! on), [`leftovers`], [`images`] and [`delete`](crate::cluster::delete); [`preview`] asks the same and does nothing.

mod cloud;
mod fate;
mod images;
mod leftovers;
mod objects;
mod preview;
mod survey;

use std::time::Instant;

use super::receipt::{Item, Receipt};
use super::resume::target_command;
use super::{ANSWER, Bill, CHECK, Context, ask, files};
use crate::aws::eks;
use crate::aws::{Aws, logs};
use crate::cli;
use crate::cluster::inventory;
use crate::config::Format;
use crate::error::{Error, Exit};
use crate::names::StackName;
use crate::report::{Answer, Outcome};
use crate::target::{Found, Place, Registry};
use fate::Fate;
use preview::Preview;
use survey::Survey;

/// One teardown: what is asked for, and where.
struct Teardown<'a> {
    context: &'a Context,
    flags: &'a cli::Teardown,
    place: &'a Place,
    /// Where the images are; none where nobody has to be asked.
    registry: Option<&'a Registry>,
    stack: &'a StackName,
    cluster: &'a str,
}

/// Deletes the stack's objects, then cluster, what it left and foundation, then the repositories; then looks again.
pub(super) async fn run(flags: &cli::Teardown, context: &Context) -> Result<(Answer, Exit), Error> {
    let began = Instant::now();
    let (cluster, stack) = context.target()?;
    files::check(flags.receipt.as_deref())?;
    context.report.phase(CHECK);
    let place = context.place().await?;
    let registry = images::registry(flags, context, &place, stack).await?;
    let teardown = Teardown {
        context,
        flags,
        place: &place,
        registry: registry.as_ref(),
        stack,
        cluster,
    };
    let mut survey = Survey::of(&teardown).await?;
    survey.check_names(&teardown)?;
    if let (Place::Eks(aws, _), Some(found)) = (&place, survey.cluster.eks()) {
        let (gateway, copies) = (survey.has_gateway(), survey.copies(stack));
        context
            .bill
            .get_or_init(|| Bill::new(found, gateway, aws.region()).mirroring(copies));
    }
    if flags.dry_run {
        return Preview::of(&teardown, survey).await?.answer();
    }
    let region = teardown.aws().map(Aws::region);
    let mut receipt = Receipt::new(cluster, stack.as_str(), region, survey.items(cluster, stack));
    receipt.time("check", began);
    survey.leftovers.tell_unknown(&*context.report);
    if receipt.found.is_empty() {
        if let Some(aws) = place.aws() {
            survey.leftovers.keep_all(aws, &mut receipt, &*context.report);
        }
    } else {
        survey.tell_foreign(&*context.report);
        let fate = Fate::of(&teardown, &survey, None).await?;
        ask::confirm(context, &teardown.question(&survey, &fate)).await?;
        teardown.remove_all(&mut survey, &mut receipt).await?;
        let proof = Instant::now();
        teardown.look_again(&survey, &mut receipt).await?;
        receipt.time("proof", proof);
        if !receipt.left.is_empty() {
            receipt.next = Some(teardown.next(&survey));
        }
    }
    receipt.elapsed_s = began.elapsed().as_secs_f64();
    let answer = Answer::of(&receipt).map_err(Error::failed)?;
    files::write(flags.receipt.as_deref(), &answer.text(Format::Json))?;
    Ok((answer, receipt.exit()))
}

impl Teardown<'_> {
    /// AWS, where the cluster or the images are there.
    fn aws(&self) -> Option<&Aws> {
        self.place.aws().or(self.registry?.aws())
    }

    fn question(&self, survey: &Survey, fate: &Fate) -> String {
        let mut parts = Vec::new();
        if survey.has_objects() {
            parts.push(format!("stack `{}` on cluster `{}`", self.stack, self.cluster));
        }
        if self.goes(&survey.cluster) {
            parts.push(format!("cluster `{}`", self.cluster));
            if self.flags.delete_foreign {
                parts.push("others' load balancers and volumes on it".to_owned());
            }
        }
        if fate.clears() {
            let leftovers = survey.leftovers.items();
            parts.extend(leftovers.iter().map(|item| format!("{} `{}`", item.kind, item.name)));
        }
        if fate.clears() && survey.foundation.as_ref().is_some_and(|ground| ground.ours) {
            parts.push(format!("foundation `{}`", self.stack.foundation()));
        }
        let repositories = images::repositories(self, survey).into_iter();
        let go = repositories.filter(|repository| repository.stays.is_none());
        let go: Vec<String> = go.map(|repository| repository.item.name).collect();
        if !go.is_empty() {
            parts.push(format!("repositories `{}` with their images", go.join("`, `")));
        }
        if parts.is_empty() {
            parts.push("nothing but what is half done".to_owned());
        }
        let aws = self.aws();
        let region = aws
            .map(|aws| format!(" in region {}", aws.region()))
            .unwrap_or_default();
        format!("delete{region}: {}?", parts.join(", "))
    }

    /// Whether the cluster is asked to go, and EKS would not refuse it.
    fn goes(&self, cluster: &Found) -> bool {
        let can = |(aws, found)| eks::refusal(aws, found).is_none();
        self.flags.delete_cluster && self.place.aws().zip(cluster.eks()).is_some_and(can)
    }

    async fn remove_all(&self, survey: &mut Survey, receipt: &mut Receipt) -> Result<(), Error> {
        let report = &*self.context.report;
        let mut began = Instant::now();
        let mut stays = None;
        if survey.has_objects() {
            report.phase("stack");
            let seen = objects::look(self, &survey.cluster).await?;
            stays = seen.remove(self, receipt).await?;
            if let Some(data) = seen.others.data {
                survey.leftovers.keep(data);
            }
            began = receipt.time("stack", began);
        }
        if self.place.aws().is_some() {
            report.phase("cluster");
        }
        cloud::remove_cluster(self, survey, stays, receipt).await?;
        began = receipt.time("cluster", began);
        report.phase("registry");
        cloud::remove_images(self, survey, receipt).await?;
        receipt.time("registry", began);
        Ok(())
    }

    /// The proof: what was deleted is looked up once more.
    async fn look_again(&self, before: &Survey, receipt: &mut Receipt) -> Result<(), Error> {
        let report = &*self.context.report;
        report.phase("proof");
        let has_log_group = receipt.has_deleted(leftovers::LOG_GROUP);
        if let Some(aws) = self.place.aws().filter(|_| has_log_group) {
            logs::keep_away(aws, self.cluster, report).await?;
        }
        let there = Survey::after(self, before).await?;
        let mut items = there.items(self.cluster, self.stack);
        if there.cluster.eks().is_some() && receipt.has_deleted_objects() {
            let session = self
                .place
                .connect(&there.cluster, ANSWER, &*self.context.report)
                .await?;
            let objects = inventory::of_stack(&session.cluster, self.stack).await?;
            items.extend(objects.iter().map(|object| Item::new(&object.kind, &object.path())));
        }
        // What a living cluster had on AWS may have gone with it, before a sweep came to see it.
        for item in before.leftovers.items() {
            if !items.contains(&item) && !receipt.accounts_for(&item) {
                receipt.gone(item);
            }
        }
        receipt.contradict(|item| items.contains(item), report);
        report.done("teardown", self.stack.as_str(), Outcome::Ready, "looked up again");
        Ok(())
    }

    /// The command to give once what is left can go. A cluster that others made is no reason to ask for it again.
    fn next(&self, survey: &Survey) -> String {
        let mut config = self.context.config.clone();
        let aws = self.aws();
        config.target.region = aws.map(|aws| aws.region().to_owned()).or(config.target.region);
        let mut words = target_command(&config, "teardown");
        let foreign = survey.cluster.eks().is_some_and(|cluster| !cluster.created_by_us);
        for (flag, given) in [
            (" --delete-cluster", self.flags.delete_cluster && !foreign),
            (" --keep-images", self.flags.keep_images),
        ] {
            if given {
                words.push_str(flag);
            }
        }
        words
    }
}
