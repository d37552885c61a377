//! `doctor`: set-ups that are broken one after another, each named with its hop and code, and mended by what it tells to run.

mod cases;

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use self::cases::{CASES, METRICS_API};
use crate::signer::{self, Signed};
use crate::story::{BOOTSTRAP, TEARDOWN};
use crate::support::Sandbox;

const DOCTOR: [&str; 5] = ["doctor", "--cluster", "demo", "--output", "json"];
/// How long a fault may take to show: the HPA's controller looks every 15 s, a failing pod is given 30.
const SHOWS: Duration = Duration::from_mins(2);

#[test]
fn each_broken_set_up_is_named_with_its_hop_and_code_and_mended_by_what_is_told() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    sandbox.json(&BOOTSTRAP);
    without_traffic_every_hop_works(&sandbox);
    for case in &CASES {
        for words in case.breaks {
            sandbox.kubectl(words);
        }
        let found = broken(&sandbox, case.what, (case.hop, case.code));
        for index in case.mends {
            run(&sandbox, &fixes(&found)[*index]);
        }
        healthy(&sandbox, case.what);
    }
    a_second_hpa_is_told(&sandbox);
    sandbox.run(&TEARDOWN);
    sandbox.reset();
}

#[test]
#[ignore = "minutes: `make test-full` runs it"]
fn what_takes_more_than_a_command_to_break_is_named_and_mended_too() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    sandbox.json(&BOOTSTRAP);
    a_scrape_that_is_refused_and_one_that_is_too_slow_are_told(&sandbox);
    a_certificate_that_ended_and_a_bundle_that_trusts_another_are_told(&sandbox);
    pods_of_others_that_the_hpa_counts_are_told(&sandbox);
    the_maximum_is_told_while_pods_have_too_much_to_do(&sandbox);
    pods_with_another_label_are_told_and_their_samples_are_stale(&sandbox);
    sandbox.run(&TEARDOWN);
    sandbox.reset();
}

fn without_traffic_every_hop_works(sandbox: &Sandbox) {
    sandbox.forget_requests();
    let found = healthy(sandbox, "nothing is broken");
    let values = hop(&found, "values");
    assert_eq!(
        (&values["state"], &values["code"]),
        (&json!("pass"), &json!("no_traffic")),
        "{found}"
    );
    assert_eq!(values["figure"]["value"], 0.0);
    assert_eq!(found["unknown"], 0, "{found}");
    let text = sandbox.run(&DOCTOR[..3]);
    assert!(
        text.ends_with("every hop works\nno_traffic: provisioner load --cluster demo --region us-east-1\n"),
        "{text}"
    );
    assert_eq!(sandbox.mutating_requests(), Vec::<String>::new());
}

/// The configuration of Prometheus with one line more or another one, in its running pod.
fn configure_prometheus(sandbox: &Sandbox, from: &str, to: &str) {
    let text = "jsonpath={.data['prometheus\\.yml']}";
    let live = sandbox.kubectl(&["get", "configmap/prometheus", "-n", "monitoring", "-o", text]);
    assert!(live.contains(from), "{live}");
    let patch = json!({"data": {"prometheus.yml": live.replacen(from, to, 1)}}).to_string();
    sandbox.kubectl(&["patch", "configmap/prometheus", "-n", "monitoring", "-p", &patch]);
    sandbox.kubectl(&["rollout", "restart", "deployment/prometheus", "-n", "monitoring"]);
}

fn a_scrape_that_is_refused_and_one_that_is_too_slow_are_told(sandbox: &Sandbox) {
    for (from, to, hop, code) in [
        (
            "metrics_path: \"/metrics\"\n",
            "metrics_path: /nope\n",
            "target",
            "http_error",
        ),
        (
            "scrape_interval: 1s\n",
            "scrape_interval: 10s\n",
            "series",
            "slow_scrape",
        ),
    ] {
        configure_prometheus(sandbox, from, to);
        let found = broken(sandbox, to, (hop, code));
        for fix in &fixes(&found)[..2] {
            run(sandbox, fix);
        }
        healthy(sandbox, to);
    }
}

