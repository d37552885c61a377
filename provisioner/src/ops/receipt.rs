//! What a teardown found, deleted, kept on purpose and could not delete.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use serde::Serialize;

use crate::aws::cost::Spent;
use crate::cluster::delete::DeleteReceipt;
use crate::error::Exit;
use crate::report::{Outcome, Reporter};

/// Why something stays that others made.
pub(super) const NOT_OURS: &str = "not created by provisioner";

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
    /// What is gone, and what proves it.
    pub(super) deleted: Vec<Gone>,
    /// What stays as it was meant to.
    pub(super) kept: Vec<Stays>,
    /// What should have gone and did not.
    pub(super) left: Vec<Stays>,
    /// What the cluster cost from its creation on; none where none of ours went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cost: Option<Spent>,
    /// The command to give once what is left can go; null where nothing is left.
    pub(super) next: Option<String>,
    /// How long each phase took.
    pub(super) times: BTreeMap<String, f64>,
    pub(super) elapsed_s: f64,
}

/// One thing by kind and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Item {
    pub(super) kind: String,
    pub(super) name: String,
}

/// One thing that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Gone {
    #[serde(flatten)]
    pub(super) item: Item,
    pub(super) proof: Proof,
}

/// How it is known that something is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Proof {
    /// It was looked for again, and was not there.
    LookedUpAgain,
    /// It was on the cluster, and the cluster is gone.
    WentWithTheCluster,
}

/// One thing that stays, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Stays {
    #[serde(flatten)]
    pub(super) item: Item,
    pub(super) reason: String,
    /// Whether it is an object on the cluster, and goes with it.
    #[serde(skip)]
    on_cluster: bool,
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
            on_cluster: false,
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
            cost: None,
            next: None,
            times: BTreeMap::new(),
            elapsed_s: 0.0,
        }
    }

    /// Enters how the deletion of `item` ended, and tells it.
    pub(super) fn enter(&mut self, item: Item, outcome: Outcome, report: &dyn Reporter) {
        match outcome {
            Outcome::Deleted => {
                report.done(&item.kind, &item.name, outcome, "");
                self.gone(item);
            }
            Outcome::Skipped => self.keep(item, NOT_OURS, report),
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
        for object in &objects.deleted {
            self.gone(Item::new(&object.kind, &object.path()));
        }
        for left in &objects.left {
            let item = Item::new(&left.object.kind, &left.object.path());
            self.find(&item);
            self.left.push(Stays {
                on_cluster: true,
                ..Stays::new(item, &left.reason)
            });
        }
        for object in &objects.restored {
            let item = Item::new(&object.kind, &object.path());
            self.find(&item);
            self.kept.push(Stays::new(item, "it is as it was before this stack"));
        }
    }

    /// Enters something that is gone and was told already.
    pub(super) fn gone(&mut self, item: Item) {
        self.find(&item);
        self.deleted.push(Gone {
            item,
            proof: Proof::LookedUpAgain,
        });
    }

    /// Enters something that came up on the way.
    fn find(&mut self, item: &Item) {
        if !self.found.contains(item) {
            self.found.push(item.clone());
        }
    }

    /// Enters how long a phase took that began at `began`; the next begins now.
    pub(super) fn time(&mut self, phase: &str, began: Instant) -> Instant {
        let now = Instant::now();
        self.times.insert(format!("{phase}_s"), (now - began).as_secs_f64());
        now
    }

    /// Whether it is told what became of `item`.
    pub(super) fn accounts_for(&self, item: &Item) -> bool {
        let mut stays = self.kept.iter().chain(&self.left);
        stays.any(|stays| stays.item == *item) || self.deleted.iter().any(|gone| gone.item == *item)
    }

    /// Whether something of this kind was deleted.
    pub(super) fn has_deleted(&self, kind: &str) -> bool {
        self.deleted.iter().any(|gone| gone.item.kind == kind)
    }

    /// Whether objects on the cluster were deleted one by one.
    pub(super) fn has_deleted_objects(&self) -> bool {
        // Kinds of Kubernetes begin with a capital letter, ours do not.
        let is_object = |gone: &Gone| gone.item.kind.starts_with(char::is_uppercase);
        self.deleted.iter().any(is_object)
    }

    /// The cluster is gone: with it went whatever was left on it, others' objects too.
    pub(super) fn cluster_is_gone(&mut self, report: &dyn Reporter) {
        let (with_it, left) = std::mem::take(&mut self.left)
            .into_iter()
            .partition(|stays| stays.on_cluster);
        self.left = left;
        let with_it: Vec<Stays> = with_it;
        for Stays { item, .. } in with_it {
            // What was not given back to others: the stack's own of that name is gone already.
            if self.deleted.iter().any(|gone| gone.item == item) {
                continue;
            }
            report.done(&item.kind, &item.name, Outcome::Deleted, "went with the cluster");
            let proof = Proof::WentWithTheCluster;
            self.deleted.push(Gone { item, proof });
        }
    }

    /// The proof failed for what `is_there` again.
    pub(super) fn contradict(&mut self, is_there: impl Fn(&Item) -> bool, report: &dyn Reporter) {
        let (back, gone) = std::mem::take(&mut self.deleted)
            .into_iter()
            .partition(|gone| is_there(&gone.item));
        self.deleted = gone;
        let back: Vec<Gone> = back;
        for gone in back {
            self.leave(gone.item, "it was deleted and is there again", report);
        }
    }

    /// 1 where something was left.
    pub(super) fn exit(&self) -> Exit {
        if self.left.is_empty() { Exit::Done } else { Exit::Failed }
    }
}

