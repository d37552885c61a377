//! The real manifests keep the rules that the design states.

use std::collections::{BTreeMap, BTreeSet};

use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::certificate::Certificates;
use super::embedded::MANIFESTS;
use super::error::ClusterError;
use super::manifest::{self, Component};
use super::mark;
use super::object::ObjectRef;
use super::reaction::Reaction;
use super::values::Values;
use crate::names::{LABEL_APPLYSET_PART_OF, LABEL_COMPONENT, LABEL_MANAGED_BY, LABEL_PART_OF};

pub(super) fn values() -> Values {
    let stack = "demo".parse().expect("valid");
    Values::new(
        stack,
        "registry.example/demo/web-app@sha256:00",
        "registry.example/demo/load@sha256:00",
    )
}

fn certificates() -> Certificates {
    Certificates {
        ca_bundle: "bundle".to_owned(),
        ..Certificates::default()
    }
}

fn stack(values: &Values) -> Vec<Component> {
    manifest::load(None, &[], values, &certificates()).expect("the manifests load")
}

pub(super) fn load_job() -> DynamicObject {
    let own = ["load_url", "load_rate", "load_duration", "load_deadline_s"];
    let own = own.map(|name| (name, "1".to_owned()));
    let component = manifest::load_job(None, &values(), &BTreeMap::from(own));
    component.expect("the load job loads").objects.remove(0)
}

pub(super) fn objects(values: &Values) -> Vec<DynamicObject> {
    stack(values).into_iter().flat_map(|c| c.objects).collect()
}

pub(super) fn find(objects: &[DynamicObject], kind: &str, name: &str) -> Value {
    let found = objects.iter().find(|o| {
        let o = ObjectRef::of(o);
        o.kind == kind && o.name == name
    });
    let found = found.unwrap_or_else(|| panic!("{kind} {name}"));
    serde_json::to_value(found).expect("JSON")
}

/// The load is no component: it is made when it is asked for.
#[test]
fn components_are_the_folders_in_order() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../manifests");
    let entries = std::fs::read_dir(folder).expect("manifests").flatten();
    let mut folders: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with(|first: char| first.is_ascii_digit()) && !name.ends_with("-load"))
        .collect();
    folders.sort();
    let names: Vec<&str> = folders
        .iter()
        .filter_map(|name| Some(name.split_once('-')?.1))
        .collect();
    assert_eq!(manifest::components(), names);
    assert_eq!(names[..2], ["namespaces", "app"]);
}

#[test]
fn every_object_bears_the_marks_of_ownership() {
    for component in stack(&values()) {
        for object in &component.objects {
            let labels = object.metadata.labels.clone().unwrap_or_default();
            let label = |key: &str| labels.get(key).map(String::as_str);
            let name = ObjectRef::of(object);
            assert_eq!(label(LABEL_MANAGED_BY), Some("provisioner"), "{name}");
            assert_eq!(label(LABEL_PART_OF), Some("demo"), "{name}");
            assert_eq!(label(LABEL_COMPONENT), Some(component.name.as_str()), "{name}");
            let member = component.name != mark::APPLYSET;
            assert_eq!(label(LABEL_APPLYSET_PART_OF).is_some(), member, "{name}");
        }
    }
}

#[test]
fn replicas_are_never_sent_for_what_an_hpa_scales() {
    let all = objects(&values());
    let hpa = find(&all, "HorizontalPodAutoscaler", "web-app-hpa");
    let target = hpa["spec"]["scaleTargetRef"]["name"].as_str().expect("a name");
    let deployment = find(&all, "Deployment", target);
    assert!(deployment["spec"].get("replicas").is_none());
}

