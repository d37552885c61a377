//! The `ApplySet`'s parent: what a stack says of itself on the cluster, since there is no state file.

use std::collections::BTreeSet;

use kube::core::DynamicObject;
use semver::Version;

use super::applied;
use super::changes::{self, Options};
use super::connect::Cluster;
use super::error::ClusterError;
use super::lease::{self, Terms};
use super::manifest::Component;
use super::mark;
use super::object::ObjectRef;
use super::ownership;
use crate::names::{
    ANNOTATION_KINDS, ANNOTATION_LOAD_IMAGE, ANNOTATION_MEMBERS, ANNOTATION_MIRRORED, ANNOTATION_NAMESPACES,
    ANNOTATION_REPLACED, ANNOTATION_TOOLING, FIELD_MANAGER, StackName,
};
use crate::report::{Outcome, Reporter};

/// This binary.
const OURS: &str = env!("CARGO_PKG_VERSION");

/// A stack's own record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parent {
    /// What applied it last.
    pub version: Option<Version>,
    /// Which image makes load.
    pub load_image: Option<String>,
    /// Repositories that images of others were copied into, as references start with them.
    pub mirrored: Vec<String>,
    /// What was there before the stack took an object over, see [`super::take_over`].
    pub(super) replaced: Option<String>,
    /// Kinds of its members, `Deployment.apps`.
    pub(super) kinds: BTreeSet<String>,
    /// Namespaces of its members beside the parent's.
    pub(super) namespaces: BTreeSet<String>,
    /// A hash of which members were applied last.
    pub(super) members: Option<String>,
}

/// Reads the parent in the app's namespace; none where there is no such stack.
pub async fn read(cluster: &Cluster, stack: &StackName, namespace: &str) -> Result<Option<Parent>, ClusterError> {
    let found = cluster.get(&reference(stack, namespace)).await?;
    Ok(found.map(|object| Parent::of(&object)))
}

/// Refuses a stack that a newer binary applied: this one does not know what belongs to it.
///
/// # Errors
/// [`ClusterError::Newer`], before anything is changed.
pub async fn check_version(cluster: &Cluster, stack: &StackName, namespace: &str) -> Result<(), ClusterError> {
    let theirs = read(cluster, stack, namespace).await?.and_then(|parent| parent.version);
    match theirs.filter(|theirs| is_newer(theirs, OURS)) {
        None => Ok(()),
        Some(theirs) => Err(ClusterError::Newer {
            stack: stack.clone(),
            theirs,
            ours: OURS,
        }),
    }
}

/// Sets an annotation of the parent among a stack's objects.
pub fn annotate(components: &mut [Component], stack: &StackName, annotation: &str, value: &str) {
    let parent = stack.applyset_parent();
    let objects = components.iter_mut().flat_map(|component| &mut component.objects);
    let is_parent = |object: &DynamicObject| {
        object.metadata.name.as_ref() == Some(&parent) && ObjectRef::of(object).kind == "Secret"
    };
    for object in objects.filter(|object| is_parent(object)) {
        let annotations = object.metadata.annotations.get_or_insert_default();
        annotations.insert(annotation.to_owned(), value.to_owned());
    }
}

/// Writes an annotation of a stack's parent, under the stack's lease: all that was applied of it before stays.
///
/// # Errors
/// There is no such stack, or a newer binary applied it; then nothing is written.
pub async fn remember(
    cluster: &Cluster,
    terms: Terms<'_>,
    (annotation, value): (&str, &str),
    report: &dyn Reporter,
) -> Result<(), ClusterError> {
    let stack = terms.stack;
    let namespace = terms.home.metadata.name.as_deref().unwrap_or_default();
    let object = &reference(stack, namespace);
    let work = || async move {
        check_version(cluster, stack, namespace).await?;
        let live = cluster.get(object).await?;
        let Some(live) = live.filter(|live| ownership::is_ours(live, stack)) else {
            return Err(ClusterError::NotInstalled {
                stack: stack.clone(),
                object: object.to_string(),
            });
        };
        let mut wanted = applied::of(&live).ok_or_else(|| ClusterError::NotApplied {
            object: object.to_string(),
        })?;
        let annotations = wanted.metadata.annotations.get_or_insert_default();
        annotations.insert(annotation.to_owned(), value.to_owned());
        changes::send(cluster, object, &wanted, Options::default(), false).await?;
        report.done(&object.kind, &object.path(), Outcome::Updated, "");
        Ok(())
    };
    lease::under(cluster, terms, report, |_| work()).await
}

/// The parent's name.
pub(super) fn reference(stack: &StackName, namespace: &str) -> ObjectRef {
    ObjectRef {
        api_version: "v1".to_owned(),
        kind: "Secret".to_owned(),
        namespace: Some(namespace.to_owned()),
        name: stack.applyset_parent(),
    }
}

impl Parent {
    /// What the object says.
    pub(super) fn of(object: &DynamicObject) -> Self {
        let annotations = object.metadata.annotations.as_ref();
        let get = |name: &str| annotations.and_then(|all| all.get(name)).cloned();
        Self {
            version: get(ANNOTATION_TOOLING).and_then(|text| version(&text)),
            load_image: get(ANNOTATION_LOAD_IMAGE),
            mirrored: mark::listed(get(ANNOTATION_MIRRORED).as_ref()).collect(),
            replaced: get(ANNOTATION_REPLACED),
            kinds: mark::listed(get(ANNOTATION_KINDS).as_ref()).collect(),
            namespaces: mark::listed(get(ANNOTATION_NAMESPACES).as_ref()).collect(),
            members: get(ANNOTATION_MEMBERS),
        }
    }
}

/// The version in `provisioner/v1.2.3`; none in what another tool wrote.
fn version(tooling: &str) -> Option<Version> {
    let text = tooling.strip_prefix(FIELD_MANAGER)?.strip_prefix("/v")?;
    Version::parse(text).ok()
}

/// Build metadata does not make a version newer.
fn is_newer(theirs: &Version, ours: &str) -> bool {
    Version::parse(ours).is_ok_and(|ours| theirs.cmp_precedence(&ours).is_gt())
}

#[cfg(test)]
#[path = "parent_tests.rs"]
mod remember_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_versions() {
        for (tooling, ours, newer) in [
            ("provisioner/v0.1.0", "0.1.0", false),
            ("provisioner/v0.10.0", "0.9.9", true),
            ("provisioner/v1.0.0-rc.1", "1.0.0", false),
            ("provisioner/v1.0.0", "1.0.0-rc.2", true),
            ("provisioner/v1.0.0+build.2", "1.0.0", false),
            ("provisioner/v0.0.9", "0.1.0", false),
        ] {
            let theirs = version(tooling).expect(tooling);
            assert_eq!(is_newer(&theirs, ours), newer, "{tooling} {ours}");
        }
        for other in ["kubectl/v1.35.0", "provisioner/1.0.0", "provisioner/vx", ""] {
            assert_eq!(version(other), None, "{other}");
        }
    }
}
