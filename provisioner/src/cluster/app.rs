//! What the stack has to know of an app: where it answers, which of its counters drives scaling, and how much one pod takes.
//!
//! The rest of the stack knows one counter, [`COUNTER`](crate::chain::COUNTER): an app's own is renamed where it is
//! scraped, so that rules, dashboards, adapter and chain need not know of it.

use serde_json::{Value, json};

use crate::chain::COUNTER;

/// How an app is scraped and scaled.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct App {
    /// Where it answers requests, and scrapes.
    pub port: u16,
    /// The path of its metrics.
    pub metrics_path: String,
    /// The counter whose rate drives scaling.
    pub counter: String,
    /// That rate for each pod, per second, in thousandths.
    pub target_milli: u64,
}

impl Default for App {
    fn default() -> Self {
        Self {
            port: 8080,
            metrics_path: "/metrics".to_owned(),
            counter: COUNTER.to_owned(),
            target_milli: 10_000,
        }
    }
}

impl App {
    /// The rate for each pod as the server writes quantities, so that a second apply finds nothing to change.
    pub fn target(&self) -> String {
        let (mut number, mut suffixes) = (self.target_milli, ["m", "", "k", "M"].iter());
        let mut suffix = suffixes.next();
        // The largest unit that leaves no fraction.
        while number > 0 && number.is_multiple_of(1000) {
            let Some(larger) = suffixes.next() else { break };
            (number, suffix) = (number / 1000, Some(larger));
        }
        format!("{number}{}", suffix.copied().unwrap_or_default())
    }

    /// Its placeholders.
    pub(super) fn placeholders(&self) -> [(&'static str, String); 5] {
        let camel: Vec<Value> = self
            .renamings()
            .iter()
            .map(|step| step.in_words(str::to_owned))
            .collect();
        let camel = if camel.is_empty() { Value::Null } else { camel.into() };
        let snake: Vec<Value> = self.renamings().iter().map(|step| step.in_words(snake_case)).collect();
        [
            ("app_port", self.port.to_string()),
            ("metrics_path", json!(self.metrics_path).to_string()),
            ("target_rate", json!(self.target()).to_string()),
            ("counter_relabelings", camel.to_string()),
            ("counter_relabel_configs", Value::from(snake).to_string()),
        ]
    }

    /// How a scrape makes the app's counter the one that the stack knows.
    fn renamings(&self) -> Vec<Renaming<'_>> {
        if self.counter == COUNTER {
            return Vec::new();
        }
        // What bore the name before would be counted too.
        let others = Renaming {
            regex: COUNTER,
            action: "drop",
        };
        let own = Renaming {
            regex: &self.counter,
            action: "replace",
        };
        vec![others, own]
    }
}

/// One step of a scrape with the names that it looks at.
struct Renaming<'a> {
    regex: &'a str,
    action: &'static str,
}

impl Renaming<'_> {
    /// The step with keys as `name` writes them.
    fn in_words(&self, name: impl Fn(&str) -> String) -> Value {
        let mut step = json!({"regex": self.regex, "action": self.action});
        step[name("sourceLabels")] = json!(["__name__"]);
        if self.action == "replace" {
            step[name("targetLabel")] = json!("__name__");
            step["replacement"] = json!(COUNTER);
        }
        step
    }
}

fn snake_case(word: &str) -> String {
    let lower = |c: char| {
        if c.is_ascii_uppercase() {
            format!("_{}", c.to_ascii_lowercase())
        } else {
            c.to_string()
        }
    };
    word.chars().map(lower).collect()
}

/// A port that a process without rights can have.
pub fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port >= 1024)
}

/// A path of plain characters.
pub fn metrics_path(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
    (text.starts_with('/') && text.chars().all(plain)).then(|| text.to_owned())
}

/// The name of a Prometheus counter.
pub fn counter(text: &str) -> Option<String> {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    let is_name = text.starts_with(first) && text.chars().all(|c| first(c) || c.is_ascii_digit());
    is_name.then(|| text.to_owned())
}

