//! Every object is read before anything is applied: what exists without our label is refused by name.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use kube::core::DynamicObject;
use tokio::time::{Instant, sleep};

use super::changes::Options;
use super::connect::Cluster;
use super::error::ClusterError;
use super::manifest::Component;
use super::members::{self, Members};
use super::object::ObjectRef;
use super::{inventory, mark, prune, scope, take_over};
use crate::names::{FIELD_MANAGER, LABEL_MANAGED_BY, LABEL_PART_OF, StackName};

/// Requests at a time.
pub(super) const PARALLEL: usize = 8;
/// How long objects that are being deleted may take to go.
const GOING: Duration = Duration::from_mins(1);
/// Namespaces of every cluster.
const BUILT_IN: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

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

/// What was read of a stack at one moment.
#[derive(Debug)]
pub(super) struct Reading {
    /// The objects of the manifests that are there.
    pub(super) existing: Vec<Existing>,
    /// Everything of their kinds that bears the stack's labels; none where the manifests are no whole stack.
    pub(super) members: Members,
}

/// [`look`], where what else the stack has does not matter.
pub async fn check(
    cluster: &Cluster,
    stack: &StackName,
    components: &[Component],
    options: Options,
) -> Result<Vec<Existing>, ClusterError> {
    Ok(look(cluster, stack, components, options).await?.existing)
}

/// Reads every object. Everything that keeps the components from being applied is in one error: kinds that the cluster
/// does not know, objects that do not say where they belong, namespaces that nobody makes, objects that exist and are
/// not this stack's. Namespaces are exempt from the last: they are used, not relabelled, not deleted. So are an
/// `APIService` that is taken over and objects that are adopted. Objects that are being deleted are waited for.
pub(super) async fn look(
    cluster: &Cluster,
    stack: &StackName,
    components: &[Component],
    options: Options,
) -> Result<Reading, ClusterError> {
    let sorted = sort(cluster, components).await?;
    let is_whole = prune::parent_of(components).is_some();
    let reading = settled(cluster, (stack, is_whole), &sorted.fit).await?;
    let Reading {
        existing: mut found,
        members,
    } = reading;
    for existing in &mut found {
        existing.adopted = options.adopt && is_lost(existing);
        existing.ours |= existing.adopted;
    }
    let homeless = homeless(cluster, components, (&sorted.fit, &found)).await?;
    let taken = |e: &Existing| options.take_over && e.object.kind == take_over::KIND;
    let foreign: Vec<String> = found
        .iter()
        .filter(|e| !e.ours && e.object.kind != "Namespace" && !taken(e))
        .map(describe)
        .collect();
    let some = |names: Vec<String>| Some(names).filter(|names| !names.is_empty());
    let problems = [
        some(sorted.unknown).map(ClusterError::UnknownKinds),
        some(sorted.misplaced).map(ClusterError::Manifests),
        some(homeless).map(ClusterError::NoNamespace),
        some(foreign).map(ClusterError::Foreign),
    ];
    ClusterError::all(problems.into_iter().flatten())?;
    Ok(Reading {
        existing: found,
        members,
    })
}