#[test]
fn the_hpa_follows_the_profile() {
    let all = objects(&values());
    let hpa = find(&all, "HorizontalPodAutoscaler", "web-app-hpa");
    assert_eq!(
        (&hpa["spec"]["minReplicas"], &hpa["spec"]["maxReplicas"]),
        (&json!(1), &json!(10))
    );
    let pods = &hpa["spec"]["metrics"][0]["pods"];
    assert_eq!(pods["metric"]["name"], "http_requests_per_second");
    assert_eq!(pods["target"], json!({"type": "AverageValue", "averageValue": "10"}));
    assert_eq!(hpa["spec"]["behavior"]["scaleUp"]["policies"][0]["value"], 10);
    let mut seed = values();
    seed.reaction = Reaction::Seed;
    let all = objects(&seed);
    assert!(
        find(&all, "HorizontalPodAutoscaler", "web-app-hpa")["spec"]
            .get("behavior")
            .is_none()
    );
    let config = find(&all, "ConfigMap", "prometheus");
    let config = config["data"]["prometheus.yml"].as_str().expect("text");
    assert!(config.contains("scrape_interval: 30s") && config.contains("scrape_timeout: 10s"));
    let rules = find(&all, "ConfigMap", "custom-metrics-apiserver");
    assert!(rules["data"]["config.yaml"].as_str().expect("text").contains("[60s]"));
}

#[test]
fn no_selector_of_the_app_matches_the_load_pods() {
    let all = objects(&values());
    let load = load_job();
    let labels = load.data["spec"]["template"]["metadata"]["labels"]
        .as_object()
        .expect("labels");
    let selectors = [
        find(&all, "Deployment", "web-app")["spec"]["selector"]["matchLabels"].clone(),
        find(&all, "Service", "web-app-service")["spec"]["selector"].clone(),
        find(&all, "PodDisruptionBudget", "web-app")["spec"]["selector"]["matchLabels"].clone(),
    ];
    let app = find(&all, "Deployment", "web-app")["spec"]["template"]["metadata"]["labels"].clone();
    for selector in selectors {
        let selector = selector.as_object().cloned().expect("a selector");
        assert!(selector.iter().any(|(k, v)| labels.get(k) != Some(v)), "{selector:?}");
        assert!(selector.iter().all(|(k, v)| app.get(k) == Some(v)), "{selector:?}");
    }
}

#[test]
fn certificates_are_verified() {
    let all = objects(&values());
    let api = find(&all, "APIService", "v1beta1.custom.metrics.k8s.io");
    assert_eq!(api["spec"]["insecureSkipTLSVerify"], false);
    assert_eq!(api["spec"]["caBundle"], "YnVuZGxl");
    for (file, text) in MANIFESTS {
        let text = text.to_lowercase().replace("insecureskiptlsverify: false", "");
        assert!(!text.contains("insecure"), "{file}");
    }
}

#[test]
fn no_number_has_a_leading_zero() {
    for (file, text) in MANIFESTS {
        for line in text.lines().map(|l| l.split(" #").next().unwrap_or_default()) {
            let mut tokens = line.split(|c: char| c.is_whitespace() || ",{}[]\"".contains(c));
            let octal = tokens.find(|t| t.len() > 1 && t.starts_with('0') && t.chars().all(|c| c.is_ascii_digit()));
            assert_eq!(octal, None, "{file}: {line}");
        }
    }
}

#[test]
fn components_can_be_left_out_and_misspelled_ones_name_the_nearest() {
    let left = manifest::load(None, &["grafana".to_owned()], &values(), &certificates()).expect("loads");
    assert!(left.iter().all(|c| c.name != "grafana"));
    let error = manifest::load(None, &["graphana".to_owned()], &values(), &certificates()).expect_err("unknown");
    assert!(
        matches!(&error, ClusterError::UnknownComponent { nearest, .. } if nearest.as_deref() == Some("grafana")),
        "{error}"
    );
    assert!(error.is_configuration());
}

