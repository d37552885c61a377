//! The registry's password: asked once, kept while it is good by this machine's own clock, and asked again where the
//! registry no longer takes it.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::aws::error::{AwsError, api};
use crate::aws::{Aws, error};

/// A password is good for 12 hours; the clock starts when it arrives, and five minutes are left for its last use.
const GOOD_FOR: Duration = Duration::from_mins(12 * 60 - 5);

/// The password of a connection, with its age; clones share it.
#[derive(Clone, Default)]
pub(in crate::aws) struct Kept(Arc<Mutex<Option<(Instant, RegistryAuth)>>>);

/// Basic authentication for the registry, good for 12 hours.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistryAuth {
    /// `proxyEndpoint`, with its scheme.
    pub endpoint: String,
    /// `AWS`.
    pub username: String,
    /// A secret.
    pub password: String,
}

impl std::fmt::Debug for RegistryAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistryAuth")
            .field("endpoint", &self.endpoint)
            .field("username", &self.username)
            .field("password", &"***")
            .finish()
    }
}

/// The registry's address and password: the one that is kept while it is good, else a new one.
pub async fn authorize(aws: &Aws) -> Result<RegistryAuth, AwsError> {
    authorize_at(aws, Instant::now()).await
}

pub(super) async fn authorize_at(aws: &Aws, now: Instant) -> Result<RegistryAuth, AwsError> {
    let mut kept = aws.password.0.lock().await;
    if let Some((since, auth)) = kept.as_ref()
        && now.duration_since(*since) < GOOD_FOR
    {
        return Ok(auth.clone());
    }
    let auth = ask(aws).await?;
    *kept = Some((now, auth.clone()));
    Ok(auth)
}

/// A new password, since the registry no longer takes `refused`; a newer one that is kept does.
pub async fn reauthorize(aws: &Aws, refused: &str) -> Result<RegistryAuth, AwsError> {
    let mut kept = aws.password.0.lock().await;
    kept.take_if(|(_, auth)| auth.password == refused);
    drop(kept);
    authorize(aws).await
}

async fn ask(aws: &Aws) -> Result<RegistryAuth, AwsError> {
    let operation = "ecr:GetAuthorizationToken";
    let answer = aws.ecr.get_authorization_token().send().await;
    let answer = answer.map_err(api(operation, "get a password of the registry in", &aws.region))?;
    let missing = |missing| error::incomplete(operation, &aws.region, missing);
    let data = answer.authorization_data();
    let data = data.first().ok_or_else(|| missing("authorization data"))?;
    let endpoint = data.proxy_endpoint().ok_or_else(|| missing("endpoint"))?;
    let pair = data.authorization_token().ok_or_else(|| missing("token"))?;
    let pair = STANDARD.decode(pair).ok().and_then(|b| String::from_utf8(b).ok());
    let pair = pair.ok_or_else(|| missing("readable token"))?;
    let (username, password) = pair.split_once(':').ok_or_else(|| missing("password"))?;
    Ok(RegistryAuth {
        endpoint: endpoint.to_owned(),
        username: username.to_owned(),
        password: password.to_owned(),
    })
}
