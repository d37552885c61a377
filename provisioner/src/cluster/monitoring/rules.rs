//! Recording rules and alerts: one text with the profile's times, in the forms that its readers want.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::cluster::embedded::MONITORING;
use crate::cluster::template;

/// Grafana's data source: see `manifests/50-grafana/config.yaml`.
const DATASOURCE: &str = "prometheus";
/// Grafana looks at its alerts only at multiples of this many seconds.
const GRAFANA_BEAT_S: u32 = 10;

/// The rules with their times.
pub(in crate::cluster) struct Rules {
    /// As Prometheus reads them: a rule file.
    pub(in crate::cluster) text: String,
    /// The same as a value, which is also the `spec` of a `PrometheusRule`.
    pub(in crate::cluster) groups: Value,
}

impl Rules {
    /// The same but for one alert.
    pub(super) fn without_alert(mut self, name: &str) -> Self {
        for group in self.groups["groups"].as_array_mut().into_iter().flatten() {
            if let Some(rules) = group["rules"].as_array_mut() {
                rules.retain(|rule| rule["alert"] != name);
            }
        }
        self.text = serde_saphyr::to_string(&self.groups).unwrap_or_default();
        self
    }
}

/// Fills in the times. The text is part of the binary, so what cannot be read is an error of the program: tests read it with
/// every profile.
pub(in crate::cluster) fn render(placeholders: &BTreeMap<&str, String>) -> Rules {
    let source = MONITORING.iter().find(|(name, _)| *name == "rules.yaml");
    let text = template::render(source.map_or("", |(_, text)| *text), placeholders).unwrap_or_default();
    let groups = serde_saphyr::from_str(&text).unwrap_or_default();
    Rules { text, groups }
}

/// The alerts as a file that Grafana reads at its start: it can tell somebody, which Prometheus alone cannot, and it sees where
/// Prometheus itself is gone.
pub(in crate::cluster) fn for_grafana(groups: &Value, evaluation_s: u32) -> Value {
    let interval = format!("{}s", evaluation_s.next_multiple_of(GRAFANA_BEAT_S));
    let groups = groups["groups"].as_array().into_iter().flatten();
    let groups = groups.filter_map(|group| {
        let rules = group["rules"].as_array().into_iter().flatten();
        let alerts: Vec<Value> = rules.filter_map(grafana_alert).collect();
        let group =
            json!({"orgId": 1, "folder": "provisioner", "name": group["name"], "interval": interval, "rules": alerts});
        (!alerts.is_empty()).then_some(group)
    });
    json!({"apiVersion": 1, "groups": groups.collect::<Vec<_>>()})
}

/// One alert. Prometheus fires for every series that an expression gives, whatever its value (`up == 0` gives 0); Grafana fires for
/// every value but 0. So it asks of each value whether there is one.
fn grafana_alert(rule: &Value) -> Option<Value> {
    let name = rule["alert"].as_str()?;
    let range = json!({"from": 600, "to": 0});
    let query = json!({
        "refId": "A", "expr": rule["expr"], "instant": true, "range": false, "editorMode": "code",
        "intervalMs": 1000, "maxDataPoints": 43200, "datasource": {"type": "prometheus", "uid": DATASOURCE},
    });
    let exists = json!({
        "refId": "B", "type": "math", "expression": "is_number($A) || is_nan($A) || is_inf($A)",
        "datasource": {"type": "__expr__", "uid": "__expr__"},
    });
    Some(json!({
        "uid": format!("provisioner-{}", kebab(name)),
        "title": name,
        "condition": "B",
        "data": [
            {"refId": "A", "relativeTimeRange": range, "datasourceUid": DATASOURCE, "model": query},
            {"refId": "B", "relativeTimeRange": range, "datasourceUid": "__expr__", "model": exists},
        ],
        // No series is what an alert wants; no answer is not.
        "noDataState": "OK",
        "execErrState": "Error",
        "for": rule["for"],
        "labels": rule["labels"],
        "annotations": rule["annotations"],
    }))
}

