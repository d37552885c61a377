//! The result of `plan`: everything that would be done, as text for people and as a value for programs.

use std::fmt;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use super::copies::CopyPlan;
use super::image::ImagePlan;
use super::objects::ObjectPlan;
use crate::aws::cost::Cost;
use crate::aws::drift::Drift;
use crate::ops::Context;
use crate::ops::bootstrap::Looked;
use crate::ops::forecast::{Forecast, costs};
use crate::ops::intents::{Action, Intent};
use crate::report::printable;

/// What a bootstrap would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Preview {
    cluster: String,
    stack: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    /// As whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<String>,
    #[serde(skip)]
    header: Vec<(&'static str, String)>,
    /// Whether anything would become another.
    pub(super) changes: bool,
    aws: Vec<Intent>,
    drift: Vec<Drift>,
    image: ImagePlan,
    /// Images of others that are mirrored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mirror: Vec<CopyPlan>,
    objects: Vec<ObjectPlan>,
    /// Fields that others changed: a bootstrap refuses them unless it is told to take them.
    conflicts: Vec<String>,
    counts: Counts,
    cost: Option<Cost>,
}

/// How many things are to be treated how, in an order that does not change.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Counts(Vec<(&'static str, usize)>);

/// What is counted, also where there is none of it.
const VERBS: [&str; 6] = ["create", "update", "delete", "push", "unchanged", "skipped"];

/// Words of what stays as it is; every other word of a count is something to do.
const STATES: [&str; 3] = ["unchanged", "kept", "skipped"];

impl Preview {
    pub(super) fn new(
        context: &Context,
        looked: Looked,
        image: ImagePlan,
        (objects, conflicts): (Vec<ObjectPlan>, Vec<String>),
    ) -> Self {
        let aws = looked.place.aws().or(looked.registry.aws());
        let identity = aws.map(crate::aws::Aws::identity);
        let Forecast {
            header,
            intents,
            drifts,
            cost,
            ..
        } = looked.forecast;
        let mirror = CopyPlan::all(&looked.mirror);
        let changes = changes((&intents, &drifts), (&image, &mirror), &objects);
        Self {
            counts: Counts::of((&intents, &drifts), (&image, &mirror), &objects),
            cluster: looked.plan.cluster,
            stack: looked.plan.stack.to_string(),
            account: identity.map(|identity| identity.account.clone()),
            arn: identity.map(|identity| identity.arn.clone()),
            region: aws.map(|aws| aws.region().to_owned()),
            context: context.config.target.kube_context.clone(),
            header,
            changes,
            aws: intents,
            drift: drifts,
            image,
            mirror,
            objects,
            conflicts,
            cost,
        }
    }
}

/// Whether anything would become another.
fn changes(
    (intents, drifts): (&[Intent], &[Drift]),
    (image, mirror): (&ImagePlan, &[CopyPlan]),
    objects: &[ObjectPlan],
) -> bool {
    let of_aws = intents.iter().any(Intent::is_change) || !drifts.is_empty();
    let of_images = image.is_change() || mirror.iter().any(CopyPlan::is_change);
    of_aws || of_images || objects.iter().any(ObjectPlan::is_change)
}

impl Counts {
    fn of(
        (intents, drifts): (&[Intent], &[Drift]),
        (image, mirror): (&ImagePlan, &[CopyPlan]),
        objects: &[ObjectPlan],
    ) -> Self {
        let mut counts = Self(VERBS.map(|verb| (verb, 0)).into());
        for intent in intents {
            counts.add(match intent.action {
                Action::Create => "create",
                Action::Complete | Action::WaitFor | Action::Repair => "update",
                Action::Use => "unchanged",
            });
        }
        for _ in drifts {
            counts.add("update");
        }
        counts.add(if image.is_change() { "push" } else { "unchanged" });
        for copy in mirror {
            counts.add(if copy.is_change() { "mirror" } else { "unchanged" });
        }
        for object in objects {
            counts.add(object.verb());
        }
        counts
    }

    fn add(&mut self, verb: &'static str) {
        match self.0.iter_mut().find(|(known, _)| *known == verb) {
            Some((_, count)) => *count += 1,
            None => self.0.push((verb, 1)),
        }
    }
}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (verb, count) in &self.0 {
            map.serialize_entry(verb, count)?;
        }
        map.end()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_state = |verb: &str| STATES.contains(&verb);
        let (states, verbs): (Vec<_>, Vec<_>) = self.0.iter().filter(|(_, n)| *n > 0).partition(|(v, _)| is_state(v));
        let texts = verbs.iter().map(|(verb, count)| format!("{count} to {verb}"));
        let texts: Vec<String> = texts
            .chain(states.iter().map(|(state, count)| format!("{count} {state}")))
            .collect();
        f.write_str(&texts.join(", "))
    }
}

/// What stands before a line: whether something comes, changes, goes, or stays.
fn sign(verb: &str) -> char {
    match verb {
        "create" | "build" | "push" | "tag" | "mirror" => '+',
        "delete" => '-',
        verb if verb == "use" || verb == "reuse" || STATES.contains(&verb) => ' ',
        _ => '~',
    }
}

fn line(f: &mut fmt::Formatter<'_>, verb: &str, what: impl fmt::Display) -> fmt::Result {
    writeln!(f, "{} {verb:<9} {what}", sign(verb))
}

impl fmt::Display for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (word, what) in &self.header {
            writeln!(f, "{word:<9} {what}")?;
        }
        writeln!(f, "stack     {} on cluster {}", self.stack, self.cluster)?;
        if let Some(cost) = &self.cost {
            writeln!(f, "{}", costs(cost))?;
        }
        writeln!(f)?;
        for intent in &self.aws {
            line(f, intent.action.word(), printable(&intent.to_string()))?;
        }
        for drift in &self.drift {
            line(f, "set right", printable(&drift.to_string()))?;
        }
        line(f, self.image.action.word(), &self.image)?;
        for copy in &self.mirror {
            line(f, copy.action.word(), printable(&copy.to_string()))?;
        }
        let told = |object: &&ObjectPlan| object.verb() != "unchanged";
        for object in self.objects.iter().filter(told) {
            line(f, object.verb(), object)?;
        }
        if !self.conflicts.is_empty() {
            writeln!(
                f,
                "\nchanged by others, so that `provisioner bootstrap` refuses unless `--force-conflicts` is given:"
            )?;
            self.conflicts
                .iter()
                .try_for_each(|one| writeln!(f, "  {}", printable(one)))?;
        }
        let nothing = if self.changes { "" } else { "no changes: " };
        write!(f, "\n{nothing}{}", self.counts)
    }
}

#[cfg(test)]
#[path = "preview_tests.rs"]
mod tests;
