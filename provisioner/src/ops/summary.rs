//! What bootstrap says at its end: what is where, what changed, and what to do next.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::Context;
use super::deploy::Deployed;
use super::mirror::Mirror;
use super::resume::{target_command, teardown};
use super::scraped::Scraped;
use crate::aws::Aws;
use crate::aws::cost::Cost;
use crate::chain::Chain;
use crate::cluster::changes::Change;
use crate::image::Published;
use crate::plan::Plan;
use crate::report::Outcome;

/// The result of a bootstrap.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Summary {
    cluster: String,
    stack: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<String>,
    image: String,
    load_image: Option<String>,
    /// Copies of others' images, by what manifests name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    mirrored: BTreeMap<String, String>,
    changes: Counts,
    chain: Option<Chain>,
    /// The Prometheus of others that is used, and what it has to scrape.
    #[serde(skip_serializing_if = "Option::is_none")]
    prometheus: Option<Scraped>,
    /// What the stack costs from now on.
    cost: Option<Cost>,
    elapsed_s: f64,
    next: BTreeMap<&'static str, String>,
}

/// How many Kubernetes objects ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
struct Counts {
    created: usize,
    updated: usize,
    recreated: usize,
    unchanged: usize,
    deleted: usize,
    kept: usize,
    skipped: usize,
}

impl Summary {
    pub(super) fn new(
        context: &Context,
        aws: Option<&Aws>,
        plan: &Plan,
        (app, load_image, mirror): (Published, Option<String>, Mirror),
        deployed: Deployed,
        elapsed: Duration,
    ) -> Self {
        let mut config = context.config.clone();
        let region = aws.map(|aws| aws.region().to_owned());
        config.target.region = config.target.region.or_else(|| region.clone());
        let next = BTreeMap::from([
            ("load", target_command(&config, "load")),
            ("status", format!("{} --watch", target_command(&config, "status"))),
            ("teardown", teardown(&config)),
        ]);
        Self {
            cluster: plan.cluster.clone(),
            stack: plan.stack.to_string(),
            account: aws.map(|aws| aws.identity().account.clone()),
            region,
            context: config.target.kube_context,
            image: app.reference,
            load_image,
            mirrored: mirror.references(),
            changes: Counts::of(&deployed.changes),
            chain: deployed.chain,
            prometheus: deployed.prometheus,
            cost: context.bill.get().map(|bill| bill.cost.clone()),
            elapsed_s: elapsed.as_secs_f64(),
            next,
        }
    }
}

impl Counts {
    fn of(changes: &[Change]) -> Self {
        let count = |wanted| changes.iter().filter(|change| change.outcome == wanted).count();
        Self {
            created: count(Outcome::Created),
            updated: count(Outcome::Updated),
            recreated: count(Outcome::Recreated),
            unchanged: count(Outcome::Unchanged),
            deleted: count(Outcome::Deleted),
            kept: count(Outcome::Kept),
            skipped: count(Outcome::Skipped),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts {
            created,
            updated,
            recreated,
            unchanged,
            deleted,
            kept,
            skipped,
        } = self.changes;
        writeln!(f, "stack     {} on cluster {}", self.stack, self.cluster)?;
        let context = self.context.as_ref().map(|context| format!("context {context}"));
        let account = self.account.as_ref().map(|account| format!("account {account}"));
        let region = self.region.as_ref().map(|region| format!("region {region}"));
        let place: Vec<String> = [context, account, region].into_iter().flatten().collect();
        writeln!(f, "where     {}", place.join(", "))?;
        writeln!(f, "image     {}", self.image)?;
        if !self.mirrored.is_empty() {
            writeln!(f, "mirrored  {} images of others", self.mirrored.len())?;
        }
        write!(
            f,
            "objects   {created} created, {updated} updated, {unchanged} unchanged"
        )?;
        for (count, word) in [
            (recreated, "recreated"),
            (deleted, "deleted"),
            (kept, "kept"),
            (skipped, "skipped"),
        ] {
            if count > 0 {
                write!(f, ", {count} {word}")?;
            }
        }
        writeln!(f)?;
        if let Some(chain) = &self.chain {
            let pods = chain.per_pod.len();
            let counted = |what, count: Option<u64>| count.map_or(String::new(), |count| format!("{count} {what}, "));
            let (targets, series) = (counted("targets", chain.targets_up), counted("series", chain.series));
            writeln!(f, "metrics   {targets}{series}{pods} pods with a rate")?;
            writeln!(
                f,
                "scaling   {} of {} pods wanted, {:.1} requests/s per pod",
                chain.hpa_current, chain.hpa_desired, chain.hpa_value
            )?;
        }
        if let Some(prometheus) = &self.prometheus {
            writeln!(f, "scraped   by the Prometheus at {}", prometheus.url)?;
        }
        if let Some(cost) = &self.cost {
            writeln!(f, "cost      {cost}")?;
        }
        writeln!(f, "took      {:.1} s", self.elapsed_s)?;
        writeln!(f, "\nnext:")?;
        for (what, command) in &self.next {
            writeln!(f, "  {what:<9} {command}")?;
        }
        Ok(())
    }
}
