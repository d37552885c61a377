//! What a bootstrap is going to do: where, as whom, to what, and for how much. Said before it is asked for.

use std::fmt;

use super::intents::{self, Intent};
use crate::aws::cost::Cost;
use crate::aws::drift::Drift;
use crate::plan::Plan;
use crate::target::{Place, Prepared, Registry};

/// The announcement.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Forecast {
    /// Where and as whom, as lines of a word and what it is about.
    pub(super) header: Vec<(&'static str, String)>,
    /// What is done on AWS.
    pub(super) intents: Vec<Intent>,
    /// What is set right there.
    pub(super) drifts: Vec<Drift>,
    /// What is applied, in words.
    objects: String,
    /// What it costs, where that is known.
    pub(super) cost: Option<Cost>,
}

impl Forecast {
    pub(super) fn new(
        place: &Place,
        registry: &Registry,
        plan: &Plan,
        prepared: &Prepared,
        cost: Option<Cost>,
    ) -> Self {
        let mut header = Vec::new();
        if let Some(aws) = place.aws().or(registry.aws()) {
            let identity = aws.identity();
            header.push(("account", format!("{} as {}", identity.account, identity.arn)));
            header.push(("region", aws.region().to_owned()));
        }
        if let Place::Context(known) = place {
            header.push(("context", format!("`{}` at {}", known.name(), known.server())));
        }
        Self {
            header,
            intents: intents::intents(plan, prepared),
            drifts: intents::drifts(prepared),
            objects: objects(plan),
            cost,
        }
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
        for (word, what) in &self.header {
            writeln!(f, "{word:<9} {what}")?;
        }
        for intent in &self.intents {
            writeln!(f, "{:<9} {intent}", intent.action.word())?;
        }
        for drift in &self.drifts {
            writeln!(f, "{:<9} {drift}", "set right")?;
        }
        write!(f, "{:<9} {}", "apply", self.objects)?;
        self.cost.as_ref().map_or(Ok(()), |cost| write!(f, "\n{}", costs(cost)))
    }
}

/// The cost and what it is made of, as lines.
pub(super) fn costs(cost: &Cost) -> String {
    let details = cost.details();
    let details = details.lines().map(|line| format!("\n          {line}"));
    format!("cost      {cost}{}", details.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::super::intents::Action;
    use super::*;
    use crate::aws::cost::Intents;

    #[test]
    fn it_says_where_as_whom_what_and_for_how_much() {
        let line = |word, what: &str| (word, what.to_owned());
        let intent = |action, kind, name: &str, detail: &str| Intent {
            action,
            kind,
            name: name.to_owned(),
            detail: detail.to_owned(),
        };
        let forecast = Forecast {
            header: vec![
                line("account", "123456789012 as arn:aws:iam::123456789012:user/dev"),
                line("region", "us-east-1"),
            ],
            intents: vec![
                intent(
                    Action::Create,
                    "cluster",
                    "demo",
                    "Kubernetes 1.35, the default; Auto Mode",
                ),
                intent(Action::Use, "repository", "demo/web-app", ""),
            ],
            drifts: Vec::new(),
            objects: "Kubernetes objects of stack `demo`".to_owned(),
            cost: Some(Cost::of(&Intents::auto_mode_cluster(), "us-east-1")),
        };
        insta::assert_snapshot!(forecast, @r"
        account   123456789012 as arn:aws:iam::123456789012:user/dev
        region    us-east-1
        create    cluster `demo` (Kubernetes 1.35, the default; Auto Mode)
        use       repository `demo/web-app`
        apply     Kubernetes objects of stack `demo`
        cost      about $0.28 an hour, $6.75 a day (estimate, us-east-1 list prices of 2026-08-01)
                  1 x EKS control plane         $0.1000/h
                  2 x c6a.large with Auto Mode  $0.1714/h
                  2 x public IPv4 address       $0.0100/h
                  0.05 GB in ECR                below $0.0001/h
        ");
    }
}
