//! The Kubernetes side of a teardown: the stack's objects, and what must not lose its cluster.

use super::{ANSWER, Teardown};
use crate::aws::sweep::Data;
use crate::cluster::delete::{self, DeleteReceipt, delete_alone};
use crate::cluster::external::{self, External, Outside};
use crate::cluster::values::Namespaces;
use crate::cluster::{Cluster, ClusterError, inventory, lease, parent};
use crate::error::Error;
use crate::ops::receipt::{Item, Receipt};
use crate::report::Silent;
use crate::target::{self, Found, Session};

/// What there is on a cluster, looked at before anything of it is deleted.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// None where it has no stack or does not answer.
    session: Option<Session>,
    pub(super) others: Others,
}

/// What of others is on a cluster that is to go, and what becomes of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Others {
    /// What is deleted before the cluster is.
    goes: Vec<External>,
    /// What stays.
    keeps: Vec<External>,
    /// Why the cluster has to stay.
    stays: Option<String>,
    /// Which volumes stay and which may go; none where the cluster was not asked.
    pub(super) data: Option<Data>,
}

/// Looks at the cluster. Where it is to go, others' load balancers and volumes on it go first if that is asked for; else
/// the answer has the reason why the cluster has to stay.
///
/// Where it does not answer, nobody can tell what others have on it: it stays, unless theirs is to be deleted too.
///
/// # Errors
/// It does not answer although it is to stay; a newer version applied the stack.
pub(super) async fn look(teardown: &Teardown<'_>, found: &Found) -> Result<Seen, Error> {
    let (report, timeout) = (&*teardown.context.report, teardown.context.config.output.timeout);
    if let Some(found) = found.eks().filter(|found| !target::is_usable(found)) {
        report.note(&format!(
            "cluster `{}` is {}: there is no stack on it to remove",
            found.name, found.status
        ));
        return Ok(Seen::default());
    }
    let session = match teardown.place.connect(found, ANSWER.min(timeout), report).await {
        Err(error) if teardown.goes(found) => {
            let mut seen = Seen::default();
            seen.others.stays = unseen(&error, teardown.flags.delete_foreign);
            if seen.others.stays.is_none() {
                report.warning(&format!(
                    "whatever is on cluster `{}` goes with it, load balancers of others too; volumes of volume claims stay: {}",
                    teardown.cluster,
                    error.message()
                ));
            }
            return Ok(seen);
        }
        other => other?,
    };
    let app = Namespaces::default().app;
    parent::check_version(&session.cluster, teardown.stack, &app).await?;
    let mut others = Others::default();
    if teardown.goes(found) {
        let outside = external::find(&session.cluster, teardown.stack).await?;
        others = Others::judge(outside, teardown.flags.delete_foreign);
    }
    let session = Some(session);
    Ok(Seen { session, others })
}

impl Seen {
    /// Deletes what of others goes, then the stack's objects; the answer is why the cluster has to stay.
    pub(super) async fn remove(&self, teardown: &Teardown<'_>, receipt: &mut Receipt) -> Result<Option<String>, Error> {
        let mut stays = self.others.stays.clone();
        let Some(session) = &self.session else {
            return Ok(stays);
        };
        let (report, timeout) = (&*teardown.context.report, teardown.context.config.output.timeout);
        for (item, why) in self.others.kept() {
            receipt.keep(item, &why, report);
        }
        if !self.others.goes.is_empty() {
            let objects = external::delete(&session.cluster, &self.others.goes, timeout, report).await?;
            receipt.enter_objects(&objects);
            let left: Vec<String> = objects.left.iter().map(|left| left.object.to_string()).collect();
            if !left.is_empty() {
                stays = Some(format!("others' objects on it do not go: {}", left.join(", ")));
            }
        }
        receipt.enter_objects(&one_at_a_time(teardown, &session.cluster, &Namespaces::default().app).await?);
        Ok(stays)
    }

    /// Enters what [`Self::remove`] would do, as far as nothing keeps it from that; nothing is deleted.
    pub(super) async fn foretell(
        &self,
        teardown: &Teardown<'_>,
        receipt: &mut Receipt,
    ) -> Result<Option<String>, Error> {
        if let Some(session) = &self.session {
            for (item, why) in self.others.kept() {
                receipt.keep(item, &why, &Silent);
            }
            for one in &self.others.goes {
                receipt.gone(Item::new(&one.object.kind, &one.object.path()));
            }
            let report = &*teardown.context.report;
            receipt.enter_objects(&delete::foretell(&session.cluster, teardown.stack, report).await?);
        }
        Ok(self.others.stays.clone())
    }
}

impl Others {
    /// What is said to stay or to go of what was found. A `PersistentVolume` is there to keep its data: it is never
    /// deleted.
    fn judge(outside: Outside, delete_foreign: bool) -> Self {
        let released = outside.released.into_iter().filter(|_| delete_foreign);
        let data = Data {
            kept: outside.kept,
            released: released.collect(),
        };
        let mut others = Self {
            data: Some(data),
            ..Self::default()
        };
        let foreign: Vec<External> = outside.objects.into_iter().filter(|one| !one.ours).collect();
        if delete_foreign {
            others.goes = foreign.into_iter().filter(External::can_go).collect();
        } else if !foreign.is_empty() {
            others.stays = Some(format!(
                "others have on it {}: delete these first, or give `--delete-foreign` to have them deleted",
                list(&foreign)
            ));
            others.keeps = foreign;
        }
        others
    }

    /// What stays, with the reason.
    fn kept(&self) -> impl Iterator<Item = (Item, String)> {
        self.keeps.iter().map(|one| {
            let item = Item::new(&one.object.kind, &one.object.path());
            (item, format!("it is not the stack's, and holds {}", one.holds))
        })
    }
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

    fn outside() -> Outside {
        let one = |kind: &str, ours| External {
            object: crate::cluster::ObjectRef {
                api_version: "v1".to_owned(),
                kind: kind.to_owned(),
                namespace: Some("team".to_owned()),
                name: "theirs".to_owned(),
            },
            ours,
            holds: "volume `v`".to_owned(),
        };
        Outside {
            objects: vec![
                one("Service", true),
                one("PersistentVolumeClaim", false),
                one("PersistentVolume", false),
            ],
            kept: ["vol-1".to_owned()].into(),
            released: ["vol-2".to_owned()].into(),
        }
    }

    #[test]
    fn what_others_have_keeps_the_cluster_unless_it_is_to_go_and_kept_data_never_goes() {
        let names = |some: &[External]| some.iter().map(|one| one.object.kind.clone()).collect::<Vec<_>>();
        let kept = Others::judge(outside(), false);
        assert_eq!(names(&kept.keeps), ["PersistentVolumeClaim", "PersistentVolume"]);
        assert!(kept.goes.is_empty() && kept.data.is_some_and(|data| data.released.is_empty()));
        let why = kept.stays.expect("the cluster stays");
        assert!(
            why.contains("PersistentVolumeClaim `team/theirs` (volume `v`)"),
            "{why}"
        );
        let gone = Others::judge(outside(), true);
        assert_eq!(names(&gone.goes), ["PersistentVolumeClaim"]);
        assert!(gone.keeps.is_empty() && gone.stays.is_none());
        let data = gone.data.expect("it was asked");
        assert_eq!((data.kept, data.released), (outside().kept, outside().released));
    }
}
