//! Who of the stack may do what: read from the manifests, held against one list.

use std::collections::{BTreeMap, BTreeSet};

use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::object::ObjectRef;
use super::stack_tests::{objects, values};

/// Rules of the roles that Kubernetes brings and the stack binds.
fn built_in(role: &str) -> Option<Value> {
    match role {
        "system:auth-delegator" => Some(json!([
            {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
            {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
        ])),
        "extension-apiserver-authentication-reader" => Some(json!([
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"],
             "resourceNames": ["extension-apiserver-authentication"]},
        ])),
        _ => None,
    }
}

/// The rules of the role that a binding names.
fn rules(all: &[DynamicObject], binding: &DynamicObject) -> Value {
    let wanted = &binding.data["roleRef"];
    let name = wanted["name"].as_str().expect("a name");
    let role = all.iter().find(|o| {
        let is = ObjectRef::of(o);
        let home = is.kind == "ClusterRole" || is.namespace == binding.metadata.namespace;
        wanted["kind"] == is.kind && is.name == name && home
    });
    let rules = role.map(|role| role.data["rules"].clone());
    rules
        .or_else(|| built_in(name))
        .unwrap_or_else(|| panic!("nobody knows role {name}"))
}

/// `subject | where | resource | verbs`, one line for each subject and resource.
fn matrix(all: &[DynamicObject]) -> Vec<String> {
    let mut lines: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for binding in all.iter().filter(|o| ObjectRef::of(o).kind.ends_with("RoleBinding")) {
        let place = binding.metadata.namespace.as_deref().unwrap_or("all");
        for subject in binding.data["subjects"].as_array().expect("subjects") {
            assert_eq!(subject["kind"], "ServiceAccount");
            let subject = format!("{}/{}", text(&subject["namespace"]), text(&subject["name"]));
            for rule in rules(all, binding).as_array().expect("rules") {
                for (resource, verb) in rights(rule) {
                    let line = format!("{subject} | {place} | {resource}");
                    lines.entry(line).or_default().insert(verb);
                }
            }
        }
    }
    let verbs = |all: BTreeSet<String>| all.into_iter().collect::<Vec<_>>().join(", ");
    lines
        .into_iter()
        .map(|(line, all)| format!("{line} | {}", verbs(all)))
        .collect()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

/// Resource (with its group and the one name, where there are any) and verb of each right in a rule.
fn rights(rule: &Value) -> Vec<(String, String)> {
    let list = |field: &str| rule[field].as_array().cloned().unwrap_or_default();
    assert!(rule["nonResourceURLs"].is_null(), "{rule}");
    let mut rights = Vec::new();
    for group in list("apiGroups") {
        for resource in list("resources") {
            let mut name = text(&resource).to_owned();
            if !text(&group).is_empty() {
                name = format!("{name}.{}", text(&group));
            }
            if let Some(one) = rule["resourceNames"][0].as_str() {
                name = format!("{name} `{one}`");
            }
            rights.extend(list("verbs").iter().map(|verb| (name.clone(), text(verb).to_owned())));
        }
    }
    rights
}

#[test]
fn every_right_of_the_stack_is_listed() {
    insta::assert_snapshot!(matrix(&objects(&values())).join("\n"), @"
    custom-metrics/custom-metrics-apiserver | all | subjectaccessreviews.authorization.k8s.io | create
    custom-metrics/custom-metrics-apiserver | all | tokenreviews.authentication.k8s.io | create
    custom-metrics/custom-metrics-apiserver | kube-system | configmaps `extension-apiserver-authentication` | get, list, watch
    custom-metrics/custom-metrics-apiserver | web-app | pods | list
    kube-system/horizontal-pod-autoscaler | all | pods/http_requests_per_second.custom.metrics.k8s.io | get, list
    kube-system/horizontal-pod-autoscaler | all | services/http_requests_per_second.custom.metrics.k8s.io | get, list
    monitoring/kube-state-metrics | custom-metrics | deployments.apps | list, watch
    monitoring/kube-state-metrics | custom-metrics | horizontalpodautoscalers.autoscaling | list, watch
    monitoring/kube-state-metrics | custom-metrics | pods | list, watch
    monitoring/kube-state-metrics | monitoring | deployments.apps | list, watch
    monitoring/kube-state-metrics | monitoring | horizontalpodautoscalers.autoscaling | list, watch
    monitoring/kube-state-metrics | monitoring | pods | list, watch
    monitoring/kube-state-metrics | web-app | deployments.apps | list, watch
    monitoring/kube-state-metrics | web-app | horizontalpodautoscalers.autoscaling | list, watch
    monitoring/kube-state-metrics | web-app | pods | list, watch
    monitoring/prometheus | web-app | pods | list, watch
    ");
}

#[test]
fn nobody_reads_secrets_or_has_rights_by_pattern() {
    for line in matrix(&objects(&values())) {
        for word in [
            "*",
            "secrets",
            "escalate",
            "impersonate",
            "bind",
            "exec",
            "delete",
            "update",
            "patch",
        ] {
            assert!(!line.contains(word), "{line}");
        }
    }
}

#[test]
fn every_account_is_used_and_nothing_is_bound_to_the_default_one() {
    let all = objects(&values());
    let accounts: BTreeSet<String> = all
        .iter()
        .filter(|o| ObjectRef::of(o).kind == "ServiceAccount")
        .map(|o| ObjectRef::of(o).path())
        .collect();
    let used: BTreeSet<String> = all
        .iter()
        .filter_map(|o| {
            let name = o.data.pointer("/spec/template/spec/serviceAccountName")?.as_str()?;
            Some(format!("{}/{name}", o.metadata.namespace.as_deref()?))
        })
        .collect();
    assert_eq!(accounts, used);
    for line in matrix(&all) {
        let subject = line.split(" | ").next().unwrap_or_default().to_owned();
        let controller = subject == "kube-system/horizontal-pod-autoscaler";
        assert!(accounts.contains(&subject) || controller, "{line}");
    }
}
