//! A Lease that this run holds: renewed in the background, given back at the end.

use std::sync::PoisonError;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{DeleteParams, PostParams, Preconditions};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::super::error::Failure;
use super::super::retry;
use super::{DURATION, Holder, record};

/// Between two renewals.
const RENEW: Duration = Duration::from_secs(5);
/// Before the next try where a renewal failed.
const AGAIN: Duration = Duration::from_secs(1);
/// How long giving back may take: the process is ending.
const RELEASE: Duration = Duration::from_secs(5);

/// A Lease that is held as long as this lives.
pub(super) struct Held {
    api: Api<Lease>,
    name: String,
    holder: Holder,
    lost: oneshot::Receiver<String>,
    renewing: AbortHandle,
    released: bool,
}

impl Held {
    /// Keeps a Lease that was taken with a request sent at that moment.
    pub(super) fn keep(api: Api<Lease>, (lease, sent): (Lease, Instant), holder: &Holder) -> Self {
        let (tell, lost) = oneshot::channel();
        let name = lease.metadata.name.clone().unwrap_or_default();
        let (task_api, task_holder) = (api.clone(), holder.clone());
        let renewing = tokio::spawn(async move {
            if let Some(why) = renew(&task_api, (lease, sent), &task_holder).await {
                // Nobody listens any more where the work is done.
                let _ = tell.send(why);
            }
        });
        Self {
            api,
            name,
            holder: holder.clone(),
            lost,
            renewing: renewing.abort_handle(),
            released: false,
        }
    }

    /// Waits until the Lease is lost, and says to whom; forever where it is not.
    pub(super) async fn lost(&mut self) -> String {
        match (&mut self.lost).await {
            Ok(why) => why,
            Err(_) => std::future::pending().await,
        }
    }

    /// Gives the Lease back.
    pub(super) async fn release(mut self) -> Result<(), Failure> {
        self.renewing.abort();
        self.released = true;
        give_back(&self.api, &self.name, &self.holder.identity).await
    }
}

impl Drop for Held {
    /// The work was cut off: the Lease is given back beside what ends the process.
    fn drop(&mut self) {
        self.renewing.abort();
        if self.released {
            return;
        }
        let (api, name, identity) = (self.api.clone(), self.name.clone(), self.holder.identity.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let task = runtime.spawn(async move {
                if let Err(failure) = give_back(&api, &name, &identity).await {
                    tracing::warn!(%failure, "the lease was not given back; it expires");
                }
            });
            let mut releases = self.holder.releases.lock().unwrap_or_else(PoisonError::into_inner);
            releases.push(task);
        }
    }
}

/// Deletes the Lease if it is still this run's.
async fn give_back(api: &Api<Lease>, name: &str, me: &str) -> Result<(), Failure> {
    let give_up = Instant::now() + RELEASE;
    loop {
        let Some(lease) = retry::found(retry::call_for(RELEASE, || api.get(name)).await)? else {
            return Ok(());
        };
        if lease.spec.and_then(|spec| spec.holder_identity).as_deref() != Some(me) {
            return Ok(());
        }
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: lease.metadata.uid,
                resource_version: lease.metadata.resource_version,
            }),
            ..DeleteParams::default()
        };
        match retry::call_for(RELEASE, || api.delete(name, &params)).await {
            Ok(_) => return Ok(()),
            Err(failure) if failure.is_not_found() => return Ok(()),
            // A renewal that was under way came first: look again.
            Err(failure) if failure.is_conflict() && Instant::now() < give_up => {}
            Err(failure) => return Err(failure),
        }
    }
}

/// Renews until the Lease is lost, and says why; none where it went with its namespace, which is no loss: whoever comes
/// next waits for that namespace to go.
async fn renew(api: &Api<Lease>, (mut lease, taken): (Lease, Instant), holder: &Holder) -> Option<String> {
    let mut good_until = taken + DURATION;
    let mut next_at = taken + RENEW;
    let mut last = "no answer".to_owned();
    loop {
        sleep_until(next_at).await;
        let sent = Instant::now();
        let Ok(renewal) = timeout_at(good_until, once(api, &lease, holder)).await else {
            return Some(format!("it could not be renewed for {} s: {last}", DURATION.as_secs()));
        };
        match renewal {
            Renewal::Done(next) => {
                lease = *next;
                good_until = sent + DURATION;
                next_at = sent + RENEW;
            }
            Renewal::Again(next) => {
                lease = *next;
                next_at = Instant::now() + AGAIN;
            }
            Renewal::Failed(failure) => {
                last = failure.to_string();
                next_at = Instant::now() + AGAIN;
            }
            Renewal::Lost(why) => return Some(why),
            Renewal::Gone => return None,
        }
    }
}

/// How one renewal ended.
enum Renewal {
    Done(Box<Lease>),
    /// Still this run's, in another version: an answer got lost, or somebody labelled it.
    Again(Box<Lease>),
    Failed(Failure),
    Lost(String),
    /// Its namespace went.
    Gone,
}

async fn once(api: &Api<Lease>, lease: &Lease, holder: &Holder) -> Renewal {
    let name = lease.metadata.name.clone().unwrap_or_default();
    let wanted = record::renewed(lease.clone(), holder);
    match retry::once(api.replace(&name, &PostParams::default(), &wanted)).await {
        Ok(next) => Renewal::Done(Box::new(next)),
        Err(failure) if failure.is_not_found() => restored(api, wanted).await,
        Err(failure) if failure.is_conflict() => match retry::once(api.get(&name)).await {
            Ok(now) if holds(&now, holder) => Renewal::Again(Box::new(now)),
            Ok(now) => Renewal::Lost(format!("{} has it", record::describe(&now))),
            // A Lease may be made by an update, so that one which is gone is told as a conflict of versions.
            Err(failure) if failure.is_not_found() => restored(api, wanted).await,
            Err(failure) => Renewal::Failed(failure),
        },
        Err(failure) => Renewal::Failed(failure),
    }
}

/// Makes the Lease again where somebody deleted it; not where its namespace is going.
async fn restored(api: &Api<Lease>, mut wanted: Lease) -> Renewal {
    wanted.metadata.resource_version = None;
    wanted.metadata.uid = None;
    match retry::once(api.create(&PostParams::default(), &wanted)).await {
        Ok(next) => Renewal::Done(Box::new(next)),
        Err(failure) if failure.is_not_found() || failure.code == Some(403) => Renewal::Gone,
        Err(failure) => Renewal::Failed(failure),
    }
}

fn holds(lease: &Lease, holder: &Holder) -> bool {
    let identity = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref());
    identity == Some(holder.identity.as_str())
}
