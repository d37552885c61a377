//! What a bootstrap is going to do: where, as whom, to what, and for how much. Said before it is asked for.

use std::fmt;

use crate::aws::cost::Cost;
use crate::aws::ecr;
use crate::aws::eks::{Compute, EksCluster};
use crate::plan::Plan;
use crate::target::{Decided, Place, Prepared, Registry, State};

/// The announcement, as lines of a word and what it is about.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Forecast {
    lines: Vec<(&'static str, String)>,
    cost: Option<Cost>,
}

impl Forecast {
    pub(super) fn new(
        place: &Place,
        registry: &Registry,
        plan: &Plan,
        prepared: &Prepared,
        cost: Option<Cost>,
    ) -> Self {
        let mut lines = Vec::new();
        if let Some(aws) = place.aws().or(registry.aws()) {
            let identity = aws.identity();
            lines.push(("account", format!("{} as {}", identity.account, identity.arn)));
            lines.push(("region", aws.region().to_owned()));
        }
        if let Place::Context(known) = place {
            lines.push(("context", format!("`{}` at {}", known.name(), known.server())));
        }
        if let Some(decided) = &prepared.cluster {
            lines.extend(cluster(plan, decided, prepared.found.state()));
        }
        if prepared.repositories.is_empty() && !plan.repositories.is_empty() {
            lines.push(("use", format!("repositories `{}`", plan.repositories.join("`, `"))));
        }
        lines.extend(prepared.repositories.iter().map(repository));
        lines.push(("apply", objects(plan)));
        Self { lines, cost }
    }
}

fn cluster(plan: &Plan, decided: &Decided, state: State) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    lines.extend(foundation(plan, decided));
    match (state, &decided.readings.found, &decided.version) {
        (State::Missing, _, Some(version)) => {
            let default = if version.is_default { ", the default" } else { "" };
            let compute = match plan.eks.compute.unwrap_or_default() {
                Compute::Auto => "Auto Mode",
                Compute::NodeGroup => "one node group",
            };
            let (name, version) = (&plan.cluster, &version.name);
            let what = format!("cluster `{name}` (Kubernetes {version}{default}; {compute})");
            lines.push(("create", what));
        }
        (_, Some(found), _) => lines.push(existing(found, state)),
        _ => {}
    }
    let drifts = decided.drifts.iter().map(|drift| ("set right", drift.to_string()));
    lines.extend(drifts);
    lines
}

fn foundation(plan: &Plan, decided: &Decided) -> Option<(&'static str, String)> {
    let ground = decided.ground.as_ref()?;
    let name = plan.stack.foundation();
    match decided.readings.foundation.status() {
        None if ground.is_brought_along() => None,
        None => {
            let network = match &ground.zones {
                Some([first, second]) => format!("network in {first} and {second}, roles"),
                None => "roles".to_owned(),
            };
            Some(("create", format!("foundation `{name}` ({network})")))
        }
        Some("CREATE_COMPLETE" | "UPDATE_COMPLETE") => Some(("use", format!("foundation `{name}`"))),
        Some(status) => Some(("go on", format!("with foundation `{name}`, which is {status}"))),
    }
}

fn existing(found: &EksCluster, state: State) -> (&'static str, String) {
    let version = found.version.as_deref().unwrap_or("unknown");
    let whose = if found.created_by_us {
        "made by this stack"
    } else {
        "made by others: only Kubernetes objects are put on it"
    };
    let verb = if state == State::Usable { "use" } else { "wait for" };
    (
        verb,
        format!("cluster `{}` (Kubernetes {version}; {whose})", found.name),
    )
}

fn repository(reading: &ecr::Reading) -> (&'static str, String) {
    let name = &reading.name;
    match reading.repository() {
        None => ("create", format!("repository `{name}`")),
        Some(found) if found.created_by_us => ("use", format!("repository `{name}`")),
        Some(_) => ("use", format!("repository `{name}` (made by others)")),
    }
}

fn objects(plan: &Plan) -> String {
    let without = if plan.without.is_empty() {
        String::new()
    } else {
        format!(", without {}", plan.without.join(", "))
    };
    let prometheus = plan.prometheus.as_ref();
    let prometheus = prometheus.map_or(String::new(), |url| format!(", with the Prometheus at {url}"));
    format!("Kubernetes objects of stack `{}`{without}{prometheus}", plan.stack)
}

impl fmt::Display for Forecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self
            .lines
            .iter()
            .map(|(word, what)| format!("{word:<9} {what}"))
            .collect();
        f.write_str(&lines.join("\n"))?;
        let Some(cost) = &self.cost else {
            return Ok(());
        };
        write!(f, "\ncost      {cost}")?;
        for line in cost.details().lines() {
            write!(f, "\n          {line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::cost::Intents;

    #[test]
    fn it_says_where_as_whom_what_and_for_how_much() {
        let line = |word, what: &str| (word, what.to_owned());
        let forecast = Forecast {
            lines: vec![
                line("account", "123456789012 as arn:aws:iam::123456789012:user/dev"),
                line("region", "us-east-1"),
                line("create", "cluster `demo` (Kubernetes 1.35, the default; Auto Mode)"),
                line("use", "repository `demo/web-app`"),
            ],
            cost: Some(Cost::of(&Intents::auto_mode_cluster(), "us-east-1")),
        };
        insta::assert_snapshot!(forecast, @r"
        account   123456789012 as arn:aws:iam::123456789012:user/dev
        region    us-east-1
        create    cluster `demo` (Kubernetes 1.35, the default; Auto Mode)
        use       repository `demo/web-app`
        cost      about $0.28 an hour, $6.75 a day (estimate, us-east-1 list prices of 2026-08-01)
                  1 x EKS control plane         $0.1000/h
                  2 x c6a.large with Auto Mode  $0.1714/h
                  2 x public IPv4 address       $0.0100/h
                  0.05 GB in ECR                below $0.0001/h
        ");
    }
}
