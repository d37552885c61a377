//! `teardown --dry-run`: what would go and what would stay. What a teardown asks and decides is asked and decided here too,
//! and entered into a receipt of its own; nothing is changed.

use std::fmt;

use serde::Serialize;

use super::fate::Fate;
use super::survey::Survey;
use super::{Teardown, images, objects};
use crate::aws::Aws;
use crate::error::{Error, Exit};
use crate::ops::receipt::{Item, NOT_OURS, Proof, Receipt, Stays};
use crate::report::{Answer, Silent};

/// What a teardown would do.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Preview {
    cluster: String,
    stack: String,
    /// Whether there is something to delete.
    changes: bool,
    /// What would go.
    deletes: Vec<Goes>,
    /// What would stay.
    keeps: Vec<Stays>,
}

/// One thing that would go.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Goes {
    #[serde(flatten)]
    item: Item,
    /// What is worth knowing of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl Preview {
    /// Foretells the teardown of what was found.
    ///
    /// # Errors
    /// Whatever would keep the teardown from its first step: the cluster does not answer, a newer version applied the stack.
    pub(super) async fn of(teardown: &Teardown<'_>, survey: Survey) -> Result<Self, Error> {
        let (cluster, stack) = (teardown.cluster, teardown.stack);
        let mut receipt = Receipt::new(cluster, stack.as_str(), None, survey.items(cluster, stack));
        if receipt.found.is_empty() {
            if let Some(aws) = teardown.place.aws() {
                survey.leftovers.keep_all(aws, &mut receipt, &Silent);
            }
            return Ok(Self::told(receipt, &[]));
        }
        let on_cluster = foretell(teardown, survey, &mut receipt).await?;
        Ok(Self::told(receipt, &on_cluster))
    }

    /// What a receipt says, as what would be; `on_cluster` is what stays on a cluster that may go.
    fn told(receipt: Receipt, on_cluster: &[Stays]) -> Self {
        let note = |item: &Item| {
            let held = on_cluster.iter().find(|stays| stays.item == *item)?;
            Some(format!("with the cluster, though it {}", held.reason))
        };
        let deletes = receipt.deleted.into_iter().map(|gone| Goes {
            note: (gone.proof == Proof::WentWithTheCluster)
                .then(|| note(&gone.item))
                .flatten(),
            item: gone.item,
        });
        let deletes: Vec<Goes> = deletes.collect();
        Self {
            cluster: receipt.cluster,
            stack: receipt.stack,
            changes: !deletes.is_empty(),
            deletes,
            keeps: receipt.kept.into_iter().chain(receipt.left).collect(),
        }
    }

    /// The result, with exit code 3 where something would go.
    pub(super) fn answer(&self) -> Result<(Answer, Exit), Error> {
        let exit = if self.changes { Exit::Changes } else { Exit::Done };
        Ok((Answer::of(self).map_err(Error::failed)?, exit))
    }
}

/// In the order of a teardown: the objects, the cluster, what it leaves and stands on, the repositories. The answer is what
/// of the objects would stay, before anybody asks whether the cluster does.
async fn foretell(teardown: &Teardown<'_>, mut survey: Survey, receipt: &mut Receipt) -> Result<Vec<Stays>, Error> {
    let mut stays = None;
    if survey.has_objects() {
        let seen = objects::look(teardown, &survey.cluster).await?;
        stays = seen.foretell(teardown, receipt).await?;
        if let (Some(aws), Some(data)) = (teardown.place.aws(), seen.others.data) {
            survey.leftovers = survey.leftovers.judged_by(aws, data).await?;
        }
    }
    let on_cluster = receipt.left.clone();
    let fate = Fate::of(teardown, &survey, stays).await?;
    if fate == Fate::Goes {
        if survey.cluster.eks().is_some() {
            receipt.gone(Item::new("cluster", teardown.cluster));
        }
        receipt.cluster_is_gone(&Silent);
    }
    fate.enter_stays(teardown, &survey, receipt, &Silent);
    if let Some(aws) = teardown.place.aws().filter(|_| fate.clears()) {
        clear(teardown, aws, &survey, receipt);
    }
    for repository in images::repositories(teardown, &survey) {
        match repository.stays {
            Some(why) => receipt.keep(repository.item, why, &Silent),
            None => receipt.gone(repository.item),
        }
    }
    Ok(on_cluster)
}

