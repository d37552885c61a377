//! What a stack applied once and its manifests no longer have: found by the marks of the `ApplySet` (KEP-3659), deleted
//! last, in reverse order.
//!
//! ```text
//! find      members of the recorded kinds and namespaces that are not wanted        (part of a plan)
//! apply     the parent first: it records their kinds too, so that a run that dies loses none
//! wait      what is wanted has to be ready
//! prune     find again under the lease, delete, then record what is left
//! ```

use std::collections::BTreeSet;
use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ListParams;
use kube::core::DynamicObject;
use kube::discovery::ApiResource;

use super::changes::{self, Change, Options};
use super::connect::Cluster;
use super::delete::{DeleteReceipt, Run};
use super::error::{ClusterError, Failure};
use super::inventory::{self, Kinds, Live};
use super::lease::{self, Terms};
use super::manifest::Component;
use super::members::Members;
use super::object::ObjectRef;
use super::ownership::{PARALLEL, Reading};
use super::parent::{self, Parent};
use super::{content, mark, order, take_over};
use crate::names::{
    ANNOTATION_KEEP, ANNOTATION_LOAD_IMAGE, ANNOTATION_REPLACED, FIELD_MANAGER, LABEL_APPLYSET_ID,
    LABEL_APPLYSET_PART_OF, LABEL_COMPONENT, LOAD, StackName,
};
use crate::report::{Outcome, Reporter};

/// A member of a stack that its manifests no longer have.
#[derive(Debug, Clone)]
pub(super) struct Leftover {
    pub(super) live: Live,
    /// Why it stays; none where it goes.
    pub(super) stays: Option<String>,
}

/// The `ApplySet`'s parent among the components; none where these are no whole stack.
pub(super) fn parent_of(components: &[Component]) -> Option<&DynamicObject> {
    let mut objects = components.iter().flat_map(|component| &component.objects);
    objects.find(|object| mark::is_parent(object))
}

/// Every member that is not wanted, in the order in which they are deleted. Only kinds and namespaces are looked
/// through that the parent on the cluster records or that are wanted now. `known` is what was listed already.
pub(super) async fn find(
    cluster: &Cluster,
    stack: &StackName,
    (parent, record): (&DynamicObject, &Parent),
    (components, known): (&[Component], &Members),
) -> Result<Vec<Leftover>, ClusterError> {
    let objects = components.iter().flat_map(|component| &component.objects);
    let wanted: BTreeSet<ObjectRef> = objects.map(|object| ObjectRef::of(object).unversioned()).collect();
    let home = parent.metadata.namespace.as_deref().unwrap_or_default();
    let set = Set {
        stack,
        id: label(&parent.metadata, LABEL_APPLYSET_ID),
        home,
        namespaces: spaces(&wanted, record, home),
        wanted,
    };
    let kinds: BTreeSet<String> = set.wanted.iter().map(ObjectRef::group_kind).collect();
    let lists = kinds.union(&record.kinds).map(|kind| set.list(cluster, kind, known));
    let found: Vec<Vec<Leftover>> = stream::iter(lists).buffered(PARALLEL).try_collect().await?;
    let mut found: Vec<Leftover> = found.into_iter().flatten().collect();
    found.sort_by_key(|leftover| (rank(&leftover.live.object), leftover.live.object.clone()));
    for leftover in found.iter_mut().filter(|one| one.stays.is_none()) {
        let object = &leftover.live.object;
        // Names and marks do not tell of its claims.
        if object.kind == content::STATEFUL && cluster.get(object).await?.as_ref().is_some_and(content::goes_along) {
            leftover.stays = Some(content::WHY.to_owned());
        }
    }
    set.look_into_namespaces(cluster, &mut found).await?;
    Ok(found)
}

