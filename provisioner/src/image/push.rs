//! Pushing an image: only what the registry lacks, the manifest last, then verified.
//!
//! A tag exists only after every blob does, so that a run that is cut off leaves nothing that could be pulled half,
//! and the next run goes on where it stopped.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, future, stream};
use oci_client::RegistryOperation;

use super::content::{Blob, Image};
use super::digest::Digest;
use super::repository::Repository;
use super::upload::{self, Came};
use super::{Attached, Found, ImageError, RegistryTarget, RetryPolicy};
use crate::names::MOVING_TAG;
use crate::report::{Outcome, Reporter};

/// Blobs under way at once: enough to fill a line whose answers take long, few enough for registries that count
/// connections. With the size of a chunk it bounds the memory too.
const PARALLEL: usize = 6;

/// An image as the registry has it now.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Published {
    /// What to deploy: `reference_base@sha256:...`.
    pub reference: String,
    /// The image's digest.
    pub digest: String,
    /// The tag that points to it.
    pub tag: String,
    /// The platforms that it runs on, e.g. `linux/amd64`.
    pub platforms: Vec<String>,
    /// Bytes of blobs and manifests that were sent, without repetitions.
    pub bytes_sent: u64,
    /// Blobs that were sent.
    pub blobs_sent: u32,
    /// Blobs that the registry had.
    pub blobs_reused: u32,
    /// Blobs that the registry took from another of its repositories.
    pub blobs_mounted: u32,
    /// Whether anything was sent.
    pub pushed: bool,
    /// Bills of material that refer to it, where any were asked for.
    pub sboms: Vec<Attached>,
    /// How long it took, in seconds.
    #[serde(rename = "elapsed_s")]
    pub seconds: f64,
}

impl Published {
    /// The same with what refers to it, for which `bytes` were sent.
    #[must_use]
    pub fn with(mut self, (sboms, bytes): (Vec<Attached>, u64)) -> Self {
        self.sboms = sboms;
        self.bytes_sent += bytes;
        self.pushed |= bytes > 0;
        self
    }

    /// An image that is used where it is: nothing is sent.
    pub fn in_place(found: &Found, tag: Option<&str>) -> Self {
        Self {
            reference: found.reference.clone(),
            digest: found.digest().to_string(),
            tag: tag.unwrap_or_default().to_owned(),
            platforms: found.platforms.clone(),
            bytes_sent: 0,
            blobs_sent: 0,
            blobs_reused: 0,
            blobs_mounted: 0,
            pushed: false,
            sboms: Vec::new(),
            seconds: 0.0,
        }
    }
}

/// Pushes `image` under `tag`, or under [`Image::default_tag`]. Sends nothing where the tag already points to it.
///
/// # Errors
/// [`ImageError::TagTaken`] where the tag points elsewhere and is none that may move (nothing was sent), [`ImageError::Registry`] with the
/// last answer of the registry: uploaded blobs are kept there and reused by the next run. [`ImageError::Content`] where the
/// image is not what its manifests say.
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
    if !is_tag(&tag) {
        return Err(ImageError::Tag { tag });
    }
    let push = Push {
        repository: Repository::sign_in(target, RegistryOperation::Push, policy, reporter).await?,
        image,
        target,
        tag: &tag,
        reporter,
    };
    let sent = match push.tagged().await? {
        Some(digest) if digest == *image.digest() => None,
        Some(digest) if !tag.starts_with(MOVING_TAG) => return Err(push.taken(&digest)),
        _ => Some(push.all().await?),
    };
    let published = push.published(sent, started.elapsed());
    push.report(&published);
    Ok(published)
}

/// One push under way.
struct Push<'a> {
    repository: Repository,
    image: &'a Image,
    target: &'a RegistryTarget,
    tag: &'a str,
    reporter: &'a dyn Reporter,
}

/// What a push came to.
#[derive(Debug, Clone, Copy, Default)]
struct Sent {
    bytes: u64,
    blobs: u32,
    mounted: u32,
}

