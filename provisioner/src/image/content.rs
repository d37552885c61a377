//! What can be pushed: manifests and the blobs that they name, whatever made them.
//!
//! ```text
//! assemble(binaries)  --+
//! import(folder, file) -+--> Image { manifests, children first; blobs } --publish--> repo@sha256
//! import(registry)    --+
//! ```
//!
//! Bytes stay where they are until they are sent: in memory, in a file, or in another registry. Whatever is read is
//! checked against its digest and size while it is.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt as _};
use serde_json::{Value, json};

use super::digest::{Digest, Hasher};
use super::repository::Repository;
use super::retry::with_causes;

/// How much of a file is in memory at once, for each blob that is being sent.
const CHUNK: usize = 256 * 1024;

/// What names content: type, digest and size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// Media type.
    pub media_type: String,
    /// Digest of the content.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

impl Descriptor {
    /// Of content in memory.
    pub(super) fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
        }
    }

    /// As manifests write it.
    pub(super) fn to_json(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest, "size": self.size })
    }
}

/// Content that a registry stores under its digest: a layer or a configuration.
#[derive(Debug, Clone)]
pub struct Blob {
    /// What names it.
    pub descriptor: Descriptor,
    /// Where its bytes are.
    pub content: Content,
}

/// Blobs are their digests: where the bytes are makes no difference.
impl PartialEq for Blob {
    fn eq(&self, other: &Self) -> bool {
        self.descriptor == other.descriptor
    }
}

/// Where the bytes of a blob are.
#[derive(Debug, Clone)]
pub enum Content {
    /// Here.
    Memory(Bytes),
    /// In a file of their own, opened when it is read.
    Path(PathBuf),
    /// In a part of an open file.
    Part {
        /// The file.
        file: Arc<File>,
        /// Where they begin.
        offset: u64,
    },
    /// In a repository of a registry.
    Remote(Arc<Repository>),
}

impl Blob {
    /// A blob in memory.
    pub(super) fn new(media_type: &str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            descriptor: Descriptor::of(media_type, &bytes),
            content: Content::Memory(bytes),
        }
    }

    /// The digest.
    pub fn digest(&self) -> &Digest {
        &self.descriptor.digest
    }

    /// The size in bytes.
    pub fn size(&self) -> u64 {
        self.descriptor.size
    }
}

/// A manifest or an index, exactly as it is pushed: its digest is over these bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// What names it.
    pub descriptor: Descriptor,
    /// The content.
    pub bytes: Bytes,
}

impl Manifest {
    pub(super) fn new(media_type: &str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            descriptor: Descriptor::of(media_type, &bytes),
            bytes,
        }
    }

    /// The digest.
    pub fn digest(&self) -> &Digest {
        &self.descriptor.digest
    }
}

/// A complete image, for one platform or for several, ready to be pushed.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// What tags point to: the manifest of the one platform, or the index over all.
    pub root: Manifest,
    /// Everything else that is a manifest, each after those that it names.
    pub children: Vec<Manifest>,
    /// What the manifests name, each once.
    pub blobs: Vec<Blob>,
    /// The platforms that it runs on, e.g. `linux/amd64`.
    pub platforms: Vec<String>,
}

impl Image {
    /// The image's digest.
    pub fn digest(&self) -> &Digest {
        self.root.digest()
    }

    /// The tag that is used where none is given: the first 12 digits of the digest, so equal content has equal tags.
    pub fn default_tag(&self) -> String {
        self.digest().short().to_owned()
    }
}

/// Why content is not what its descriptor says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// Other bytes.
    #[error("its bytes have the digest {actual}, not {expected}")]
    Digest {
        /// As described.
        expected: Digest,
        /// As read.
        actual: Digest,
    },
    /// Fewer or more bytes.
    #[error("it has {actual} bytes, not {expected}")]
    Size {
        /// As described.
        expected: u64,
        /// As read: where it is too long, up to where that was seen.
        actual: u64,
    },
    /// It cannot be read.
    #[error("cannot read it: {0}")]
    Unreadable(String),
    /// Whoever gives it stopped in the middle; it may come whole the next time.
    #[error("it broke off: {0}")]
    BrokenOff(String),
}

/// Bytes on their way to a request.
pub(super) type Chunks = BoxStream<'static, std::io::Result<Bytes>>;

/// Remembers why a stream of bytes broke: whoever sends them only learns that it did.
#[derive(Debug, Clone, Default)]
pub(super) struct Verdict(Arc<Mutex<Option<Mismatch>>>);

impl Verdict {
    pub(super) fn take(&self) -> Option<Mismatch> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Keeps why the bytes stopped coming, unless whoever gave them did so already.
    fn break_off(&self, error: std::io::Error) -> std::io::Error {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get_or_insert_with(|| Mismatch::BrokenOff(with_causes(&error)));
        error
    }