/// What the stack has and the components do not, by what was read of it, and the recorded kinds of which that cannot be
/// told. Nothing is known of a stack that is not there.
pub(super) async fn leftovers(
    cluster: &Cluster,
    stack: &StackName,
    components: &[Component],
    reading: &Reading,
) -> Result<(Vec<Leftover>, BTreeSet<String>), ClusterError> {
    let Some(parent) = parent_of(components) else {
        return Ok(Default::default());
    };
    let object = ObjectRef::of(parent);
    let there = reading.existing.iter().find(|existing| existing.object == object);
    let record = there.map(|existing| Parent::of(&existing.live)).unwrap_or_default();
    let known = (components, &reading.members);
    let found = find(cluster, stack, (parent, &record), known).await?;
    Ok((found, unknown_kinds(cluster, &record).await?))
}

/// The recorded kinds that the server does not know now: whether there are objects of them is not known either, so they
/// stay recorded.
pub(super) async fn unknown_kinds(cluster: &Cluster, record: &Parent) -> Result<BTreeSet<String>, ClusterError> {
    let mut unknown = BTreeSet::new();
    for kind in &record.kinds {
        if cluster.kind_of_group(kind).await?.is_none() {
            unknown.insert(kind.clone());
        }
    }
    Ok(unknown)
}

/// Namespaces go after all that is in them.
fn rank(object: &ObjectRef) -> u8 {
    if is_namespace(object) {
        order::WAVES
    } else {
        order::wave(object)
    }
}

fn is_namespace(object: &ObjectRef) -> bool {
    object.kind == "Namespace" && object.group().is_empty()
}

/// Whether this program applied an object: controllers copy labels onto what they make.
fn is_applied(metadata: &ObjectMeta) -> bool {
    let mut managers = metadata.managed_fields.iter().flatten();
    managers.any(|entry| entry.manager.as_deref() == Some(FIELD_MANAGER) && entry.operation.as_deref() == Some("Apply"))
}

fn label<'a>(metadata: &'a ObjectMeta, key: &str) -> &'a str {
    let labels = metadata.labels.as_ref();
    labels.and_then(|all| all.get(key)).map_or("", String::as_str)
}

fn spaces(wanted: &BTreeSet<ObjectRef>, record: &Parent, home: &str) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = wanted.iter().filter_map(|object| object.namespace.clone()).collect();
    all.extend(record.namespaces.iter().cloned());
    all.insert(home.to_owned());
    all
}

/// A stack's members, as they are to be.
struct Set<'a> {
    stack: &'a StackName,
    id: &'a str,
    home: &'a str,
    wanted: BTreeSet<ObjectRef>,
    namespaces: BTreeSet<String>,
}

