//! A connection to the cluster that outlives its token.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::aws::{Aws, eks::EksCluster, token};
use crate::cluster::Cluster;
use crate::error::Error;

/// A token is good for 14 minutes.
const REFRESH: Duration = Duration::from_mins(10);
/// Pause before the next try where a refresh failed; four fit before the old token ends.
const RETRY: Duration = Duration::from_mins(1);

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
/// No token can be signed, or the cluster does not answer within `timeout`.
pub(super) async fn connect(aws: &Aws, found: &EksCluster, timeout: Duration) -> Result<Session, Error> {
    let first = token::presign(aws, &found.name).await?;
    let current = Arc::new(RwLock::new(first.token));
    let endpoint = super::eks::endpoint(found)?;
    let refresh = tokio::spawn(keep_fresh(aws.clone(), found.name.clone(), Arc::clone(&current)));
    let refresh = Refresh(refresh.abort_handle());
    let cluster = Cluster::connect(&endpoint, current, timeout).await?;
    Ok(Session {
        cluster,
        _refresh: Some(refresh),
    })
}

async fn keep_fresh(aws: Aws, cluster: String, current: Arc<RwLock<String>>) {
    let mut pause = REFRESH;
    loop {
        tokio::time::sleep(pause).await;
        pause = match token::presign(&aws, &cluster).await {
            Ok(next) => {
                *current.write().unwrap_or_else(PoisonError::into_inner) = next.token;
                REFRESH
            }
            Err(error) => {
                tracing::warn!(%error, "cannot refresh the cluster's token");
                RETRY
            }
        };
    }
}
