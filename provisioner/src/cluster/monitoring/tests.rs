//! Dashboards, rules and what scrapes and stores their series belong together.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::capacity;
use super::series;
use crate::cluster::certificate::Certificates;
use crate::cluster::embedded::DASHBOARDS;
use crate::cluster::manifest;
use crate::cluster::reaction::Reaction;
use crate::cluster::stack_tests::{find, objects, values};

/// A text of the stack's configuration, read as YAML.
pub(super) fn yaml(objects: &[kube::core::DynamicObject], map: &str, file: &str) -> Value {
    let map = find(objects, "ConfigMap", map);
    serde_saphyr::from_str(map["data"][file].as_str().expect("text")).expect("YAML")
}

pub(super) fn stack(reaction: Reaction) -> Vec<kube::core::DynamicObject> {
    let mut values = values();
    values.reaction = reaction;
    objects(&values)
}

/// Panel and expression of every query of every dashboard.
pub(super) fn queries() -> Vec<(String, String)> {
    let mut queries = Vec::new();
    for (name, text) in DASHBOARDS {
        let dashboard: Value = serde_json::from_str(text).expect("JSON");
        for panel in dashboard["panels"].as_array().expect("panels") {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let place = format!("{name}, panel {}", panel["title"]);
                queries.push((place, target["expr"].as_str().expect("an expression").to_owned()));
            }
        }
    }
    queries
}

/// Every rule of the stack's Prometheus.
pub(super) fn rules(objects: &[kube::core::DynamicObject]) -> Vec<Value> {
    let rules = yaml(objects, "prometheus", "rules.yml");
    let groups = rules["groups"].as_array().expect("groups");
    let of = |group: &Value| group["rules"].as_array().expect("rules").clone();
    groups.iter().flat_map(of).collect()
}

#[test]
fn dashboards_use_the_provisioned_data_source() {
    let all = stack(Reaction::Fast);
    for (name, text) in DASHBOARDS {
        let dashboard: Value = serde_json::from_str(text).expect("JSON");
        let panels = dashboard["panels"].as_array().expect("panels");
        let ids: BTreeSet<u64> = panels.iter().filter_map(|p| p["id"].as_u64()).collect();
        assert_eq!(ids.len(), panels.len(), "{name}");
        for panel in panels {
            assert_eq!(panel["datasource"]["uid"], "prometheus", "{}", panel["title"]);
            assert!(
                !panel["targets"].as_array().expect("targets").is_empty(),
                "{}",
                panel["title"]
            );
        }
        let provisioned = find(&all, "ConfigMap", "grafana-dashboards");
        assert_eq!(provisioned["data"][name].as_str(), Some(*text));
    }
    let source = yaml(&all, "grafana-provisioning", "datasource.yml");
    assert_eq!(source["datasources"][0]["uid"], "prometheus");
}

/// Every series that a dashboard, a rule or a variable asks for is one that something exports.
#[test]
fn dashboards_and_rules_ask_only_for_series_that_are_exported() {
    let rules = rules(&stack(Reaction::Fast));
    let recorded: BTreeSet<&str> = rules.iter().filter_map(|rule| rule["record"].as_str()).collect();
    let listed: BTreeSet<&str> = series::all().map(|(_, series)| series).collect();
    let asked = queries()
        .into_iter()
        .chain(rules.iter().map(|rule| {
            let expr = rule["expr"].as_str().expect("an expression");
            (rule.to_string(), expr.to_owned())
        }))
        .collect::<Vec<_>>();
    let mut used = BTreeSet::new();
    for (place, expr) in &asked {
        for series in series_of(expr) {
            let is_known = listed.contains(series.as_str()) || recorded.contains(series.as_str());
            assert!(is_known, "{place}: nothing exports `{series}`: {expr}");
            used.insert(series);
        }
    }
    let state = series::of("kube-state-metrics");
    let unused: Vec<_> = state.iter().filter(|series| !used.contains(**series)).collect();
    assert!(unused.is_empty(), "exported and asked for by nobody: {unused:?}");
}