impl Set<'_> {
    /// The members of a kind that are not wanted. A kind that is known no longer has none; one whose server does not
    /// answer cannot be asked.
    async fn list(&self, cluster: &Cluster, kind: &str, known: &Members) -> Result<Vec<Leftover>, ClusterError> {
        if let Some((resource, members)) = known.of_group_kind(kind) {
            let members = members.map(|object| &object.metadata).filter(|one| self.has(one));
            return Ok(members.filter_map(|one| self.leftover(resource, one)).collect());
        }
        let Some((resource, _)) = cluster.kind_of_group(kind).await? else {
            return Ok(Vec::new());
        };
        // The load job comes and goes by itself.
        let selector = format!(
            "{},{LABEL_APPLYSET_PART_OF}={},{LABEL_COMPONENT}!={LOAD}",
            self.stack.selector(),
            self.id
        );
        let params = ListParams::default().labels(&selector);
        match inventory::metadata(&cluster.api(&resource, None), &params).await {
            Ok(all) => Ok(all.iter().filter_map(|one| self.leftover(&resource, one)).collect()),
            Err(Failure {
                code: Some(404 | 405), ..
            }) => Ok(Vec::new()),
            Err(failure) => Err(ClusterError::request(
                "list",
                format!("all {}", resource.plural),
                failure,
            )),
        }
    }

    /// Whether marks say that an object is a member; the load job comes and goes by itself.
    fn has(&self, metadata: &ObjectMeta) -> bool {
        label(metadata, LABEL_APPLYSET_PART_OF) == self.id && label(metadata, LABEL_COMPONENT) != LOAD
    }

    fn leftover(&self, resource: &ApiResource, metadata: &ObjectMeta) -> Option<Leftover> {
        let live = inventory::live(resource, metadata, self.stack);
        let object = &live.object;
        let elsewhere = object
            .namespace
            .as_ref()
            .is_some_and(|name| !self.namespaces.contains(name));
        // Parent and lease live there.
        let is_home = is_namespace(object) && object.name == self.home;
        if live.controlled || elsewhere || is_home || self.wanted.contains(&object.unversioned()) {
            return None;
        }
        if !is_applied(metadata) {
            return None;
        }
        let annotations = metadata.annotations.as_ref();
        let kept = annotations
            .and_then(|all| all.get(ANNOTATION_KEEP))
            .is_some_and(|value| value == "true");
        let stays = if kept {
            Some(format!("annotation `{ANNOTATION_KEEP}`"))
        } else if content::KINDS.contains(&object.kind.as_str()) {
            Some(content::WHY.to_owned())
        } else {
            None
        };
        Some(Leftover { live, stays })
    }

    /// A namespace goes only where nothing else is in it once the others are gone.
    async fn look_into_namespaces(&self, cluster: &Cluster, found: &mut [Leftover]) -> Result<(), ClusterError> {
        let going: BTreeSet<ObjectRef> = found
            .iter()
            .filter(|leftover| leftover.stays.is_none())
            .map(|leftover| leftover.live.object.unversioned())
            .collect();
        let mut namespaces: Vec<&mut Leftover> = found
            .iter_mut()
            .filter(|leftover| leftover.stays.is_none() && is_namespace(&leftover.live.object))
            .collect();
        if namespaces.is_empty() {
            return Ok(());
        }
        let kinds = inventory::kinds(cluster).await?;
        for leftover in &mut namespaces {
            leftover.stays = self
                .content(cluster, &kinds, (&leftover.live.object.name, &going))
                .await?;
        }
        Ok(())
    }

    async fn content(
        &self,
        cluster: &Cluster,
        kinds: &Kinds,
        (namespace, going): (&str, &BTreeSet<ObjectRef>),
    ) -> Result<Option<String>, ClusterError> {
        if self
            .wanted
            .iter()
            .any(|object| object.namespace.as_deref() == Some(namespace))
        {
            return Ok(Some("holds objects of the stack".to_owned()));
        }
        let all = inventory::of_namespace(cluster, kinds, self.stack, namespace).await?;
        // What belongs to something elsewhere is not gone with what is here.
        let here: BTreeSet<&String> = all.iter().filter_map(|live| live.uid.as_ref()).collect();
        let goes_along = |live: &&Live| live.owners.iter().any(|owner| here.contains(owner));
        let others: Vec<String> = all
            .iter()
            .filter(|live| !goes_along(live) && !inventory::is_built_in(&live.object))
            .filter(|live| !going.contains(&live.object.unversioned()))
            .map(|live| live.object.to_string())
            .collect();
        if !others.is_empty() {
            return Ok(Some(format!("holds {}", others.join(", "))));
        }
        // Metrics are kept nowhere.
        let silent = kinds.silent.iter().find(|api| !api.contains("metrics.k8s.io/"));
        Ok(silent.map(|api| format!("an API does not answer that may have objects in it: {api}")))
    }
}

