//! What a bootstrap does on AWS, one value per thing: told from what was read, without a network.

use std::fmt;

use serde::Serialize;

use crate::aws::drift::Drift;
use crate::aws::ecr;
use crate::aws::eks::{AddonReading, Compute, EksCluster, NODE_GROUP_NODES};
use crate::names::NODE_GROUP;
use crate::plan::Plan;
use crate::report::Outcome;
use crate::target::{ADDON, Decided, Prepared, State};

/// What is done with a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Action {
    /// It is made.
    Create,
    /// It is there, half made, and led to its end.
    Complete,
    /// It is there, and is waited for.
    WaitFor,
    /// It is there, and set right.
    Repair,
    /// It is there, and used as it is.
    Use,
}

/// One thing on AWS, and what is done with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Intent {
    pub(super) action: Action,
    /// E.g. "cluster".
    pub(super) kind: &'static str,
    pub(super) name: String,
    /// What else is worth knowing, may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) detail: String,
}

impl Action {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Complete => "complete",
            Self::WaitFor => "wait for",
            Self::Repair => "repair",
            Self::Use => "use",
        }
    }
}

impl Intent {
    fn new(action: Action, kind: &'static str, name: &str, detail: impl Into<String>) -> Self {
        Self {
            action,
            kind,
            name: name.to_owned(),
            detail: detail.into(),
        }
    }

    /// Whether anything on AWS becomes another.
    pub(super) fn is_change(&self) -> bool {
        self.action != Action::Use
    }
}

impl fmt::Display for Intent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.kind, self.name)?;
        if self.detail.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", self.detail)
        }
    }
}

/// Everything, in the order in which it is done.
pub(super) fn intents(plan: &Plan, prepared: &Prepared) -> Vec<Intent> {
    let mut intents = Vec::new();
    if let Some(decided) = &prepared.cluster {
        let state = prepared.found.state();
        intents.extend(foundation(plan, decided));
        intents.extend(cluster(plan, decided, state));
        intents.extend(parts(plan, decided, state));
    }
    if prepared.repositories.is_empty() {
        let elsewhere = plan.repositories.iter();
        intents.extend(elsewhere.map(|name| Intent::new(Action::Use, "repository", name, "")));
    }
    intents.extend(prepared.repositories.iter().map(repository));
    intents
}

/// How what is ours differs from what is asked for, and is set right.
pub(super) fn drifts(prepared: &Prepared) -> Vec<Drift> {
    let cluster = prepared.cluster.iter().flat_map(|decided| decided.drifts.clone());
    cluster
        .chain(prepared.repositories.iter().flat_map(ecr::Reading::drifts))
        .collect()
}

fn foundation(plan: &Plan, decided: &Decided) -> Option<Intent> {
    let ground = decided.ground.as_ref()?;
    let name = plan.stack.foundation();
    let intent = |action, detail: &str| Some(Intent::new(action, "foundation", &name, detail));
    let found = &decided.readings.foundation;
    match found.status() {
        None if ground.is_brought_along() => None,
        None => match &ground.zones {
            Some([first, second]) => intent(Action::Create, &format!("network in {first} and {second}, roles")),
            None => intent(Action::Create, "roles"),
        },
        Some("CREATE_COMPLETE" | "UPDATE_COMPLETE") => intent(Action::Use, ""),
        Some(status) if found.is_complete() => intent(Action::Use, status),
        Some(status) => intent(Action::Complete, &format!("which is {status}")),
    }
}

fn cluster(plan: &Plan, decided: &Decided, state: State) -> Option<Intent> {
    match (state, &decided.readings.found, &decided.version) {
        (State::Missing, _, Some(version)) => {
            let default = if version.is_default { ", the default" } else { "" };
            let compute = match plan.eks.compute.unwrap_or_default() {
                Compute::Auto => "Auto Mode",
                Compute::NodeGroup => "one node group",
            };
            let detail = format!("Kubernetes {}{default}; {compute}", version.name);
            Some(Intent::new(Action::Create, "cluster", &plan.cluster, detail))
        }
        (_, Some(found), _) => Some(existing(found, state)),
        _ => None,
    }
}

fn existing(found: &EksCluster, state: State) -> Intent {
    let version = found.version.as_deref().unwrap_or("unknown");
    let whose = if found.created_by_us {
        "made by this stack"
    } else {
        "made by others: only Kubernetes objects are put on it"
    };
    let action = if state == State::Usable {
        Action::Use
    } else {
        Action::WaitFor
    };
    let status = if action == Action::Use {
        String::new()
    } else {
        format!("; it is {}", found.status)
    };
    let detail = format!("Kubernetes {version}; {whose}{status}");
    Intent::new(action, "cluster", &found.name, detail)
}