#[test]
fn kube_state_metrics_watches_the_kinds_that_its_series_are_of() {
    let all = stack(Reaction::Fast);
    let deployment = find(&all, "Deployment", "kube-state-metrics");
    let args = &deployment["spec"]["template"]["spec"]["containers"][0]["args"];
    let args: Vec<&str> = args
        .as_array()
        .expect("arguments")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let argument = |name: &str| args.iter().find_map(|arg| arg.strip_prefix(name)).expect("an argument");
    let allowed: Vec<&str> = argument("--metric-allowlist=").split(',').collect();
    assert_eq!(allowed, series::of("kube-state-metrics"));
    for kind in argument("--resources=").split(',') {
        let start = format!("kube_{}_", kind.trim_end_matches('s'));
        assert!(
            allowed.iter().any(|series| series.starts_with(&start)),
            "nothing of {kind}"
        );
    }
    for series in allowed {
        let kinds = ["kube_deployment_", "kube_horizontalpodautoscaler_", "kube_pod_"];
        assert!(kinds.iter().any(|start| series.starts_with(start)), "{series}");
    }
}

#[test]
fn the_operator_gets_the_same_rules_and_the_same_targets() {
    for reaction in [Reaction::Fast, Reaction::Seed] {
        let all = stack(reaction);
        let rule = find(&all, "PrometheusRule", "web-app-rules");
        assert_eq!(rule["spec"], yaml(&all, "prometheus", "rules.yml"));
        let interval = format!("{}s", reaction.intervals().scrape_s);
        for (name, service) in [
            ("web-app-monitor", "web-app-service"),
            ("kube-state-metrics", "kube-state-metrics"),
        ] {
            let monitor = find(&all, "ServiceMonitor", name);
            let labels = &find(&all, "Service", service)["metadata"]["labels"];
            for (key, value) in monitor["spec"]["selector"]["matchLabels"].as_object().expect("labels") {
                assert_eq!(&labels[key], value, "{name} selects {service}");
            }
            let endpoint = &monitor["spec"]["endpoints"][0];
            assert_eq!(
                (&endpoint["honorLabels"], &endpoint["interval"]),
                (&json!(true), &json!(interval))
            );
            let jobs = yaml(&all, "prometheus", "prometheus.yml");
            let jobs = jobs["scrape_configs"].as_array().expect("jobs").clone();
            assert!(
                jobs.iter().any(|job| job["job_name"] == service),
                "the operator names a job after its Service"
            );
        }
        for (kind, name) in [
            ("PrometheusRule", "web-app-rules"),
            ("ServiceMonitor", "kube-state-metrics"),
        ] {
            let annotations = &find(&all, kind, name)["metadata"]["annotations"];
            assert_eq!(annotations["provisioner/optional"], "kind", "{name}");
        }
    }
}

/// With `honor_labels` a label of the app wins and one that it lacks is the target's: so both are set for every target, and none is
/// taken away after the scrape.
#[test]
fn pod_and_namespace_are_set_by_relabelling_and_the_apps_own_are_honoured() {
    let all = stack(Reaction::Fast);
    let config = yaml(&all, "prometheus", "prometheus.yml");
    let job = &config["scrape_configs"][0];
    assert_eq!(
        (&job["job_name"], &job["honor_labels"]),
        (&json!("web-app-service"), &json!(true))
    );
    let monitor = find(&all, "ServiceMonitor", "web-app-monitor");
    let endpoint = &monitor["spec"]["endpoints"][0];
    let ours = (&job["relabel_configs"], "source_labels", "target_label");
    let operators = (&endpoint["relabelings"], "sourceLabels", "targetLabel");
    for (rules, source, target) in [ours, operators] {
        let mut set = Vec::new();
        for rule in rules
            .as_array()
            .expect("rules")
            .iter()
            .filter(|rule| rule[target].is_string())
        {
            set.push((
                rule[source][0].as_str().expect("a label"),
                rule[target].as_str().expect("a label"),
            ));
        }
        let want = [
            ("__meta_kubernetes_pod_name", "pod"),
            ("__meta_kubernetes_namespace", "namespace"),
        ];
        assert_eq!(set, want);
    }
    for after in [&job["metric_relabel_configs"], &endpoint["metricRelabelings"]] {
        assert!(after.is_null(), "{after}");
    }
}

