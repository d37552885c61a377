//! What is in the cluster, by label over all kinds: the tool keeps no list of its own.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::ListParams;
use kube::core::DynamicObject;
use kube::discovery::{ApiResource, Scope, verbs};

use super::connect::Cluster;
use super::error::{ClusterError, Failure};
use super::object::ObjectRef;
use super::ownership::PARALLEL;
use super::ready::{condition, sentence};
use super::{retry, trouble};
use crate::names::StackName;

/// An object as listed.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub(super) object: ObjectRef,
    pub(super) uid: Option<String>,
    pub(super) controlled: bool,
    /// What it goes with, by uid.
    pub(super) owners: Vec<String>,
    /// Whether it bears the stack's labels.
    pub(super) ours: bool,
}

/// What Kubernetes puts into every namespace.
pub(super) fn is_built_in(object: &ObjectRef) -> bool {
    matches!(
        (object.kind.as_str(), object.name.as_str()),
        ("ServiceAccount", "default") | ("ConfigMap", "kube-root-ca.crt" | "openshift-service-ca.crt")
    )
}

/// The kinds of a cluster.
#[derive(Debug, Clone, Default)]
pub(super) struct Kinds {
    /// Those that can be listed and deleted, and whether they have namespaces.
    pub(super) all: Vec<(ApiResource, bool)>,
    /// Aggregated APIs whose backend does not answer, with its reason: their kinds are not in `all`.
    pub(super) silent: Vec<String>,
}

impl Kinds {
    /// Those with namespaces.
    pub(super) fn namespaced(&self) -> Self {
        Self {
            all: self.all.iter().filter(|(_, namespaced)| *namespaced).cloned().collect(),
            silent: Vec::new(),
        }
    }
}

/// Kinds that can be listed and deleted; those that the cluster makes by itself are none of ours. An aggregated API is
/// somebody else's: one whose backend is broken must not keep a stack from being found and removed.
pub(super) async fn kinds(cluster: &Cluster) -> Result<Kinds, ClusterError> {
    cluster.forget_kinds().await;
    let (discovery, broken) = futures::try_join!(cluster.discovery(), broken_apis(cluster))?;
    let found = discovery
        .groups()
        .flat_map(kube::discovery::ApiGroup::recommended_resources);
    let all = found
        .filter(|(_, can)| can.supports_operation(verbs::LIST) && can.supports_operation(verbs::DELETE))
        .filter(|(kind, _)| !is_made_by_cluster(kind) && !broken.contains_key(&kind.api_version))
        .map(|(kind, can)| (kind, can.scope == Scope::Namespaced))
        .collect();
    let silent = broken.into_iter().map(|(api, why)| format!("`{api}`: {why}")).collect();
    Ok(Kinds { all, silent })
}

/// Group and version of each API that another server is to answer and that is not available, with the reason.
pub(super) async fn broken_apis(cluster: &Cluster) -> Result<BTreeMap<String, String>, ClusterError> {
    let services = trouble::list(cluster, "apiregistration.k8s.io/v1", "APIService", None, "").await?;
    let broken = services.iter().filter_map(|service| {
        let spec = &service.data["spec"];
        spec["service"].as_object()?;
        let state = condition(&service.data["status"], "Available").filter(|c| c["status"] != "True")?;
        let api = format!("{}/{}", spec["group"].as_str()?, spec["version"].as_str()?);
        Some((api, sentence(state)))
    });
    Ok(broken.collect())
}

/// Kinds of objects that controllers make: some copy labels, all go with what they were made for.
fn is_made_by_cluster(kind: &ApiResource) -> bool {
    kind.group.ends_with("metrics.k8s.io")
        || matches!(
            kind.kind.as_str(),
            "Event" | "Endpoints" | "EndpointSlice" | "ControllerRevision" | "Node" | "CSINode" | "ComponentStatus"
        )
}

/// The stack's objects over all kinds, without those that are made from others.
pub(super) async fn of_kinds(cluster: &Cluster, kinds: &Kinds, stack: &StackName) -> Result<Vec<Live>, ClusterError> {
    let params = ListParams::default().labels(&stack.selector());
    let mut all = list(cluster, kinds, stack, (&params, None)).await?;
    all.retain(|live| !live.controlled);
    Ok(all)
}

/// Everything that is in a namespace, whosever it is.
pub(super) async fn of_namespace(
    cluster: &Cluster,
    kinds: &Kinds,
    stack: &StackName,
    namespace: &str,
) -> Result<Vec<Live>, ClusterError> {
    let everything = ListParams::default();
    list(cluster, &kinds.namespaced(), stack, (&everything, Some(namespace))).await
}

/// What of every kind the parameters ask for, in one namespace or everywhere; only names and marks are read.
async fn list(
    cluster: &Cluster,
    kinds: &Kinds,
    stack: &StackName,
    (params, namespace): (&ListParams, Option<&str>),
) -> Result<Vec<Live>, ClusterError> {
    let lists = kinds.all.iter().map(|(kind, _)| async move {
        let api = cluster.api(kind, namespace);
        match metadata(&api, params).await {
            Ok(all) => Ok(all.iter().map(|metadata| live(kind, metadata, stack)).collect()),
            // A kind whose definition or backend went meanwhile has no objects that could be found.
            Err(Failure {
                code: Some(404 | 405), ..
            }) => Ok(Vec::new()),
            Err(failure) => Err(ClusterError::request("list", format!("all {}", kind.plural), failure)),
        }
    });
    let found: Vec<Vec<Live>> = stream::iter(lists).buffered(PARALLEL).try_collect().await?;
    let mut all: Vec<Live> = found.into_iter().flatten().collect();
    all.sort_by(|a, b| a.object.cmp(&b.object));
    Ok(all)
}

/// Every object that bears the stack's labels.
pub async fn of_stack(cluster: &Cluster, stack: &StackName) -> Result<Vec<ObjectRef>, ClusterError> {
    let found = of_kinds(cluster, &kinds(cluster).await?, stack).await?;
    Ok(found.into_iter().map(|live| live.object).collect())
}

/// Names and marks of objects. A server of an extension that cannot give these alone gives the objects.
pub(super) async fn metadata(api: &Api<DynamicObject>, params: &ListParams) -> Result<Vec<ObjectMeta>, Failure> {
    match retry::call(|| api.list_metadata(params)).await {
        Ok(list) => Ok(list.items.into_iter().map(|object| object.metadata).collect()),
        Err(Failure { code: Some(406), .. }) => {
            let list = retry::call(|| api.list(params)).await?;
            Ok(list.items.into_iter().map(|object| object.metadata).collect())
        }
        Err(failure) => Err(failure),
    }
}

pub(super) fn live(kind: &ApiResource, metadata: &ObjectMeta, stack: &StackName) -> Live {
    let labels = metadata.labels.iter().flatten();
    let owners = metadata.owner_references.iter().flatten();
    let owners: Vec<String> = owners.map(|owner| owner.uid.clone()).collect();
    Live {
        object: ObjectRef::listed(kind, metadata),
        uid: metadata.uid.clone(),
        controlled: !owners.is_empty(),
        owners,
        ours: stack.marks(labels),
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