/// Deletes what [`find`] finds and waits until it is gone, then lets the parent record what is there: to be done when
/// everything that is wanted is ready. An `APIService` that the stack had taken over is given back.
///
/// # Errors
/// Something does not go within `timeout`: the next run tries again. Another run applied other manifests meanwhile: then
/// nothing is deleted.
pub async fn prune(
    cluster: &Cluster,
    terms: Terms<'_>,
    components: &[Component],
    timeout: Duration,
    report: &dyn Reporter,
) -> Result<Vec<Change>, ClusterError> {
    let work = || async move {
        let stack = terms.stack;
        let Some(parent) = parent_of(components) else {
            return Ok(Vec::new());
        };
        let home = parent.metadata.namespace.clone().unwrap_or_default();
        parent::check_version(cluster, stack, &home).await?;
        let record = parent::read(cluster, stack, &home).await?.unwrap_or_default();
        if record.members != Parent::of(parent).members {
            return Err(ClusterError::Superseded { stack: stack.clone() });
        }
        let members = (parent, &record);
        // Anew each time: what was read before the rest got ready is stale.
        let all = (components, &Members::default());
        let found = find(cluster, stack, members, all).await?;
        let mut run = Run::new(cluster, timeout, report);
        let restored = remove(cluster, (stack, &record), (&mut run, found), report).await?;
        // What is in a namespace is known once the others are gone.
        let rest = find(cluster, stack, members, all).await?;
        let spaces = rest
            .iter()
            .filter(|leftover| leftover.stays.is_none() && is_namespace(&leftover.live.object));
        run.delete(&spaces.map(|leftover| &leftover.live).collect::<Vec<&Live>>())
            .await?;
        let receipt = run.receipt;
        let stay = rest.iter().map(|leftover| &leftover.live.object);
        let stay = stay.filter(|object| !receipt.deleted.contains(object));
        settle(cluster, members, stay, &restored).await?;
        if receipt.left.is_empty() {
            let deleted = receipt.deleted.iter().map(|object| change(object, Outcome::Deleted));
            let restored = restored.iter().map(|object| change(object, Outcome::Updated));
            Ok(deleted.chain(restored).collect())
        } else {
            let left = receipt.left.iter();
            Err(ClusterError::NotPruned(
                left.map(|left| format!("{}: {}", left.object, left.reason)).collect(),
            ))
        }
    };
    lease::under(cluster, terms, report, |_| Box::pin(work())).await
}

fn change(object: &ObjectRef, outcome: Outcome) -> Change {
    Change {
        kind: object.kind.clone(),
        namespace: object.namespace.clone(),
        name: object.name.clone(),
        outcome,
        fields: Vec::new(),
    }
}

/// Deletes all but namespaces; what was others' before is given back instead, and returned.
async fn remove(
    cluster: &Cluster,
    (stack, record): (&StackName, &Parent),
    (run, found): (&mut Run<'_>, Vec<Leftover>),
    report: &dyn Reporter,
) -> Result<Vec<ObjectRef>, ClusterError> {
    let mut going: Vec<Live> = found
        .into_iter()
        .filter(|leftover| leftover.stays.is_none() && !is_namespace(&leftover.live.object))
        .map(|leftover| leftover.live)
        .collect();
    let mut given = DeleteReceipt::default();
    let apis: BTreeSet<String> = going
        .iter()
        .filter(|live| live.object.kind == take_over::KIND)
        .map(|live| live.object.name.clone())
        .collect();
    let is_going = |name: &str| apis.contains(name);
    take_over::give_back_some(cluster, (stack, record), is_going, &mut given, report).await?;
    going.retain(|live| {
        !given
            .restored
            .iter()
            .any(|object| object.unversioned() == live.object.unversioned())
    });
    run.in_waves(&going.iter().collect::<Vec<&Live>>()).await?;
    Ok(given.restored)
}

/// Lets the parent record the members that there are: those that are wanted and those that stay. What others record there
/// while this run waits, which image makes load for one, stays as it is now.
async fn settle(
    cluster: &Cluster,
    (parent, record): (&DynamicObject, &Parent),
    stay: impl Iterator<Item = &ObjectRef>,
    restored: &[ObjectRef],
) -> Result<(), ClusterError> {
    let mut wanted = parent.clone();
    mark::record(&mut wanted, stay);
    mark::record_kinds(&mut wanted, unknown_kinds(cluster, record).await?);
    let replaced = record.replaced.as_deref();
    let now = [
        (ANNOTATION_LOAD_IMAGE, record.load_image.clone()),
        (
            ANNOTATION_REPLACED,
            replaced.and_then(|text| take_over::without(text, restored)),
        ),
    ];
    let annotations = wanted.metadata.annotations.get_or_insert_default();
    for (name, value) in now {
        annotations.remove(name);
        annotations.extend(value.map(|value| (name.to_owned(), value)));
    }
    let settled = Parent::of(&wanted);
    if settled != *record {
        changes::send(cluster, &ObjectRef::of(&wanted), &wanted, Options::default(), false).await?;
    }
    Ok(())
}
