//! Signing in to a registry: the client that speaks to it, and what it takes for proof of who asks.

use std::time::Duration;

use base64::Engine as _;
use http::HeaderValue;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference, RegistryOperation};
use reqwest::redirect;
use url::Url;

use super::RegistryTarget;
use super::answer::RegistryError;
use crate::loopback::is_loopback;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const USER_AGENT: &str = concat!("provisioner/", env!("CARGO_PKG_VERSION"));
/// More redirects than any registry needs on the way to a blob.
const REDIRECTS: usize = 5;

/// Who asks, as the registry wants to be told.
#[derive(Clone)]
pub(super) struct Access {
    pub(super) auth: RegistryAuth,
    /// Value of `Authorization`; none where the registry wants none.
    pub(super) header: Option<HeaderValue>,
    /// Whether that is a token, which ends before the password does.
    pub(super) is_token: bool,
    /// Counts renewals.
    pub(super) generation: u64,
}

impl Access {
    pub(super) fn password(&self) -> &str {
        match &self.auth {
            RegistryAuth::Basic(_, password) => password,
            _ => "",
        }
    }
}

/// User and password of `target`, as they were given.
pub(super) fn credentials(target: &RegistryTarget) -> RegistryAuth {
    match (&target.username, &target.password) {
        (Some(user), Some(password)) => RegistryAuth::Basic(user.clone(), password.clone()),
        _ => RegistryAuth::Anonymous,
    }
}

/// Asks the registry how it authenticates; where it wants a token, gets one.
pub(super) async fn exchange(
    target: &RegistryTarget,
    reference: &Reference,
    (auth, operation, generation): (RegistryAuth, RegistryOperation, u64),
) -> Result<Access, RegistryError> {
    let client = Client::try_from(ClientConfig {
        protocol: if target.plain_http {
            ClientProtocol::Http
        } else {
            ClientProtocol::Https
        },
        connect_timeout: Some(CONNECT_TIMEOUT),
        user_agent: USER_AGENT,
        ..ClientConfig::default()
    })?;
    let token = client.auth(reference, &auth, operation).await?;
    let is_token = token.is_some();
    let text = match (&auth, token) {
        (_, Some(token)) => Some(format!("Bearer {token}")),
        (RegistryAuth::Basic(user, password), None) => {
            let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            Some(format!("Basic {pair}"))
        }
        _ => None,
    };
    let header = text.map(HeaderValue::try_from).transpose();
    let mut header = header.map_err(|_| RegistryError::Protocol("its token is no text".to_owned()))?;
    if let Some(header) = &mut header {
        header.set_sensitive(true);
    }
    Ok(Access {
        auth,
        header,
        is_token,
        generation,
    })
}

/// The client of all other requests. It follows no redirect to where bytes could be read or changed on the way.
pub(super) fn client() -> Result<reqwest::Client, RegistryError> {
    let redirects = redirect::Policy::custom(|attempt| {
        if attempt.previous().len() > REDIRECTS {
            attempt.error("too many redirects")
        } else if is_safe(attempt.url()) {
            attempt.follow()
        } else {
            attempt.error("it redirects to plain HTTP")
        }
    });
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent(USER_AGENT)
        .redirect(redirects);
    Ok(client.build()?)
}

/// HTTPS, or HTTP to this machine.
pub(super) fn is_safe(url: &Url) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => url.host().is_some_and(|host| is_loopback(&host)),
        _ => false,
    }
}
