//! Drift: where something of ours differs from what is asked for, one value per difference.
//!
//! What can be set right without replacing anything is; the rest is refused before anything changes, with the way out.

use std::fmt;

use semver::Version;

use super::error::AwsError;
use crate::names::TAG_VERSION;

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Drift {
    /// Kind of object, e.g. "cluster", "foundation stack".
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// In what it differs.
    pub aspect: Aspect,
    /// As it is.
    pub found: String,
    /// As it is asked for.
    pub wanted: String,
    /// Whether a bootstrap sets it right; else it refuses.
    pub repaired: bool,
}

/// In what something differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Aspect {
    /// The version of the tool that made it.
    MadeBy,
    /// The foundation's template: set right, unless a resource would be replaced or removed.
    Template,
    /// The cluster that the foundation was made for.
    Cluster,
    /// The state of the foundation's stack, with a cluster on it.
    State,
    /// The Kubernetes version.
    Kubernetes,
    /// Auto Mode or a node group.
    Compute,
    /// Whether the nodes are in private subnets.
    PrivateNodes,
    /// The subnets of cluster and nodes.
    Subnets,
    /// The role of the control plane.
    ClusterRole,
    /// The role of the nodes.
    NodeRole,
    /// Addresses that may reach the API server: set right.
    PublicAccess,
    /// Logs of the control plane: set right.
    Logs,
    /// How often the HPA is evaluated: set right.
    HpaSyncPeriod,
    /// Which tags of a repository may move: set right.
    TagRules,
    /// Which images of a repository expire: set right.
    Lifecycle,
}

impl Aspect {
    /// Its name and the verb that goes with it.
    const fn label(self) -> (&'static str, &'static str) {
        match self {
            Self::MadeBy => ("version of provisioner", "is"),
            Self::Template => ("template", "is"),
            Self::Cluster => ("cluster", "is"),
            Self::State => ("state", "is"),
            Self::Kubernetes => ("Kubernetes version", "is"),
            Self::Compute => ("compute", "is"),
            Self::PrivateNodes => ("private subnets for nodes", "are"),
            Self::Subnets => ("subnets", "are"),
            Self::ClusterRole => ("cluster role", "is"),
            Self::NodeRole => ("node role", "is"),
            Self::PublicAccess => ("public access", "is"),
            Self::Logs => ("control plane logs", "are"),
            Self::HpaSyncPeriod => ("HPA sync period", "is"),
            Self::TagRules => ("tag rules", "are"),
            Self::Lifecycle => ("lifecycle policy", "is"),
        }
    }

    /// What to do about a difference that is refused.
    const fn way_out(self) -> &'static str {
        match self {
            Self::MadeBy => "use that version of provisioner, or a newer one",
            Self::Template => {
                "use the version of provisioner that made it; or remove everything with `provisioner teardown --delete-cluster` and run the command again"
            }
            Self::Cluster => {
                "each cluster stands on a foundation of its own: give `--cluster` of that one, or another `--name`"
            }
            Self::State => {
                "the cluster stands on what is left of it, so it is not replaced; remove both with `provisioner teardown --delete-cluster` and run the command again"
            }
            Self::Kubernetes => {
                "leave `--k8s-version` out to use the cluster as it is; upgrades are eks:UpdateClusterVersion, one minor version at a time"
            }
            Self::Compute
            | Self::PrivateNodes
            | Self::Subnets
            | Self::ClusterRole
            | Self::NodeRole
            | Self::PublicAccess
            | Self::Logs
            | Self::HpaSyncPeriod
            | Self::TagRules
            | Self::Lifecycle => {
                "give the flags that it was made with; or remove it with `provisioner teardown --delete-cluster` and run the command again"
            }
        }
    }
}

impl Drift {
    /// What was set right, in words.
    pub(super) fn set_right(&self) -> String {
        let (aspect, found, wanted) = (self.aspect.label().0, &self.found, &self.wanted);
        format!(
            "{} `{}`: {aspect} set to {wanted}, before {found}",
            self.kind, self.name
        )
    }

    /// A difference that nothing but a new object would set right.
    pub(super) fn refused(
        (kind, name): (&'static str, &str),
        aspect: Aspect,
        found: impl Into<String>,
        wanted: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            aspect,
            found: found.into(),
            wanted: wanted.into(),
            repaired: false,
        }
    }