#[test]
fn prometheus_is_as_large_as_its_profile_needs() {
    for reaction in [Reaction::Fast, Reaction::Seed] {
        let all = stack(reaction);
        let hpa = find(&all, "HorizontalPodAutoscaler", "web-app-hpa");
        assert_eq!(
            hpa["spec"]["maxReplicas"],
            capacity::MAX_PODS,
            "what the size is counted for"
        );
        let intervals = reaction.intervals();
        let capacity = capacity::of(intervals, capacity::MAX_PODS);
        let pod = find(&all, "Deployment", "prometheus")["spec"]["template"]["spec"].clone();
        let container = &pod["containers"][0];
        assert_eq!(
            container["resources"]["limits"]["memory"],
            format!("{}Mi", capacity.limit_mi)
        );
        assert_eq!(
            container["resources"]["requests"]["memory"],
            format!("{}Mi", capacity.request_mi)
        );
        assert_eq!(
            pod["volumes"][1]["emptyDir"]["sizeLimit"],
            format!("{}Mi", capacity.volume_mi)
        );
        let config = yaml(&all, "prometheus", "prometheus.yml");
        let retention =
            json!({"time": format!("{}h", intervals.retention_h), "size": format!("{}MB", capacity.retention_mi)});
        assert_eq!(config["storage"]["tsdb"]["retention"], retention);
    }
}

/// What the HPA is told, wants and is limited to is drawn from its series: a number in a panel would be another HPA's.
#[test]
fn the_dashboard_takes_the_hpas_numbers_from_the_cluster() {
    let text = DASHBOARDS
        .iter()
        .find(|(name, _)| *name == "web-app.json")
        .expect("it")
        .1;
    let dashboard: Value = serde_json::from_str(text).expect("JSON");
    assert_eq!(dashboard["refresh"], "5s");
    let mut asked = BTreeSet::new();
    let panels = dashboard["panels"].as_array().expect("panels");
    for panel in panels.iter().filter(|panel| panel["type"] == "timeseries") {
        let steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
            .as_array()
            .expect("steps");
        assert!(steps.iter().all(|step| step["value"].is_null()), "{}", panel["title"]);
        for target in panel["targets"].as_array().expect("targets") {
            let expr = target["expr"].as_str().expect("an expression");
            asked.extend(series_of(expr));
            if expr.contains("spec_target_metric") {
                let overrides = panel["fieldConfig"]["overrides"].to_string();
                let drawn = format!("\"options\":{}", target["refId"]);
                assert!(
                    overrides.contains(&drawn) && overrides.contains("dash"),
                    "{}",
                    panel["title"]
                );
            }
        }
    }
    for series in series::of("kube-state-metrics")
        .iter()
        .filter(|series| series.contains("_replicas") || series.contains("target_metric"))
    {
        assert!(asked.contains(*series), "{series} is drawn");
    }
}

