//! What a teardown found, deleted, kept on purpose and could not delete.

use std::fmt;

use serde::Serialize;

use crate::cluster::delete::DeleteReceipt;
use crate::error::Exit;
use crate::report::{Outcome, Reporter};

/// The result of a teardown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Receipt {
    pub(super) cluster: String,
    pub(super) stack: String,
    /// Of AWS, where it was asked at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) region: Option<String>,
    /// What there was, before anything was deleted.
    pub(super) found: Vec<Item>,
    pub(super) deleted: Vec<Item>,
    /// What stays as it was meant to.
    pub(super) kept: Vec<Stays>,
    /// What should have gone and did not.
    pub(super) left: Vec<Stays>,
    pub(super) elapsed_s: f64,
}

/// One thing by kind and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Item {
    pub(super) kind: String,
    pub(super) name: String,
}

/// One thing that stays, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Stays {
    #[serde(flatten)]
    pub(super) item: Item,
    pub(super) reason: String,
}

impl Item {
    pub(super) fn new(kind: &str, name: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            name: name.to_owned(),
        }
    }
}

impl Stays {
    pub(super) fn new(item: Item, reason: &str) -> Self {
        Self {
            item,
            reason: reason.to_owned(),
        }
    }
}

impl Receipt {
    pub(super) fn new(cluster: &str, stack: &str, region: Option<&str>, found: Vec<Item>) -> Self {
        Self {
            cluster: cluster.to_owned(),
            stack: stack.to_owned(),
            region: region.map(ToOwned::to_owned),
            found,
            deleted: Vec::new(),
            kept: Vec::new(),
            left: Vec::new(),
            elapsed_s: 0.0,
        }
    }

    /// Enters how the deletion of `item` ended, and tells it.
    pub(super) fn enter(&mut self, item: Item, outcome: Outcome, report: &dyn Reporter) {
        match outcome {
            Outcome::Deleted => {
                report.done(&item.kind, &item.name, outcome, "");
                self.deleted.push(item);
            }
            Outcome::Skipped => self.keep(item, "not created by provisioner", report),
            _ => {}
        }
    }

    /// Enters what stays on purpose.
    pub(super) fn keep(&mut self, item: Item, reason: &str, report: &dyn Reporter) {
        report.done(&item.kind, &item.name, Outcome::Skipped, reason);
        self.kept.push(Stays::new(item, reason));
    }

    /// Enters what should have gone.
    pub(super) fn leave(&mut self, item: Item, reason: &str, report: &dyn Reporter) {
        report.warning(&format!("{} `{}` stays: {reason}", item.kind, item.name));
        self.left.push(Stays::new(item, reason));
    }

    /// Enters the objects of the cluster, which were told already.
    pub(super) fn enter_objects(&mut self, objects: &DeleteReceipt) {
        let item = |kind: &str, path: &str| Item::new(kind, path);
        let gone = objects.deleted.iter().map(|o| item(&o.kind, &o.path()));
        let stays = objects
            .left
            .iter()
            .map(|l| Stays::new(item(&l.object.kind, &l.object.path()), &l.reason));
        self.left.extend(stays);
        self.deleted.extend(gone);
        let all = self.deleted.iter().chain(self.left.iter().map(|stays| &stays.item));
        let new: Vec<Item> = all.filter(|item| !self.found.contains(item)).cloned().collect();
        self.found.extend(new);
    }

    /// 1 where something was left.
    pub(super) fn exit(&self) -> Exit {
        if self.left.is_empty() { Exit::Done } else { Exit::Failed }
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stack, cluster, .. } = self;
        let region = self.region.as_ref().map(|region| format!("in region {region}"));
        let place = region.unwrap_or_else(|| format!("on cluster {cluster}"));
        if self.found.is_empty() {
            return write!(f, "nothing of stack `{stack}` {place}: nothing to remove");
        }
        if self.deleted.is_empty() && self.left.is_empty() {
            writeln!(f, "nothing of stack `{stack}` to remove {place}")?;
        } else {
            writeln!(
                f,
                "deleted   {} of {} things of stack `{stack}`",
                self.deleted.len(),
                self.found.len()
            )?;
        }
        for Stays { item, reason } in &self.kept {
            writeln!(f, "kept      {} `{}`: {reason}", item.kind, item.name)?;
        }
        for Stays { item, reason } in &self.left {
            writeln!(f, "left      {} `{}`: {reason}", item.kind, item.name)?;
        }
        write!(f, "took      {:.1} s", self.elapsed_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Answer, Silent};

    #[test]
    fn the_receipt_tells_what_went_what_was_kept_and_what_is_left() {
        let repository = Item::new("repository", "demo/web-app");
        let cluster = Item::new("cluster", "demo");
        let mut receipt = Receipt::new(
            "demo",
            "demo",
            Some("eu-west-1"),
            vec![cluster.clone(), repository.clone()],
        );
        receipt.enter(repository, Outcome::Deleted, &Silent);
        assert_eq!(receipt.exit(), Exit::Done);
        receipt.keep(
            Item::new("foundation", "provisioner-demo"),
            "`--delete-cluster` was not given",
            &Silent,
        );
        receipt.leave(cluster, "it is protected", &Silent);
        assert_eq!(receipt.exit(), Exit::Failed);
        insta::assert_snapshot!(receipt, @r#"
        deleted   1 of 2 things of stack `demo`
        kept      foundation `provisioner-demo`: `--delete-cluster` was not given
        left      cluster `demo`: it is protected
        took      0.0 s
        "#);
        let mut json = Vec::new();
        Answer::of(&receipt)
            .unwrap()
            .write(crate::config::Format::Json, &mut json)
            .unwrap();
        insta::assert_snapshot!(String::from_utf8(json).unwrap(), @r#"{"schema":1,"cluster":"demo","stack":"demo","region":"eu-west-1","found":[{"kind":"cluster","name":"demo"},{"kind":"repository","name":"demo/web-app"}],"deleted":[{"kind":"repository","name":"demo/web-app"}],"kept":[{"kind":"foundation","name":"provisioner-demo","reason":"`--delete-cluster` was not given"}],"left":[{"kind":"cluster","name":"demo","reason":"it is protected"}],"elapsed_s":0.0}"#);
    }

    #[test]
    fn nothing_found_is_said() {
        let receipt = Receipt::new("demo", "demo", Some("eu-west-1"), vec![]);
        insta::assert_snapshot!(receipt, @r#"nothing of stack `demo` in region eu-west-1: nothing to remove"#);
        assert_eq!(receipt.exit(), Exit::Done);
    }
}
