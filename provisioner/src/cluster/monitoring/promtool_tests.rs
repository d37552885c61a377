//! Prometheus' own checker reads the configuration, the rules and every query, and runs the alerts: `make promtool` builds it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::scrape;
use super::tests::{queries, rules, stack, yaml};
use crate::cluster::fixtures::values;
use crate::cluster::reaction::{Intervals, Reaction};
use crate::cluster::stack_tests::find;

const PROFILES: [Reaction; 2] = [Reaction::Fast, Reaction::Seed];
/// The queries of the seed's dashboard, which have to work on our Prometheus too.
const SEED: [&str; 3] = [
    "rate(http_requests_total[1m])",
    "http_requests_total",
    r#"count(up{job="web-app-service"})"#,
];

/// Runs promtool in a folder of files.
#[track_caller]
pub(super) fn promtool(files: &[(&str, String)], args: &[&str]) {
    let program = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/promtool"));
    assert!(program.is_file(), "run `make promtool` first");
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("written");
    }
    let output = Command::new(program.canonicalize().expect("a path"))
        .args(args)
        .current_dir(folder.path())
        .output()
        .expect("promtool starts");
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "promtool {args:?}: {}",
        String::from_utf8_lossy(&said)
    );
}

fn text(reaction: Reaction, file: &str) -> String {
    let map = find(&stack(reaction), "ConfigMap", "prometheus");
    map["data"][file].as_str().expect("text").to_owned()
}

#[test]
#[ignore = "needs promtool, see `make promtool`"]
fn promtool_takes_the_configuration_and_the_rules_of_every_profile() {
    for reaction in PROFILES {
        let mut values = values();
        values.reaction = reaction;
        let told = [("theirs.yml", scrape::jobs(&values))];
        promtool(&told, &["check", "config", "--lint=all", "--lint-fatal", "theirs.yml"]);
        let rules = ("rules.yml", text(reaction, "rules.yml"));
        let config = text(reaction, "prometheus.yml").replace("/etc/prometheus/rules.yml", "rules.yml");
        let files = [rules, ("prometheus.yml", config)];
        promtool(
            &files,
            &["check", "config", "--lint=all", "--lint-fatal", "prometheus.yml"],
        );
        promtool(&files, &["check", "rules", "--lint=all", "--lint-fatal", "rules.yml"]);
    }
}

#[test]
#[ignore = "needs promtool, see `make promtool`"]
fn promtool_parses_every_query_of_dashboards_adapter_and_seed() {
    let shown = queries().into_iter().map(|(_, expr)| expr);
    let shown = shown.map(|expr| {
        let expr = expr.replace("$__rate_interval", "4s").replace("$__range", "15m");
        expr.replace("$namespace", ".*")
    });
    let adapter = yaml(&stack(Reaction::Fast), "custom-metrics-apiserver", "config.yaml");
    let adapter = adapter["rules"].as_array().expect("rules").iter().flat_map(|rule| {
        let query = rule["metricsQuery"]
            .as_str()
            .expect("a query")
            .replace("<<.Series>>", "x");
        let query = query
            .replace("<<.LabelMatchers>>", "a=\"b\"")
            .replace("<<.GroupBy>>", "a");
        [rule["seriesQuery"].as_str().expect("a query").to_owned(), query]
    });
    let all: Vec<String> = shown.chain(adapter).chain(SEED.map(str::to_owned)).collect();
    assert!(all.len() > 30 && all.iter().all(|expr| !expr.contains('$')), "{all:#?}");
    let rules: Vec<Value> = (0..)
        .zip(&all)
        .map(|(n, expr)| json!({"record": format!("query:{n}"), "expr": expr}))
        .collect();
    let file = json!({"groups": [{"name": "queries", "rules": rules}]});
    promtool(&[("queries.yml", file.to_string())], &["check", "rules", "queries.yml"]);
}

