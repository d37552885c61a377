//! The end of a stack on AWS once its cluster is gone: clear the network, then delete the foundation, again where
//! something came up meanwhile.

use tokio::time::sleep;

use super::Aws;
use super::error::AwsError;
use super::foundation;
use super::logs;
use super::sweep::{self, Kind, Leftover, Scope, Swept};
use crate::report::{Outcome, Reporter};

/// So often the deletion of the foundation is tried.
const ATTEMPTS: u32 = 3;

/// What a removal did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// What the cluster had left behind.
    pub swept: Swept,
    /// How it went with the foundation.
    pub foundation: End,
}

/// How it went with the foundation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Deleted, not there, or not ours.
    Done(Outcome),
    /// It stays, and why.
    Stays(String),
}

/// Clears the foundation's network of what the cluster left, then deletes the foundation. While something of others
/// is in the network, the foundation is not touched: half a network would take theirs down. `CloudFormation`'s refusal is
/// told, and tried again after another sweep, three times in all.
///
/// The foundation goes last: it is what tells the next run whose the rest was. While a volume of ours is not deleted yet
/// it stays, and after `deleted_logs` it waits until EKS no longer makes the log group anew.
///
/// # Errors
/// A call that AWS refuses.
pub async fn remove(aws: &Aws, scope: &Scope, deleted_logs: bool, report: &dyn Reporter) -> Result<Removal, AwsError> {
    let mut swept = Swept::default();
    let mut attempt = 1;
    let end = loop {
        let network = foundation::network(aws, &scope.stack).await?;
        let scope = Scope {
            network,
            ..scope.clone()
        };
        let round = Box::pin(sweep::clear(aws, &scope, report)).await?;
        let held = held(&scope, &round);
        swept.deleted.extend(round.deleted);
        (swept.left, swept.foreign) = (round.left, round.foreign);
        if let Some(why) = held {
            break End::Stays(why);
        }
        if deleted_logs && scope.network.is_some() {
            match logs::keep_away(aws, &scope.cluster, report).await {
                Err(error @ AwsError::TimedOut { .. }) => break End::Stays(error.to_string()),
                other => other?,
            }
        }
        match Box::pin(foundation::delete(aws, &scope.stack, report)).await {
            Ok(outcome) => break End::Done(outcome),
            Err(error @ AwsError::Failed { .. }) if attempt < ATTEMPTS => {
                attempt += 1;
                report.warning(&format!(
                    "{error}; it is swept and deleted again, attempt {attempt} of {ATTEMPTS}"
                ));
                sleep(aws.poll).await;
            }
            Err(error @ AwsError::Failed { .. }) => break End::Stays(error.to_string()),
            Err(error @ AwsError::Protected { .. }) => break End::Stays(error.with_hint()),
            Err(error) => return Err(error),
        }
    };
    Ok(Removal { swept, foundation: end })
}

/// Why the foundation stays after a sweep that ended so; none where it may go.
pub fn held(scope: &Scope, swept: &Swept) -> Option<String> {
    let network = scope.network.as_ref()?;
    let in_network = network.vpc_id.is_some();
    let blockers = blockers(swept);
    if in_network && !blockers.is_empty() {
        return Some(format!("its network still holds {}", blockers.join(", ")));
    }
    let unfinished = unfinished(swept, in_network);
    (!unfinished.is_empty()).then(|| {
        let rest = unfinished.join(", ");
        format!("not deleted yet, and only it tells whose they were: {rest}")
    })
}

fn blockers(swept: &Swept) -> Vec<String> {
    swept
        .blockers()
        .map(|(one, _): (&Leftover, _)| one.to_string())
        .collect()
}

/// What is ours, did not go and is not in a network of the foundation's, where it would block: volumes, and all of it in
/// a network that was brought along.
fn unfinished(swept: &Swept, in_network: bool) -> Vec<String> {
    let outside = |(one, _): &&(Leftover, String)| one.kind == Kind::Volume || !in_network;
    swept
        .left
        .iter()
        .filter(outside)
        .map(|(one, why)| format!("{one} ({why})"))
        .collect()
}

#[cfg(test)]
mod tests;
