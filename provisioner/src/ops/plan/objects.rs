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
    /// Whether a dry run asked the server. Else it is told from what was read: the server's record of what this program
    /// applied, what of it is there, or, where [`Self::is_guess`], the manifest alone.
    asked: bool,
    /// Whether the server might say otherwise, and could not be asked.
    #[serde(skip)]
    is_guess: bool,
    /// Why it is left alone, or becomes another without a field that shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What differs of one that is there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<Field>,
    #[serde(skip)]
    is_change: bool,
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
        let differ = changed.map_or_else(Vec::new, |(before, after)| {
            diff::fields(&planned.wanted, before, after, UNBUILT)
        });
        Self {
            reason: (differ.is_empty() && !fields.is_empty()).then(|| fields.join(", ")),
            fields: differ,
            // What cannot be changed in place is told by the dry run that was refused.
            asked: answer.map_or(outcome == Outcome::Recreated, |answer| answer.by_server),
            is_guess: answer.map_or(outcome == Outcome::Created, |answer| !answer.by_server),
            is_change: !planned.is_as_wanted(),
            kind,
            namespace,
            name,
            outcome,
        }
    }

    /// Whether it becomes another.
    pub(super) fn is_change(&self) -> bool {
        self.is_change
    }

    /// The outcome, where it is still to come as something to do: what will be `created` is to `create`.
    pub(super) fn verb(&self) -> &'static str {
        let word = word(self.outcome);
        match word.strip_suffix('d') {
            Some(verb) if self.is_change => verb,
            _ => word,
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
            is_guess: true,
            reason: None,
            fields: Vec::new(),
            is_change: true,
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
        if self.is_guess {
            f.write_str(" (not asked of the server)")?;
        }
        let fields = self.fields.iter().map(Field::to_string);
        for line in fields.flat_map(|field| field.lines().map(str::to_owned).collect::<Vec<_>>()) {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}
