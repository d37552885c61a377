//! Every object is read before anything is applied: what exists without our label is refused by name.

use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use kube::core::DynamicObject;
use tokio::time::{Instant, sleep};

use super::changes::Options;
use super::connect::Cluster;
use super::error::ClusterError;
use super::manifest::Component;
use super::mark;
use super::object::ObjectRef;
use super::scope;
use super::take_over;
use crate::names::{FIELD_MANAGER, LABEL_MANAGED_BY, LABEL_PART_OF, StackName};

/// Requests at a time.
pub(super) const PARALLEL: usize = 8;
/// How long objects that are being deleted may take to go.
const GOING: Duration = Duration::from_mins(1);

/// An object of the manifests that is in the cluster already.
#[derive(Debug, Clone)]
pub struct Existing {
    /// Which.
    pub object: ObjectRef,
    /// As it is.
    pub live: DynamicObject,
    /// Whether it bears this stack's labels, or is given them back; only namespaces may lack them.
    pub ours: bool,
    /// Whether it lost its labels and is given them back.
    pub adopted: bool,
}

/// Reads every object; an error lists all that exist and are not this stack's. Namespaces are exempt: they are used,
/// not relabelled, not deleted. So are an `APIService` that is taken over and objects that are adopted. Objects that
/// are being deleted are waited for.
pub async fn check(
    cluster: &Cluster,
    stack: &StackName,
    components: &[Component],
    options: Options,
) -> Result<Vec<Existing>, ClusterError> {
    kinds_known(cluster, components).await?;
    let objects: Vec<ObjectRef> = components.iter().flat_map(|c| &c.objects).map(ObjectRef::of).collect();
    let give_up = Instant::now() + GOING;
    let mut found = loop {
        let found = read(cluster, stack, &objects).await?;
        let going = |e: &&Existing| e.live.metadata.deletion_timestamp.is_some();
        let names: Vec<String> = found.iter().filter(going).map(|e| e.object.to_string()).collect();
        if names.is_empty() {
            break found;
        }
        if Instant::now() > give_up {
            return Err(ClusterError::Terminating(names));
        }
        sleep(Duration::from_millis(500)).await;
    };
    for existing in &mut found {
        existing.adopted = options.adopt && is_lost(existing);
        existing.ours |= existing.adopted;
    }
    let taken = |e: &Existing| options.take_over && e.object.kind == take_over::KIND;
    let foreign: Vec<String> = found
        .iter()
        .filter(|e| !e.ours && e.object.kind != "Namespace" && !taken(e))
        .map(describe)
        .collect();
    if foreign.is_empty() {
        Ok(found)
    } else {
        Err(ClusterError::Foreign(foreign))
    }
}

/// Whether this program applied an object that says no more whose it is: the server remembers who applied its fields.
/// What bears the labels of another stack is that stack's.
fn is_lost(existing: &Existing) -> bool {
    let metadata = &existing.live.metadata;
    let label = |key: &str| metadata.labels.as_ref().and_then(|all| all.get(key));
    let marked = label(LABEL_MANAGED_BY).is_some_and(|by| by == FIELD_MANAGER) && label(LABEL_PART_OF).is_some();
    let managers = metadata.managed_fields.iter().flatten();
    let applied = managers
        .filter(|entry| entry.operation.as_deref() == Some("Apply"))
        .any(|entry| entry.manager.as_deref() == Some(FIELD_MANAGER));
    !marked && applied
}

/// Whether an object bears this stack's labels.
pub(super) fn is_ours(object: &DynamicObject, stack: &StackName) -> bool {
    let labels = object.metadata.labels.as_ref();
    let is = |key: &str, value: &str| labels.and_then(|l| l.get(key)).is_some_and(|v| v == value);
    is(LABEL_MANAGED_BY, FIELD_MANAGER) && is(LABEL_PART_OF, stack.as_str())
}

fn describe(existing: &Existing) -> String {
    let labels = existing.live.metadata.labels.as_ref();
    let label = |key: &str| labels.and_then(|l| l.get(key));
    match (label(LABEL_PART_OF), label(LABEL_MANAGED_BY)) {
        (Some(other), Some(by)) if by == FIELD_MANAGER => format!("{} is part of stack `{other}`", existing.object),
        _ if is_lost(existing) => format!("{} was applied by provisioner and lost its labels", existing.object),
        (_, Some(by)) => format!("{} is managed by `{by}`", existing.object),
        _ => existing.object.to_string(),
    }
}

async fn read(cluster: &Cluster, stack: &StackName, objects: &[ObjectRef]) -> Result<Vec<Existing>, ClusterError> {
    let reads = objects.iter().cloned().map(|object| async move {
        let live = cluster.get(&object).await?;
        Ok::<_, ClusterError>(live.map(|live| Existing {
            ours: is_ours(&live, stack),
            adopted: false,
            object,
            live,
        }))
    });
    let found: Vec<Option<Existing>> = stream::iter(reads).buffered(PARALLEL).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// Every kind must be known to the server, defined by a manifest, or optional; every object must say where it belongs.
async fn kinds_known(cluster: &Cluster, components: &[Component]) -> Result<(), ClusterError> {
    let objects = || components.iter().flat_map(|c| &c.objects);
    let defined = scope::defined(objects());
    let (mut unknown, mut misplaced) = (Vec::new(), Vec::new());
    for wanted in objects() {
        let object = ObjectRef::of(wanted);
        let kind = (object.group().to_owned(), object.kind.clone());
        let known = match defined.get(&kind) {
            Some(namespaced) => Some(*namespaced),
            None => cluster.resolve(&object.gvk()).await?.map(|(_, namespaced)| namespaced),
        };
        match known {
            Some(namespaced) => misplaced.extend(scope::problem(&object, namespaced)),
            None if mark::is_optional(wanted) => {}
            None => unknown.push(format!("{object} ({})", object.api_version)),
        }
    }
    if !unknown.is_empty() {
        return Err(ClusterError::UnknownKinds(unknown));
    }
    if misplaced.is_empty() {
        Ok(())
    } else {
        Err(ClusterError::Manifests(misplaced))
    }
}
