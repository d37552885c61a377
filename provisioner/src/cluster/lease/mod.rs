//! One run at a time changes a stack: it holds the stack's Lease from its first write to its last.
//!
//! The Lease lives in the app's namespace, which is made first where it is missing. A second run waits for it, within
//! bounds, and says who holds it. A run that dies leaves its Lease to expire; the next one takes it over, at once where
//! it sees on its own machine that the holder has ended. Releasing deletes it, so that nothing of it stays with the
//! stack.

mod keep;
mod machine;
mod record;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::PostParams;
use kube::core::DynamicObject;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::changes::{self, Options};
use super::connect::Cluster;
use super::error::{ClusterError, Failure};
use super::object::ObjectRef;
use super::pace::Pace;
use super::retry;
use crate::names::StackName;
use crate::report::{Outcome, Reporter};
use keep::Held;
pub use machine::Machine;
use record::{Seen, Verdict};

/// How long a Lease is good without being renewed: longer than a restart of a small cluster's API server.
const DURATION: Duration = Duration::from_secs(30);
/// How old a Lease may be when work begins: that leaves time to renew it.
const FRESH: Duration = Duration::from_secs(15);
/// Between two looks at a Lease that somebody else holds.
const POLL: Duration = Duration::from_secs(1);
/// How long a namespace that is being deleted may take to go.
const GOING: Duration = Duration::from_mins(1);

/// Who this run is, and what it has to give back when it ends.
#[derive(Debug, Clone)]
pub struct Holder {
    identity: String,
    host: String,
    machine: Option<Machine>,
    now: fn() -> Timestamp,
    releases: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Holder {
    /// A holder that nobody else is: `host/pid/run`.
    pub fn new(host: &str, process: u32, run: u32, now: fn() -> Timestamp) -> Self {
        Self {
            identity: format!("{host}/{process}/{run:08x}"),
            host: host.to_owned(),
            machine: None,
            now,
            releases: Arc::default(),
        }
    }

    /// The same on a machine where ended processes can be told: `host/pid/run/machine`.
    #[must_use]
    pub fn on(self, machine: Machine) -> Self {
        Self {
            identity: format!("{}/{}", self.identity, machine.id),
            machine: Some(machine),
            ..self
        }
    }

    /// Whether the holder of that identity was a process on this very machine, and has ended.
    fn outlived(&self, identity: &str) -> bool {
        let parts: Vec<&str> = identity.split('/').collect();
        match (&self.machine, parts.as_slice()) {
            (Some(here), [host, process, _, machine]) => {
                let same = *host == self.host && *machine == here.id;
                same && process.parse().is_ok_and(here.has_ended)
            }
            _ => false,
        }
    }

    /// Waits for what a command that was cut off still gives back. To be called where the process ends.
    pub async fn released(&self, within: Duration) {
        let pending = std::mem::take(&mut *self.releases.lock().unwrap_or_else(PoisonError::into_inner));
        // Best effort: what is not given back in time expires.
        let _ = timeout(within, futures::future::join_all(pending)).await;
    }
}

/// Whose Lease, and how it is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The stack.
    pub stack: &'a StackName,
    /// The app's namespace as the stack wants it: made where it is missing.
    pub home: &'a DynamicObject,
    /// This run.
    pub holder: &'a Holder,
    /// How long another run may keep the Lease before this one gives up.
    pub wait: Duration,
}

/// The namespace of the Lease where no manifests say how it should be.
pub fn home(stack: &StackName, namespace: &str) -> DynamicObject {
    DynamicObject {
        types: Some(kube::core::TypeMeta {
            api_version: "v1".to_owned(),
            kind: "Namespace".to_owned(),
        }),
        metadata: kube::core::ObjectMeta {
            name: Some(namespace.to_owned()),
            labels: Some(stack.labels("namespaces")),
            ..Default::default()
        },
        data: serde_json::json!({}),
    }
}

/// Does `work` while this run holds the Lease; releases it however the work ends, also where this is dropped. The work is
/// told whether the namespace of the Lease was made for it.
///
/// # Errors
/// Another run holds it for longer than `terms.wait`, or took it over meanwhile: then the work is dropped.
pub async fn under<T, E: From<ClusterError>, W: Future<Output = Result<T, E>>>(
    cluster: &Cluster,
    terms: Terms<'_>,
    report: &dyn Reporter,
    work: impl FnOnce(bool) -> W,
) -> Result<T, E> {
    let (mut held, made_home) = acquire(cluster, terms, report).await?;
    let result = tokio::select! {
        result = work(made_home) => result,
        why = held.lost() => Err(ClusterError::LeaseLost { stack: terms.stack.clone(), why }.into()),
    };
    if let Err(failure) = held.release().await {
        report.warning(&format!(
            "the lease of stack `{}` was not given back: {failure}",
            terms.stack
        ));
    }
    result
}

