//! One repository of a registry: the requests of a push or a pull, each with its retries.
//!
//! Protocol: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>. The requests are ours: those of
//! `oci_client` lack what a push needs, the registry's `Retry-After`, the upload that a refused mount opens, and a token for
//! two repositories.

mod access;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{Method, StatusCode};
use oci_client::{Reference, RegistryOperation};
use reqwest::{Body, RequestBuilder, Response};
use tokio::sync::RwLock;
use url::Url;

use super::answer::{self, RegistryError};
use super::content::{Chunks, Descriptor, Manifest};
use super::digest::Digest;
use super::media::MANIFESTS;
use super::retry::Exhausted;
use super::session::{self, Access};
use super::{ImageError, RegistryTarget, RetryPolicy};
use crate::report::Reporter;

/// What names the content of an answer.
const CONTENT_DIGEST: &str = "docker-content-digest";
/// What says that a manifest is listed with its subject.
const SUBJECT: &str = "oci-subject";

/// A repository with a client that is signed in.
pub struct Repository {
    target: RegistryTarget,
    operation: RegistryOperation,
    /// `https://HOST/v2/`.
    registry: Url,
    /// `https://HOST/v2/NAME/`.
    base: Url,
    http: reqwest::Client,
    access: RwLock<Arc<Access>>,
    policy: RetryPolicy,
    /// Whether the registry refuses the very question for another repository's blob.
    refuses_mounts: AtomicBool,
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

/// What came of asking for an upload.
pub(super) enum Upload {
    /// It is not needed: the registry took the blob from another repository.
    Mounted,
    /// Where the bytes go.
    To(Url),
}

impl Repository {
    /// Asks the registry how it authenticates and keeps the answer for every request that follows.
    pub(super) async fn sign_in(
        target: &RegistryTarget,
        operation: RegistryOperation,
        policy: RetryPolicy,
        reporter: &dyn Reporter,
    ) -> Result<Self, ImageError> {
        target.check()?;
        let reference = Reference::with_tag(target.registry.clone(), target.repository.clone(), "latest".to_owned());
        let scheme = if target.plain_http { "http" } else { "https" };
        let registry = format!("{scheme}://{}/v2/", reference.resolve_registry());
        let url = |text: &str| Url::parse(text).map_err(|error| RegistryError::Protocol(error.to_string()));
        let first = Access {
            auth: session::credentials(target),
            header: None,
            is_token: false,
            generation: 0,
            renewals: 0,
        };
        let set_up = |error: RegistryError| refused((target, operation), "set up a client for", 1, error);
        let repository = Self {
            base: url(&format!("{registry}{}/", target.repository)).map_err(set_up)?,
            registry: url(&registry).map_err(set_up)?,
            http: session::client().map_err(set_up)?,
            access: RwLock::new(Arc::new(first)),
            target: target.clone(),
            refuses_mounts: AtomicBool::new(false),
            operation,
            policy,
        };
        let first = repository.access().await;
        match repository.exchange(&first, first.auth.clone(), reporter).await {
            Err(error) if repository.may_renew(&first, error.status()) => {
                repository.renew(&first, reporter).await?;
            }
            outcome => *repository.access.write().await = Arc::new(outcome?),
        }
        Ok(repository)
    }

    /// `registry/repository`, for messages.
    pub(super) fn place(&self) -> String {
        self.target.place()
    }

    /// The repository's name within its registry.
    pub(super) fn name(&self) -> &str {
        &self.target.repository
    }

    async fn access(&self) -> Arc<Access> {
        self.access.read().await.clone()
    }

    /// A request with its retries; where the registry no longer takes the token, once more with a new one, and where it
    /// no longer takes the password, once more with a new one of these.
    pub(super) async fn attempt<T, F>(
        &self,
        (policy, reporter): (RetryPolicy, &dyn Reporter),
        action: &str,
        request: impl Fn(Arc<Access>) -> F,
    ) -> Result<T, ImageError>
    where
        F: Future<Output = Result<T, RegistryError>>,
    {
        let (mut refreshed, mut renewed) = (false, false);
        let what = format!("{action} `{}`", self.place());
        loop {
            let access = self.access().await;
            let Exhausted { attempts, error } = match policy.run(&what, reporter, || request(access.clone())).await {
                Ok(value) => return Ok(value),
                Err(exhausted) => exhausted,
            };
            // Of this registry only: a refusal of the source that a blob is copied from has none.
            let status = error.status();
            if status == Some(401) && access.is_token && !refreshed {
                refreshed = true;
                self.refresh(&access, reporter).await?;
            } else if !renewed && self.may_renew(&access, status) {
                renewed = true;
                self.renew(&access, reporter).await?;
            } else {
                return Err(refused((&self.target, self.operation), action, attempts, error));
            }
        }
    }

    /// The policy of requests that send next to nothing.
    pub(super) fn policy(&self) -> RetryPolicy {
        self.policy
    }

    /// The digest that `name`, a tag or a digest, stands for, if it exists.
    pub(super) async fn find(&self, name: &str, reporter: &dyn Reporter) -> Result<Option<Digest>, ImageError> {
        let action = format!("look up `{name}` in");
        let found = self.attempt((self.policy, reporter), &action, |access| async move {
            let request = self.request(&access, Method::HEAD, self.url(&format!("manifests/{name}"))?);
            let response = request.header(ACCEPT, MANIFESTS.join(", ")).send().await?;
            if response.status() == StatusCode::NOT_FOUND {
                return Ok(None);
            }
            let response = answer::expect("HEAD", response, StatusCode::OK).await?;
            match digest_of(&response)? {
                Some(digest) => Ok(Some(digest)),
                None => self
                    .get(&access, name)
                    .await
                    .map(|manifest| Some(manifest.digest().clone())),
            }
        });
        found.await
    }

