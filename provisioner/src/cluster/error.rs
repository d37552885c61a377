//! What can go wrong with a cluster, in words a user can act on.

use std::time::Duration;

pub use super::failure::Failure;
pub(super) use super::failure::chain;
use super::object::ObjectRef;
use super::ready::NO_CERT_MANAGER;
use super::recreate::NOT_RECREATED;
use crate::names::StackName;

/// What to do where the cluster knows who asks and does not let them.
const NO_RIGHT: &str = "the identity is known but may not do this: give it the cluster-admin access policy";

/// A failure of an operation on a cluster or on the manifests for it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// The kubeconfig cannot be used.
    #[error("cannot use the kubeconfig")]
    Kubeconfig(#[source] Box<kube::config::KubeconfigError>),
    /// The endpoint of a cluster cannot be used as given.
    #[error("cannot use cluster endpoint `{server}`: {message}")]
    Endpoint {
        /// Its URL.
        server: String,
        /// Why.
        message: String,
    },
    /// The exec plugin of a kubeconfig does not end.
    #[error("cannot get credentials for cluster `{server}`: the exec plugin of its context gave none within {:.0} s", waited.as_secs_f64())]
    Plugin {
        /// URL of the cluster.
        server: String,
        /// How long was waited.
        waited: Duration,
    },
    /// A request failed for good.
    #[error("cannot {verb} {object}: {failure}")]
    Request {
        /// What was tried, e.g. "apply".
        verb: &'static str,
        /// Kind and name, e.g. "Deployment `web-app/web-app`".
        object: String,
        /// What the server or the connection said.
        failure: Failure,
    },
    /// Manifests cannot be used; every problem is listed.
    #[error("cannot use the manifests:{}", list(.0))]
    Manifests(Vec<String>),
    /// A component was named that does not exist.
    #[error("cannot leave out component `{name}`: there is none of that name{} (components: {})", guess(nearest.as_deref()), known.join(", "))]
    UnknownComponent {
        /// As given.
        name: String,
        /// The most similar one, where one is near.
        nearest: Option<String>,
        /// All of them.
        known: Vec<String>,
    },
    /// The server does not know kinds that the manifests use.
    #[error("cannot apply objects of kinds that the cluster does not know:{}", list(.0))]
    UnknownKinds(Vec<String>),
    /// Objects are to go into namespaces that nobody makes.
    #[error("cannot apply objects into namespaces that do not exist:{}", list(.0))]
    NoNamespace(Vec<String>),
    /// Objects exist that this stack did not make.
    #[error("cannot take objects that exist and are not part of this stack:{}", list(.0))]
    Foreign(Vec<String>),
    /// Objects are being deleted and did not go in time.
    #[error("cannot apply over objects that are still being deleted:{}", list(.0))]
    Terminating(Vec<String>),
    /// Dry runs failed, so nothing was applied.
    #[error("cannot apply, nothing was changed:{}", list(.0))]
    Rejected(Vec<String>),
    /// Fields cannot be changed in place.
    #[error("cannot change objects in place, nothing was changed:{}", list(.0))]
    Immutable(Vec<String>),
    /// More than one thing is wrong.
    #[error("{}", several(.0))]
    Several(Vec<ClusterError>),
    /// There is nothing to apply.
    #[error("cannot apply stack `{stack}`: its manifests have no objects")]
    Empty {
        /// The stack.
        stack: StackName,
    },
    /// Objects that are wanted no longer did not go.
    #[error("cannot remove objects that the stack no longer has:{}", list(.0))]
    NotPruned(Vec<String>),
    /// Another run applied other manifests.
    #[error("cannot remove what stack `{stack}` no longer has: another run applied other manifests meanwhile")]
    Superseded {
        /// The stack.
        stack: StackName,
    },
    /// Objects did not become ready.
    #[error("cannot wait for objects any longer, after {:.0} s not ready:{}", after.as_secs_f64(), list(laggards))]
    NotReady {
        /// How long was waited.
        after: Duration,
        /// Each with its last message.
        laggards: Vec<String>,
    },
    /// Objects failed in a way that waiting does not mend.
    #[error("cannot get objects ready:{}", list(.0))]
    Failed(Vec<String>),
    /// Certificates or keys cannot be made or read.
    #[error("cannot {verb} the certificate of the custom metrics API: {message}")]
    Certificate {
        /// What was tried.
        verb: &'static str,
        /// Why not.
        message: String,
    },
    /// cert-manager was asked for and the cluster does not know its kinds.
    #[error("cannot use cert-manager: the cluster does not know its kinds:{}", list(.0))]
    NoCertManager(Vec<String>),
    /// cert-manager is there and does not accept a Certificate.
    #[error("cannot use cert-manager: it does not accept a Certificate: {0}")]
    CertManager(Failure),
    /// Another run is changing the stack.
    #[error("cannot get the lease of stack `{stack}`: after {:.0} s it is still held by {holder}", waited.as_secs_f64())]
    Leased {
        /// The stack.
        stack: StackName,
        /// Who holds it since when.
        holder: String,
        /// How long was waited.
        waited: Duration,
    },
    /// The lease was lost while the stack was being changed.
    #[error("cannot go on with stack `{stack}`: its lease was lost: {why}")]
    LeaseLost {
        /// The stack.
        stack: StackName,
        /// To whom, or why.
        why: String,
    },
    /// A newer binary applied the stack.
    #[error("cannot change stack `{stack}`: provisioner {theirs} applied it, and this is {ours}")]
    Newer {
        /// The stack.
        stack: StackName,
        /// What applied it.
        theirs: semver::Version,
        /// This binary.
        ours: &'static str,
    },
    /// A part of the stack is not installed.
    #[error("cannot find {object} of stack `{stack}`: it is not installed")]
    NotInstalled {
        /// The stack.
        stack: StackName,
        /// The object.
        object: String,
    },
    /// The server does not remember what was applied.
    #[error("cannot change {object}: the server does not say which of its fields provisioner applied")]
    NotApplied {
        /// The object.
        object: String,
    },
    /// Somebody else changed an image while it was rolled out.
    #[error("cannot go on with {object}: somebody else moved it to `{image}` meanwhile")]
    Overtaken {
        /// The object.
        object: String,
        /// The image that it has now.
        image: String,
    },
    /// It is not known where load goes.
    #[error("cannot send load to {object}: {why}")]
    NoTarget {
        /// The Service.
        object: String,
        /// What it lacks.
        why: String,
    },
    /// Somebody's load is on its way.
    #[error("cannot send load: {object} sends one already, since {since}")]
    LoadRuns {
        /// The Job.
        object: String,
        /// When it was made.
        since: String,
    },
    /// The load job did not deliver a report.
    #[error("cannot run load job `{name}`: {message}")]
    Load {
        /// Namespace and name.
        name: String,
        /// The state of job and pod.
        message: String,
    },
}