async fn acquire(cluster: &Cluster, terms: Terms<'_>, report: &dyn Reporter) -> Result<(Held, bool), ClusterError> {
    let mut taking = Taking {
        cluster,
        terms,
        report,
        api: Api::namespaced(
            cluster.client(),
            terms.home.metadata.name.as_deref().unwrap_or_default(),
        ),
        seen: Seen::default(),
        made_home: false,
    };
    let what = format!("lease of stack `{}`", terms.stack);
    let mut pace = Pace::new(report);
    loop {
        let holder = match taking.attempt().await? {
            Attempt::Taken(lease, sent) if sent.elapsed() < FRESH => {
                let held = Held::keep(taking.api, (*lease, sent), terms.holder);
                return Ok((held, taking.made_home));
            }
            // The answer took so long that others may have the lease soon: look again.
            Attempt::Taken(..) | Attempt::Again => None,
            Attempt::Held(holder) => Some(holder),
        };
        if pace.elapsed() >= terms.wait {
            return Err(ClusterError::Leased {
                stack: terms.stack.clone(),
                holder: holder.unwrap_or_else(|| "others in turn".to_owned()),
                waited: pace.elapsed(),
            });
        }
        if let Some(holder) = holder {
            pace.waiting(&what, &format!("held by {holder}"));
        }
        sleep(POLL.min(terms.wait)).await;
    }
}

/// One way to the Lease.
struct Taking<'a> {
    cluster: &'a Cluster,
    terms: Terms<'a>,
    report: &'a dyn Reporter,
    api: Api<Lease>,
    seen: Seen,
    made_home: bool,
}

/// How one attempt ended.
enum Attempt {
    /// With the moment before it was asked for: others count its duration from no earlier one.
    Taken(Box<Lease>, Instant),
    /// Somebody else was quicker, or the namespace went away: look again.
    Again,
    /// Who holds it since when, in words.
    Held(String),
}

impl Taking<'_> {
    async fn attempt(&mut self) -> Result<Attempt, ClusterError> {
        let name = self.terms.stack.lease();
        let found = retry::found(retry::call(|| self.api.get(&name)).await);
        let Some(lease) = found.map_err(|f| self.failed("read", f))? else {
            return self.create().await;
        };
        let me = &self.terms.holder.identity;
        let unchanged = self.seen.unchanged(&lease, Instant::now());
        let verdict = match record::judge(&lease, me, unchanged) {
            Verdict::Held if self.terms.holder.outlived(record::holder(&lease)) => Verdict::Expired,
            other => other,
        };
        match verdict {
            Verdict::Held => Ok(Attempt::Held(record::describe(&lease))),
            Verdict::Expired => {
                let former = record::describe(&lease);
                let attempt = self.replace(lease).await?;
                if matches!(attempt, Attempt::Taken(..)) {
                    self.report
                        .note(&format!("took over the lease that {former} did not give back"));
                }
                Ok(attempt)
            }
            // What an answer that got lost gave may be as good as expired by now.
            Verdict::Free | Verdict::Mine => self.replace(lease).await,
        }
    }

    async fn create(&mut self) -> Result<Attempt, ClusterError> {
        self.made_home |= ensure(self.cluster, self.terms.home, self.report).await?;
        let wanted = record::new(self.terms.stack, self.terms.holder);
        let params = PostParams::default();
        match retry::call(|| timed(self.api.create(&params, &wanted))).await {
            Ok((lease, sent)) => Ok(Attempt::Taken(Box::new(lease), sent)),
            // Somebody made it, the namespace went, or it is going.
            Err(failure) if failure.is_conflict() || failure.is_not_found() => Ok(Attempt::Again),
            Err(failure) if failure.code == Some(403) && self.home_is_going().await? => Ok(Attempt::Again),
            Err(failure) => Err(self.failed("make", failure)),
        }
    }

    /// Only the version that was looked at is replaced: two runs cannot both succeed.
    async fn replace(&self, former: Lease) -> Result<Attempt, ClusterError> {
        let wanted = record::taken(former, self.terms.holder);
        let (name, params) = (self.terms.stack.lease(), PostParams::default());
        match retry::call(|| timed(self.api.replace(&name, &params, &wanted))).await {
            Ok((lease, sent)) => Ok(Attempt::Taken(Box::new(lease), sent)),
            Err(failure) if failure.is_conflict() || failure.is_not_found() => Ok(Attempt::Again),
            Err(failure) => Err(self.failed("take", failure)),
        }
    }

    async fn home_is_going(&self) -> Result<bool, ClusterError> {
        let home = self.cluster.get(&ObjectRef::of(self.terms.home)).await?;
        Ok(home.is_none_or(|home| home.metadata.deletion_timestamp.is_some()))
    }

    fn failed(&self, verb: &'static str, failure: Failure) -> ClusterError {
        ClusterError::request(verb, format!("Lease `{}`", self.terms.stack.lease()), failure)
    }
}

/// The answer, with the moment before its request went out.
async fn timed<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<(T, Instant), kube::Error> {
    let sent = Instant::now();
    Ok((request.await?, sent))
}

/// Makes sure that the namespace exists; one that is being deleted is waited for. True if it was not there. (Two runs
/// that both find none both say so: the server does not tell whose request made it.)
async fn ensure(cluster: &Cluster, home: &DynamicObject, report: &dyn Reporter) -> Result<bool, ClusterError> {
    let object = ObjectRef::of(home);
    let mut pace = Pace::new(report);
    loop {
        match cluster.get(&object).await? {
            None => break,
            Some(live) if live.metadata.deletion_timestamp.is_none() => return Ok(false),
            Some(_) if pace.elapsed() >= GOING => return Err(ClusterError::Terminating(vec![object.to_string()])),
            Some(_) => pace.waiting(&object.to_string(), "is being deleted"),
        }
        sleep(POLL).await;
    }
    changes::send(cluster, &object, home, Options::default(), false).await?;
    report.done(&object.kind, &object.path(), Outcome::Created, "");
    Ok(true)
}

#[cfg(test)]
mod tests;
