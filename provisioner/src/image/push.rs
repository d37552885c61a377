//! Pushing an image: only what the registry lacks, the manifest last, then verified.
//!
//! A tag exists only after every blob does, so that a run that is cut off leaves nothing that could be pulled half,
//! and the next run goes on where it stopped.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::try_join_all;

use super::registry::Registry;
use super::{Blob, Image, ImageError, RegistryTarget, RetryPolicy, retry};
use crate::names::MOVING_TAG;
use crate::report::{Event, Outcome, Reporter};

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
/// [`ImageError::TagTaken`] where the tag points elsewhere and is none that may move (nothing was sent), [`ImageError::Registry`] with the
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
    if !is_tag(&tag) {
        return Err(ImageError::Tag { tag });
    }
    let push = Push {
        registry: Registry::sign_in(target, &tag, reporter, policy).await?,
        image,
        target,
        tag: &tag,
        reporter,
        settled: AtomicU64::new(0),
    };
    let sent = match push.registry.tagged().await? {
        Some(digest) if digest == image.digest => None,
        Some(digest) if !tag.starts_with(MOVING_TAG) => return Err(push.taken(digest)),
        _ => {
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
    registry: Registry<'a>,
    image: &'a Image,
    target: &'a RegistryTarget,
    tag: &'a str,
    reporter: &'a dyn Reporter,
    /// Bytes that the registry has by now.
    settled: AtomicU64,
}

impl Push<'_> {
    /// Sends the blobs that the registry lacks, side by side; the result holds the sizes of those.
    async fn blobs(&self) -> Result<Vec<u64>, ImageError> {
        let sent = try_join_all(self.image.blobs().map(|blob| self.blob(blob))).await?;
        Ok(sent.into_iter().flatten().collect())
    }

    async fn blob(&self, blob: &Blob) -> Result<Option<u64>, ImageError> {
        let sent = self.registry.ensure_blob(blob).await?;
        let size = blob.bytes.len() as u64;
        self.reporter.emit(Event::Progress {
            what: format!("push {}", self.target.repository),
            done: self.settled.fetch_add(size, Ordering::Relaxed) + size,
            total: self.image.blobs().map(|blob| blob.bytes.len() as u64).sum(),
        });
        Ok(sent.then_some(size))
    }

    /// Puts the manifest. Where the registry refuses it, the tag itself says whether somebody else was faster.
    async fn manifest(&self) -> Result<(), ImageError> {
        let (manifest, digest) = (&self.image.manifest, &self.image.digest);
        match self.registry.put_manifest(manifest, digest).await {
            Err(error) if is_conflict(&error) => match self.registry.tagged().await? {
                Some(existing) if existing == *digest => Ok(()),
                Some(existing) => Err(self.taken(existing)),
                None => Err(error),
            },
            outcome => outcome,
        }
    }

    async fn verify(&self) -> Result<(), ImageError> {
        let shown = self.registry.tagged().await?;
        if shown.as_ref() == Some(&self.image.digest) {
            return Ok(());
        }
        Err(ImageError::NotVerified {
            place: self.target.place(),
            tag: self.tag.to_owned(),
            pushed: self.image.digest.clone(),
            shown: shown.unwrap_or_else(|| "nothing".to_owned()),
        })
    }

    fn taken(&self, existing: String) -> ImageError {
        ImageError::TagTaken {
            place: self.target.place(),
            tag: self.tag.to_owned(),
            existing,
            digest: self.image.digest.clone(),
        }
    }

    fn published(&self, sent: Option<&[u64]>, elapsed: Duration) -> Published {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let all = self.image.blobs().count();
        let uploads = sent.unwrap_or_default();
        let manifest = sent.map_or(0, |_| self.image.manifest.len() as u64);
        Published {
            reference: format!("{}@{}", self.target.reference_base, self.image.digest),
            digest: self.image.digest.clone(),
            tag: self.tag.to_owned(),
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
        self.reporter.done("image", &published.reference, outcome, &detail);
    }
}

/// Answers to a manifest that may mean that the tag exists: registries do not agree on one code.
fn is_conflict(error: &ImageError) -> bool {
    matches!(error, ImageError::Registry { source, .. } if matches!(retry::status(source), Some(400 | 409 | 412)))
}

fn is_tag(text: &str) -> bool {
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
