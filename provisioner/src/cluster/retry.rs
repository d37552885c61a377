//! Requests that survive a short outage of the API server: it restarts during upgrades, and it is one process in small
//! clusters. Reads, server-side applies and deletes may be repeated; nothing else goes through here.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::error::Failure;

/// How long an outage may last before it is an error.
const OUTAGE: Duration = Duration::from_secs(30);
/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(30);

/// Calls until an answer comes that is no outage; the last failure is returned, never lost.
pub(super) async fn call<T, F, R>(request: F) -> Result<T, Failure>
where
    F: Fn() -> R,
    R: Future<Output = Result<T, kube::Error>>,
{
    call_for(OUTAGE, request).await
}

/// [`call`] with a bound of its own.
pub(super) async fn call_for<T, F, R>(outage: Duration, request: F) -> Result<T, Failure>
where
    F: Fn() -> R,
    R: Future<Output = Result<T, kube::Error>>,
{
    let give_up = Instant::now() + outage;
    let mut pause = Duration::from_millis(100);
    loop {
        let failure = match once(request()).await {
            Ok(value) => return Ok(value),
            Err(failure) => failure,
        };
        if !failure.transient || Instant::now() + pause > give_up {
            return Err(failure);
        }
        tracing::debug!(%failure, "trying again");
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

/// One request under the time limit.
pub(super) async fn once<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Failure> {
    once_within(REQUEST, request).await
}

/// One request under a time limit of its own.
pub(super) async fn once_within<T>(
    limit: Duration,
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Failure> {
    match timeout(limit, request).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Failure::of(&error)),
        Err(_) => Err(Failure::local(format!("no answer within {} s", limit.as_secs()), true)),
    }
}

/// Absent is an answer.
pub(super) fn found<T>(result: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(failure) if failure.is_not_found() => Ok(None),
        Err(failure) => Err(failure),
    }
}