    /// A difference that is set right in place.
    pub(super) fn repaired(
        of: (&'static str, &str),
        aspect: Aspect,
        found: impl Into<String>,
        wanted: impl Into<String>,
    ) -> Self {
        Self {
            repaired: true,
            ..Self::refused(of, aspect, found, wanted)
        }
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((aspect, verb), found, wanted) = (self.aspect.label(), &self.found, &self.wanted);
        write!(
            f,
            "{} `{}`: {aspect} {verb} {found}, not {wanted}",
            self.kind, self.name
        )
    }
}

/// Differences that a bootstrap does not set right; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(Vec<Drift>);

impl Refused {
    /// Those of `drifts` that are not set right, if any.
    fn of(drifts: &[Drift]) -> Option<Self> {
        let refused: Vec<_> = drifts.iter().filter(|drift| !drift.repaired).cloned().collect();
        (!refused.is_empty()).then_some(Self(refused))
    }

    /// What to do about them, each way once.
    pub fn way_out(&self) -> String {
        let mut ways: Vec<&str> = self.0.iter().map(|drift| drift.aspect.way_out()).collect();
        ways.sort_unstable();
        ways.dedup();
        ways.join("; ")
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(Drift::to_string).collect();
        f.write_str(&texts.join("; "))
    }
}

/// Refuses those of `drifts` that are not set right.
///
/// # Errors
/// [`AwsError::Drift`] with all of them.
pub fn refuse(drifts: &[Drift]) -> Result<(), AwsError> {
    Refused::of(drifts).map_or(Ok(()), |refused| Err(AwsError::Drift(refused)))
}

/// The drift of something that a newer version of the tool made: an older one must not touch it. A version that
/// cannot be read counts as old, so that a damaged tag blocks nobody.
pub(super) fn made_by_newer<K, V>(of: (&'static str, &str), tags: impl IntoIterator<Item = (K, V)>) -> Option<Drift>
where
    K: AsRef<str>,
    V: AsRef<str>,
{
    let own = env!("CARGO_PKG_VERSION");
    let mut tags = tags.into_iter();
    let (_, made_by) = tags.find(|(key, _)| key.as_ref() == TAG_VERSION)?;
    let (theirs, ours) = (Version::parse(made_by.as_ref()).ok()?, Version::parse(own).ok()?);
    (theirs > ours).then(|| Drift::refused(of, Aspect::MadeBy, made_by.as_ref(), format!("{own} or older")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newer(version: &str) -> Option<String> {
        made_by_newer(("cluster", "demo"), [(TAG_VERSION, version)]).map(|drift| drift.to_string())
    }

    #[test]
    fn only_a_newer_version_is_drift() {
        let own = Version::parse(env!("CARGO_PKG_VERSION")).expect("a version");
        let next = Version::new(own.major, own.minor, own.patch + 10).to_string();
        let text = newer(&next).expect("newer");
        assert!(
            text.starts_with(&format!("cluster `demo`: version of provisioner is {next}, not ")),
            "{text}"
        );
        // Numbers count, not letters; and a release is newer than its candidates.
        for old in ["0.0.9", &format!("{own}"), &format!("{own}-rc.1"), "", "latest"] {
            assert_eq!(newer(old), None, "{old}");
        }
        assert_eq!(made_by_newer(("cluster", "demo"), [("Name", "99.0.0")]), None);
    }

    #[test]
    fn what_is_refused_names_every_difference_and_each_way_out_once() {
        let of = ("cluster", "demo");
        let drifts = [
            Drift::refused(of, Aspect::Kubernetes, "1.34", "1.35"),
            Drift::repaired(of, Aspect::Logs, "none", "audit"),
            Drift::refused(of, Aspect::Compute, "auto", "nodegroup"),
            Drift::refused(of, Aspect::PrivateNodes, "none", "made"),
        ];
        let refused = Refused::of(&drifts).expect("three");
        insta::assert_snapshot!(refused, @"cluster `demo`: Kubernetes version is 1.34, not 1.35; cluster `demo`: compute is auto, not nodegroup; cluster `demo`: private subnets for nodes are none, not made");
        assert_eq!(refused.way_out().matches("teardown").count(), 1);
        assert_eq!(Refused::of(&drifts[1..2]), None);
    }
}
