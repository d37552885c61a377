//! The AWS side of a teardown: the cluster, what it left with its foundation, the repositories.

use super::Teardown;
use super::survey::Survey;
use crate::aws::eks::{self, Compute};
use crate::aws::{Aws, AwsError, ecr};
use crate::error::Error;
use crate::names::{APP, LOAD};
use crate::ops::receipt::{Item, Receipt};
use crate::ops::{bill, kubeconfig};
use crate::report::Outcome;
use crate::target::Registry;

pub(super) const NEEDS_FLAG: &str = "`--delete-cluster` was not given";

/// The cluster if it is ours and asked to go, then what it left and its foundation. A refusal is entered, and the rest
/// goes on. `holds_foreign` says what of others would lose its controllers with the cluster: it stays then.
pub(super) async fn remove_cluster(
    teardown: &Teardown<'_>,
    aws: &Aws,
    survey: &Survey,
    holds_foreign: Option<String>,
    receipt: &mut Receipt,
) -> Result<(), Error> {
    let report = &*teardown.context.report;
    let (stack, name) = (teardown.stack, teardown.cluster);
    if !teardown.flags.delete_cluster {
        for item in survey.items(name, stack) {
            if matches!(item.kind.as_str(), "cluster" | "foundation") {
                receipt.keep(item, NEEDS_FLAG, report);
            }
        }
        return Ok(());
    }
    let cluster = Item::new("cluster", name);
    let stays = match holds_foreign {
        Some(reason) => Some(reason),
        None => match eks::delete(aws, name, stack, report).await {
            Ok(outcome) => {
                let found = survey.cluster.eks().filter(|_| outcome == Outcome::Deleted);
                let (gateway, now) = (survey.has_gateway(), jiff::Timestamp::now());
                receipt.cost = found.and_then(|found| bill::spent(found, gateway, aws.region(), now));
                receipt.enter(cluster.clone(), outcome, report);
                None
            }
            Err(error @ AwsError::NotOurs { .. }) => {
                receipt.leave(cluster, &error.to_string(), report);
                if let Some(why) = needs_foundation(aws, survey).await? {
                    receipt.keep(Item::new("foundation", &stack.foundation()), &why, report);
                    return Ok(());
                }
                return survey.leftovers.remove(aws, stack, receipt, report).await;
            }
            Err(error @ AwsError::Protected { .. }) => Some(error.with_hint()),
            Err(error) => return Err(error.into()),
        },
    };
    if let Some(reason) = stays {
        receipt.leave(cluster, &reason, report);
        if survey.foundation.is_some() {
            receipt.keep(
                Item::new("foundation", &stack.foundation()),
                "the cluster needs it",
                report,
            );
        }
        return Ok(());
    }
    if survey.cluster_was_ours() {
        kubeconfig::forget(name, aws, report);
    }
    receipt.cluster_is_gone(report);
    if survey.cluster.eks().is_none() {
        report.note(&format!("cluster `{name}` is gone already"));
    }
    report.phase("leftovers");
    survey.leftovers.remove(aws, stack, receipt, report).await
}

/// Why the foundation stays under a cluster that is not to go.
async fn needs_foundation(aws: &Aws, survey: &Survey) -> Result<Option<String>, Error> {
    let (Some(found), Some(ground)) = (survey.cluster.eks(), &survey.foundation) else {
        return Ok(None);
    };
    let node_role = match found.settings.compute {
        Compute::Auto => None,
        Compute::NodeGroup => Box::pin(eks::read_node_group(aws, &found.name))
            .await?
            .and_then(|group| group.role),
    };
    Ok(ground.needed_by(found, node_role.as_deref()))
}

/// The repositories with their images, unless they are to be kept.
pub(super) async fn remove_images(
    teardown: &Teardown<'_>,
    survey: &Survey,
    receipt: &mut Receipt,
) -> Result<(), Error> {
    let report = &*teardown.context.report;
    let aws = match teardown.registry {
        Some(Registry::Ecr(ecr)) => &ecr.aws,
        None => return Ok(()),
        Some(Registry::Other(prefix)) => {
            let own = [APP, LOAD].map(|image| prefix.repository(image));
            for name in own.iter().chain(&survey.mirrored) {
                let item = Item::new("repository", name);
                receipt.keep(item, "images outside ECR are deleted in their registry", report);
            }
            return Ok(());
        }
    };
    if teardown.flags.keep_images {
        for name in &survey.repositories {
            receipt.keep(Item::new("repository", name), "`--keep-images` was given", report);
        }
        return Ok(());
    }
    let prefix = teardown.stack.repository("");
    let images = survey.repositories.iter().filter_map(|name| name.strip_prefix(&prefix));
    let copies = images.filter(|image| ![APP, LOAD].contains(image));
    for image in [APP, LOAD].into_iter().chain(copies) {
        let outcome: Outcome = ecr::delete_repository(aws, teardown.stack, image).await?;
        let item = Item::new("repository", &teardown.stack.repository(image));
        receipt.enter(item, outcome, report);
    }
    Ok(())
}
