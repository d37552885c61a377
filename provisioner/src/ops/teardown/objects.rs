//! The Kubernetes side of a teardown: the stack's objects, and what must not lose its cluster.

use super::{ANSWER, Teardown};
use crate::aws::sweep::Data;
use crate::cluster::delete::{DeleteReceipt, delete_alone};
use crate::cluster::external::{self, External};
use crate::cluster::values::Namespaces;
use crate::cluster::{Cluster, ClusterError, inventory, lease, parent};
use crate::error::Error;
use crate::ops::receipt::{Item, Receipt};
use crate::target::{self, Found};

/// What there was on a cluster, for what comes after its objects.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Met {
    /// Why the cluster has to stay.
    pub(super) stays: Option<String>,
    /// Which volumes stay and which may go; none where the cluster was not asked.
    pub(super) data: Option<Data>,
}

/// Deletes the stack's objects. Where the cluster is to go, others' load balancers and volumes on it are deleted first if
/// that is asked for; else the answer has the reason why the cluster has to stay.
///
/// Where it does not answer, nobody can tell what others have on it: it stays, unless theirs is to be deleted too.
pub(super) async fn remove(teardown: &Teardown<'_>, found: &Found, receipt: &mut Receipt) -> Result<Met, Error> {
    let (report, timeout) = (&*teardown.context.report, teardown.context.config.output.timeout);
    if let Some(found) = found.eks().filter(|found| !target::is_usable(found)) {
        report.note(&format!(
            "cluster `{}` is {}: there is no stack on it to remove",
            found.name, found.status
        ));
        return Ok(Met::default());
    }
    let session = match teardown.place.connect(found, ANSWER.min(timeout), report).await {
        Err(error) if teardown.goes(found) => {
            if let Some(reason) = unseen(&error, teardown.flags.delete_foreign) {
                return Ok(Met {
                    stays: Some(reason),
                    ..Met::default()
                });
            }
            report.warning(&format!(
                "whatever is on cluster `{}` goes with it, load balancers of others too; volumes of volume claims stay: {}",
                teardown.cluster,
                error.message()
            ));
            return Ok(Met::default());
        }
        other => other?,
    };
    let app = Namespaces::default().app;
    parent::check_version(&session.cluster, teardown.stack, &app).await?;
    let mut met = Met::default();
    if teardown.goes(found) {
        met = clear_foreign(teardown, &session.cluster, receipt).await?;
    }
    receipt.enter_objects(&one_at_a_time(teardown, &session.cluster, &app).await?);
    Ok(met)
}

/// Why a cluster stays that cannot be looked into; none where others' objects may go anyway.
fn unseen(error: &Error, delete_foreign: bool) -> Option<String> {
    (!delete_foreign).then(|| {
        format!(
            "cannot see what others have on it: {}; try again once it answers, or give `--delete-foreign` to have it \
             deleted with everything on it",
            error.message()
        )
    })
}

/// Deletes the stack's objects while no other run changes them.
async fn one_at_a_time(teardown: &Teardown<'_>, cluster: &Cluster, app: &str) -> Result<DeleteReceipt, ClusterError> {
    let (context, stack) = (teardown.context, teardown.stack);
    let (report, timeout) = (&*context.report, context.config.output.timeout);
    if inventory::of_stack(cluster, stack).await?.is_empty() {
        return Ok(DeleteReceipt::default());
    }
    let home = lease::home(stack, app);
    delete_alone(cluster, context.lease_terms(stack, &home), timeout, report).await
}

/// Others' objects that hold something outside of the cluster: deleted if asked for, else the reason to stay.
async fn clear_foreign(teardown: &Teardown<'_>, cluster: &Cluster, receipt: &mut Receipt) -> Result<Met, ClusterError> {
    let (report, timeout) = (&*teardown.context.report, teardown.context.config.output.timeout);
    let outside = external::find(cluster, teardown.stack).await?;
    let released = outside.released.into_iter().filter(|_| teardown.flags.delete_foreign);
    let mut met = Met {
        stays: None,
        data: Some(Data {
            kept: outside.kept,
            released: released.collect(),
        }),
    };
    let mut foreign = outside.objects;
    foreign.retain(|one| !one.ours);
    if foreign.is_empty() {
        return Ok(met);
    }
    if !teardown.flags.delete_foreign {
        for one in &foreign {
            let item = Item::new(&one.object.kind, &one.object.path());
            receipt.keep(item, &format!("it is not the stack's, and holds {}", one.holds), report);
        }
        met.stays = Some(format!(
            "others have on it {}: delete these first, or give `--delete-foreign` to have them deleted",
            list(&foreign)
        ));
        return Ok(met);
    }
    let objects = external::delete(cluster, &foreign, timeout, report).await?;
    receipt.enter_objects(&objects);
    let left: Vec<String> = objects.left.iter().map(|left| left.object.to_string()).collect();
    met.stays = (!left.is_empty()).then(|| format!("others' objects on it do not go: {}", left.join(", ")));
    Ok(met)
}

fn list(foreign: &[External]) -> String {
    foreign.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_that_cannot_be_looked_into_stays_unless_others_may_lose_theirs() {
        let error = Error::failed("the server said 401");
        let reason = unseen(&error, false).expect("it stays");
        assert!(
            reason.starts_with("cannot see what others have on it: the server said 401"),
            "{reason}"
        );
        assert!(reason.contains("`--delete-foreign`"), "{reason}");
        assert_eq!(unseen(&error, true), None);
    }
}