/// A rate in thousandths, from decimals with at most three places.
pub fn target_rate(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 3 || whole.len() > 9 {
        return None;
    }
    let milli = whole.parse::<u64>().ok()? * 1000 + format!("{part:0<3}").parse::<u64>().ok()?;
    (milli > 0).then_some(milli)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::certificate::Certificates;
    use crate::cluster::manifest;
    use crate::cluster::values::Values;

    #[test]
    fn rates_are_written_as_the_server_writes_them() {
        for (text, written) in [
            ("10", Some("10")),
            ("2.5", Some("2500m")),
            ("0.001", Some("1m")),
            ("3.000", Some("3")),
            ("1000", Some("1k")),
            ("10000", Some("10k")),
            ("1500", Some("1500")),
            ("1000.5", Some("1000500m")),
            ("2000000", Some("2M")),
            ("100000000", Some("100M")),
            ("0", None),
            ("-1", None),
            ("1.2345", None),
            ("ten", None),
            (".5", None),
        ] {
            let app = target_rate(text).map(|target_milli| App {
                target_milli,
                ..App::default()
            });
            assert_eq!(app.map(|app| app.target()).as_deref(), written, "{text}");
        }
    }

    #[test]
    fn what_is_no_port_path_or_counter_is_none() {
        assert_eq!(
            (port("8080"), port("80"), port("70000"), port("x")),
            (Some(8080), None, None, None)
        );
        assert!(metrics_path("/internal/metrics").is_some());
        for text in ["metrics", "", "/a b", "/a\"b", "/${stack}"] {
            assert_eq!(metrics_path(text), None, "{text}");
        }
        assert!(counter("orders_total").is_some() && counter("app:orders:total").is_some());
        for text in ["", "1st", "orders-total", "a b", "x{y}"] {
            assert_eq!(counter(text), None, "{text}");
        }
    }

    #[test]
    fn a_counter_of_its_own_becomes_the_one_that_the_stack_knows() {
        let of = |app: &App, name: &str| {
            let all = app.placeholders();
            let text = all
                .into_iter()
                .find(|(known, _)| *known == name)
                .expect("a placeholder")
                .1;
            serde_json::from_str::<Value>(&text).expect("JSON")
        };
        let app = App {
            counter: "orders_total".to_owned(),
            ..App::default()
        };
        assert_eq!(
            of(&app, "counter_relabel_configs"),
            json!([
                {"source_labels": ["__name__"], "regex": COUNTER, "action": "drop"},
                {"source_labels": ["__name__"], "regex": "orders_total", "action": "replace",
                 "target_label": "__name__", "replacement": COUNTER},
            ])
        );
        assert_eq!(of(&app, "counter_relabelings")[1]["targetLabel"], "__name__");
        assert_eq!(of(&App::default(), "counter_relabel_configs"), json!([]));
        assert_eq!(of(&App::default(), "counter_relabelings"), Value::Null);
    }

    #[test]
    fn the_shipped_app_listens_where_it_is_asked() {
        let mut values = Values::new("demo".parse().unwrap(), "r@sha256:1", "");
        values.app.port = 9000;
        let all = manifest::load(None, &[], &values, &Certificates::default()).unwrap();
        let mut objects = all.iter().flat_map(|component| &component.objects);
        let is_it = |object: &&kube::core::DynamicObject| {
            object.metadata.name.as_deref() == Some("web-app") && object.data["spec"]["template"].is_object()
        };
        let container = &objects.find(is_it).unwrap().data["spec"]["template"]["spec"]["containers"][0];
        let env = container["env"].as_array().unwrap();
        let of = |name: &str| env.iter().find(|one| one["name"] == name).unwrap()["value"].clone();
        assert_eq!((of("APP_ADDR"), of("PORT")), (json!("0.0.0.0:9000"), json!("9000")));
        assert_eq!(
            container["ports"][0],
            json!({"name": "http", "containerPort": 9000, "protocol": "TCP"})
        );
        for probe in ["readinessProbe", "livenessProbe"] {
            assert_eq!(container[probe]["httpGet"]["port"], "http", "{probe}");
        }
    }
}
