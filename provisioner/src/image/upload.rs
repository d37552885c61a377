//! One blob on its way into a repository: looked for, taken from a sibling, or sent; told while it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt as _;

use super::answer::RegistryError;
use super::content::{self, Blob, Chunks, Content, Verdict};
use super::repository::{Repository, Upload};
use super::session::Access;
use super::{ImageError, RetryPolicy, media};
use crate::report::{Event, Reporter};

/// Between two looks at how much was sent.
const TICK: Duration = Duration::from_millis(200);

/// How a blob came into the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// It was there.
    Reused,
    /// The registry took it from another repository.
    Mounted,
    /// It was sent.
    Sent,
}

impl Came {
    const ALL: [Self; 3] = [Self::Reused, Self::Mounted, Self::Sent];
}

/// Makes sure that `to` has `blob`. An upload whose answer got lost is looked for before it is repeated.
pub(super) async fn ensure(blob: &Blob, to: &Repository, reporter: &dyn Reporter) -> Result<Came, ImageError> {
    let came = AtomicU8::new(0);
    let policy = to.policy().sending(blob.size());
    let action = format!("push blob {} to", blob.digest());
    let settled = to.attempt((policy, reporter), &action, |access| {
        let came = &came;
        async move {
            if to.has_blob(&access, blob.digest()).await? {
                return Ok(());
            }
            let way = match to.start_upload(&access, blob.digest()).await? {
                Upload::Mounted => Came::Mounted,
                Upload::To(url) => {
                    // An answer that gets lost leaves a blob that was sent all the same.
                    came.store(Came::Sent as u8, Ordering::Relaxed);
                    send(blob, to, (&access, url), reporter).await?;
                    Came::Sent
                }
            };
            came.store(way as u8, Ordering::Relaxed);
            Ok(())
        }
    });
    settled.await?;
    let came = usize::from(came.into_inner());
    Ok(Came::ALL.get(came).copied().unwrap_or(Came::Sent))
}

async fn send(
    blob: &Blob,
    to: &Repository,
    (access, url): (&Access, url::Url),
    reporter: &dyn Reporter,
) -> Result<(), RegistryError> {
    let verdict = Verdict::default();
    let opened = open(blob, &verdict, (to.policy().source(), reporter)).await;
    let chunks = opened.map_err(|error| RegistryError::Origin(Box::new(error)))?;
    let sent = Arc::new(AtomicU64::new(0));
    let counter = sent.clone();
    let chunks = chunks.inspect(move |chunk| {
        let length = chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        counter.fetch_add(length, Ordering::Relaxed);
    });
    let put = to.put_blob(access, url, &blob.descriptor, chunks.boxed());
    let outcome = told(put, blob, (to, &sent), reporter).await;
    match verdict.take() {
        Some(source) => Err(RegistryError::Origin(Box::new(ImageError::Content {
            digest: blob.digest().clone(),
            origin: origin(&blob.content),
            source,
        }))),
        None => outcome,
    }
}

/// The blob's bytes, checked while they are read. Another registry is given up before the one that they go to, so that the
/// right one is named.
async fn open(blob: &Blob, verdict: &Verdict, patience: (RetryPolicy, &dyn Reporter)) -> Result<Chunks, ImageError> {
    let chunks = match &blob.content {
        Content::Memory(bytes) => content::memory(bytes.clone()),
        Content::Path(path) => content::whole(path.clone(), blob.size(), verdict.clone()),
        Content::Part { file, offset } => content::part(file.clone(), *offset, blob.size(), verdict.clone()),
        Content::Remote(from) => from.blob(&blob.descriptor, patience).await?,
    };
    Ok(content::checked(chunks, &blob.descriptor, verdict.clone()))
}

fn origin(content: &Content) -> String {
    match content {
        Content::Memory(_) => "this image".to_owned(),
        Content::Path(path) => format!("`{}`", path.display()),
        Content::Part { .. } => "the archive".to_owned(),
        Content::Remote(from) => format!("`{}`", from.place()),
    }
}

/// Waits for `put` and tells how far it is.
async fn told(
    put: impl Future<Output = Result<(), RegistryError>>,
    blob: &Blob,
    (to, sent): (&Repository, &AtomicU64),
    reporter: &dyn Reporter,
) -> Result<(), RegistryError> {
    let kind = match blob.descriptor.media_type.as_str() {
        layer if media::LAYERS.contains(&layer) => "layer",
        media::CONFIG | media::DOCKER_CONFIG | media::EMPTY => "configuration",
        _ => "document",
    };
    let what = format!("push {kind} {} to {}", blob.digest().short(), to.name());
    let tell = |done| {
        reporter.emit(Event::Progress {
            what: what.clone(),
            done,
            total: blob.size(),
        });
    };
    let mut put = std::pin::pin!(put);
    let mut ticks = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            outcome = &mut put => {
                if outcome.is_ok() {
                    tell(blob.size());
                }
                return outcome;
            }
            // The last bytes count once the registry has said that it has them.
            _ = ticks.tick() => tell(sent.load(Ordering::Relaxed).min(blob.size().saturating_sub(1))),
        }
    }
}
