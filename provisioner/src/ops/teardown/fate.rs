//! What becomes of the cluster, of what it leaves and of what it stands on: decided here, for the run and for its preview.

use super::Teardown;
use super::survey::Survey;
use crate::aws::eks::{self, Compute};
use crate::aws::{Aws, AwsError};
use crate::error::Error;
use crate::ops::receipt::{Item, Receipt};
use crate::report::Reporter;
use crate::target::Place;

const NEEDS_FLAG: &str = "`--delete-cluster` was not given";
const OF_CONTEXT: &str = "the cluster of a kube-context was not created by provisioner";

/// What becomes of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nobody asked for it to go.
    NotAsked,
    /// It goes, or is gone, and what it leaves and its foundation go after it.
    Goes,
    /// It is ours and should have gone, but stays: so does all that it needs.
    Stays(String),
    /// Others made it.
    Others {
        /// What is said of that.
        why: String,
        /// Why it needs the foundation; none where that goes.
        needs: Option<String>,
    },
}

impl Fate {
    /// Decides; `stays` says what was met on the cluster that has to keep it.
    ///
    /// # Errors
    /// AWS does not say what the cluster stands on.
    pub(super) async fn of(teardown: &Teardown<'_>, survey: &Survey, stays: Option<String>) -> Result<Self, Error> {
        if !teardown.flags.delete_cluster {
            return Ok(Self::NotAsked);
        }
        let Place::Eks(aws, _) = teardown.place else {
            let (why, needs) = (OF_CONTEXT.to_owned(), None);
            return Ok(Self::Others { why, needs });
        };
        if let Some(why) = stays {
            return Ok(Self::Stays(why));
        }
        match survey.cluster.eks().and_then(|found| eks::refusal(aws, found)) {
            Some(refusal) => Self::refused(aws, survey, refusal).await,
            None => Ok(Self::Goes),
        }
    }

    /// The fate of a cluster whose deletion is refused like this.
    ///
    /// # Errors
    /// It is not refused but failed; AWS does not say what the cluster stands on.
    pub(super) async fn refused(aws: &Aws, survey: &Survey, refusal: AwsError) -> Result<Self, Error> {
        match refusal {
            AwsError::NotOurs { .. } => Ok(Self::Others {
                why: refusal.to_string(),
                needs: needs_foundation(aws, survey).await?,
            }),
            AwsError::Protected { .. } => Ok(Self::Stays(refusal.with_hint())),
            failed => Err(failed.into()),
        }
    }

    /// Whether what the cluster leaves and its foundation go.
    pub(super) fn clears(&self) -> bool {
        matches!(self, Self::Goes | Self::Others { needs: None, .. })
    }

    /// Enters what stays of all this.
    pub(super) fn enter_stays(
        &self,
        teardown: &Teardown<'_>,
        survey: &Survey,
        receipt: &mut Receipt,
        report: &dyn Reporter,
    ) {
        let cluster = Item::new("cluster", teardown.cluster);
        let foundation = survey.foundation.as_ref();
        let foundation = foundation.map(|_| Item::new("foundation", &teardown.stack.foundation()));
        let (foundation_stays, leftovers_stay) = match self {
            Self::Goes => return,
            Self::NotAsked => {
                if survey.cluster.eks().is_some() {
                    receipt.keep(cluster, NEEDS_FLAG, report);
                }
                (NEEDS_FLAG, NEEDS_FLAG)
            }
            Self::Stays(why) => {
                receipt.leave(cluster, why, report);
                ("the cluster needs it", "the cluster stays")
            }
            Self::Others { why, needs } => {
                receipt.leave(cluster, why, report);
                let Some(needs) = needs else { return };
                (needs.as_str(), "the foundation stays")
            }
        };
        if let Some(foundation) = foundation {
            receipt.keep(foundation, foundation_stays, report);
        }
        for item in survey.leftovers.items() {
            receipt.keep(item, leftovers_stay, report);
        }
    }
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
