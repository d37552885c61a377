//! One repository of a registry, seen through one tag: the requests of a push, each with its retries.
//!
//! Protocol: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use oci_client::token_cache::{RegistryToken, RegistryTokenType};
use oci_client::{Client, Reference, RegistryOperation};
use tokio::sync::RwLock;

use super::layout::MANIFEST_TYPE;
use super::retry::{self, Exhausted};
use super::{Blob, ImageError, RegistryTarget, RetryPolicy};
use crate::report::Reporter;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A repository, seen through one tag, with a client that is signed in.
pub(super) struct Registry<'a> {
    target: &'a RegistryTarget,
    session: RwLock<Session>,
    reference: Reference,
    tag: &'a str,
    reporter: &'a dyn Reporter,
    policy: RetryPolicy,
}

/// A client and the credentials that it is signed in with. The client keeps both, so that other credentials need
/// another one.
#[derive(Clone)]
struct Session {
    client: Client,
    auth: RegistryAuth,
}

impl Session {
    fn password(&self) -> &str {
        match &self.auth {
            RegistryAuth::Basic(_, password) => password,
            _ => "",
        }
    }
}

impl<'a> Registry<'a> {
    /// Asks the registry how it authenticates and keeps the answer for every request that follows.
    ///
    /// The client would do so by itself, but takes a failing registry for one that wants no credentials.
    pub(super) async fn sign_in(
        target: &'a RegistryTarget,
        tag: &'a str,
        reporter: &'a dyn Reporter,
        policy: RetryPolicy,
    ) -> Result<Self, ImageError> {
        target.check()?;
        let auth = match (&target.username, &target.password) {
            (Some(user), Some(password)) => RegistryAuth::Basic(user.clone(), password.clone()),
            _ => RegistryAuth::Anonymous,
        };
        let (host, repository) = (target.registry.clone(), target.repository.clone());
        let registry = Self {
            session: RwLock::new(session(target, auth)?),
            reference: Reference::with_tag(host, repository, tag.to_owned()),
            target,
            tag,
            reporter,
            policy,
        };
        let first = registry.session.read().await.clone();
        match registry.exchange_credentials(&first).await {
            Err(error) if is_unauthorized(&error) && target.renewal.is_some() => registry.renew(&first, error).await?,
            outcome => outcome?,
        }
        Ok(registry)
    }

    async fn exchange_credentials(&self, Session { client, auth }: &Session) -> Result<(), ImageError> {
        let reference = &self.reference;
        let bearer = self
            .tried(self.policy, "sign in to", || {
                client.auth(reference, auth, RegistryOperation::Push)
            })
            .await?;
        let token = match (bearer, auth) {
            (Some(token), _) => RegistryTokenType::Bearer(RegistryToken::Token { token }),
            (None, RegistryAuth::Basic(user, password)) => RegistryTokenType::Basic(user.clone(), password.clone()),
            (None, _) => return Ok(()),
        };
        for operation in [RegistryOperation::Pull, RegistryOperation::Push] {
            let tokens = &client.tokens;
            tokens.insert(reference, operation, token.clone()).await;
        }
        Ok(())
    }

    /// Signs in with new credentials in place of `refused`, unless another request did so meanwhile; without a source
    /// of new ones the refusal stands.
    async fn renew(&self, refused: &Session, refusal: ImageError) -> Result<(), ImageError> {
        let Some(renewal) = &self.target.renewal else {
            return Err(refusal);
        };
        let mut current = self.session.write().await;
        if current.auth != refused.auth {
            return Ok(());
        }
        let place = self.target.place();
        self.reporter.note(&format!(
            "registry `{place}` no longer takes the password: a new one is asked for"
        ));
        let renewed = renewal.renew(refused.password().to_owned()).await;
        let renewed = renewed.map_err(|source| ImageError::Renewal { place, source })?;
        let auth = RegistryAuth::Basic(renewed.username, renewed.password);
        let next = session(self.target, auth)?;
        self.exchange_credentials(&next).await?;
        *current = next;
        Ok(())
    }

