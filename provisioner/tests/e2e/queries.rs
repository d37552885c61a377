//! While the app is under load: every query of the dashboard and of the rules gives data, the rules are evaluated, the custom metrics API
//! has the Service's rate, and Prometheus stays as small as it was sized for.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use provisioner::cluster::monitoring::capacity::{self, Capacity};
use provisioner::cluster::reaction::Reaction;
use serde_json::Value;

use crate::story::{BOOTSTRAP, TEARDOWN};
use crate::support::{Sandbox, done};

const LOAD: [&str; 7] = ["load", "--cluster", "demo", "--rate", "30", "--duration", "90s"];
/// The queries of the seed's dashboard.
const SEED: [&str; 3] = [
    "rate(http_requests_total[1m])",
    "http_requests_total",
    r#"count(up{job="web-app-service"})"#,
];

/// A Prometheus, by the Service through which it is asked.
pub(crate) struct Prometheus<'a> {
    pub(crate) sandbox: &'a Sandbox,
    /// `NAMESPACE/services/NAME:PORT`.
    pub(crate) service: &'static str,
}

/// The stack's own.
pub(crate) const OWN: &str = "monitoring/services/prometheus:9090";

impl Prometheus<'_> {
    /// What a path of its API answers.
    pub(crate) fn get(&self, path: &str) -> Value {
        let path = format!("/api/v1/namespaces/{}/proxy/api/v1/{path}", self.service);
        let answer = self.sandbox.kubectl(&["get", "--raw", &path]);
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        answer["data"].clone()
    }

    /// The series that an expression gives now.
    pub(crate) fn query(&self, expr: &str) -> Vec<Value> {
        let escaped: String = url::form_urlencoded::byte_serialize(expr.as_bytes()).collect();
        self.get(&format!("query?query={escaped}"))["result"]
            .as_array()
            .expect("series")
            .clone()
    }

    /// The value of an expression that gives one.
    fn number(&self, expr: &str) -> f64 {
        let value = &self.query(expr)[0]["value"][1];
        value.as_str().expect("a value").parse().expect("a number")
    }

    /// The series of an expression, waited for.
    #[track_caller]
    pub(crate) fn series(&self, place: &str, expr: &str) -> Vec<Value> {
        let give_up = Instant::now() + Duration::from_secs(40);
        loop {
            let series = self.query(expr);
            if !series.is_empty() {
                return series;
            }
            assert!(Instant::now() < give_up, "{place} has no data: {expr}");
            std::thread::sleep(Duration::from_millis(500));
        }
    }
}

#[test]
fn every_query_has_data_under_load() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    sandbox.json(&BOOTSTRAP);
    let prometheus = Prometheus {
        sandbox: &sandbox,
        service: OWN,
    };
    let load = sandbox.started(&LOAD);
    prometheus.series("the load", "sum(rate(http_requests_total[10s])) > 20");
    for (panel, expr) in panels() {
        prometheus.series(&panel, &expr);
    }
    for expr in SEED {
        prometheus.series("the seed", expr);
    }
    rules_are_evaluated(&prometheus);
    the_service_has_a_rate(&sandbox);
    println!("Prometheus has {}", prometheus_is_as_small_as_it_was_sized(&prometheus));
    interrupt(load);
    sandbox.run(&TEARDOWN);
    sandbox.reset();
}

/// Title and expressions of every panel, with the values that Grafana would put in.
fn panels() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(include_str!("../../../grafana/web-app.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let of = |panel: &Value| {
        let title = panel["title"].to_string();
        let targets = panel["targets"].as_array().expect("targets").clone();
        targets.into_iter().map(move |target| {
            let expr = target["expr"].as_str().expect("an expression");
            let expr = expr.replace("$__rate_interval", "4s").replace("$__range", "15m");
            (title.clone(), expr.replace("$namespace", "web-app"))
        })
    };
    panels.iter().flat_map(of).collect()
}

/// Every rule is healthy, what is recorded has data, and an app that is well has no alert that fires.
fn rules_are_evaluated(prometheus: &Prometheus<'_>) {
    let groups = prometheus.get("rules")["groups"].as_array().expect("groups").clone();
    let rules: Vec<Value> = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().expect("rules").clone())
        .collect();
    assert!(rules.len() >= 9, "{rules:#?}");
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
        match rule["type"].as_str() {
            Some("alerting") => assert_ne!(rule["state"], "firing", "{rule}"),
            _ => drop(prometheus.series("a rule", rule["name"].as_str().expect("a name"))),
        }
    }
    // The window of the rules fills up with the load of 30 requests a second.
    prometheus.series("what is recorded", "namespace:http_requests:rate > 20 < 40");
}

/// What an HPA with a metric of type `Object` would read.
fn the_service_has_a_rate(sandbox: &Sandbox) {
    let path =
        "/apis/custom.metrics.k8s.io/v1beta1/namespaces/web-app/services/web-app-service/http_requests_per_second";
    let answer: Value = serde_json::from_str(&sandbox.kubectl(&["get", "--raw", path])).expect("JSON");
    let item = &answer["items"][0];
    assert_eq!(item["describedObject"]["kind"], "Service", "{answer}");
    let value = item["value"].as_str().expect("a quantity");
    let value = provisioner::chain::quantity::parse(value).expect("a number");
    assert!((15.0..45.0).contains(&value), "30 requests a second are {value}");
}

fn prometheus_is_as_small_as_it_was_sized(prometheus: &Prometheus<'_>) -> String {
    let Capacity { series, limit_mi, .. } = capacity::of(Reaction::Fast.intervals(), capacity::MAX_PODS);
    let found = prometheus.number("prometheus_tsdb_head_series");
    let memory = prometheus.number(r#"process_resident_memory_bytes{job="prometheus"}"#) / 1024.0 / 1024.0;
    let is_below = |found: f64, most: u64| found < f64::from(u32::try_from(most).expect("small"));
    assert!(is_below(found, series), "{found} series, counted on {series}");
    assert!(is_below(memory, limit_mi), "{memory} MiB of {limit_mi}");
    format!("{found} series of {series}, {memory:.0} MiB of {limit_mi}")
}

fn interrupt(load: Child) {
    done(Command::new("kill").args(["-INT", &load.id().to_string()]));
    load.wait_with_output().expect("it ends");
}
