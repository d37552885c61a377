//! The kinds that the server knows, and how it tells of them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// `(group, version, kind, plural, namespaced)` of every kind that the server knows.
pub(super) const KINDS: [(&str, &str, &str, &str, bool); 24] = [
    ("", "v1", "Namespace", "namespaces", false),
    ("", "v1", "ServiceAccount", "serviceaccounts", true),
    ("", "v1", "ConfigMap", "configmaps", true),
    ("", "v1", "Secret", "secrets", true),
    ("", "v1", "Service", "services", true),
    ("", "v1", "Pod", "pods", true),
    ("", "v1", "Event", "events", true),
    ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", true),
    ("apps", "v1", "Deployment", "deployments", true),
    ("apps", "v1", "StatefulSet", "statefulsets", true),
    ("apps", "v1", "ReplicaSet", "replicasets", true),
    ("batch", "v1", "Job", "jobs", true),
    (
        "autoscaling",
        "v2",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
        true,
    ),
    ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", true),
    ("rbac.authorization.k8s.io", "v1", "Role", "roles", true),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", true),
    ("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", false),
    (
        "rbac.authorization.k8s.io",
        "v1",
        "ClusterRoleBinding",
        "clusterrolebindings",
        false,
    ),
    ("apiregistration.k8s.io", "v1", "APIService", "apiservices", false),
    ("coordination.k8s.io", "v1", "Lease", "leases", true),
    (
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        false,
    ),
    ("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", true),
    (
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        false,
    ),
    ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", true),
];

/// The answer of aggregated discovery.
pub(super) fn discovery<'a>(kinds: impl Iterator<Item = (&'a str, &'a str, &'a str, &'a str, bool)>) -> Value {
    let verbs = ["get", "list", "patch", "delete"];
    let mut groups: BTreeMap<(&str, &str), Vec<Value>> = BTreeMap::new();
    for (group, version, kind, plural, namespaced) in kinds {
        let scope = if namespaced { "Namespaced" } else { "Cluster" };
        groups.entry((group, version)).or_default().push(json!({
            "resource": plural, "singularResource": kind.to_lowercase(), "scope": scope, "verbs": verbs,
            "responseKind": {"group": group, "version": version, "kind": kind},
        }));
    }
    let items = groups.into_iter().map(|((group, version), resources)| {
        json!({"metadata": {"name": group}, "versions": [{"version": version, "resources": resources}]})
    });
    // An aggregated API whose backend does not answer.
    let down = json!({"metadata": {"name": "broken.example"}, "versions": [{"version": "v1", "freshness": "Stale"}]});
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {},
        "items": items.chain([down]).collect::<Vec<_>>()})
}
