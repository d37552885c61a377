//! What an apply would change, by dry run: nothing is sent for what is as wanted already.

use std::collections::{BTreeSet, HashMap};

use futures::FutureExt as _;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;

use super::connect::Cluster;
use super::dry_run::{Answer, Try};
use super::error::{ClusterError, Failure};
use super::manifest::Component;
use super::mark;
use super::object::ObjectRef;
use super::ownership::{self, Existing, PARALLEL};
use super::paths::difference;
use super::prune::{self, Leftover};
use super::{as_applied, authority, recreate, retry, scale, take_over};
use crate::names::{FIELD_MANAGER, StackName};
use crate::report::Outcome;

/// What happened, or would happen, to one object.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    /// E.g. `Deployment`.
    pub kind: String,
    /// None for objects of the whole cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Created, updated, unchanged or skipped; deleted or kept where the manifests no longer have it.
    pub outcome: Outcome,
    /// The fields that differ, e.g. `spec.template`; the reason why it is skipped or kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
}

/// How an apply treats what others own.
#[expect(
    clippy::struct_excessive_bools,
    reason = "what a user allows is a flag of its own each"
)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Takes fields from other managers.
    pub force_conflicts: bool,
    /// Takes an `APIService` that exists and is not this stack's.
    pub take_over: bool,
    /// Marks objects again that this program applied and that lost their labels.
    pub adopt: bool,
    /// Deletes and makes anew what cannot be changed in place.
    pub recreate: bool,
}

impl Options {
    /// The same, taking fields from other managers where `force` says so too.
    pub(super) fn forced(self, force: bool) -> Self {
        Self {
            force_conflicts: self.force_conflicts || force,
            ..self
        }
    }
}

/// One object of the manifests and what is to be done.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The decision.
    pub change: Change,
    /// Which object.
    pub object: ObjectRef,
    /// As wanted.
    pub wanted: DynamicObject,
    /// What would become of it; none where that is not known yet, or nothing would.
    pub answer: Option<Answer>,
    /// Whether fields that others manage are taken although that was not asked for.
    pub force: bool,
    /// Of the object that is deleted and made anew.
    pub(super) uid: Option<String>,
    /// Whether the number of pods has to be handed over to the autoscaler first.
    pub(super) hands_over: bool,
    /// Annotations of others that have to be taken away first.
    pub(super) strips: Vec<String>,
}

impl Planned {
    /// Whether there is nothing to send.
    pub fn is_as_wanted(&self) -> bool {
        matches!(
            self.change.outcome,
            Outcome::Unchanged | Outcome::Skipped | Outcome::Kept
        )
    }
}

/// Reads everything, then asks the server what an apply would change. Changes nothing. Every conflict
/// and refusal is in one error.
pub async fn plan(
    cluster: &Cluster,
    stack: &StackName,
    components: &[Component],
    options: Options,
) -> Result<Vec<Planned>, ClusterError> {
    plan_again(cluster, stack, components, (options, &[])).await
}

/// [`plan`] after another one: everything is read anew, and the server asked again only of what is another since.
pub async fn plan_again(
    cluster: &Cluster,
    stack: &StackName,
    components: &[Component],
    (options, former): (Options, &[Planned]),
) -> Result<Vec<Planned>, ClusterError> {
    let former: HashMap<&ObjectRef, &Planned> = former.iter().map(|p| (&p.object, p)).collect();
    let reading = ownership::look(cluster, stack, components, options).await?;
    let (leftovers, unknown) = prune::leftovers(cluster, stack, components, &reading).await?;
    let existing = reading.existing.into_iter();
    let existing: HashMap<ObjectRef, Existing> = existing.map(|e| (e.object.clone(), e)).collect();
    let wanted = || components.iter().flat_map(|c| &c.objects);
    let homes = homes(cluster, wanted(), &existing).await?;
    let scaled = scale::targets(components);
    let recorded = recorded(components, &leftovers, unknown);
    let decisions = wanted().map(|wanted| {
        let wanted = recorded.as_ref().filter(|_| mark::is_parent(wanted)).unwrap_or(wanted);
        let object = ObjectRef::of(wanted);
        let has_home = object.namespace.as_ref().is_none_or(|home| homes.contains(home));
        let try_it = Try {
            wanted,
            options,
            former: former.get(&object).copied(),
        };
        match existing.get(&object) {
            Some(live) => {
                let scaled = scaled.contains(&object.unversioned());
                decide(cluster, try_it, (live, scaled)).boxed()
            }
            None => create(cluster, try_it, has_home).boxed(),
        }
    });
    let decisions: Vec<_> = stream::iter(decisions).buffered(PARALLEL).collect().await;
    let (mut planned, mut problems, mut immutable) = (Vec::new(), Vec::new(), Vec::new());
    for decision in decisions {
        match decision {
            Ok(p) => planned.push(p),
            // No answer is no refusal: nothing is wrong with what is asked for.
            Err(
                unanswered @ ClusterError::Request {
                    failure: Failure { code: None, .. },
                    ..
                },
            ) => return Err(unanswered),
            Err(ClusterError::Request { object, failure, .. }) => problems.extend(refusals(&object, &failure)),
            Err(ClusterError::Immutable(fields)) => immutable.extend(fields),
            Err(other) => return Err(other),
        }
    }
    refused(problems, immutable)?;
    planned.extend(leftovers.iter().map(Planned::leftover));
    Ok(planned)
}

