//! In which order objects are applied and deleted. Pure.

use super::authority;
use super::object::ObjectRef;

/// Stages of an apply; what a stage needs is in an earlier one.
pub(super) const STAGES: u8 = 5;

/// The stage in which an object is applied: definitions, what others name, what binds, workloads, what needs workloads.
pub(super) fn stage(object: &ObjectRef) -> u8 {
    match (object.group(), object.kind.as_str()) {
        ("", "Namespace") | ("apiextensions.k8s.io", "CustomResourceDefinition") => 0,
        ("", "ServiceAccount" | "ConfigMap" | "Secret") | ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => 1,
        ("apps" | "batch", _) | ("", "Pod") => 3,
        ("autoscaling" | "apiregistration.k8s.io" | "monitoring.coreos.com" | "admissionregistration.k8s.io", _) => 4,
        _ => 2,
    }
}

/// Waves of a deletion; each is issued when the one before is done.
pub(super) const WAVES: u8 = 4;

/// The wave in which an object is deleted. An HPA that lost its metrics only makes noise, and an `APIService` without
/// its backend keeps every namespace from going: both go first. Namespaces come after all waves, then what
/// [`is_last`] names.
pub(super) fn wave(object: &ObjectRef) -> u8 {
    match (object.group(), object.kind.as_str()) {
        ("autoscaling", _) => 0,
        ("apiregistration.k8s.io" | "admissionregistration.k8s.io", _) => 1,
        // Before the Secrets that cert-manager would make again.
        ("apps" | "batch" | authority::GROUP, _) | ("", "Pod") => 2,
        _ => 3,
    }
}

/// Whether an object is deleted after everything else: the `ApplySet`'s parent and leases.
pub(super) fn is_last(object: &ObjectRef, applyset_parent: &str) -> bool {
    (object.kind == "Secret" && object.name == applyset_parent) || object.group() == "coordination.k8s.io"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(api_version: &str, kind: &str) -> ObjectRef {
        ObjectRef {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: None,
            name: "x".to_owned(),
        }
    }

    #[test]
    fn what_is_needed_is_applied_earlier() {
        let order = [
            ("v1", "Namespace"),
            ("rbac.authorization.k8s.io/v1", "Role"),
            ("rbac.authorization.k8s.io/v1", "RoleBinding"),
            ("apps/v1", "Deployment"),
            ("apiregistration.k8s.io/v1", "APIService"),
        ];
        let stages: Vec<u8> = order.iter().map(|(v, k)| stage(&object(v, k))).collect();
        assert_eq!(stages, [0, 1, 2, 3, 4]);
        assert_eq!(stage(&object("policy/v1", "PodDisruptionBudget")), 2);
        assert_eq!(stage(&object("autoscaling/v2", "HorizontalPodAutoscaler")), 4);
    }

    #[test]
    fn autoscalers_and_the_metrics_api_are_deleted_before_their_backends() {
        let order = [
            ("autoscaling/v2", "HorizontalPodAutoscaler"),
            ("apiregistration.k8s.io/v1", "APIService"),
            ("apps/v1", "Deployment"),
            ("v1", "ConfigMap"),
        ];
        assert_eq!(wave(&object("cert-manager.io/v1", "Certificate")), 2);
        let waves: Vec<u8> = order.iter().map(|(v, k)| wave(&object(v, k))).collect();
        assert_eq!(waves, [0, 1, 2, 3]);
        assert!(is_last(&object("v1", "Secret"), "x") && !is_last(&object("v1", "Secret"), "y"));
    }
}
