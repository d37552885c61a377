//! Many objects of a stack, read with few requests: those of a kind that bear its labels in one list. Only what is not
//! among them is asked for by itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use kube::Api;
use kube::api::ListParams;
use kube::core::{DynamicObject, TypeMeta};
use kube::discovery::ApiResource;

use super::connect::Cluster;
use super::error::{ClusterError, Failure};
use super::object::ObjectRef;
use super::ownership::PARALLEL;
use super::retry;
use crate::names::StackName;

/// From so many objects of a kind on, one list takes less than a request for each.
const SOME: usize = 2;
/// From so many on that are no members, the names of whatever is there take less.
const MANY: usize = 4;
/// How many of these names are read at most.
const NAMES: u32 = 500;

/// What bears a stack's labels, by kind: whatever made it, controllers copy labels.
#[derive(Debug, Default)]
pub(super) struct Members(BTreeMap<Kind, Listed>);

/// API version and kind.
type Kind = (String, String);

#[derive(Debug)]
struct Listed {
    resource: ApiResource,
    objects: HashMap<ObjectRef, DynamicObject>,
}

impl Members {
    /// All members of the objects' kinds.
    pub(super) async fn list(
        cluster: &Cluster,
        stack: &StackName,
        objects: &[ObjectRef],
    ) -> Result<Self, ClusterError> {
        let kinds: BTreeSet<Kind> = objects.iter().map(kind).collect();
        Self::of_kinds(cluster, stack, kinds).await
    }

    /// Members of those kinds alone of which a list takes less than the objects one by one.
    async fn of_some(cluster: &Cluster, stack: &StackName, objects: &[ObjectRef]) -> Result<Self, ClusterError> {
        let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
        for object in objects {
            *counts.entry(kind(object)).or_default() += 1;
        }
        let some = counts.into_iter().filter(|(_, count)| *count >= SOME);
        Self::of_kinds(cluster, stack, some.map(|(kind, _)| kind).collect()).await
    }

    async fn of_kinds(cluster: &Cluster, stack: &StackName, kinds: BTreeSet<Kind>) -> Result<Self, ClusterError> {
        Self::of_places(cluster, stack, kinds.into_iter().map(|kind| (kind, None))).await
    }

    /// Members of kinds, each in one namespace or everywhere.
    async fn of_places(
        cluster: &Cluster,
        stack: &StackName,
        places: impl Iterator<Item = (Kind, Option<String>)>,
    ) -> Result<Self, ClusterError> {
        let lists = places.map(|(kind, namespace)| async move {
            let listed = list(cluster, stack, (&kind, namespace.as_deref())).await?;
            Ok::<_, ClusterError>(listed.map(|listed| (kind, listed)))
        });
        let all: Vec<_> = stream::iter(lists).buffered(PARALLEL).try_collect().await?;
        let mut members = Self::default();
        for (kind, listed) in all.into_iter().flatten() {
            match members.0.get_mut(&kind) {
                Some(known) => known.objects.extend(listed.objects),
                None => drop(members.0.insert(kind, listed)),
            }
        }
        Ok(members)
    }

    /// The members of a kind as an `ApplySet` names it, whatever version they were asked for in; none where that kind
    /// was not listed.
    pub(super) fn of_group_kind(
        &self,
        group_kind: &str,
    ) -> Option<(&ApiResource, impl Iterator<Item = &DynamicObject>)> {
        let is_it = |(api_version, kind): &Kind| {
            let group = api_version.rsplit_once('/').map(|(group, _)| group);
            group_kind == group.map_or(kind.clone(), |group| format!("{kind}.{group}"))
        };
        let (_, listed) = self.0.iter().find(|(kind, _)| is_it(kind))?;
        Some((&listed.resource, listed.objects.values()))
    }

    /// The objects that are there; those that are no members are asked for.
    pub(super) async fn read(
        &self,
        cluster: &Cluster,
        objects: &[ObjectRef],
    ) -> Result<Vec<(ObjectRef, DynamicObject)>, ClusterError> {
        let member = |object: &ObjectRef| self.0.get(&kind(object))?.objects.get(object).cloned();
        let (mut found, mut others) = (HashMap::new(), Vec::new());
        for object in objects {
            match member(object) {
                Some(live) => drop(found.insert(object.clone(), live)),
                None => others.push(object.clone()),
            }
        }
        // In a namespace that is absent nothing is.
        let (namespaces, others): (Vec<ObjectRef>, Vec<ObjectRef>) =
            others.into_iter().partition(ObjectRef::is_namespace);
        let homes = asked(cluster, namespaces.clone()).await?;
        let is_absent = |name: &String| {
            let named = namespaces.iter().any(|namespace| namespace.name == *name);
            named && !homes.iter().any(|(namespace, _)| namespace.name == *name)
        };
        let others = others
            .into_iter()
            .filter(|object| !object.namespace.as_ref().is_some_and(is_absent));
        let rest = asked(cluster, others.collect()).await?;
        found.extend(homes.into_iter().chain(rest));
        // In the order of the manifests, whatever way each was read.
        let found = objects.iter().filter_map(|object| found.remove_entry(object));
        Ok(found.collect())
    }
}