impl ClusterError {
    pub(crate) fn request(verb: &'static str, object: impl Into<String>, failure: Failure) -> Self {
        Self::Request {
            verb,
            object: object.into(),
            failure,
        }
    }

    pub(super) fn on(verb: &'static str, object: &ObjectRef, failure: Failure) -> Self {
        Self::request(verb, object.to_string(), failure)
    }

    /// All of several refusals at once.
    ///
    /// # Errors
    /// Always, where there is one.
    pub(super) fn all(errors: impl Iterator<Item = Self>) -> Result<(), Self> {
        let mut errors: Vec<Self> = errors.collect();
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(Self::Several(errors)),
        }
    }

    /// What to try, in one sentence; none where the message says it all.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Request { failure, .. } => match failure.code {
                Some(401) => Some(
                    "the cluster does not know these credentials: check which identity is used and that it has an access entry",
                ),
                Some(403) => Some(NO_RIGHT),
                Some(422) => Some("a field that cannot change was changed: delete the object, then run again"),
                None => Some("check that the cluster's endpoint is reachable from this machine"),
                _ => None,
            },
            Self::Kubeconfig(_) => Some("set `KUBECONFIG` to a file that `kubectl config view` reads"),
            Self::Plugin { .. } => Some("run `kubectl version` with that context, and see what its plugin waits for"),
            Self::UnknownKinds(_) => {
                Some("leave the component out with `--without`, or install what defines the kinds")
            }
            Self::NoNamespace(_) => Some("make these namespaces, or add them to the manifests"),
            Self::Foreign(_) => Some(
                "delete or rename them, or leave the component out with `--without`; `--take-over` replaces an APIService until teardown, `--adopt` marks again what lost its labels",
            ),
            Self::Terminating(_) => Some("look for finalizers on them, then run again"),
            Self::Rejected(_) => Some(
                "where others changed a field, `--force-conflicts` takes it back; mend what is refused otherwise, then run again",
            ),
            Self::Failed(all) | Self::NotReady { laggards: all, .. }
                if all.iter().any(|said| said.contains(NO_CERT_MANAGER)) =>
            {
                Some(
                    "see that the pods of cert-manager run, then run again; or take `--certificates own`: then an authority of the stack's own signs",
                )
            }
            Self::NotReady { .. } => Some("run again to go on waiting; `provisioner status` shows the pods"),
            Self::NoCertManager(_) => {
                Some("install cert-manager, or take `--certificates own`: then an authority of the stack's own signs")
            }
            Self::CertManager(failure) if failure.code == Some(403) => Some(NO_RIGHT),
            Self::CertManager(_) => Some(
                "see that the pods of cert-manager run, its webhook's too, then run again; or take `--certificates own`",
            ),
            Self::Immutable(fields) if fields.iter().all(|line| line.ends_with(NOT_RECREATED)) => {
                Some("put the fields back, or delete these objects by hand: what is kept in them goes with them")
            }
            Self::Immutable(_) => Some(
                "put the fields back, or give `--recreate`: it deletes these objects with their pods, and makes them anew; what holds data of others has to be deleted by hand",
            ),
            Self::Several(all) => all.iter().find_map(Self::hint),
            Self::Empty { .. } => Some("leave fewer components out; `provisioner teardown` removes a stack"),
            Self::NotPruned(_) => Some("look for finalizers on them, then run again: it goes on with them"),
            Self::Leased { .. } => Some("wait until that run has ended, or end it: then run again"),
            Self::LeaseLost { .. } => Some("run again when the other run has ended"),
            Self::Newer { .. } => Some("install that version of provisioner or a newer one"),
            Self::NotInstalled { .. } | Self::NotApplied { .. } => {
                Some("run `provisioner bootstrap`: it applies the whole stack with the image")
            }
            Self::NoTarget { .. } => {
                Some("say where to, as a pod sees it, with `--url http://SERVICE.NAMESPACE.svc:PORT/`")
            }
            Self::LoadRuns { .. } => {
                Some("wait for its end, or give `--replace`: it ends that load and takes its place")
            }
            Self::Overtaken { .. } | Self::Superseded { .. } => Some("see what that other run does, then run again"),
            Self::Endpoint { .. }
            | Self::Manifests(_)
            | Self::UnknownComponent { .. }
            | Self::Failed(_)
            | Self::Certificate { .. }
            | Self::Load { .. } => None,
        }
    }

    /// Whether somebody else's objects or rights are in the way, which trying again does not mend.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Foreign(_)
            | Self::Rejected(_)
            | Self::Immutable(_)
            | Self::UnknownKinds(_)
            | Self::NoNamespace(_)
            | Self::LoadRuns { .. }
            | Self::NoCertManager(_) => true,
            Self::Several(all) => all.iter().all(Self::is_refusal),
            Self::Request { failure, .. } | Self::CertManager(failure) => failure.code == Some(403),
            _ => self.is_configuration(),
        }
    }

    /// Whether the input is wrong, not the world: nothing was changed, exit code 2.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Kubeconfig(_)
            | Self::Endpoint { .. }
            | Self::Plugin { .. }
            | Self::Manifests(_)
            | Self::UnknownComponent { .. }
            | Self::Empty { .. }
            | Self::NotInstalled { .. }
            | Self::NotApplied { .. }
            | Self::NoTarget { .. }
            | Self::Newer { .. } => true,
            Self::Request { failure, .. } => failure.code == Some(401),
            Self::Several(all) => all.iter().all(Self::is_configuration),
            _ => false,
        }
    }
}

fn list(items: &[String]) -> String {
    items.iter().fold(String::new(), |all, item| all + "\n  " + item)
}

fn several(errors: &[ClusterError]) -> String {
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    texts.join("\nerror: ")
}

fn guess(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_verb_kind_object_and_code() {
        let failure = Failure {
            code: Some(403),
            reason: "Forbidden".to_owned(),
            message: "no".to_owned(),
            causes: Vec::new(),
            transient: false,
        };
        let error = ClusterError::request("apply", "Deployment `a/b`", failure);
        assert_eq!(error.to_string(), "cannot apply Deployment `a/b`: no (HTTP 403)");
        assert!(error.hint().is_some() && !error.is_configuration());
    }

    #[test]
    fn lists_are_one_item_a_line() {
        let error = ClusterError::Foreign(vec!["A `x`".to_owned(), "B `y`".to_owned()]);
        assert_eq!(
            error.to_string(),
            "cannot take objects that exist and are not part of this stack:\n  A `x`\n  B `y`"
        );
    }
}
