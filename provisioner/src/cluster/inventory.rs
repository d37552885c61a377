//! What is in the cluster, by label over all kinds: the tool keeps no list of its own.

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use kube::api::ListParams;
use kube::core::DynamicObject;
use kube::discovery::{ApiResource, Scope, verbs};

use super::connect::Cluster;
use super::error::{ClusterError, Failure};
use super::object::ObjectRef;
use super::ownership::PARALLEL;
use super::retry;
use crate::names::StackName;

/// An object as listed.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub(super) object: ObjectRef,
    pub(super) uid: Option<String>,
    pub(super) controlled: bool,
}

/// What Kubernetes puts into every namespace.
pub(super) fn is_built_in(object: &ObjectRef) -> bool {
    matches!(
        (object.kind.as_str(), object.name.as_str()),
        ("ServiceAccount", "default") | ("ConfigMap", "kube-root-ca.crt" | "openshift-service-ca.crt")
    )
}

/// Kinds that can be listed and deleted; those that the cluster makes by itself are none of ours.
pub(super) async fn kinds(cluster: &Cluster) -> Result<Vec<(ApiResource, bool)>, ClusterError> {
    cluster.forget_kinds().await;
    let discovery = cluster.discovery().await?;
    let found = discovery
        .groups()
        .flat_map(kube::discovery::ApiGroup::recommended_resources);
    Ok(found
        .filter(|(_, can)| can.supports_operation(verbs::LIST) && can.supports_operation(verbs::DELETE))
        .filter(|(kind, _)| !is_made_by_cluster(kind))
        .map(|(kind, can)| (kind, can.scope == Scope::Namespaced))
        .collect())
}

/// Kinds of objects that controllers make: some copy labels, all go with what they were made for.
fn is_made_by_cluster(kind: &ApiResource) -> bool {
    kind.group.ends_with("metrics.k8s.io")
        || matches!(
            kind.kind.as_str(),
            "Event" | "Endpoints" | "EndpointSlice" | "ControllerRevision" | "Node" | "CSINode" | "ComponentStatus"
        )
}

/// Objects by label over all kinds, in one namespace or everywhere.
pub(super) async fn find(
    cluster: &Cluster,
    kinds: &[(ApiResource, bool)],
    selector: &str,
    namespace: Option<&str>,
) -> Result<Vec<Live>, ClusterError> {
    let lists = kinds.iter().map(|(kind, _)| async move {
        let api = cluster.api(kind, namespace);
        let params = ListParams::default().labels(selector);
        match retry::call(|| api.list(&params)).await {
            Ok(list) => Ok(list.items.iter().map(|o| live(kind, o)).collect()),
            // A kind whose definition or backend went meanwhile has no objects that could be found.
            Err(Failure {
                code: Some(404 | 405), ..
            }) => Ok(Vec::new()),
            Err(failure) => Err(ClusterError::request("list", format!("all {}", kind.plural), failure)),
        }
    });
    let found: Vec<Vec<Live>> = stream::iter(lists).buffered(PARALLEL).try_collect().await?;
    let mut all: Vec<Live> = found.into_iter().flatten().collect();
    if namespace.is_none() {
        all.retain(|l| !l.controlled);
    }
    all.sort_by(|a, b| a.object.cmp(&b.object));
    Ok(all)
}

/// Every object that bears the stack's labels.
pub async fn of_stack(cluster: &Cluster, stack: &StackName) -> Result<Vec<ObjectRef>, ClusterError> {
    let found = find(cluster, &kinds(cluster).await?, &stack.selector(), None).await?;
    Ok(found.into_iter().map(|live| live.object).collect())
}

fn live(kind: &ApiResource, object: &DynamicObject) -> Live {
    Live {
        object: ObjectRef::listed(kind, object),
        uid: object.metadata.uid.clone(),
        controlled: object.metadata.owner_references.as_ref().is_some_and(|o| !o.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: &str, name: &str) -> ObjectRef {
        ObjectRef {
            api_version: "v1".to_owned(),
            kind: kind.to_owned(),
            namespace: Some("a".to_owned()),
            name: name.to_owned(),
        }
    }

    #[test]
    fn what_kubernetes_puts_into_a_namespace_does_not_keep_it() {
        assert!(is_built_in(&object("ServiceAccount", "default")));
        assert!(is_built_in(&object("ConfigMap", "kube-root-ca.crt")));
        assert!(!is_built_in(&object("ConfigMap", "default")));
    }
}
