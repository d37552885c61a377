//! What becomes of the objects on the cluster.

use std::fmt;

use serde::Serialize;

use super::image::UNBUILT;
use crate::cluster::ObjectRef;
use crate::cluster::changes::{Change, Planned};
use crate::cluster::diff::{self, Field};
use crate::cluster::manifest::Component;
use crate::report::{Outcome, printable, word};

/// One object and what is done with it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct ObjectPlan {
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    name: String,
    pub(super) outcome: Outcome,
    /// Whether the server was asked; else it was checked on this machine alone.
    asked: bool,
    /// Why it is left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What differs of one that is there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<Field>,
}

impl ObjectPlan {
    pub(super) fn of(planned: &Planned) -> Self {
        let Change {
            kind,
            namespace,
            name,
            outcome,
            fields,
        } = planned.change.clone();
        let answer = planned.answer.as_ref();
        let changed = answer.and_then(|answer| Some((answer.before.as_ref()?, &answer.after)));
        let is_left = outcome == Outcome::Skipped;
        Self {
            fields: match changed {
                Some((before, after)) if !is_left => diff::fields(&planned.wanted, before, after, UNBUILT),
                _ => Vec::new(),
            },
            // What goes or stays whatever the manifests say is told from what was read.
            asked: matches!(outcome, Outcome::Skipped | Outcome::Deleted) || answer.is_some_and(|a| a.by_server),
            reason: is_left.then(|| fields.join(", ")),
            kind,
            namespace,
            name,
            outcome,
        }
    }

    /// Whether it becomes another.
    pub(super) fn is_change(&self) -> bool {
        !matches!(self.outcome, Outcome::Unchanged | Outcome::Skipped)
    }

    /// The outcome as something that is still to be done: what will be `created` is to `create`.
    pub(super) fn verb(&self) -> &'static str {
        match self.outcome {
            Outcome::Unchanged => "unchanged",
            Outcome::Skipped => "skipped",
            outcome => word(outcome).strip_suffix('d').unwrap_or(word(outcome)),
        }
    }
}

/// The objects of a cluster that cannot be asked: there is none, or not yet.
pub(super) fn unasked(components: &[Component]) -> Vec<ObjectPlan> {
    let objects = components.iter().flat_map(|component| &component.objects);
    let objects = objects.map(|object| {
        let object = ObjectRef::of(object);
        ObjectPlan {
            kind: object.kind,
            namespace: object.namespace,
            name: object.name,
            outcome: Outcome::Created,
            asked: false,
            reason: None,
            fields: Vec::new(),
        }
    });
    objects.collect()
}

impl fmt::Display for ObjectPlan {
    /// The object in one line, and a line or more for each field.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let home = self
            .namespace
            .as_ref()
            .map(|home| format!("{home}/"))
            .unwrap_or_default();
        let name = printable(&format!("{} `{home}{}`", self.kind, self.name));
        f.write_str(&name)?;
        if let Some(reason) = &self.reason {
            write!(f, " ({reason})")?;
        }
        if !self.asked {
            f.write_str(" (not asked of the server)")?;
        }
        let fields = self.fields.iter().map(Field::to_string);
        for line in fields.flat_map(|field| field.lines().map(str::to_owned).collect::<Vec<_>>()) {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}
