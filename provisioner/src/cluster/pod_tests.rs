//! The pods of the real manifests keep the rules that the design states.

use std::collections::BTreeMap;

use serde_json::Value;

use super::object::ObjectRef;
use super::stack_tests::{load_job, objects, values};
use super::values::Values;

/// Templates of everything that makes pods, with names.
pub(super) fn pods() -> Vec<(String, Value)> {
    let mut all = objects(&values());
    all.push(load_job());
    let made = all.iter().filter_map(|o| {
        let template = o.data.pointer("/spec/template")?;
        Some((ObjectRef::of(o).to_string(), template.clone()))
    });
    made.collect()
}

#[test]
fn containers_have_limits_exact_tags_and_no_command() {
    for (name, template) in pods() {
        for container in template["spec"]["containers"].as_array().expect("containers") {
            for bound in ["requests", "limits"] {
                for resource in ["cpu", "memory"] {
                    assert!(
                        container["resources"][bound][resource].is_string(),
                        "{name} {bound} {resource}"
                    );
                }
            }
            assert!(container.get("command").is_none(), "{name}");
            let image = container["image"].as_str().expect("an image");
            let tag = image.rsplit(':').next().unwrap_or_default();
            let exact = tag.split('.').count() == 3 && tag.starts_with(|c: char| c == 'v' || c.is_ascii_digit());
            assert!(image.contains("@sha256:") || exact, "{name}: {image}");
        }
    }
}

#[test]
fn servers_have_probes() {
    for (name, template) in pods().into_iter().filter(|(name, _)| name.starts_with("Deployment")) {
        for container in template["spec"]["containers"].as_array().expect("containers") {
            for probe in ["readinessProbe", "livenessProbe"] {
                assert!(container[probe]["httpGet"]["path"].is_string(), "{name} {probe}");
            }
        }
    }
}

#[test]
fn changed_configuration_rolls_its_pods_and_no_others() {
    let checksums = |values: &Values| -> BTreeMap<String, Value> {
        let sums = objects(values).into_iter().filter_map(|o| {
            let annotations = o.data.pointer("/spec/template/metadata/annotations")?;
            Some((
                ObjectRef::of(&o).name,
                annotations[crate::names::ANNOTATION_CHECKSUM].clone(),
            ))
        });
        sums.collect()
    };
    let before = checksums(&values());
    for name in ["custom-metrics-apiserver", "grafana", "prometheus"] {
        assert!(before.contains_key(name), "{name}");
    }
    let mut changed = values();
    changed.grafana_password = "new".to_owned();
    let after = checksums(&changed);
    let differ: Vec<&String> = before.keys().filter(|k| before[*k] != after[*k]).collect();
    assert_eq!(differ, ["grafana"]);
}