/// What a cluster of ours has beside itself, as far as it is not as it has to be.
fn parts(plan: &Plan, decided: &Decided, state: State) -> Vec<Intent> {
    if decided.ground.is_none() {
        return Vec::new();
    }
    let readings = &decided.readings;
    let standing = readings.found.as_ref().filter(|_| state != State::Missing);
    let compute = standing.map_or(plan.eks.compute.unwrap_or_default(), |found| found.settings.compute);
    let mut parts = Vec::new();
    if compute == Compute::NodeGroup {
        let group = |action, detail: &str| Intent::new(action, "node group", NODE_GROUP, detail);
        match &readings.node_group {
            None => {
                let (kind, count) = NODE_GROUP_NODES;
                parts.push(group(Action::Create, &format!("{count} x {kind}")));
            }
            Some(found) if found.is_settled() => {}
            Some(found) => parts.push(group(Action::Complete, &format!("which is {}", found.status))),
        }
    }
    let part = |kind, name: &str, outcome| {
        let action = match outcome {
            Outcome::Created => Action::Create,
            Outcome::Updated => Action::Repair,
            _ => return None,
        };
        Some(Intent::new(action, kind, name, ""))
    };
    match &readings.access {
        Some(access) => {
            let entries = access.outcomes();
            parts.extend(entries.filter_map(|(who, outcome)| part("access entry", who, outcome)));
        }
        None => parts.extend(
            plan.eks
                .admin_arns
                .iter()
                .filter_map(|who| part("access entry", who, Outcome::Created)),
        ),
    }
    let addon = readings.addon.as_ref().map_or(Outcome::Created, AddonReading::outcome);
    parts.extend(part("add-on", ADDON, addon));
    parts
}

fn repository(reading: &ecr::Reading) -> Intent {
    let intent = |action, detail| Intent::new(action, "repository", &reading.name, detail);
    match reading.repository() {
        None => intent(Action::Create, ""),
        Some(found) if found.created_by_us => intent(Action::Use, ""),
        Some(_) => intent(Action::Use, "made by others"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::eks::NodeGroupReading;
    use crate::aws::foundation::{self, FoundationSpec};
    use crate::aws::preflight::ClusterReadings;
    use crate::ops::fixtures::given;
    use crate::target::Found;

    /// What is told of a cluster in this state with its one node group in that.
    fn told(status: &str, group: Option<&str>) -> String {
        let (_, context) = given(&["provisioner", "plan", "--cluster", "demo"]);
        let (cluster, stack) = context.target().expect("a target");
        let plan = Plan::build(&context.config, cluster, stack);
        let mut found = crate::aws::fake::cluster("demo", true);
        status.clone_into(&mut found.status);
        found.settings.compute = Compute::NodeGroup;
        let prepared = Prepared {
            found: Found::Eks(Box::new(found.clone())),
            cluster: Some(Decided {
                readings: ClusterReadings {
                    found: Some(found),
                    foundation: foundation::Reading::default(),
                    addon: None,
                    access: None,
                    node_group: group.map(|status| NodeGroupReading {
                        role: None,
                        status: status.to_owned(),
                    }),
                    versions: None,
                    zones: None,
                },
                drifts: Vec::new(),
                version: None,
                ground: Some(FoundationSpec::default()),
            }),
            repositories: Vec::new(),
        };
        let all = intents(&plan, &prepared);
        let lines = all.iter().map(|intent| format!("{} {intent}\n", intent.action.word()));
        lines.collect()
    }

    #[test]
    fn what_is_half_made_is_told_with_its_status() {
        let group = "node group `provisioner`";
        for (status, of_group, line) in [
            (
                "ACTIVE",
                Some("DEGRADED"),
                "use cluster `demo` (Kubernetes unknown; made by this stack)\n".to_owned(),
            ),
            ("ACTIVE", None, format!("create {group} (2 x t3.large)\n")),
            (
                "ACTIVE",
                Some("CREATE_FAILED"),
                format!("complete {group} (which is CREATE_FAILED)\n"),
            ),
            ("CREATING", None, "made by this stack; it is CREATING)\n".to_owned()),
            // What follows it is a new one.
            (
                "DELETING",
                Some("DELETING"),
                "create add-on `metrics-server`\n".to_owned(),
            ),
        ] {
            let told = told(status, of_group);
            assert!(told.contains(&line), "{status} {of_group:?}: {told}");
            let is_settled = matches!(of_group, Some("DEGRADED" | "DELETING"));
            assert!(!is_settled || !told.contains(group), "{status} {of_group:?}: {told}");
        }
    }
}