/// The objects that are there, in as few requests as that takes.
pub(super) async fn read(
    cluster: &Cluster,
    stack: &StackName,
    objects: &[ObjectRef],
) -> Result<Vec<(ObjectRef, DynamicObject)>, ClusterError> {
    let members = Members::of_some(cluster, stack, objects).await?;
    members.read(cluster, objects).await
}

/// The same for a few objects that are looked at again: in their own namespaces alone.
pub(super) async fn read_near(
    cluster: &Cluster,
    stack: &StackName,
    objects: &[ObjectRef],
) -> Result<Vec<(ObjectRef, DynamicObject)>, ClusterError> {
    let mut places: BTreeMap<(Kind, Option<String>), usize> = BTreeMap::new();
    for object in objects {
        *places.entry((kind(object), object.namespace.clone())).or_default() += 1;
    }
    let some = places.into_iter().filter(|(_, count)| *count >= SOME);
    let members = Members::of_places(cluster, stack, some.map(|(place, _)| place)).await?;
    members.read(cluster, objects).await
}

fn kind(object: &ObjectRef) -> Kind {
    (object.api_version.clone(), object.kind.clone())
}

/// A kind that is known no longer has no objects.
async fn list(
    cluster: &Cluster,
    stack: &StackName,
    ((api_version, kind), namespace): (&Kind, Option<&str>),
) -> Result<Option<Listed>, ClusterError> {
    let any = ObjectRef {
        api_version: api_version.clone(),
        kind: kind.clone(),
        namespace: None,
        name: String::new(),
    };
    let Some((resource, _)) = cluster.resolve(&any.gvk()).await? else {
        return Ok(None);
    };
    let params = ListParams::default().labels(&stack.selector());
    let api = cluster.api(&resource, namespace);
    let items = match retry::call(|| api.list(&params)).await {
        Ok(list) => list.items,
        Err(Failure {
            code: Some(404 | 405), ..
        }) => return Ok(None),
        Err(failure) => {
            return Err(ClusterError::request(
                "list",
                format!("all {}", resource.plural),
                failure,
            ));
        }
    };
    let objects = items.into_iter().map(|mut object| {
        // Items of a list do not say what they are.
        object.types = Some(TypeMeta {
            api_version: api_version.clone(),
            kind: kind.clone(),
        });
        (ObjectRef::of(&object), object)
    });
    let objects = objects.collect();
    Ok(Some(Listed { resource, objects }))
}

/// Those objects that are there, each asked for unless it is known to be absent.
async fn asked(cluster: &Cluster, objects: Vec<ObjectRef>) -> Result<Vec<(ObjectRef, DynamicObject)>, ClusterError> {
    let reads = not_absent(cluster, objects)
        .await?
        .into_iter()
        .map(|object| async move {
            let live = cluster.get(&object).await?;
            Ok::<_, ClusterError>(live.map(|live| (object, live)))
        });
    let found: Vec<_> = stream::iter(reads).buffered(PARALLEL).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// Those objects that may be there: where many of a kind are asked for in one place, the names there tell which are not.
async fn not_absent(cluster: &Cluster, objects: Vec<ObjectRef>) -> Result<Vec<ObjectRef>, ClusterError> {
    let mut places: BTreeMap<(Kind, Option<String>), Vec<ObjectRef>> = BTreeMap::new();
    for object in objects {
        let place = (kind(&object), object.namespace.clone());
        places.entry(place).or_default().push(object);
    }
    let looks = places.into_values().map(|objects| async move {
        let [first, ..] = objects.as_slice() else {
            return Ok(objects);
        };
        let resource = cluster.resolve(&first.gvk()).await?;
        let Some((resource, namespaced)) = resource.filter(|_| objects.len() >= MANY) else {
            return Ok(objects);
        };
        let api = cluster.api(&resource, first.namespace.as_deref().filter(|_| namespaced));
        Ok::<_, ClusterError>(match names(&api).await {
            Some(names) => objects.into_iter().filter(|one| names.contains(&one.name)).collect(),
            None => objects,
        })
    });
    let found: Vec<Vec<ObjectRef>> = stream::iter(looks).buffered(PARALLEL).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// The names of all objects in one place; none where they cannot be listed, or are too many to be.
async fn names(api: &Api<DynamicObject>) -> Option<BTreeSet<String>> {
    let params = ListParams::default().limit(NAMES);
    let list = retry::call(|| api.list_metadata(&params)).await.ok()?;
    if list.metadata.continue_.is_some_and(|more| !more.is_empty()) {
        return None;
    }
    let names = list.items.into_iter().filter_map(|object| object.metadata.name);
    Some(names.collect())
}

#[cfg(test)]
#[path = "members_tests.rs"]
mod tests;