    /// The digest that the tag points to, if it exists.
    pub(super) async fn tagged(&self) -> Result<Option<String>, ImageError> {
        let reference = &self.reference;
        self.attempt(
            &format!("look up tag `{}` in", self.tag),
            |Session { client, auth }| async move {
                match client.fetch_manifest_digest(reference, &auth).await {
                    Ok(digest) => Ok(Some(digest)),
                    Err(error) if retry::status(&error) == Some(404) => Ok(None),
                    Err(error) => Err(error),
                }
            },
        )
        .await
    }

    /// Makes sure that the registry has `blob`; the result says whether it was sent. An upload whose answer got lost
    /// is looked for before it is repeated.
    pub(super) async fn ensure_blob(&self, blob: &Blob) -> Result<bool, ImageError> {
        let reference = &self.reference;
        let sent = &AtomicBool::new(false);
        let (action, policy) = (
            format!("push blob {} to", blob.digest),
            self.policy.sending(blob.bytes.len()),
        );
        self.attempt_with(policy, &action, |Session { client, .. }| async move {
            if client.blob_exists(reference, &blob.digest).await? {
                return Ok(());
            }
            sent.store(true, Ordering::Relaxed);
            client
                .push_blob(reference, blob.bytes.clone(), &blob.digest)
                .await
                .map(|_| ())
        })
        .await?;
        Ok(sent.load(Ordering::Relaxed))
    }

    /// Puts `manifest` under the tag.
    pub(super) async fn put_manifest(&self, manifest: &Bytes, digest: &str) -> Result<(), ImageError> {
        self.attempt(
            &format!("push manifest {digest} to"),
            |Session { client, .. }| async move {
                let media_type = HeaderValue::from_static(MANIFEST_TYPE);
                client
                    .push_manifest_raw(&self.reference, manifest.clone(), media_type)
                    .await
            },
        )
        .await
        .map(|_| ())
    }

    /// A request with its retries; where the registry no longer takes the credentials, once more with new ones.
    async fn attempt<T, F>(&self, action: &str, request: impl Fn(Session) -> F) -> Result<T, ImageError>
    where
        F: Future<Output = Result<T, OciDistributionError>>,
    {
        self.attempt_with(self.policy, action, request).await
    }

    async fn attempt_with<T, F>(
        &self,
        policy: RetryPolicy,
        action: &str,
        request: impl Fn(Session) -> F,
    ) -> Result<T, ImageError>
    where
        F: Future<Output = Result<T, OciDistributionError>>,
    {
        let session = self.session.read().await.clone();
        match self.tried(policy, action, || request(session.clone())).await {
            Err(error) if is_unauthorized(&error) => self.renew(&session, error).await?,
            outcome => return outcome,
        }
        let session = self.session.read().await.clone();
        self.tried(policy, action, || request(session.clone())).await
    }

    async fn tried<T, F>(&self, policy: RetryPolicy, action: &str, request: impl FnMut() -> F) -> Result<T, ImageError>
    where
        F: Future<Output = Result<T, OciDistributionError>>,
    {
        let place = self.target.place();
        let what = format!("{action} `{place}`");
        policy
            .run(&what, self.reporter, request)
            .await
            .map_err(|Exhausted { attempts, error }| ImageError::Registry {
                action: action.to_owned(),
                place,
                attempts,
                source: Box::new(error),
            })
    }
}

fn is_unauthorized(error: &ImageError) -> bool {
    matches!(error, ImageError::Registry { source, .. } if retry::status(source) == Some(401))
}

fn session(target: &RegistryTarget, auth: RegistryAuth) -> Result<Session, ImageError> {
    let client = client(target).map_err(|error| ImageError::Registry {
        action: "set up a client for".to_owned(),
        place: target.place(),
        attempts: 1,
        source: Box::new(error),
    })?;
    Ok(Session { client, auth })
}

/// One POST and one PUT per blob, as containerd does it: ECR wants parts of 5 MiB, GHCR at most 4 MiB, but both take
/// a whole blob.
fn client(target: &RegistryTarget) -> Result<Client, OciDistributionError> {
    Client::try_from(ClientConfig {
        protocol: if target.plain_http {
            ClientProtocol::Http
        } else {
            ClientProtocol::Https
        },
        use_monolithic_push: true,
        connect_timeout: Some(CONNECT_TIMEOUT),
        // It would count while a request is still being sent: the policy bounds each request as a whole.
        read_timeout: None,
        user_agent: concat!("provisioner/", env!("CARGO_PKG_VERSION")),
        ..ClientConfig::default()
    })
}
