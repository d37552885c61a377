//! What can go wrong with a cluster, in words a user can act on.

use std::error::Error as _;
use std::time::Duration;

use super::object::ObjectRef;
use crate::names::StackName;

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
    /// Objects exist that this stack did not make.
    #[error("cannot take objects that exist and are not part of this stack:{}", list(.0))]
    Foreign(Vec<String>),
    /// Objects are being deleted and did not go in time.
    #[error("cannot apply over objects that are still being deleted:{}", list(.0))]
    Terminating(Vec<String>),
    /// Dry runs failed, so nothing was applied.
    #[error("cannot apply, nothing was changed:{}", list(.0))]
    Rejected(Vec<String>),
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
    /// The load job did not deliver a report.
    #[error("cannot run load job `{name}`: {message}")]
    Load {
        /// Namespace and name.
        name: String,
        /// The state of job and pod.
        message: String,
    },
}

/// What a server or a connection said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The HTTP status; none where no answer came.
    pub code: Option<u16>,
    /// The machine-readable reason, may be empty.
    pub reason: String,
    /// For people.
    pub message: String,
    /// `(field, message)` of each cause, e.g. of conflicts.
    pub causes: Vec<(String, String)>,
    /// Whether trying again later may help.
    pub transient: bool,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code {
            Some(code) if self.message.is_empty() => write!(f, "HTTP {code} {}", self.reason),
            Some(code) => write!(f, "{} (HTTP {code})", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl Failure {
    /// A failure without an answer, e.g. a time limit.
    pub(super) fn local(message: impl Into<String>, transient: bool) -> Self {
        Self {
            code: None,
            reason: String::new(),
            message: message.into(),
            causes: Vec::new(),
            transient,
        }
    }

    /// Reads kube's error. Branches on codes and types, never on text.
    pub(super) fn of(error: &kube::Error) -> Self {
        if let kube::Error::Api(status) = error {
            let causes = status.details.iter().flat_map(|d| &d.causes);
            return Self {
                code: Some(status.code),
                reason: status.reason.clone(),
                message: status.message.clone(),
                causes: causes.map(|c| (c.field.clone(), c.message.clone())).collect(),
                transient: matches!(status.code, 429 | 502 | 503 | 504),
            };
        }
        let transient = matches!(error, kube::Error::Service(_) | kube::Error::HyperError(_)) && !is_tls_refusal(error);
        // The variant's name says nothing; what it wraps does.
        match error {
            kube::Error::Service(inner) => Self::local(chain(inner.as_ref()), transient),
            other => Self::local(chain(other), transient),
        }
    }

    pub(super) fn is_not_found(&self) -> bool {
        self.code == Some(404)
    }

    pub(super) fn is_conflict(&self) -> bool {
        self.code == Some(409)
    }

    /// Whether an admission webhook takes no part in dry runs. Nothing but the text tells that from other bad requests.
    pub(super) fn is_of_dry_runs(&self) -> bool {
        self.code == Some(400) && self.message.contains("does not support dry run")
    }
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

    /// What to try, in one sentence; none where the message says it all.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Request { failure, .. } => match failure.code {
                Some(401) => Some(
                    "the cluster does not know these credentials: check which identity is used and that it has an access entry",
                ),
                Some(403) => Some("the identity is known but may not do this: give it the cluster-admin access policy"),
                Some(422) => Some("a field that cannot change was changed: delete the object, then run again"),
                None => Some("check that the cluster's endpoint is reachable from this machine"),
                _ => None,
            },
            Self::Kubeconfig(_) => Some("set `KUBECONFIG` to a file that `kubectl config view` reads"),
            Self::Plugin { .. } => Some("run `kubectl version` with that context, and see what its plugin waits for"),
            Self::UnknownKinds(_) => {
                Some("leave the component out with `--without`, or install what defines the kinds")
            }
            Self::Foreign(_) => Some(
                "delete or rename them, or leave the component out with `--without`; `--take-over` replaces an APIService until teardown, `--adopt` marks again what lost its labels",
            ),
            Self::Terminating(_) => Some("look for finalizers on them, then run again"),
            Self::Rejected(_) => Some(
                "where others changed a field, `--force-conflicts` takes it back; mend what is refused otherwise, then run again",
            ),
            Self::NotReady { .. } => Some("run again to go on waiting; `provisioner status` shows the pods"),
            Self::NoCertManager(_) => {
                Some("install cert-manager, or take `--certificates own`: then an authority of the stack's own signs")
            }
            Self::CertManager(_) => Some(
                "see that the pods of cert-manager run, its webhook's too, then run again; or take `--certificates own`",
            ),
            Self::Leased { .. } => Some("wait until that run has ended, or end it: then run again"),
            Self::LeaseLost { .. } => Some("run again when the other run has ended"),
            Self::Newer { .. } => Some("install that version of provisioner or a newer one"),
            Self::NotInstalled { .. } | Self::NotApplied { .. } => {
                Some("run `provisioner bootstrap`: it applies the whole stack with the image")
            }
            Self::NoTarget { .. } => {
                Some("say where to, as a pod sees it, with `--url http://SERVICE.NAMESPACE.svc:PORT/`")
            }
            Self::Overtaken { .. } => Some("see what that other run does, then run again"),
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
            Self::Foreign(_) | Self::Rejected(_) | Self::UnknownKinds(_) | Self::NoCertManager(_) => true,
            Self::Request { failure, .. } => failure.code == Some(403),
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
            | Self::NotInstalled { .. }
            | Self::NotApplied { .. }
            | Self::NoTarget { .. }
            | Self::Newer { .. } => true,
            Self::Request { failure, .. } => failure.code == Some(401),
            _ => false,
        }
    }
}

fn list(items: &[String]) -> String {
    items.iter().fold(String::new(), |all, item| all + "\n  " + item)
}

fn guess(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// The error and its sources, without repeating what a parent has said already.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        source = cause.source();
    }
    text
}

/// A certificate that is refused stays refused; looks into io errors too, whose `source` skips what they wrap.
fn is_tls_refusal(error: &kube::Error) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = error.source();
    while let Some(cause) = next {
        if cause.is::<rustls::Error>() {
            return true;
        }
        next = match cause.downcast_ref::<std::io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static)),
            None => cause.source(),
        };
    }
    false
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
