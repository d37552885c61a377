//! A connection to the cluster that outlives its token.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::AbortHandle;

use crate::aws::eks::{self, EksCluster};
use crate::aws::{Aws, token};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::report::Reporter;

/// A token is good for 14 minutes, unless the credentials behind it end sooner.
const REFRESH: Duration = Duration::from_mins(10);
/// How long before its end a token is replaced.
const AHEAD: Duration = Duration::from_mins(1);
/// Pause before the next try where a refresh failed; four fit before the old token ends.
const RETRY: Duration = Duration::from_secs(15);
/// Shortest pause, where the credentials are about to end and no others come.
const SHORTEST: Duration = Duration::from_secs(5);

/// A connected cluster; its token is kept fresh as long as this lives.
#[derive(Debug)]
pub struct Session {
    /// The cluster.
    pub cluster: Cluster,
    _refresh: Option<Refresh>,
}

impl Session {
    /// A connection whose credentials the client keeps fresh by itself.
    pub(super) fn lasting(cluster: Cluster) -> Self {
        Self {
            cluster,
            _refresh: None,
        }
    }
}

/// The refreshing task; it ends with this.
#[derive(Debug)]
struct Refresh(AbortHandle);

impl Drop for Refresh {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Connects to a cluster that is active.
///
/// # Errors
/// No token can be signed, the cluster does not answer within `timeout`, or it is deleted meanwhile.
pub(super) async fn connect(
    aws: &Aws,
    found: &EksCluster,
    timeout: Duration,
    report: &dyn Reporter,
) -> Result<Session, Error> {
    let first = token::presign(aws, &found.name).await?;
    let pause = pause(first.expires_at, Timestamp::now());
    let current = Arc::new(RwLock::new(first.token));
    let endpoint = super::eks::endpoint(found)?;
    let refresh = tokio::spawn(keep_fresh(aws.clone(), found.name.clone(), Arc::clone(&current), pause));
    let refresh = Refresh(refresh.abort_handle());
    let cluster = tokio::select! {
        cluster = Cluster::connect(&endpoint, current, timeout) => cluster?,
        () = eks::deleted(aws, &found.name, report) => return Err(Error::failed(format!(
            "cluster `{}` was deleted while it was waited for", found.name
        ))),
    };
    Ok(Session {
        cluster,
        _refresh: Some(refresh),
    })
}

async fn keep_fresh(aws: Aws, cluster: String, current: Arc<RwLock<String>>, first: Duration) {
    let mut next_in = first;
    loop {
        tokio::time::sleep(next_in).await;
        next_in = match token::presign(&aws, &cluster).await {
            Ok(next) => {
                *current.write().unwrap_or_else(PoisonError::into_inner) = next.token;
                pause(next.expires_at, Timestamp::now())
            }
            Err(error) => {
                tracing::warn!(%error, "cannot refresh the cluster's token");
                RETRY
            }
        };
    }
}

/// How long a token serves before it is replaced.
fn pause(expires_at: Timestamp, now: Timestamp) -> Duration {
    let left = Duration::try_from(expires_at.duration_since(now)).unwrap_or_default();
    left.saturating_sub(AHEAD).clamp(SHORTEST, REFRESH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_replaced_before_the_credentials_behind_it_end() {
        let now: Timestamp = "2026-11-18T11:06:40Z".parse().unwrap();
        for (left_s, expected_s) in [(840, 600), (300, 240), (61, 5), (30, 5), (0, 5), (-60, 5)] {
            let expires_at = now + jiff::SignedDuration::from_secs(left_s);
            assert_eq!(
                pause(expires_at, now),
                Duration::from_secs(expected_s),
                "{left_s} s left"
            );
        }
    }
}
