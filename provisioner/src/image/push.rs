//! Pushing an image: only what the registry lacks, the manifest last, then verified.
//!
//! Protocol: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>. A tag exists only after every
//! blob does, so that a run that is cut off leaves nothing that could be pulled half.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::HeaderValue;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use oci_client::token_cache::{RegistryToken, RegistryTokenType};
use oci_client::{Client, Reference, RegistryOperation};

use super::layout::MANIFEST_TYPE;
use super::retry::{self, Exhausted};
use super::{Blob, Image, ImageError, RegistryTarget, RetryPolicy};
use crate::report::{Event, Outcome, Reporter};

/// Blobs in flight at once: an image has three.
const CONCURRENCY: usize = 4;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest silence of a registry, which may be hashing a layer.
const READ_TIMEOUT: Duration = Duration::from_mins(2);

/// An image as the registry has it now.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Published {
    /// What to deploy: `reference_base@sha256:...`.
    pub reference: String,
    /// The image's digest.
    pub digest: String,
    /// The tag that points to it.
    pub tag: String,
    /// Bytes of blobs and manifest that were sent, without repetitions.
    pub bytes_sent: u64,
    /// Blobs that were sent.
    pub blobs_sent: u32,
    /// Blobs that the registry had.
    pub blobs_reused: u32,
    /// Whether anything was sent.
    pub pushed: bool,
    /// How long it took, in seconds.
    #[serde(rename = "elapsed_s")]
    pub seconds: f64,
}

/// Pushes `image` under `tag`, or under [`Image::default_tag`]. Sends nothing where the tag already points to it.
///
/// # Errors
/// [`ImageError::TagTaken`] where the tag points elsewhere (nothing was sent), [`ImageError::Registry`] with the
/// last answer of the registry: uploaded blobs are kept there and reused by the next run.
pub async fn publish(
    image: &Image,
    target: &RegistryTarget,
    tag: Option<&str>,
    reporter: &dyn Reporter,
) -> Result<Published, ImageError> {
    publish_with(image, target, tag, reporter, RetryPolicy::default()).await
}

/// [`publish`] with other patience.
pub async fn publish_with(
    image: &Image,
    target: &RegistryTarget,
    tag: Option<&str>,
    reporter: &dyn Reporter,
    policy: RetryPolicy,
) -> Result<Published, ImageError> {
    let started = Instant::now();
    let tag = tag.map_or_else(|| image.default_tag(), str::to_owned);
    let push = Push::new(image, target, tag, reporter, policy)?;
    push.sign_in().await?;
    let sent = match push.tagged().await? {
        Some(digest) if digest == image.digest => None,
        Some(digest) => return Err(push.taken(digest)),
        None => {
            let sent = push.blobs().await?;
            push.manifest().await?;
            push.verify().await?;
            Some(sent)
        }
    };
    let published = push.published(sent.as_deref(), started.elapsed());
    push.report(&published);
    Ok(published)
}

/// One push under way.
struct Push<'a> {
    client: Client,
    auth: RegistryAuth,
    reference: Reference,
    tag: String,
    image: &'a Image,
    target: &'a RegistryTarget,
    reporter: &'a dyn Reporter,
    policy: RetryPolicy,
    /// Bytes that the registry has by now.
    settled: AtomicU64,
}

impl<'a> Push<'a> {
    fn new(
        image: &'a Image,
        target: &'a RegistryTarget,
        tag: String,
        reporter: &'a dyn Reporter,
        policy: RetryPolicy,
    ) -> Result<Self, ImageError> {
        target.check()?;
        if !is_tag(&tag) {
            return Err(ImageError::Tag { tag });
        }
        let client = connect(target).map_err(|error| ImageError::Registry {
            action: "set up a client for".to_owned(),
            place: target.place(),
            attempts: 1,
            source: Box::new(error),
        })?;
        let auth = match (&target.username, &target.password) {
            (Some(user), Some(password)) => RegistryAuth::Basic(user.clone(), password.clone()),
            _ => RegistryAuth::Anonymous,
        };
        let (registry, repository) = (target.registry.clone(), target.repository.clone());
        Ok(Self {
            client,
            auth,
            reference: Reference::with_tag(registry, repository, tag.clone()),
            tag,
            image,
            target,
            reporter,
            policy,
            settled: AtomicU64::new(0),
        })
    }

    /// Asks the registry how it authenticates and keeps the answer for every request that follows.
    ///
    /// The client would do so by itself, but takes a failing registry for one that wants no credentials.
    async fn sign_in(&self) -> Result<(), ImageError> {
        let (client, reference, auth) = (&self.client, &self.reference, &self.auth);
        let bearer = self
            .attempt("sign in to", || {
                client.auth(reference, auth, RegistryOperation::Push)
            })
            .await?;
        let token = match (bearer, auth) {
            (Some(token), _) => RegistryTokenType::Bearer(RegistryToken::Token { token }),
            (None, RegistryAuth::Basic(user, password)) => {
                RegistryTokenType::Basic(user.clone(), password.clone())
            }
            (None, _) => return Ok(()),
        };
        for operation in [RegistryOperation::Pull, RegistryOperation::Push] {
            let tokens = &client.tokens;
            tokens.insert(reference, operation, token.clone()).await;
        }
        Ok(())
    }