/// Reads objects until none of them is being deleted any more.
async fn settled(
    cluster: &Cluster,
    (stack, is_whole): (&StackName, bool),
    objects: &[ObjectRef],
) -> Result<Reading, ClusterError> {
    let give_up = Instant::now() + GOING;
    loop {
        let reading = read(cluster, (stack, is_whole), objects).await?;
        let going = |e: &&Existing| e.live.metadata.deletion_timestamp.is_some();
        let existing = reading.existing.iter();
        let names: Vec<String> = existing.filter(going).map(|e| e.object.to_string()).collect();
        if names.is_empty() {
            return Ok(reading);
        }
        if Instant::now() > give_up {
            return Err(ClusterError::Terminating(names));
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// Namespaces that objects of a whole stack are to go into, that are not there and that it does not make, each with
/// those objects. Its own is made for its lease.
async fn homeless(
    cluster: &Cluster,
    components: &[Component],
    (objects, found): (&[ObjectRef], &[Existing]),
) -> Result<Vec<String>, ClusterError> {
    let Some(parent) = prune::parent_of(components) else {
        return Ok(Vec::new());
    };
    let made = objects
        .iter()
        .filter(|object| object.kind == "Namespace")
        .map(|object| &object.name);
    let made: BTreeSet<&String> = made.chain(&parent.metadata.namespace).collect();
    let there: HashSet<&ObjectRef> = found.iter().map(|existing| &existing.object).collect();
    let mut named: BTreeMap<&String, Vec<String>> = BTreeMap::new();
    for object in objects.iter().filter(|object| !there.contains(object)) {
        let namespace = object.namespace.as_ref();
        if let Some(name) = namespace.filter(|name| !made.contains(name) && !BUILT_IN.contains(&name.as_str())) {
            named.entry(name).or_default().push(object.to_string());
        }
    }
    let mut missing = Vec::new();
    for (name, objects) in named {
        let namespace = ObjectRef {
            api_version: "v1".to_owned(),
            kind: "Namespace".to_owned(),
            namespace: None,
            name: name.clone(),
        };
        if cluster
            .get(&namespace)
            .await?
            .is_none_or(|live| live.metadata.deletion_timestamp.is_some())
        {
            missing.push(format!("`{name}`: {}", objects.join(", ")));
        }
    }
    Ok(missing)
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

/// Of a whole stack every kind is listed: what it has and is to have no longer is among the same answers.
async fn read(
    cluster: &Cluster,
    (stack, is_whole): (&StackName, bool),
    objects: &[ObjectRef],
) -> Result<Reading, ClusterError> {
    let (members, found) = if is_whole {
        let members = Members::list(cluster, stack, objects).await?;
        let found = members.read(cluster, objects).await?;
        (members, found)
    } else {
        (Members::default(), members::read(cluster, stack, objects).await?)
    };
    let existing = found.into_iter().map(|(object, live)| Existing {
        ours: is_ours(&live, stack),
        adopted: false,
        object,
        live,
    });
    Ok(Reading {
        existing: existing.collect(),
        members,
    })
}

/// The objects of components by what the cluster says of their kinds.
#[derive(Default)]
struct Sorted {
    /// Those that can be applied, or left out.
    fit: Vec<ObjectRef>,
    unknown: Vec<String>,
    misplaced: Vec<String>,
}

/// Every kind must be known to the server, defined by a manifest, or optional; every object must say where it belongs.
async fn sort(cluster: &Cluster, components: &[Component]) -> Result<Sorted, ClusterError> {
    let objects = || components.iter().flat_map(|c| &c.objects);
    let defined = scope::defined(objects());
    let mut sorted = Sorted::default();
    let mut unknown = Vec::new();
    for wanted in objects() {
        let object = ObjectRef::of(wanted);
        let kind = (object.group().to_owned(), object.kind.clone());
        let known = match defined.get(&kind) {
            Some(namespaced) => Some(*namespaced),
            None => cluster.resolve(&object.gvk()).await?.map(|(_, namespaced)| namespaced),
        };
        match known {
            Some(namespaced) => match scope::problem(&object, namespaced) {
                Some(problem) => sorted.misplaced.push(problem),
                None => sorted.fit.push(object),
            },
            None if mark::is_optional(wanted) => {}
            None => unknown.push(object),
        }
    }
    if !unknown.is_empty() {
        let silent = inventory::broken_apis(cluster).await?;
        let told = |object: &ObjectRef| match silent.get(&object.api_version) {
            Some(why) => format!("{object} ({}): its API does not answer: {why}", object.api_version),
            None => format!("{object} ({})", object.api_version),
        };
        sorted.unknown = unknown.iter().map(told).collect();
    }
    Ok(sorted)
}