    /// Keeps the reason; the error tells the sender to stop.
    fn fail(&self, why: Mismatch) -> std::io::Error {
        let text = why.to_string();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        std::io::Error::new(std::io::ErrorKind::InvalidData, text)
    }
}

/// `chunks`, checked: the last one comes only where all of them are what `descriptor` says. So a sender that announced
/// the size can never send wrong content whole.
pub(super) fn checked(chunks: Chunks, descriptor: &Descriptor, verdict: Verdict) -> Chunks {
    let state = Checked {
        chunks,
        expected: descriptor.clone(),
        hasher: Hasher::default(),
        size: 0,
        held: None,
        verdict,
    };
    stream::try_unfold(Some(state), |state| async move {
        let Some(state) = state else { return Ok(None) };
        state.next().await
    })
    .boxed()
}

struct Checked {
    chunks: Chunks,
    expected: Descriptor,
    hasher: Hasher,
    size: u64,
    /// The chunk that is given out once there is another one, or all is well.
    held: Option<Bytes>,
    verdict: Verdict,
}

impl Checked {
    async fn next(mut self) -> std::io::Result<Option<(Bytes, Option<Self>)>> {
        while let Some(chunk) = self.chunks.next().await {
            let chunk = chunk.map_err(|error| self.verdict.break_off(error))?;
            self.size += chunk.len() as u64;
            if self.size > self.expected.size {
                return Err(self.wrong_size());
            }
            self.hasher.update(&chunk);
            if let Some(held) = self.held.replace(chunk) {
                return Ok(Some((held, Some(self))));
            }
        }
        if self.size != self.expected.size {
            return Err(self.wrong_size());
        }
        let actual = std::mem::take(&mut self.hasher).finish();
        if actual != self.expected.digest {
            let expected = self.expected.digest.clone();
            return Err(self.verdict.fail(Mismatch::Digest { expected, actual }));
        }
        Ok(self.held.take().map(|held| (held, None)))
    }

    fn wrong_size(&self) -> std::io::Error {
        self.verdict.fail(Mismatch::Size {
            expected: self.expected.size,
            actual: self.size,
        })
    }
}

/// The `size` bytes of `file` from `offset` on, read while they are taken. What ends early is told as such.
pub(super) fn part(file: Arc<File>, offset: u64, size: u64, verdict: Verdict) -> Chunks {
    read_at(size, verdict, move || Ok((file, offset)))
}

/// The bytes of the file at `path`, all of them.
pub(super) fn whole(path: PathBuf, size: u64, verdict: Verdict) -> Chunks {
    read_at(size, verdict, move || {
        let file = File::open(path)?;
        let actual = file.metadata()?.len();
        if actual != size {
            let text = format!("it has {actual} bytes, not {size}");
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, text));
        }
        Ok((Arc::new(file), 0))
    })
}

type Opened = std::io::Result<(Arc<File>, u64)>;

fn read_at(size: u64, verdict: Verdict, open: impl FnOnce() -> Opened + Send + 'static) -> Chunks {
    let read = async move {
        let opened = tokio::task::spawn_blocking(open).await;
        let opened = opened.map_err(std::io::Error::other).flatten();
        match opened {
            Ok((file, offset)) => chunks_at(file, offset, offset + size, verdict).left_stream(),
            Err(error) => {
                let error = verdict.fail(Mismatch::Unreadable(error.to_string()));
                stream::once(async { Err(error) }).right_stream()
            }
        }
    };
    stream::once(read).flatten().boxed()
}

fn chunks_at(
    file: Arc<File>,
    from: u64,
    end: u64,
    verdict: Verdict,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
    stream::try_unfold((file, from, verdict), move |(file, at, verdict)| async move {
        let wanted = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
        if wanted == 0 {
            return Ok(None);
        }
        let from = file.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut buffer = vec![0; wanted];
            from.read_exact_at(&mut buffer, at).map(|()| buffer)
        });
        match read.await.map_err(std::io::Error::other).flatten() {
            Ok(buffer) => Ok(Some((Bytes::from(buffer), (file, at + wanted as u64, verdict)))),
            Err(error) => Err(verdict.fail(Mismatch::Unreadable(error.to_string()))),
        }
    })
}

/// Bytes in memory, in pieces: so that progress shows on a slow line.
pub(super) fn memory(bytes: Bytes) -> Chunks {
    stream::unfold(bytes, |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        let chunk = rest.split_to(CHUNK.min(rest.len()));
        Some((Ok(chunk), rest))
    })
    .boxed()
}

#[cfg(test)]
#[path = "content_tests.rs"]
mod tests;