impl fmt::Display for Stays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`: {}", self.item.kind, self.item.name, self.reason)
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stack, cluster, .. } = self;
        let region = self.region.as_ref().map(|region| format!("in region {region}"));
        let place = region.unwrap_or_else(|| format!("on cluster {cluster}"));
        if self.found.is_empty() {
            write!(f, "nothing of stack `{stack}` {place}: nothing to remove")?;
            let mut kept = self.kept.iter();
            return kept.try_for_each(|kept| write!(f, "\nkept      {kept}"));
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
        for kept in &self.kept {
            writeln!(f, "kept      {kept}")?;
        }
        for left in &self.left {
            writeln!(f, "left      {left}")?;
        }
        if let Some(cost) = &self.cost {
            writeln!(f, "cost      {cost}")?;
        }
        if let Some(next) = &self.next {
            writeln!(f, "next      {next}")?;
        }
        write!(f, "took      {:.1} s", self.elapsed_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ObjectRef;
    use crate::cluster::delete::Left;
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
        receipt.next = Some("provisioner teardown --cluster demo".to_owned());
        assert_eq!(receipt.exit(), Exit::Failed);
        insta::assert_snapshot!(receipt, @r#"
        deleted   1 of 2 things of stack `demo`
        kept      foundation `provisioner-demo`: `--delete-cluster` was not given
        left      cluster `demo`: it is protected
        next      provisioner teardown --cluster demo
        took      0.0 s
        "#);
        let mut json = Vec::new();
        Answer::of(&receipt)
            .unwrap()
            .write(crate::config::Format::Json, &mut json)
            .unwrap();
        insta::assert_snapshot!(String::from_utf8(json).unwrap(), @r#"{"schema":1,"cluster":"demo","stack":"demo","region":"eu-west-1","found":[{"kind":"cluster","name":"demo"},{"kind":"repository","name":"demo/web-app"}],"deleted":[{"kind":"repository","name":"demo/web-app","proof":"looked_up_again"}],"kept":[{"kind":"foundation","name":"provisioner-demo","reason":"`--delete-cluster` was not given"}],"left":[{"kind":"cluster","name":"demo","reason":"it is protected"}],"next":"provisioner teardown --cluster demo","times":{},"elapsed_s":0.0}"#);
    }

    #[test]
    fn nothing_found_is_said() {
        let receipt = Receipt::new("demo", "demo", Some("eu-west-1"), vec![]);
        insta::assert_snapshot!(receipt, @r#"nothing of stack `demo` in region eu-west-1: nothing to remove"#);
        assert_eq!(receipt.exit(), Exit::Done);
    }

    fn objects() -> DeleteReceipt {
        let object = |kind: &str, name: &str| ObjectRef {
            api_version: "v1".to_owned(),
            kind: kind.to_owned(),
            namespace: None,
            name: name.to_owned(),
        };
        DeleteReceipt {
            deleted: vec![object("ClusterRole", "reader")],
            left: vec![
                Left {
                    object: object("Namespace", "monitoring"),
                    reason: "holds what is not the stack's".to_owned(),
                },
                // Ours is gone, theirs is not given back.
                Left {
                    object: object("ClusterRole", "reader"),
                    reason: "not given back to others".to_owned(),
                },
            ],
            restored: vec![object("APIService", "metrics")],
        }
    }

    #[test]
    fn what_was_left_on_a_cluster_is_gone_when_the_cluster_is() {
        let mut receipt = Receipt::new("demo", "demo", None, vec![Item::new("cluster", "demo")]);
        receipt.enter_objects(&objects());
        assert_eq!(receipt.exit(), Exit::Failed);
        receipt.enter(Item::new("cluster", "demo"), Outcome::Deleted, &Silent);
        receipt.cluster_is_gone(&Silent);
        assert_eq!(receipt.exit(), Exit::Done);
        let proofs: Vec<(&str, Proof)> = receipt
            .deleted
            .iter()
            .map(|gone| (gone.item.name.as_str(), gone.proof))
            .collect();
        assert_eq!(
            proofs,
            [
                ("reader", Proof::LookedUpAgain),
                ("demo", Proof::LookedUpAgain),
                ("monitoring", Proof::WentWithTheCluster)
            ]
        );
        assert!(receipt.has_deleted_objects());
        let kept: Vec<&str> = receipt.kept.iter().map(|kept| kept.item.name.as_str()).collect();
        assert_eq!(kept, ["metrics"]);
    }

    #[test]
    fn what_is_there_again_is_left() {
        let group = Item::new("log group", "/aws/eks/demo/cluster");
        let mut receipt = Receipt::new("demo", "demo", None, vec![]);
        receipt.enter(group.clone(), Outcome::Deleted, &Silent);
        assert!(receipt.has_deleted("log group") && !receipt.has_deleted_objects());
        assert!(receipt.accounts_for(&group) && receipt.found.contains(&group));
        receipt.contradict(|item| *item == group, &Silent);
        assert_eq!(receipt.exit(), Exit::Failed);
        assert!(receipt.deleted.is_empty());
        assert_eq!(receipt.left[0].reason, "it was deleted and is there again");
    }
}