/// `WebAppTargetDown` as `web-app-target-down`: ids of Grafana are at most 40 characters.
fn kebab(name: &str) -> String {
    let mut out = String::new();
    for (index, c) in name.chars().enumerate() {
        if c.is_ascii_uppercase() && index > 0 {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::certificate::Certificates;
    use crate::cluster::fixtures::values;
    use crate::cluster::reaction::Reaction;

    fn rules(reaction: Reaction) -> Rules {
        let mut values = values();
        values.reaction = reaction;
        values.namespaces.app = "shop".to_owned();
        render(&values.placeholders(&Certificates::default()))
    }

    fn all(rules: &Rules) -> Vec<Value> {
        let groups = rules.groups["groups"].as_array().expect("groups");
        groups
            .iter()
            .flat_map(|group| group["rules"].as_array().expect("rules").clone())
            .collect()
    }

    #[test]
    fn every_rule_has_the_times_of_its_profile_and_the_namespace_of_its_app() {
        for reaction in [Reaction::Fast, Reaction::Seed] {
            let rules = rules(reaction);
            let intervals = reaction.intervals();
            for group in rules.groups["groups"].as_array().expect("groups") {
                assert_eq!(group["interval"], format!("{}s", intervals.evaluation_s));
            }
            let all = all(&rules);
            assert!(all.len() >= 9, "{all:#?}");
            let window = format!("[{}s]", intervals.alert_window_s);
            for rule in &all {
                let expr = rule["expr"].as_str().expect("an expression");
                assert_eq!(expr.contains("rate("), expr.contains(&window), "{expr}");
                let selectors = expr.matches('{').count();
                let of_the_stack =
                    expr.matches("namespace=\"shop\"").count() + expr.matches("namespace=\"monitoring\"").count();
                assert_eq!(selectors, of_the_stack, "{expr}");
            }
            let at_maximum = all
                .iter()
                .find(|rule| rule["alert"] == "WebAppAtMaximum")
                .expect("an alert");
            assert_eq!(at_maximum["for"], format!("{}s", intervals.maximum_for_s));
        }
    }

    #[test]
    fn every_alert_says_how_bad_it_is_what_is_so_and_what_it_means() {
        for rule in all(&rules(Reaction::Fast))
            .iter()
            .filter(|rule| rule["alert"].is_string())
        {
            assert!(["warning", "critical"].contains(&rule["labels"]["severity"].as_str().expect("a severity")));
            for annotation in ["summary", "description"] {
                assert!(
                    rule["annotations"][annotation]
                        .as_str()
                        .is_some_and(|text| text.len() > 10),
                    "{rule}"
                );
            }
            assert!(rule["for"].is_string(), "{rule}");
        }
    }

    #[test]
    fn grafana_gets_every_alert_and_no_recording_rule() {
        let rules = rules(Reaction::Fast);
        let names: Vec<Value> = all(&rules)
            .iter()
            .map(|rule| rule["alert"].clone())
            .filter(Value::is_string)
            .collect();
        let grafana = for_grafana(&rules.groups, 5);
        let groups = grafana["groups"].as_array().expect("groups");
        assert_eq!((groups.len(), &groups[0]["interval"]), (1, &json!("10s")));
        let alerts = groups[0]["rules"].as_array().expect("rules");
        assert_eq!(
            alerts.iter().map(|alert| alert["title"].clone()).collect::<Vec<_>>(),
            names
        );
        for alert in alerts {
            let uid = alert["uid"].as_str().expect("an id");
            assert!(uid.len() <= 40, "{uid}");
            assert_eq!(
                alert["data"][0]["datasourceUid"],
                alert["data"][0]["model"]["datasource"]["uid"]
            );
            // Grafana replaces `$NAME` in some fields by variables of its environment; labels are such.
            assert!(!alert["labels"].to_string().contains('$'), "{alert}");
        }
        assert_eq!(alerts[0]["uid"], "provisioner-web-app-target-down");
        assert_eq!(for_grafana(&rules.groups, 30)["groups"][0]["interval"], "30s");
    }
}