impl Push<'_> {
    /// Everything in its order: a manifest follows what it names, the tag comes last, and is looked at again.
    async fn all(&self) -> Result<Sent, ImageError> {
        let mut sent = self.blobs().await?;
        for child in &self.image.children {
            let name = child.digest().as_str();
            if self.repository.find(name, self.reporter).await?.is_none() {
                self.repository.put_manifest(name, child, self.reporter).await?;
                sent.bytes += child.bytes.len() as u64;
            }
        }
        self.root().await?;
        sent.bytes += self.image.root.bytes.len() as u64;
        self.verify().await?;
        Ok(sent)
    }

    /// Sends the blobs that the registry lacks, some side by side.
    async fn blobs(&self) -> Result<Sent, ImageError> {
        let mut ensured = Vec::with_capacity(self.image.blobs.len());
        for blob in &self.image.blobs {
            let came = upload::ensure(blob, &self.repository, self.reporter);
            ensured.push(async move { Ok::<_, ImageError>((blob, came.await?)) }.boxed());
        }
        let add = |mut sent: Sent, (blob, came): (&Blob, Came)| {
            match came {
                Came::Sent => {
                    sent.blobs += 1;
                    sent.bytes += blob.size();
                }
                Came::Mounted => sent.mounted += 1,
                Came::Reused => {}
            }
            future::ready(Ok(sent))
        };
        let ensured = stream::iter(ensured).buffer_unordered(PARALLEL);
        ensured.try_fold(Sent::default(), add).await
    }

    async fn tagged(&self) -> Result<Option<Digest>, ImageError> {
        self.repository.find(self.tag, self.reporter).await
    }

    /// Puts what the tag points to. Where the registry refuses it, the tag itself says whether somebody else was faster.
    async fn root(&self) -> Result<(), ImageError> {
        let root = &self.image.root;
        match self.repository.put_manifest(self.tag, root, self.reporter).await {
            Err(error) if is_conflict(&error) => match self.tagged().await? {
                Some(existing) if existing == *root.digest() => Ok(()),
                Some(existing) => Err(self.taken(&existing)),
                None => Err(error),
            },
            outcome => outcome.map(drop),
        }
    }

    async fn verify(&self) -> Result<(), ImageError> {
        let shown = self.tagged().await?;
        if shown.as_ref() == Some(self.image.digest()) {
            return Ok(());
        }
        Err(ImageError::NotVerified {
            place: self.target.place(),
            tag: self.tag.to_owned(),
            pushed: self.image.digest().to_string(),
            shown: shown.map_or_else(|| "nothing".to_owned(), |digest| digest.to_string()),
        })
    }

    fn taken(&self, existing: &Digest) -> ImageError {
        ImageError::TagTaken {
            place: self.target.place(),
            tag: self.tag.to_owned(),
            existing: existing.to_string(),
            digest: self.image.digest().to_string(),
        }
    }

    fn published(&self, sent: Option<Sent>, elapsed: Duration) -> Published {
        let all = u32::try_from(self.image.blobs.len()).unwrap_or(u32::MAX);
        let pushed = sent.is_some();
        let sent = sent.unwrap_or_default();
        Published {
            reference: format!("{}@{}", self.target.reference_base, self.image.digest()),
            digest: self.image.digest().to_string(),
            tag: self.tag.to_owned(),
            platforms: self.image.platforms.clone(),
            bytes_sent: sent.bytes,
            blobs_sent: sent.blobs,
            blobs_mounted: sent.mounted,
            blobs_reused: all - sent.blobs - sent.mounted,
            pushed,
            sboms: Vec::new(),
            seconds: elapsed.as_secs_f64(),
        }
    }

    fn report(&self, published: &Published) {
        let (outcome, detail) = if published.pushed {
            let mut detail = format!(
                "tag {}, {} kB in {} blobs, {} reused",
                published.tag,
                published.bytes_sent.div_ceil(1000),
                published.blobs_sent,
                published.blobs_reused
            );
            if published.blobs_mounted > 0 {
                let _ = write!(detail, ", {} mounted", published.blobs_mounted);
            }
            (Outcome::Pushed, detail)
        } else {
            (Outcome::Unchanged, format!("tag {}", published.tag))
        };
        self.reporter.done("image", &published.reference, outcome, &detail);
    }
}

/// Answers to a manifest that may mean that the tag exists: registries do not agree on one code.
fn is_conflict(error: &ImageError) -> bool {
    matches!(error, ImageError::Registry { source, .. } if matches!(source.status(), Some(400 | 409 | 412)))
}

/// Grammar of tags in the OCI distribution specification.
pub(super) fn is_tag(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= 128 && text.starts_with(word) && text.chars().all(|c| word(c) || c == '.' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_can_run_beside_other_work() {
        fn is_send(_: impl Send) {}
        fn check(image: &Image, target: &RegistryTarget, reporter: &dyn Reporter) {
            is_send(publish(image, target, None, reporter));
        }
        let _ = check;
    }

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
