//! The AWS side of a teardown: the cluster, what it left with its foundation, the repositories.

use super::Teardown;
use super::fate::Fate;
use super::images;
use super::survey::Survey;
use crate::aws::{Aws, AwsError, ecr, eks};
use crate::error::Error;
use crate::ops::receipt::{Item, Receipt};
use crate::ops::{bill, kubeconfig};
use crate::report::Outcome;
use crate::target::Registry;

/// The cluster if it is ours and asked to go, then what it left and its foundation. A refusal is entered, and the rest
/// goes on. `stays` says what of others would lose its controllers with the cluster: it stays then.
pub(super) async fn remove_cluster(
    teardown: &Teardown<'_>,
    survey: &Survey,
    stays: Option<String>,
    receipt: &mut Receipt,
) -> Result<(), Error> {
    let report = &*teardown.context.report;
    let mut fate = Fate::of(teardown, survey, stays).await?;
    if let (Fate::Goes, Some(aws)) = (&fate, teardown.place.aws())
        && let Some(refusal) = delete_cluster(teardown, aws, survey, receipt).await?
    {
        fate = Fate::refused(aws, survey, refusal).await?;
    }
    fate.enter_stays(teardown, survey, receipt, report);
    let Some(aws) = teardown.place.aws().filter(|_| fate.clears()) else {
        return Ok(());
    };
    if fate == Fate::Goes {
        report.phase("leftovers");
    }
    survey.leftovers.remove(aws, teardown.stack, receipt, report).await
}

/// Deletes the cluster, or finds it gone; the answer is why it does not go after all.
async fn delete_cluster(
    teardown: &Teardown<'_>,
    aws: &Aws,
    survey: &Survey,
    receipt: &mut Receipt,
) -> Result<Option<AwsError>, Error> {
    let report = &*teardown.context.report;
    let (stack, name) = (teardown.stack, teardown.cluster);
    let outcome = match eks::delete(aws, name, stack, report).await {
        Err(refusal @ (AwsError::NotOurs { .. } | AwsError::Protected { .. })) => return Ok(Some(refusal)),
        other => other?,
    };
    let found = survey.cluster.eks().filter(|_| outcome == Outcome::Deleted);
    let (gateway, now) = (survey.has_gateway(), jiff::Timestamp::now());
    receipt.cost = found.and_then(|found| bill::spent(found, gateway, aws.region(), now));
    receipt.enter(Item::new("cluster", name), outcome, report);
    if survey.cluster_was_ours() {
        kubeconfig::forget(name, aws, report);
    }
    receipt.cluster_is_gone(report);
    if survey.cluster.eks().is_none() {
        report.note(&format!("cluster `{name}` is gone already"));
    }
    Ok(None)
}

/// The repositories with their images, unless they are to be kept.
pub(super) async fn remove_images(
    teardown: &Teardown<'_>,
    survey: &Survey,
    receipt: &mut Receipt,
) -> Result<(), Error> {
    let report = &*teardown.context.report;
    for repository in images::repositories(teardown, survey) {
        match (repository.stays, teardown.registry.and_then(Registry::aws)) {
            (Some(why), _) => receipt.keep(repository.item, why, report),
            (None, Some(aws)) => {
                let outcome = ecr::delete_repository(aws, teardown.stack, repository.image).await?;
                receipt.enter(repository.item, outcome, report);
            }
            (None, None) => {}
        }
    }
    Ok(())
}
