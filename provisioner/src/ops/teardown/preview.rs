//! `teardown --dry-run`: what would go and what would stay, from the same survey; nothing is changed or asked.

use std::fmt;

use serde::Serialize;

use super::super::ANSWER;
use super::Teardown;
use super::survey::Survey;
use crate::cluster::inventory;
use crate::error::{Error, Exit};
use crate::ops::receipt::{Item, Stays};
use crate::report::Answer;
use crate::target;

/// What a teardown would do.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Preview {
    cluster: String,
    stack: String,
    /// Whether there is something to delete.
    changes: bool,
    /// What would go.
    deletes: Vec<Item>,
    /// What would stay.
    keeps: Vec<Stays>,
}

impl Preview {
    /// Sorts what was found; the objects of an EKS cluster are looked for here.
    ///
    /// # Errors
    /// The cluster does not answer.
    pub(super) async fn of(teardown: &Teardown<'_>, survey: &Survey) -> Result<Self, Error> {
        let mut items = survey.items(teardown.cluster, teardown.stack);
        if survey.cluster.eks().is_some_and(target::is_usable) {
            let report = &*teardown.context.report;
            let session = teardown.place.connect(&survey.cluster, ANSWER, report).await?;
            let objects = inventory::of_stack(&session.cluster, teardown.stack).await?;
            items.extend(objects.iter().map(|object| Item::new(&object.kind, &object.path())));
        }
        let ours = survey.cluster.eks().is_none_or(|found| found.created_by_us);
        let mut preview = Self::sorted(items, |item| teardown.stays(item, ours));
        preview.cluster = teardown.cluster.to_owned();
        preview.stack = teardown.stack.to_string();
        preview
            .keeps
            .extend(survey.leftovers.foreign().map(|(item, why)| Stays::new(item, &why)));
        Ok(preview)
    }

    fn sorted(items: Vec<Item>, stays: impl Fn(&Item) -> Option<&'static str>) -> Self {
        let (mut deletes, mut keeps) = (Vec::new(), Vec::new());
        for item in items {
            match stays(&item) {
                Some(reason) => keeps.push(Stays::new(item, reason)),
                None => deletes.push(item),
            }
        }
        Self {
            cluster: String::new(),
            stack: String::new(),
            changes: !deletes.is_empty(),
            deletes,
            keeps,
        }
    }

    /// The result, with exit code 3 where something would go.
    pub(super) fn answer(&self) -> Result<(Answer, Exit), Error> {
        let exit = if self.changes { Exit::Changes } else { Exit::Done };
        Ok((Answer::of(self).map_err(Error::failed)?, exit))
    }
}

impl Teardown<'_> {
    /// Why something would stay; `ours` says whether the cluster was made by provisioner.
    fn stays(&self, item: &Item, ours: bool) -> Option<&'static str> {
        match item.kind.as_str() {
            "cluster" | "foundation" if !self.flags.delete_cluster => Some(super::cloud::NEEDS_FLAG),
            "cluster" | "foundation" if !ours => Some("the cluster was not created by provisioner"),
            "repository" if self.flags.keep_images => Some("`--keep-images` is given"),
            _ => None,
        }
    }
}

impl fmt::Display for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stack, cluster, .. } = self;
        for item in &self.deletes {
            writeln!(f, "- delete    {} `{}`", item.kind, item.name)?;
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

    #[test]
    fn what_would_go_and_what_would_stay_is_told_apart() {
        let items = vec![
            Item::new("cluster", "demo"),
            Item::new("repository", "demo/web-app"),
            Item::new("Deployment", "web-app/web-app"),
        ];
        let mut preview = Preview::sorted(items, |item| (item.kind == "cluster").then_some("it is needed"));
        (preview.cluster, preview.stack) = ("demo".to_owned(), "demo".to_owned());
        assert_eq!(preview.answer().unwrap().1, Exit::Changes);
        insta::assert_snapshot!(preview, @"
        - delete    repository `demo/web-app`
        - delete    Deployment `web-app/web-app`
          keep      cluster `demo`: it is needed

        2 to delete of stack `demo` on cluster demo
        ");
        let nothing = Preview::sorted(Vec::new(), |_| None);
        assert_eq!(nothing.answer().unwrap().1, Exit::Done);
    }
}