/// What the cluster leaves, and the foundation.
fn clear(teardown: &Teardown<'_>, aws: &Aws, survey: &Survey, receipt: &mut Receipt) {
    for item in survey.leftovers.items() {
        if !receipt.accounts_for(&item) {
            receipt.gone(item);
        }
    }
    for (item, why) in survey.leftovers.stays(aws.region()) {
        receipt.keep(item, &why, &Silent);
    }
    let Some(ground) = &survey.foundation else { return };
    let item = Item::new("foundation", &teardown.stack.foundation());
    if let Some(why) = survey.leftovers.hold_foundation() {
        receipt.leave(item, &why, &Silent);
    } else if !ground.ours {
        receipt.keep(item, NOT_OURS, &Silent);
    } else if let Some(refusal) = ground.protection(aws, teardown.stack) {
        receipt.leave(item, &refusal.with_hint(), &Silent);
    } else {
        receipt.gone(item);
    }
}

impl fmt::Display for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stack, cluster, .. } = self;
        for Goes { item, note } in &self.deletes {
            write!(f, "- delete    {} `{}`", item.kind, item.name)?;
            match note {
                Some(note) => writeln!(f, " ({note})")?,
                None => writeln!(f)?,
            }
        }
        for stays in &self.keeps {
            writeln!(f, "  keep      {stays}")?;
        }
        if self.changes {
            write!(
                f,
                "\n{} to delete of stack `{stack}` on cluster {cluster}",
                self.deletes.len()
            )
        } else {
            write!(f, "nothing of stack `{stack}` on cluster {cluster} to delete")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ObjectRef;
    use crate::cluster::delete::{DeleteReceipt, Left};

    fn receipt() -> Receipt {
        Receipt::new("demo", "demo", None, Vec::new())
    }

    #[test]
    fn what_would_go_and_what_would_stay_is_told_apart() {
        let mut receipt = receipt();
        receipt.keep(Item::new("cluster", "demo"), "it is needed", &Silent);
        let object = ObjectRef {
            api_version: "v1".to_owned(),
            kind: "Namespace".to_owned(),
            namespace: None,
            name: "monitoring".to_owned(),
        };
        let reason = "holds what is not the stack's: Service `monitoring/x`".to_owned();
        receipt.gone(Item::new("repository", "demo/web-app"));
        receipt.enter_objects(&DeleteReceipt {
            left: vec![Left { object, reason }],
            ..DeleteReceipt::default()
        });
        let preview = Preview::told(receipt.clone(), &receipt.left);
        assert_eq!(preview.answer().unwrap().1, Exit::Changes);
        insta::assert_snapshot!(preview, @"
        - delete    repository `demo/web-app`
          keep      cluster `demo`: it is needed
          keep      Namespace `monitoring`: holds what is not the stack's: Service `monitoring/x`

        1 to delete of stack `demo` on cluster demo
        ");
        let on_cluster = receipt.left.clone();
        receipt.cluster_is_gone(&Silent);
        insta::assert_snapshot!(Preview::told(receipt, &on_cluster), @"
        - delete    repository `demo/web-app`
        - delete    Namespace `monitoring` (with the cluster, though it holds what is not the stack's: Service `monitoring/x`)
          keep      cluster `demo`: it is needed

        2 to delete of stack `demo` on cluster demo
        ");
    }

    #[test]
    fn nothing_to_delete_is_no_change() {
        let nothing = Preview::told(receipt(), &[]);
        assert_eq!(nothing.answer().unwrap().1, Exit::Done);
    }
}