/// What Prometheus has, and whether an alert fires then.
struct Case {
    alert: &'static str,
    /// Series with their values in promtool's notation, `N` steps long.
    series: Vec<(String, &'static str)>,
    /// After how many seconds it is looked at.
    at_s: u32,
    /// The labels that it fires with.
    fires: Option<Value>,
}

fn case(alert: &'static str, at_s: u32, series: &[(&str, &'static str)], fires: Option<Value>) -> Case {
    let series = series
        .iter()
        .map(|(name, values)| ((*name).to_owned(), *values))
        .collect();
    Case {
        alert,
        series,
        at_s,
        fires,
    }
}

const TARGET: &str = r#"up{job="web-app-service",namespace="web-app",pod="a",instance="10.0.0.1:8080"}"#;
const COUNTER: &str = r#"http_requests_total{namespace="web-app",pod="a"}"#;
const STATE: &str = r#"up{job="kube-state-metrics",namespace="monitoring",instance="k:8080"}"#;

/// A series of kube-state-metrics about the HPA.
fn hpa(name: &str, more: &str) -> String {
    format!(
        "kube_horizontalpodautoscaler_{name}{{namespace=\"web-app\",horizontalpodautoscaler=\"web-app-hpa\"{more}}}"
    )
}

fn answers(status: u16) -> String {
    format!(
        "http_server_request_duration_seconds_count{{namespace=\"web-app\",pod=\"a\",http_response_status_code=\"{status}\"}}"
    )
}