    /// The digest that the tag points to, if it exists.
    async fn tagged(&self) -> Result<Option<String>, ImageError> {
        let (client, reference, auth) = (&self.client, &self.reference, &self.auth);
        self.attempt(&format!("look up tag `{}` in", self.tag), || async move {
            match client.fetch_manifest_digest(reference, auth).await {
                Ok(digest) => Ok(Some(digest)),
                Err(error) if retry::status(&error) == Some(404) => Ok(None),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Sends the blobs that the registry lacks; the result says for each one how many bytes were sent.
    async fn blobs(&self) -> Result<Vec<Option<u64>>, ImageError> {
        stream::iter(self.image.blobs())
            .map(|blob| self.blob(blob))
            .buffered(CONCURRENCY)
            .try_collect()
            .await
    }

    /// Makes sure that the registry has `blob`. An attempt whose answer got lost is not sent twice.
    async fn blob(&self, blob: &Blob) -> Result<Option<u64>, ImageError> {
        let (client, reference) = (&self.client, &self.reference);
        let sent = &AtomicBool::new(false);
        self.attempt(&format!("push blob {} to", blob.digest), || async move {
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
        let size = blob.bytes.len() as u64;
        self.reporter.emit(Event::Progress {
            what: format!("push {}", self.target.repository),
            done: self.settled.fetch_add(size, Ordering::Relaxed) + size,
            total: self.image.blobs().map(|blob| blob.bytes.len() as u64).sum(),
        });
        Ok(sent.load(Ordering::Relaxed).then_some(size))
    }

    /// Puts the manifest under the tag. Where the registry refuses, the tag itself says whether it was too late.
    async fn manifest(&self) -> Result<(), ImageError> {
        let (client, reference, image) = (&self.client, &self.reference, self.image);
        let action = format!("push manifest {} to", image.digest);
        let outcome = self
            .attempt(&action, || {
                let media_type = HeaderValue::from_static(MANIFEST_TYPE);
                client.push_manifest_raw(reference, image.manifest.clone(), media_type)
            })
            .await;
        match outcome {
            Ok(_) => Ok(()),
            Err(error) if is_conflict(&error) => match self.tagged().await? {
                Some(digest) if digest == image.digest => Ok(()),
                Some(digest) => Err(self.taken(digest)),
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    async fn verify(&self) -> Result<(), ImageError> {
        let shown = self.tagged().await?;
        if shown.as_ref() == Some(&self.image.digest) {
            return Ok(());
        }
        Err(ImageError::NotVerified {
            place: self.target.place(),
            tag: self.tag.clone(),
            pushed: self.image.digest.clone(),
            shown: shown.unwrap_or_else(|| "nothing".to_owned()),
        })
    }

    async fn attempt<T, F>(&self, action: &str, request: impl FnMut() -> F) -> Result<T, ImageError>
    where
        F: Future<Output = Result<T, OciDistributionError>>,
    {
        let what = format!("{action} `{}`", self.target.place());
        self.policy
            .run(&what, self.reporter, request)
            .await
            .map_err(|Exhausted { attempts, error }| ImageError::Registry {
                action: action.to_owned(),
                place: self.target.place(),
                attempts,
                source: Box::new(error),
            })
    }

    fn taken(&self, existing: String) -> ImageError {
        ImageError::TagTaken {
            place: self.target.place(),
            tag: self.tag.clone(),
            existing,
            digest: self.image.digest.clone(),
        }
    }

    fn published(&self, sent: Option<&[Option<u64>]>, elapsed: Duration) -> Published {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let all = self.image.blobs().count();
        let uploads: Vec<u64> = sent.unwrap_or_default().iter().flatten().copied().collect();
        let manifest = sent.map_or(0, |_| self.image.manifest.len() as u64);
        Published {
            reference: format!("{}@{}", self.target.reference_base, self.image.digest),
            digest: self.image.digest.clone(),
            tag: self.tag.clone(),
            bytes_sent: uploads.iter().sum::<u64>() + manifest,
            blobs_sent: count(uploads.len()),
            blobs_reused: count(all - uploads.len()),
            pushed: sent.is_some(),
            seconds: elapsed.as_secs_f64(),
        }
    }

    fn report(&self, published: &Published) {
        let (outcome, detail) = if published.pushed {
            let detail = format!(
                "tag {}, {} kB in {} blobs, {} reused",
                published.tag,
                published.bytes_sent.div_ceil(1000),
                published.blobs_sent,
                published.blobs_reused
            );
            (Outcome::Pushed, detail)
        } else {
            (Outcome::Unchanged, format!("tag {}", published.tag))
        };
        self.reporter
            .done("image", &published.reference, outcome, &detail);
    }
}

/// One POST and one PUT per blob, as containerd does it: ECR wants parts of 5 MiB, GHCR at most 4 MiB, but both take
/// a whole blob.
fn connect(target: &RegistryTarget) -> Result<Client, OciDistributionError> {
    Client::try_from(ClientConfig {
        protocol: if target.plain_http {
            ClientProtocol::Http
        } else {
            ClientProtocol::Https
        },
        use_monolithic_push: true,
        connect_timeout: Some(CONNECT_TIMEOUT),
        read_timeout: Some(READ_TIMEOUT),
        user_agent: concat!("provisioner/", env!("CARGO_PKG_VERSION")),
        ..ClientConfig::default()
    })
}

/// Answers to a manifest that may mean that the tag exists: registries do not agree on one code.
fn is_conflict(error: &ImageError) -> bool {
    matches!(error, ImageError::Registry { source, .. } if matches!(retry::status(source), Some(400 | 409 | 412)))
}

fn is_tag(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= 128
        && text.starts_with(word)
        && text.chars().all(|c| word(c) || c == '.' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_what_the_distribution_specification_allows() {
        for tag in ["a", "_", "v1.2-rc_3", &"a".repeat(128)] {
            assert!(is_tag(tag), "{tag}");
        }
        for tag in ["", ".a", "-a", "a/b", "a:b", "ä", &"a".repeat(129)] {
            assert!(!is_tag(tag), "{tag}");
        }
    }
}