    pub(super) async fn has_blob(&self, access: &Access, digest: &Digest) -> Result<bool, RegistryError> {
        let url = self.url(&format!("blobs/{digest}"))?;
        let response = self.request(access, Method::HEAD, url).send().await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        answer::expect("HEAD", response, StatusCode::OK).await.map(|_| true)
    }

    /// Opens an upload; before that the registry is asked to take the blob from the repository that may have it too.
    pub(super) async fn start_upload(&self, access: &Access, digest: &Digest) -> Result<Upload, RegistryError> {
        let plain = self.url("blobs/uploads/")?;
        if let Some(from) = self.source() {
            let mut mount = plain.clone();
            mount
                .query_pairs_mut()
                .append_pair("mount", digest.as_str())
                .append_pair("from", from);
            match self.open(access, mount).await {
                // No such repository, no right to read it, no such query: the upload of its own decides, also whether it is
                // the token that ended.
                Err(error) if error.status().is_some_and(is_refusal) => {
                    let upload = self.open(access, plain).await?;
                    self.refuses_mounts.store(true, Ordering::Relaxed);
                    return Ok(upload);
                }
                outcome => return outcome,
            }
        }
        self.open(access, plain).await
    }

    async fn open(&self, access: &Access, url: Url) -> Result<Upload, RegistryError> {
        let request = self.request(access, Method::POST, url).header(CONTENT_LENGTH, 0);
        let response = request.send().await?;
        if response.status() == StatusCode::CREATED {
            return Ok(Upload::Mounted);
        }
        let response = answer::expect("POST", response, StatusCode::ACCEPTED).await?;
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let location = location.and_then(|text| self.base.join(text).ok());
        match location.filter(|to| session::is_safe(&self.base, to)) {
            Some(url) => Ok(Upload::To(url)),
            None => Err(RegistryError::Protocol("it does not say where to upload to".to_owned())),
        }
    }

    /// Sends all bytes of a blob in one request, as containerd does: ECR wants parts of 5 MiB, GHCR at most 4 MiB, but
    /// both take a whole blob.
    pub(super) async fn put_blob(
        &self,
        access: &Access,
        mut to: Url,
        blob: &Descriptor,
        chunks: Chunks,
    ) -> Result<(), RegistryError> {
        to.query_pairs_mut().append_pair("digest", blob.digest.as_str());
        let response = self
            .request(access, Method::PUT, to)
            .header(CONTENT_LENGTH, blob.size)
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(Body::wrap_stream(chunks))
            .send()
            .await?;
        answer::expect("PUT", response, StatusCode::CREATED).await.map(drop)
    }

    /// Puts `manifest` under `name`, a tag or its digest. The result is the subject that the registry will list it with,
    /// if it says so.
    pub(super) async fn put_manifest(
        &self,
        name: &str,
        manifest: &Manifest,
        reporter: &dyn Reporter,
    ) -> Result<Option<Digest>, ImageError> {
        let action = format!("push manifest {} to", manifest.digest());
        let put = self.attempt((self.policy, reporter), &action, |access| async move {
            let response = self
                .request(&access, Method::PUT, self.url(&format!("manifests/{name}"))?)
                .header(CONTENT_TYPE, &manifest.descriptor.media_type)
                .body(Bytes::clone(&manifest.bytes))
                .send()
                .await?;
            let response = answer::expect("PUT", response, StatusCode::CREATED).await?;
            match digest_of(&response)? {
                Some(digest) if digest != *manifest.digest() => {
                    let text = format!("it took {} for {digest}", manifest.digest());
                    Err(RegistryError::Protocol(text))
                }
                _ => Ok(subject_of(&response)),
            }
        });
        put.await
    }

    pub(super) fn url(&self, path: &str) -> Result<Url, RegistryError> {
        // `./`: a digest's colon would be taken for the end of a scheme.
        let url = self.base.join(&format!("./{path}"));
        url.map_err(|error| RegistryError::Protocol(error.to_string()))
    }

    /// A request that says who asks to nobody but the registry itself: an upload may be elsewhere.
    pub(super) fn request(&self, access: &Access, method: Method, url: Url) -> RequestBuilder {
        let is_registry = url.origin() == self.base.origin();
        let request = self.http.request(method, url);
        match &access.header {
            Some(header) if is_registry => request.header(AUTHORIZATION, header.clone()),
            _ => request,
        }
    }
}

pub(super) fn digest_of(response: &Response) -> Result<Option<Digest>, RegistryError> {
    let Some(value) = response.headers().get(CONTENT_DIGEST) else {
        return Ok(None);
    };
    let digest = value.to_str().ok().and_then(|text| text.parse().ok());
    digest
        .map(Some)
        .ok_or_else(|| RegistryError::Protocol("it names content by no digest".to_owned()))
}

/// What a registry with lists of its own says to a manifest that names a subject.
fn subject_of(response: &Response) -> Option<Digest> {
    response.headers().get(SUBJECT)?.to_str().ok()?.parse().ok()
}

/// An answer that would be the same a moment later.
fn is_refusal(status: u16) -> bool {
    matches!(status, 400..=407 | 409..=424 | 426..=428 | 430..=499)
}

fn refused(
    (target, operation): (&RegistryTarget, RegistryOperation),
    action: &str,
    attempts: u32,
    error: RegistryError,
) -> ImageError {
    match error {
        RegistryError::Origin(error) => error.after(attempts),
        error => ImageError::Registry {
            action: action.to_owned(),
            place: target.place(),
            attempts,
            reads: operation == RegistryOperation::Pull,
            source: Box::new(error),
        },
    }
}