#[test]
fn a_folder_joins_or_replaces_components_and_its_problems_are_all_named() {
    let dir = tempfile::tempdir().expect("a folder");
    for name in ["10-mine", "50-grafana"] {
        std::fs::create_dir(dir.path().join(name)).expect("made");
    }
    let folder = dir.path().join("10-mine");
    let object =
        |name: &str| format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}, namespace: web-app}}}}\n");
    std::fs::write(folder.join("a.yaml"), object("${stack}-${team}")).expect("written");
    std::fs::write(dir.path().join("50-grafana/a.yaml"), object("no-grafana")).expect("written");
    let mut values = values();
    values.own.insert("team".to_owned(), "red".to_owned());
    let load = || manifest::load(Some(dir.path()), &[], &values, &certificates());
    let components = load().expect("loads");
    let names: Vec<&str> = components.iter().map(|component| component.name.as_str()).collect();
    let mut want = manifest::components();
    want.insert(2, "mine".to_owned());
    want.push(mark::APPLYSET.to_owned());
    assert_eq!(names, want);
    assert_eq!(components[2].objects[0].metadata.name.as_deref(), Some("demo-red"));
    let grafana = components.iter().find(|component| component.name == "grafana");
    assert_eq!(grafana.expect("it is replaced").objects.len(), 1);
    std::fs::write(folder.join("b.yaml"), format!("{}---\nkind: x\n", object("demo"))).expect("written");
    std::fs::write(folder.join("c.yaml"), object("demo") + "---\n" + &object("${stacks}")).expect("written");
    std::fs::write(folder.join("d.yaml"), object("no-grafana")).expect("written");
    let nowhere = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: x, annotations: {provisioner/wait: maybe}},
        spec: {template: {spec: {containers: [{name: a, image: 'build://app'}]}}}}";
    std::fs::write(folder.join("e.yaml"), nowhere).expect("written");
    let Err(ClusterError::Manifests(problems)) = load() else {
        panic!("problems")
    };
    assert_eq!(
        problems,
        [
            "10-mine/b.yaml: an object without `apiVersion`",
            "10-mine/c.yaml:3: `name`: placeholder `${stacks}` has no value; did you mean `${stack}`?",
            "10-mine/e.yaml: Deployment `x`: image `build://app`: no image of that name is made",
            "10-mine/e.yaml: Deployment `x`: annotation `provisioner/wait` is `maybe`: it must be `required`, `reported` or `none`",
            "10-mine/e.yaml: Deployment `x` lacks `metadata.namespace`",
            "ConfigMap `web-app/no-grafana` stands in `mine` and again in `grafana`",
        ]
    );
}

#[test]
fn namespaces_images_and_prometheus_can_be_elsewhere() {
    let mut other = values();
    let named = super::images::named(&stack(&other)).images;
    let grafana = named
        .keys()
        .find(|image| image.starts_with("docker.io/grafana/grafana:"));
    other.namespaces.app = "shop".to_owned();
    other.prometheus_url = Some("http://prom.example:9090".parse().expect("valid"));
    other.images.insert(
        grafana.expect("by its tag").clone(),
        "mirror/grafana@sha256:00".to_owned(),
    );
    let all = objects(&other);
    let namespaces: BTreeSet<String> = all.iter().filter_map(|o| o.metadata.namespace.clone()).collect();
    assert_eq!(
        namespaces,
        BTreeSet::from(["shop", "monitoring", "custom-metrics", "kube-system"].map(String::from))
    );
    let grafana = find(&all, "Deployment", "grafana");
    assert_eq!(
        grafana["spec"]["template"]["spec"]["containers"][0]["image"],
        "mirror/grafana@sha256:00"
    );
    let adapter = find(&all, "Deployment", "custom-metrics-apiserver").to_string();
    assert!(adapter.contains("--prometheus-url=http://prom.example:9090"));
    let source = find(&all, "ConfigMap", "grafana-provisioning")["data"]["datasource.yml"].to_string();
    assert!(source.contains("url: http://prom.example:9090"), "{source}");
    let own = all
        .iter()
        .filter(|o| o.metadata.name.as_deref() == Some("prometheus"))
        .count();
    assert_eq!(own, 0, "no Prometheus of our own");
    for (kind, name) in [
        ("ServiceMonitor", "web-app-monitor"),
        ("PrometheusRule", "web-app-rules"),
    ] {
        find(&all, kind, name);
    }
}

#[test]
fn roles_name_resources_and_only_reading_verbs() {
    for object in objects(&values()) {
        for rule in object.data["rules"].as_array().into_iter().flatten() {
            let name = ObjectRef::of(&object);
            let all = rule.to_string();
            assert!(!all.contains("\"*\""), "{name}: {all}");
            for verb in rule["verbs"].as_array().expect("verbs") {
                assert!(
                    ["get", "list", "watch"].contains(&verb.as_str().expect("text")),
                    "{name}: {verb}"
                );
            }
        }
    }
}
