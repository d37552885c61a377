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
    let mut was_out = false;
    loop {
        let failure = match once(request()).await {
            Ok(value) => return Ok(value),
            Err(failure) => failure,
        };
        // A server that has just started answers before it has read who may do what.
        let is_starting = was_out && matches!(failure.code, Some(401 | 403));
        if !(failure.transient || is_starting) || Instant::now() + pause > give_up {
            return Err(failure);
        }
        was_out |= failure.code != Some(429);
        tracing::debug!(%failure, "trying again");
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

/// One request under the time limit.
pub(super) async fn once<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Failure> {
    match timeout(REQUEST, request).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Failure::of(&error)),
        Err(_) => Err(Failure::local(
            format!("no answer within {} s", REQUEST.as_secs()),
            true,
        )),
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// No connection, or a refusal with this status.
    fn failed(code: Option<u16>) -> kube::Error {
        match code {
            None => kube::Error::Service(Box::new(std::io::Error::from(std::io::ErrorKind::ConnectionRefused))),
            Some(code) => kube::Error::Api(Box::new(kube::core::Status::failure("no", "Forbidden").with_code(code))),
        }
    }

    /// Calls a server that fails like this, then answers: how many requests it took, and the status of what was given up on.
    async fn called(failures: &[Option<u16>]) -> (usize, Option<Option<u16>>) {
        let made = AtomicUsize::new(0);
        let answer = call_for(Duration::from_secs(1), || {
            let failure = failures.get(made.fetch_add(1, Ordering::Relaxed)).copied();
            std::future::ready(failure.map_or(Ok(()), |code| Err(failed(code))))
        });
        let given_up = answer.await.err().map(|failure| failure.code);
        (made.load(Ordering::Relaxed), given_up)
    }

    #[tokio::test]
    async fn a_server_that_starts_may_not_know_yet_who_may_do_what() {
        assert_eq!(called(&[None, Some(403), Some(401)]).await, (4, None));
        assert_eq!(called(&[Some(503), Some(403)]).await, (3, None));
        // Without an outage a refusal is one.
        assert_eq!(called(&[Some(403)]).await, (1, Some(Some(403))));
        assert_eq!(called(&[Some(429), Some(403)]).await, (2, Some(Some(403))));
        // What else is refused stays refused.
        assert_eq!(called(&[None, Some(422)]).await, (2, Some(Some(422))));
    }

    #[tokio::test]
    async fn an_outage_that_lasts_is_an_error() {
        let (made, given_up) = called(&[None; 100]).await;
        assert_eq!((made, given_up), (4, Some(None)));
    }
}