fn a_certificate_that_ended_and_a_bundle_that_trusts_another_are_told(sandbox: &Sandbox) {
    let of = |secret: &str, key: &str| {
        let path = format!("jsonpath={{.data['tls\\.{key}']}}");
        let text = sandbox.kubectl(&["get", "secret", secret, "-n", "custom-metrics", "-o", &path]);
        String::from_utf8(STANDARD.decode(text).expect("base64")).expect("PEM")
    };
    let ours = Signed {
        certificate: of("provisioner-ca", "crt"),
        key: of("provisioner-ca", "key"),
    };
    let ended = signer::serving(&ours, (300, -1));
    let pair =
        json!({"data": {"tls.crt": STANDARD.encode(&ended.certificate), "tls.key": STANDARD.encode(&ended.key)}});
    let secret = ["patch", "secret/cm-adapter-serving-certs", "-n", "custom-metrics", "-p"];
    sandbox.kubectl(&[&secret[..], &[&pair.to_string()]].concat());
    let found = broken(sandbox, "the certificate has ended", ("certificate", "x509_expired"));
    run(sandbox, &fixes(&found)[0]);
    healthy(sandbox, "the certificate has ended");
    let other = signer::authority((1, 100));
    let bundle = json!({"spec": {"caBundle": STANDARD.encode(&other.certificate)}}).to_string();
    sandbox.kubectl(&["patch", METRICS_API, "--type=merge", "-p", &bundle]);
    let found = broken(
        sandbox,
        "another authority is trusted",
        ("certificate", "x509_untrusted"),
    );
    run(sandbox, &fixes(&found)[0]);
    healthy(sandbox, "another authority is trusted");
}

fn a_second_hpa_is_told(sandbox: &Sandbox) {
    let spec =
        json!({"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web-app"}});
    sandbox.apply(
        &json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "mine", "namespace": "web-app"}, "spec": spec}),
    );
    let found = broken(sandbox, "a second HPA scales the app", ("hpa", "two_autoscalers"));
    run(sandbox, &fixes(&found)[0]);
    healthy(sandbox, "a second HPA scales the app");
}

fn pods_of_others_that_the_hpa_counts_are_told(sandbox: &Sandbox) {
    let security = json!({"runAsNonRoot": true, "runAsUser": 65534, "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}});
    let container = json!({"name": "extra", "image": "registry.invalid/none:1", "securityContext": security});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [container]},
        "metadata": {"name": "extra", "namespace": "web-app", "labels": {"app": "web-app"}}});
    sandbox.apply(&pod);
    let found = broken(sandbox, "another pod bears the label", ("hpa", "foreign_pods"));
    run(sandbox, &fixes(&found)[0]);
    healthy(sandbox, "another pod bears the label");
    sandbox.kubectl(&["delete", "pod", "extra", "-n", "web-app", "--now"]);
}

fn the_maximum_is_told_while_pods_have_too_much_to_do(sandbox: &Sandbox) {
    let least = r#"{"spec": {"maxReplicas": 1}}"#;
    sandbox.kubectl(&["patch", "hpa/web-app-hpa", "-n", "web-app", "--type=merge", "-p", least]);
    let load = [
        "load",
        "--cluster",
        "demo",
        "--rate",
        "50",
        "--duration",
        "90s",
        "--yes",
    ];
    let mut load = sandbox.started(&load);
    let found = broken(sandbox, "one pod has the load of five", ("scale", "at_maximum"));
    run(sandbox, &fixes(&found)[0]);
    healthy(sandbox, "one pod has the load of five");
    let max = sandbox.kubectl(&[
        "get",
        "hpa/web-app-hpa",
        "-n",
        "web-app",
        "-o",
        "jsonpath={.spec.maxReplicas}",
    ]);
    assert!(max.parse::<u32>().is_ok_and(|max| max >= 5), "{max}");
    load.wait().expect("it ends");
    run(sandbox, "provisioner bootstrap --cluster demo --force-conflicts");
}

