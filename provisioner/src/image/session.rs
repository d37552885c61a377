//! Signing in to a registry: the client that speaks to it, and what it takes for proof of who asks.

use std::time::Duration;

use base64::Engine as _;
use http::{HeaderValue, StatusCode};
use oci_client::secrets::RegistryAuth;
use reqwest::redirect;
use serde::Deserialize;
use url::Url;

use super::RegistryTarget;
use super::answer::{self, RegistryError};
use super::challenge::Challenge;
use crate::loopback::is_loopback;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const USER_AGENT: &str = concat!("provisioner/", env!("CARGO_PKG_VERSION"));
/// More redirects than any registry needs on the way to a blob.
const REDIRECTS: usize = 5;
/// Tokens have some thousand bytes.
const LONGEST_TOKEN: usize = 256 * 1024;

/// Who asks, as the registry wants to be told.
#[derive(Clone)]
pub(super) struct Access {
    pub(super) auth: RegistryAuth,
    /// Value of `Authorization`; none where the registry wants none.
    pub(super) header: Option<HeaderValue>,
    /// Whether that is a token, which ends before the password does.
    pub(super) is_token: bool,
    /// Counts what was got instead of it: tokens and passwords.
    pub(super) generation: u64,
    /// Counts passwords.
    pub(super) renewals: u32,
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

/// What a token service answers: one of these.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// Asks the registry at `registry`, its `/v2/`, how it authenticates; where it wants a token, gets one for `scopes`.
pub(super) async fn exchange(
    http: &reqwest::Client,
    registry: Url,
    scopes: &[String],
    auth: RegistryAuth,
) -> Result<Access, RegistryError> {
    let response = http.get(registry.clone()).send().await?;
    let status = response.status().as_u16();
    let challenge = match status {
        408 | 425 | 429 | 500.. => return Err(RegistryError::of("GET", response).await),
        _ => Challenge::of(response.headers(), &registry)?,
    };
    let token = match challenge {
        Some(challenge) => Some(token(http, challenge.ask(scopes), &auth).await?),
        None => None,
    };
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
        generation: 0,
        renewals: 0,
    })
}

async fn token(http: &reqwest::Client, from: Url, auth: &RegistryAuth) -> Result<String, RegistryError> {
    let request = match auth {
        RegistryAuth::Basic(user, password) => http.get(from).basic_auth(user, Some(password)),
        _ => http.get(from),
    };
    let response = answer::expect("GET", request.send().await?, StatusCode::OK).await?;
    let body = answer::limited(response, LONGEST_TOKEN).await?;
    // The reader's own words might quote a part of the token.
    let token: Option<Token> = serde_json::from_slice(&body).ok();
    token
        .and_then(|token| token.token.or(token.access_token))
        .filter(|token| !token.is_empty())
        .ok_or_else(|| RegistryError::Protocol("it gives no token".to_owned()))
}

/// The client of all requests. It follows no redirect to where bytes could be read or changed on the way.
pub(super) fn client() -> Result<reqwest::Client, RegistryError> {
    let redirects = redirect::Policy::custom(|attempt| {
        let first = attempt.previous().first();
        if attempt.previous().len() > REDIRECTS {
            attempt.error("too many redirects")
        } else if first.is_some_and(|first| is_safe(first, attempt.url())) {
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

/// Whether a registry at `from` may send a request on to `to`: over HTTPS, or on this machine where it is itself.
pub(super) fn is_safe(from: &Url, to: &Url) -> bool {
    let is_local = |url: &Url| url.scheme() == "http" && url.host().is_some_and(|host| is_loopback(&host));
    to.scheme() == "https" || (is_local(from) && is_local(to))
}
