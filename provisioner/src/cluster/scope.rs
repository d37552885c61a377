//! Whether an object belongs into a namespace, and says so. Pure.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::DynamicObject;

use super::object::ObjectRef;

/// Kinds of Kubernetes itself that belong to the whole cluster; every other kind of its groups has namespaces.
const CLUSTER_WIDE: [&str; 22] = [
    "APIService",
    "CertificateSigningRequest",
    "ClusterRole",
    "ClusterRoleBinding",
    "ClusterTrustBundle",
    "CustomResourceDefinition",
    "FlowSchema",
    "IPAddress",
    "IngressClass",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "RuntimeClass",
    "ServiceCIDR",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
];
/// Groups of Kubernetes itself beside those without a dot.
const BUILT_IN: [&str; 12] = [
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "rbac.authorization.k8s.io",
    "scheduling.k8s.io",
];

/// Whether a kind of Kubernetes itself has namespaces; none where only the cluster can tell.
pub(super) fn built_in(object: &ObjectRef) -> Option<bool> {
    let group = object.group();
    let ours = matches!(group, "" | "apps" | "autoscaling" | "batch" | "policy") || BUILT_IN.contains(&group);
    ours.then(|| !CLUSTER_WIDE.contains(&object.kind.as_str()))
}

/// Group and kind of what definitions among the objects define, and whether it has namespaces.
pub(super) fn defined<'a>(objects: impl Iterator<Item = &'a DynamicObject>) -> BTreeMap<(String, String), bool> {
    let definitions = objects
        .filter(|o| ObjectRef::of(o).kind == "CustomResourceDefinition")
        .filter_map(|o| o.clone().try_parse::<CustomResourceDefinition>().ok());
    definitions
        .map(|crd| ((crd.spec.group, crd.spec.names.kind), crd.spec.scope == "Namespaced"))
        .collect()
}

/// What is wrong with where an object says it belongs. Without a namespace the server would be asked for a path that
/// does not exist, in the middle of an apply.
pub(super) fn problem(object: &ObjectRef, namespaced: bool) -> Option<String> {
    match (namespaced, &object.namespace) {
        (true, None) => Some(format!("{object} lacks `metadata.namespace`")),
        (false, Some(namespace)) => Some(format!(
            "{object} belongs to the whole cluster, not to namespace `{namespace}`"
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(api_version: &str, kind: &str, namespace: Option<&str>) -> ObjectRef {
        ObjectRef {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.map(ToOwned::to_owned),
            name: "x".to_owned(),
        }
    }

    #[test]
    fn kinds_of_kubernetes_are_known_without_a_cluster() {
        for (api_version, kind, namespaced) in [
            ("v1", "ConfigMap", Some(true)),
            ("apps/v1", "Deployment", Some(true)),
            ("v1", "Namespace", Some(false)),
            ("rbac.authorization.k8s.io/v1", "ClusterRole", Some(false)),
            ("apiregistration.k8s.io/v1", "APIService", Some(false)),
            ("storage.k8s.io/v1", "StorageClass", None),
            ("example.com/v1", "Namespace", None),
        ] {
            assert_eq!(built_in(&object(api_version, kind, None)), namespaced, "{kind}");
        }
    }

    #[test]
    fn a_namespace_is_missing_or_too_much() {
        assert_eq!(problem(&object("v1", "Pod", Some("a")), true), None);
        assert_eq!(problem(&object("v1", "Node", None), false), None);
        let missing = problem(&object("v1", "Pod", None), true);
        assert_eq!(missing.as_deref(), Some("Pod `x` lacks `metadata.namespace`"));
        assert_eq!(
            problem(&object("v1", "Node", Some("a")), false).as_deref(),
            Some("Node `a/x` belongs to the whole cluster, not to namespace `a`")
        );
    }
}