/// A selector cannot be changed: somebody made the Deployment anew.
fn pods_with_another_label_are_told_and_their_samples_are_stale(sandbox: &Sandbox) {
    let live = sandbox.kubectl(&["get", "deployment/web-app", "-n", "web-app", "-o", "json"]);
    let mut wanted: Value = serde_json::from_str(&live).expect("JSON");
    wanted["spec"]["selector"]["matchLabels"]["app"] = "other".into();
    wanted["spec"]["template"]["metadata"]["labels"]["app"] = "other".into();
    wanted["metadata"] = live_metadata(&wanted);
    sandbox.kubectl(&["delete", "deployment/web-app", "-n", "web-app", "--wait"]);
    sandbox.apply(&wanted);
    broken(sandbox, "the pods have another label", ("pods", "label_mismatch"));
    let give_up = Instant::now() + SHOWS;
    let found = loop {
        let found = look(sandbox).1;
        if hop(&found, "series")["code"] == "stale" && hop(&found, "target")["code"] == "no_target" {
            break found;
        }
        assert!(
            Instant::now() < give_up,
            "its samples are not stale, or their target is there: {found}"
        );
        std::thread::sleep(Duration::from_secs(1));
    };
    assert!(
        hop(&found, "series")["age_s"].as_f64().is_some_and(|age| age > 0.0),
        "{found}"
    );
    run(sandbox, &fixes(&found)[0]);
    healthy(sandbox, "the pods have another label");
}

/// What of an object's metadata is not the server's.
fn live_metadata(object: &Value) -> Value {
    let mut kept = json!({});
    for field in ["name", "namespace", "labels", "annotations"] {
        if !object["metadata"][field].is_null() {
            kept[field] = object["metadata"][field].clone();
        }
    }
    kept
}

/// Looks once: exit code and JSON.
fn look(sandbox: &Sandbox) -> (Option<i32>, Value) {
    let output = sandbox.tool(&DOCTOR, &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    let json = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
    (output.status.code(), json)
}

/// Looks until the diagnosis is this one; the exit code says that something is broken.
#[expect(clippy::print_stdout, reason = "how soon it shows is worth reading")]
#[track_caller]
fn broken(sandbox: &Sandbox, what: &str, (hop, code): (&str, &str)) -> Value {
    let began = Instant::now();
    loop {
        let (exit, found) = look(sandbox);
        if found["broken"] == hop && found["code"] == code {
            assert_eq!(exit, Some(1), "{found}");
            println!("{what}: {hop}, {code} after {:.1} s", began.elapsed().as_secs_f64());
            return found;
        }
        assert!(began.elapsed() < SHOWS, "{what}: not {hop}, {code}: {found}");
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Looks until nothing is broken any more.
#[track_caller]
fn healthy(sandbox: &Sandbox, what: &str) -> Value {
    let began = Instant::now();
    loop {
        let (exit, found) = look(sandbox);
        if found["healthy"] == true {
            assert_eq!((exit, &found["schema"]), (Some(0), &json!(1)), "{found}");
            return found;
        }
        assert!(began.elapsed() < SHOWS, "{what}: not mended: {found}");
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn hop<'a>(found: &'a Value, name: &str) -> &'a Value {
    let hops = found["hops"].as_array().expect("hops");
    hops.iter().find(|hop| hop["hop"] == name).expect("it is there")
}

/// What the first broken hop tells to run.
fn fixes(found: &Value) -> Vec<String> {
    let broken = found["broken"].as_str().expect("one is broken");
    let all = hop(found, broken)["fixes"].as_array().expect("a list").iter();
    all.map(|fix| fix.as_str().expect("text").to_owned()).collect()
}

/// Runs a command as it is told; a bootstrap with the flags that this stack is made with.
#[track_caller]
fn run(sandbox: &Sandbox, told: &str) {
    match told.strip_prefix("provisioner ") {
        Some(words) => {
            let mut words: Vec<&str> = words.split(' ').collect();
            words.extend(["--without", "grafana", "--yes"]);
            sandbox.run(&words);
        }
        None => {
            sandbox.shell(told);
        }
    }
}