fn faults(i: Intervals) -> Vec<Case> {
    let (late, early) = (i.alert_for_s + i.alert_window_s + 2 * i.evaluation_s, i.alert_for_s / 2);
    let down = json!({"job": "web-app-service", "namespace": "web-app", "pod": "a", "instance": "10.0.0.1:8080"});
    let app = json!({"namespace": "web-app"});
    vec![
        case("WebAppTargetDown", late, &[(TARGET, "0xN")], Some(down)),
        case("WebAppTargetDown", early, &[(TARGET, "0xN")], None),
        case("WebAppTargetDown", late, &[(TARGET, "1xN")], None),
        case("WebAppNoSamples", late, &[(TARGET, "1xN")], Some(app.clone())),
        case(
            "WebAppNoSamples",
            late,
            &[(r#"http_requests_total{namespace="web-app"}"#, "0xN")],
            Some(app.clone()),
        ),
        case("WebAppNoSamples", early, &[(TARGET, "1xN")], None),
        case("WebAppNoSamples", late, &[(COUNTER, "0xN")], None),
        case(
            "WebAppErrors",
            late,
            &[(&answers(200), "0+90xN"), (&answers(503), "0+10xN")],
            Some(app),
        ),
        case(
            "WebAppErrors",
            late,
            &[(&answers(200), "0+99xN"), (&answers(503), "0+1xN")],
            None,
        ),
        case("WebAppErrors", late, &[(&answers(404), "0+10xN")], None),
        case(
            "WebAppErrors",
            late,
            &[(&answers(200), "0xN"), (&answers(503), "0xN")],
            None,
        ),
        case("WebAppStateUnknown", late, &[(STATE, "0xN")], Some(json!({}))),
        case("WebAppStateUnknown", late, &[(TARGET, "1xN")], Some(json!({}))),
        case("WebAppStateUnknown", late, &[(STATE, "1xN")], None),
    ]
}

fn states(i: Intervals) -> Vec<Case> {
    let late = i.alert_for_s + 2 * i.evaluation_s;
    let full = i.maximum_for_s + 2 * i.evaluation_s;
    let condition = |name: &str, status: &str| {
        hpa(
            "status_condition",
            &format!(",condition=\"{name}\",status=\"{status}\""),
        )
    };
    let [current, max, min] =
        ["status_current_replicas", "spec_max_replicas", "spec_min_replicas"].map(|name| hpa(name, ""));
    let it = || Some(json!({"namespace": "web-app", "horizontalpodautoscaler": "web-app-hpa"}));
    let replicas = |now, least, most| [(current.as_str(), now), (min.as_str(), least), (max.as_str(), most)];
    let second = hpa(
        "status_condition",
        ",condition=\"ScalingActive\",status=\"false\",instance=\"other\"",
    );
    let blind = condition("ScalingActive", "false");
    vec![
        case("WebAppAutoscalerBlind", late, &[(&blind, "1xN")], it()),
        case(
            "WebAppAutoscalerBlind",
            late,
            &[(&blind, "1xN"), (&second, "1xN")],
            it(),
        ),
        case(
            "WebAppAutoscalerBlind",
            late,
            &[(&condition("ScalingActive", "unknown"), "1xN")],
            it(),
        ),
        case(
            "WebAppAutoscalerBlind",
            late,
            &[(&condition("ScalingActive", "true"), "1xN"), (&blind, "0xN")],
            None,
        ),
        case(
            "WebAppAutoscalerBlind",
            late,
            &[(&condition("ScalingLimited", "false"), "1xN")],
            None,
        ),
        case("WebAppAtMaximum", full, &replicas("10xN", "1xN", "10xN"), it()),
        case(
            "WebAppAtMaximum",
            i.maximum_for_s / 2,
            &replicas("10xN", "1xN", "10xN"),
            None,
        ),
        case("WebAppAtMaximum", full, &replicas("9xN", "1xN", "10xN"), None),
        case("WebAppAtMaximum", full, &replicas("3xN", "3xN", "3xN"), None),
    ]
}

/// A case as promtool's tests have it. Annotations are what the rule's templates give with the labels of the alert.
fn test(case: &Case, reaction: Reaction, rules: &[Value]) -> Value {
    let i = reaction.intervals();
    let steps = case.at_s / i.scrape_s + 1;
    let series: Vec<Value> = case
        .series
        .iter()
        .map(|(name, values)| json!({"series": name, "values": values.replace('N', &steps.to_string())}))
        .collect();
    let rule = rules.iter().find(|rule| rule["alert"] == case.alert).expect("an alert");
    let expected = case.fires.iter().map(|labels| {
        let filled = |text: &Value| {
            let mut text = text.as_str().expect("text").to_owned();
            for (name, value) in labels.as_object().expect("labels") {
                text = text.replace(&format!("{{{{ $labels.{name} }}}}"), value.as_str().expect("text"));
            }
            text
        };
        let mut all = labels.clone();
        all["severity"] = rule["labels"]["severity"].clone();
        let annotations = rule["annotations"].as_object().expect("annotations");
        let annotations: Value = annotations
            .iter()
            .map(|(name, text)| (name.clone(), Value::from(filled(text))))
            .collect();
        json!({"exp_labels": all, "exp_annotations": annotations})
    });
    json!({
        "name": format!("{} of {reaction} after {} s: {:?}", case.alert, case.at_s, case.series),
        "interval": format!("{}s", i.scrape_s),
        "input_series": series,
        "alert_rule_test": [{"eval_time": format!("{}s", case.at_s), "alertname": case.alert, "exp_alerts": expected.collect::<Vec<_>>()}],
    })
}

/// Two pods, of which one app says its pod itself: what is recorded is by pod and of all.
fn recorded(i: Intervals) -> Value {
    let at = i.alert_window_s + 2 * i.evaluation_s;
    let steps = at / i.scrape_s + 1;
    let sample = |labels: &str, value: f64| json!({"labels": labels, "value": value});
    let rate = 10.0 / f64::from(i.scrape_s);
    let eval_time = format!("{at}s");
    json!({
        "interval": format!("{}s", i.scrape_s),
        "input_series": [
            {"series": COUNTER, "values": format!("0+10x{steps}")},
            {"series": r#"http_requests_total{namespace="web-app",pod="b",instance="10.0.0.2:8080"}"#, "values": format!("0+30x{steps}")},
            {"series": answers(200), "values": format!("0+75x{steps}")},
            {"series": answers(500), "values": format!("0+25x{steps}")},
        ],
        "promql_expr_test": [
            {"expr": "namespace_pod:http_requests:rate", "eval_time": eval_time, "exp_samples": [
                sample(r#"namespace_pod:http_requests:rate{namespace="web-app",pod="a"}"#, rate),
                sample(r#"namespace_pod:http_requests:rate{namespace="web-app",pod="b"}"#, 3.0 * rate)]},
            {"expr": "namespace:http_requests:rate", "eval_time": eval_time, "exp_samples": [
                sample(r#"namespace:http_requests:rate{namespace="web-app"}"#, 4.0 * rate)]},
            {"expr": "namespace:http_requests_failed:ratio", "eval_time": eval_time, "exp_samples": [
                sample(r#"namespace:http_requests_failed:ratio{namespace="web-app"}"#, 0.25)]},
        ],
    })
}

/// Runs every case of a profile against a rule file.
fn run_alerts(reaction: Reaction, text: String) {
    let rules = rules(&stack(reaction));
    let i = reaction.intervals();
    let cases: Vec<Case> = faults(i).into_iter().chain(states(i)).collect();
    for rule in rules.iter().filter(|rule| rule["alert"].is_string()) {
        let of_it = |fires: bool| {
            cases
                .iter()
                .any(|case| rule["alert"] == case.alert && case.fires.is_some() == fires)
        };
        assert!(of_it(true) && of_it(false), "{rule} has no case of its own");
    }
    let mut tests: Vec<Value> = cases.iter().map(|case| test(case, reaction, &rules)).collect();
    tests.push(recorded(i));
    let evaluation = format!("{}s", i.evaluation_s);
    let file =
        json!({"rule_files": ["rules.yml"], "evaluation_interval": evaluation, "fuzzy_compare": true, "tests": tests});
    let files = [("rules.yml", text), ("tests.yml", file.to_string())];
    promtool(&files, &["test", "rules", "tests.yml"]);
}

#[test]
#[ignore = "needs promtool, see `make promtool`"]
fn promtool_sees_every_alert_fire_when_it_should_and_only_then() {
    for reaction in PROFILES {
        run_alerts(reaction, text(reaction, "rules.yml"));
    }
}

/// The check itself can fail.
#[test]
#[ignore = "needs promtool, see `make promtool`"]
#[should_panic(expected = "alertname: WebAppErrors")]
fn promtool_refuses_an_alert_that_fires_too_late() {
    run_alerts(
        Reaction::Fast,
        text(Reaction::Fast, "rules.yml").replace("> 0.05", "> 0.5"),
    );
}

/// The check itself can fail.
#[test]
#[ignore = "needs promtool, see `make promtool`"]
#[should_panic(expected = "promtool [\"check\", \"rules\", \"queries.yml\"]")]
fn promtool_refuses_what_is_no_query() {
    let file = json!({"groups": [{"name": "queries", "rules": [{"record": "a:b", "expr": "sum by (pod (x)"}]}]});
    promtool(&[("queries.yml", file.to_string())], &["check", "rules", "queries.yml"]);
}

#[test]
fn the_rule_file_is_where_the_configuration_names_it() {
    let config = yaml(&stack(Reaction::Fast), "prometheus", "prometheus.yml");
    let named = Path::new(config["rule_files"][0].as_str().expect("a path")).to_owned();
    let pod = find(&stack(Reaction::Fast), "Deployment", "prometheus")["spec"]["template"]["spec"].clone();
    let mount = &pod["containers"][0]["volumeMounts"][0];
    assert_eq!(named.parent().and_then(Path::to_str), mount["mountPath"].as_str());
    assert!(
        find(&stack(Reaction::Fast), "ConfigMap", "prometheus")["data"]
            .get("rules.yml")
            .is_some()
    );
}