/// Both kinds of refusal as one error, where there is one.
pub(super) fn refused(problems: Vec<String>, immutable: Vec<String>) -> Result<(), ClusterError> {
    let errors = [
        (!problems.is_empty()).then(|| ClusterError::Rejected(problems)),
        (!immutable.is_empty()).then(|| ClusterError::Immutable(immutable)),
    ];
    ClusterError::all(errors.into_iter().flatten())
}

/// The parent with the kinds of what is still to be deleted, or may be: until that is gone, it has to be found again.
fn recorded(components: &[Component], leftovers: &[Leftover], unknown: BTreeSet<String>) -> Option<DynamicObject> {
    let mut parent = prune::parent_of(components)?.clone();
    mark::record_kinds(&mut parent, unknown);
    mark::record(&mut parent, leftovers.iter().map(|leftover| &leftover.live.object));
    Some(parent)
}

/// The namespaces that absent objects of known kinds name and that are there already.
async fn homes(
    cluster: &Cluster,
    wanted: impl Iterator<Item = &DynamicObject>,
    existing: &HashMap<ObjectRef, Existing>,
) -> Result<BTreeSet<String>, ClusterError> {
    let (mut named, mut read) = (BTreeSet::new(), BTreeSet::new());
    for object in wanted.map(ObjectRef::of) {
        if object.is_namespace() {
            read.insert(object.name);
        } else if !existing.contains_key(&object) && cluster.resolve(&object.gvk()).await?.is_some() {
            // What will be left out needs no namespace.
            named.extend(object.namespace);
        }
    }
    let looks = named.into_iter().map(|name| {
        let namespace = ObjectRef {
            api_version: "v1".to_owned(),
            kind: "Namespace".to_owned(),
            namespace: None,
            name: name.clone(),
        };
        let is_there = read.contains(&name).then(|| existing.contains_key(&namespace));
        async move {
            let is_there = match is_there {
                Some(known) => known,
                None => cluster.get(&namespace).await?.is_some(),
            };
            Ok::<_, ClusterError>(is_there.then_some(name))
        }
    });
    let looks: Vec<_> = looks.collect();
    let found: Vec<Option<String>> = stream::iter(looks).buffered(PARALLEL).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

impl Planned {
    /// What the manifests no longer have.
    fn leftover(leftover: &Leftover) -> Self {
        let object = &leftover.live.object;
        let outcome = if leftover.stays.is_some() {
            Outcome::Kept
        } else {
            Outcome::Deleted
        };
        Self::new(&object.bare(), outcome, leftover.stays.clone().into_iter().collect())
    }

    pub(crate) fn new(wanted: &DynamicObject, outcome: Outcome, fields: Vec<String>) -> Self {
        let object = ObjectRef::of(wanted);
        Self {
            change: Change {
                kind: object.kind.clone(),
                namespace: object.namespace.clone(),
                name: object.name.clone(),
                outcome,
                fields,
            },
            object,
            wanted: wanted.clone(),
            answer: None,
            force: false,
            uid: None,
            hands_over: false,
            strips: Vec::new(),
        }
    }

    /// What is deleted and made anew because of these fields.
    pub(super) fn recreated(wanted: &DynamicObject, fields: Vec<String>, uid: Option<String>) -> Self {
        Self {
            uid,
            ..Self::new(wanted, Outcome::Recreated, fields)
        }
    }
}

/// An object that is absent. It is tried too, so that what the server refuses is known before anything is sent; not
/// where its namespace or kind is to be made by the same apply.
async fn create(cluster: &Cluster, of: Try<'_>, has_home: bool) -> Result<Planned, ClusterError> {
    let wanted = of.wanted;
    let known = cluster.resolve(&ObjectRef::of(wanted).gvk()).await?.is_some();
    if !known && mark::is_optional(wanted) {
        let why = vec!["the cluster does not know this kind".to_owned()];
        return Ok(Planned::new(wanted, Outcome::Skipped, why));
    }
    let answer = if known && has_home {
        of.ask(cluster, None, false).await?
    } else {
        None
    };
    Ok(Planned {
        answer: answer.map(|after| Answer::of_server(None, after)),
        ..Planned::new(wanted, Outcome::Created, Vec::new())
    })
}

/// What is to be done about an object that is there: by dry run, unless it is known to be as wanted.
pub(super) async fn decide(
    cluster: &Cluster,
    of: Try<'_>,
    (existing, scaled): (&Existing, bool),
) -> Result<Planned, ClusterError> {
    let (wanted, live) = (of.wanted, &existing.live);
    if ObjectRef::of(wanted).kind == "Namespace" && !existing.ours {
        let why = vec!["existed before; used as it is".to_owned()];
        return Ok(Planned::new(wanted, Outcome::Skipped, why));
    }
    let mut force = authority::is_taken_back(wanted, live);
    let mut answer = None;
    if !as_applied::holds(wanted, live) {
        let mut asked = of.ask(cluster, Some(live), force).await;
        if let Err(ClusterError::Request { failure, .. }) = &asked
            && scale::is_left_behind(live, failure)
        {
            force = true;
            asked = of.ask(cluster, Some(live), force).await;
        }
        answer = match asked {
            Ok(Some(after)) => Some(Answer::of_server(Some(live), after)),
            Ok(None) => Some(Answer::guessed(wanted, live)),
            Err(refused) => return recreate::instead(cluster, wanted, existing, of.options, refused).await,
        };
    }
    let mut fields = answer
        .as_ref()
        .map_or_else(Vec::new, |answer| difference(wanted, live, &answer.after));
    let hands_over = scaled && scale::is_ours(live);
    fields.extend(hands_over.then(|| scale::HANDED_OVER.to_owned()));
    let strips = authority::foreign_injections(wanted, live);
    fields.extend(strips.iter().map(|name| format!("metadata.annotations.{name}")));
    let outcome = if fields.is_empty() {
        Outcome::Unchanged
    } else {
        Outcome::Updated
    };
    Ok(Planned {
        answer,
        force,
        hands_over,
        strips,
        ..Planned::new(wanted, outcome, fields)
    })
}

/// Server-side apply of one object. May be repeated: the same fields by the same manager.
pub(super) async fn send(
    cluster: &Cluster,
    object: &ObjectRef,
    wanted: &DynamicObject,
    options: Options,
    dry_run: bool,
) -> Result<DynamicObject, ClusterError> {
    match patch(cluster, object, wanted, options, dry_run).await {
        Err(refused) if authority::is_overtaken(wanted, &refused) => {
            let wanted = authority::with_the_bundle_there(cluster, object, wanted).await?;
            patch(cluster, object, &wanted, options, dry_run).await
        }
        sent => sent,
    }
}

async fn patch(
    cluster: &Cluster,
    object: &ObjectRef,
    wanted: &DynamicObject,
    options: Options,
    dry_run: bool,
) -> Result<DynamicObject, ClusterError> {
    let api = cluster.api_of(object).await?;
    let mut params = PatchParams::apply(FIELD_MANAGER);
    // A taken APIService has other managers by nature.
    params.force = options.force_conflicts || (options.take_over && object.kind == take_over::KIND);
    params.dry_run = dry_run;
    let patch = Patch::Apply(wanted);
    retry::call(|| api.patch(&object.name, &params, &patch))
        .await
        .map_err(|f| {
            let said = if object.kind == "Secret" { f.without_values() } else { f };
            ClusterError::on("apply", object, said)
        })
}

/// A refusal as lines: one for each conflicting field with its manager.
pub(super) fn refusals(object: &str, failure: &Failure) -> Vec<String> {
    if failure.is_conflict() && !failure.causes.is_empty() {
        let causes = failure.causes.iter();
        return causes
            .map(|(field, message)| format!("{object}: field `{field}`: {message}"))
            .collect();
    }
    vec![format!("{object}: {failure}")]
}

#[cfg(test)]
#[path = "changes_tests.rs"]
mod tests;
