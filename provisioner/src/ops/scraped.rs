//! What a Prometheus of others has to scrape, as bootstrap says it.

use std::fmt;

use serde::Serialize;

use super::deploy::UNRESOLVED;
use crate::cluster::changes::Change;
use crate::cluster::monitoring::scrape;
use crate::cluster::values::Values;
use crate::config::Config;
use crate::names::StackName;
use crate::report::Outcome;

/// Kinds by which the Prometheus operator is told.
const KINDS: [&str; 2] = ["ServiceMonitor", "PrometheusRule"];

/// A Prometheus of others and its part in the stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Scraped {
    /// Where pods ask it.
    pub(super) url: String,
    /// Objects that were applied for the Prometheus operator, where the cluster knows such.
    monitors: Vec<String>,
    /// The same as `scrape_configs`, for a Prometheus that no operator runs.
    scrape_configs: String,
}

impl Scraped {
    /// What is used instead of the stack's own Prometheus; none where that is used.
    pub(super) fn find(config: &Config, stack: &StackName, changes: &[Change]) -> Option<Self> {
        let url = config.prometheus.url.as_ref()?.to_string();
        let is_applied =
            |change: &&Change| !matches!(change.outcome, Outcome::Skipped | Outcome::Deleted | Outcome::Kept);
        let applied = changes
            .iter()
            .filter(|change| KINDS.contains(&change.kind.as_str()))
            .filter(is_applied);
        let name = |change: &Change| {
            let namespace = change.namespace.as_deref().unwrap_or_default();
            format!("{} `{namespace}/{}`", change.kind, change.name)
        };
        let mut values = Values::new(stack.clone(), UNRESOLVED, UNRESOLVED).without(&config.stack.without);
        values.app.clone_from(&config.app);
        values.reaction = config.reaction;
        Some(Self {
            url,
            monitors: applied.map(name).collect(),
            scrape_configs: scrape::jobs(&values),
        })
    }
}

impl fmt::Display for Scraped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.monitors.is_empty() {
            return write!(
                f,
                "the Prometheus at {} has to scrape what follows. It needs the right to get, list and watch the pods of that namespace, and \
                 its own pods the label `app.kubernetes.io/name: prometheus`: the NetworkPolicy of kube-state-metrics asks for it\n{}",
                self.url,
                self.scrape_configs.trim_end()
            );
        }
        write!(
            f,
            "the Prometheus at {} has to select these, by its `serviceMonitorSelector`, `ruleSelector` and their namespace selectors: {}",
            self.url,
            self.monitors.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::given;
    use super::*;

    fn change(kind: &str, outcome: Outcome) -> Change {
        Change {
            kind: kind.to_owned(),
            namespace: Some("web-app".to_owned()),
            name: "it".to_owned(),
            outcome,
            fields: Vec::new(),
        }
    }

    fn found(flags: &[&str], changes: &[Change]) -> Option<Scraped> {
        let line = [&["provisioner", "bootstrap", "--cluster", "demo"], flags].concat();
        let (_, context) = given(&line);
        Scraped::find(&context.config, &"demo".parse().expect("valid"), changes)
    }

    #[test]
    fn the_operator_is_told_by_objects_and_everybody_else_by_a_configuration() {
        assert_eq!(found(&[], &[]), None, "the stack has its own");
        let flags = ["--prometheus-url", "http://prom.obs.svc:9090", "--reaction", "seed"];
        let skipped = [
            change("ServiceMonitor", Outcome::Skipped),
            change("ServiceMonitor", Outcome::Kept),
            change("PrometheusRule", Outcome::Deleted),
            change("Service", Outcome::Created),
        ];
        let plain = found(&flags, &skipped).expect("one of others").to_string();
        for part in [
            "http://prom.obs.svc:9090",
            "job_name: web-app-service",
            "scrape_interval: 30s",
            "honor_labels: true",
        ] {
            assert!(plain.contains(part), "{part}: {plain}");
        }
        let fewer = [&flags[..], &["--without", "kube-state-metrics"]].concat();
        let fewer = found(&fewer, &skipped).expect("one of others").to_string();
        assert!(
            fewer.contains("job_name: web-app-service") && !fewer.contains("job_name: kube-state-metrics"),
            "{fewer}"
        );
        let applied = [
            change("ServiceMonitor", Outcome::Created),
            change("PrometheusRule", Outcome::Unchanged),
        ];
        let operator = found(&flags, &applied).expect("one of others");
        let text = operator.to_string();
        assert!(
            text.ends_with("ServiceMonitor `web-app/it`, PrometheusRule `web-app/it`"),
            "{text}"
        );
        assert!(
            operator.scrape_configs.contains("web-app-service"),
            "for programs it is there too"
        );
    }
}