#[test]
fn the_adapter_serves_pods_and_the_service_and_restarts_with_its_rules() {
    let all = stack(Reaction::Fast);
    let config = yaml(&all, "custom-metrics-apiserver", "config.yaml");
    let rules = config["rules"].as_array().expect("rules");
    let resources = |rule: &Value| rule["resources"]["overrides"].as_object().expect("labels").clone();
    let served: Vec<Vec<String>> = rules
        .iter()
        .map(|rule| {
            resources(rule)
                .values()
                .map(|r| r["resource"].as_str().unwrap_or_default().to_owned())
                .collect()
        })
        .collect();
    assert_eq!(served, [["namespace", "pod"], ["namespace", "service"]]);
    for rule in rules {
        assert_eq!(
            rule["name"],
            json!({"matches": "^(.*)_total$", "as": "${1}_per_second"})
        );
        assert!(
            rule["metricsQuery"]
                .as_str()
                .expect("text")
                .contains("[12s])) by (<<.GroupBy>>)"),
            "{rule}"
        );
    }
    let service = find(&all, "Service", "web-app-service");
    let selected = format!("job=\"{}\"", service["metadata"]["name"].as_str().expect("a name"));
    assert!(
        rules[1]["seriesQuery"].as_str().expect("text").contains(&selected),
        "{config}"
    );
    let template =
        |reaction| find(&stack(reaction), "Deployment", "custom-metrics-apiserver")["spec"]["template"].clone();
    let (fast, seed) = (template(Reaction::Fast), template(Reaction::Seed));
    assert_ne!(
        fast["metadata"]["annotations"], seed["metadata"]["annotations"],
        "its pod is another one"
    );
    let args = seed["spec"]["containers"][0]["args"].to_string();
    assert!(
        args.contains("--metrics-relist-interval=30s") && args.contains("--metrics-max-age=120s"),
        "{args}"
    );
    let role = find(&all, "ClusterRole", "provisioner-custom-metrics-reader");
    let read = &role["rules"][0]["resources"];
    assert_eq!(
        *read,
        json!(["pods/http_requests_per_second", "services/http_requests_per_second"])
    );
}

/// The series of a `PromQL` expression: words that are no function, label, duration, text or keyword.
fn series_of(expr: &str) -> Vec<String> {
    let mut bare = String::new();
    let (mut depth, mut quoted) = (0_u32, false);
    for c in expr.chars() {
        match c {
            '"' => quoted = !quoted,
            '{' | '[' if !quoted => depth += 1,
            '}' | ']' if !quoted => depth -= 1,
            _ if depth == 0 && !quoted => bare.push(c),
            _ => {}
        }
    }
    let mut series = Vec::new();
    let mut rest = bare.as_str();
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic() || c == '_') {
        rest = &rest[start..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
        let (word, tail) = rest.split_at(end.unwrap_or(rest.len()));
        let next = tail.trim_start();
        rest = match word {
            "by" | "without" | "on" | "ignoring" | "group_left" | "group_right" if next.starts_with('(') => {
                next.split_once(')').expect("a closed list").1
            }
            "or" | "and" | "unless" | "bool" | "offset" => tail,
            _ if ["(", "by ", "without "].iter().any(|call| next.starts_with(call)) => tail,
            _ => {
                series.push(word.to_owned());
                tail
            }
        };
    }
    series
}

#[test]
fn series_are_told_from_functions_and_labels() {
    let expr = r#"sum by (pod) (rate(a_total{b=~"$c",d!="x}"}[$__rate_interval])) / on (e) f:g or vector(0) > 1"#;
    assert_eq!(series_of(expr), ["a_total", "f:g"]);
}

#[test]
fn kube_state_metrics_that_is_left_out_is_neither_scraped_nor_missed() {
    for (without, is_there) in [(vec![], true), (vec!["kube-state-metrics".to_owned()], false)] {
        let loaded = manifest::load(None, &without, &values(), &Certificates::default());
        let all: Vec<_> = loaded.expect("loads").into_iter().flat_map(|one| one.objects).collect();
        let names: Vec<Value> = rules(&all).iter().map(|rule| rule["alert"].clone()).collect();
        assert_eq!(names.contains(&json!("WebAppStateUnknown")), is_there, "{names:?}");
        assert!(names.contains(&json!("WebAppErrors")), "{names:?}");
        let jobs = yaml(&all, "prometheus", "prometheus.yml")["scrape_configs"].clone();
        let mut jobs = jobs.as_array().expect("jobs").iter();
        let job = jobs.find(|job| job["job_name"] == "kube-state-metrics").expect("a job");
        let targets = job["static_configs"][0]["targets"].as_array().expect("targets");
        assert_eq!(targets.is_empty(), !is_there, "{job}");
        let alerts = yaml(&all, "grafana-provisioning", "alerts.yml").to_string();
        assert_eq!(alerts.contains("WebAppStateUnknown"), is_there);
    }
}
