//! Named files: those of a folder, or of an archive that stays packed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Defect;
use super::graph::bounded;
use crate::image::content::{Content, Descriptor, Mismatch};
use crate::image::digest::{Digest, Hasher};

/// Links that lead to links: more are a circle.
const LINKS: usize = 8;

/// A place that files are read from by name.
pub(super) enum Store {
    /// A folder, by its real path.
    Folder(PathBuf),
    /// A tar archive.
    Archive {
        /// The file.
        file: Arc<File>,
        /// What it holds, by name.
        entries: BTreeMap<String, Packed>,
    },
}

/// An entry of an archive.
pub(super) enum Packed {
    /// The bytes of a file.
    File { offset: u64, size: u64 },
    /// Another name within the archive.
    Link(String),
}

/// A file of a store.
pub(super) struct Stored {
    pub(super) content: Content,
    pub(super) size: u64,
}

impl Store {
    pub(super) fn folder(path: &Path) -> Result<Self, Defect> {
        path.canonicalize()
            .map(Self::Folder)
            .map_err(|source| unreadable(&path.display(), source))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            Self::Folder(folder) => folder.join(name).symlink_metadata().is_ok(),
            Self::Archive { entries, .. } => entries.contains_key(name),
        }
    }

    /// The file `name`, which must be one and lie within.
    pub(super) fn find(&self, name: &str) -> Result<Stored, Defect> {
        match self {
            Self::Folder(folder) => in_folder(folder, name),
            Self::Archive { file, entries } => in_archive(file, entries, name),
        }
    }

    /// All of the file `name`, at most `most` bytes.
    pub(super) fn read(&self, name: &str, most: usize) -> Result<Vec<u8>, Defect> {
        let found = self.find(name)?;
        bounded(
            "bytes of a manifest or configuration",
            usize::try_from(found.size).unwrap_or(usize::MAX),
            most,
        )?;
        let mut bytes = Vec::new();
        let read = found.reader().and_then(|mut reader| reader.read_to_end(&mut bytes));
        read.map_err(|source| unreadable(&name, source))?;
        Ok(bytes)
    }

    /// The file `name`, which must have `size` bytes.
    pub(super) fn sized(&self, name: &str, size: u64) -> Result<Stored, Defect> {
        let found = self.find(name)?;
        if found.size == size {
            return Ok(found);
        }
        Err(Defect::Mismatch {
            what: name.to_owned(),
            source: Mismatch::Size {
                expected: size,
                actual: found.size,
            },
        })
    }

    /// Where the blob is, once all of its bytes have been found to be what its descriptor says.
    pub(super) fn blob(&self, name: &str, blob: &Descriptor) -> Result<Content, Defect> {
        let found = self.sized(name, blob.size)?;
        let mut hasher = Hasher::default();
        let outcome = found.reader().and_then(|reader| {
            each_chunk(reader, |chunk| {
                hasher.update(chunk);
                Ok(())
            })
        });
        outcome.map_err(|source| unreadable(&name, source))?;
        mismatch(name, &blob.digest, hasher.finish())?;
        Ok(found.content)
    }
}

/// Refuses what has another digest.
pub(super) fn mismatch(what: &str, expected: &Digest, actual: Digest) -> Result<(), Defect> {
    if actual == *expected {
        return Ok(());
    }
    Err(Defect::Mismatch {
        what: what.to_owned(),
        source: Mismatch::Digest {
            expected: expected.clone(),
            actual,
        },
    })
}

impl Stored {
    /// Its bytes, and no more than it is said to have.
    pub(super) fn reader(&self) -> io::Result<Box<dyn Read>> {
        match &self.content {
            Content::Path(path) => Ok(Box::new(File::open(path)?.take(self.size))),
            Content::Part { file, offset } => Ok(Box::new(Part {
                file: file.clone(),
                at: *offset,
                left: self.size,
            })),
            Content::Memory(_) | Content::Remote(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// Hands over the bytes of `reader`, a part at a time.
pub(super) fn each_chunk(mut reader: impl Read, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(()),
            count => take(buffer.get(..count).unwrap_or_default())?,
        }
    }
}

struct Part {
    file: Arc<File>,
    at: u64,
    left: u64,
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let (into, _) = buffer.split_at_mut(most);
        let count = self.file.read_at(into, self.at)?;
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

pub(super) fn unreadable(what: &dyn std::fmt::Display, source: io::Error) -> Defect {
    Defect::Unreadable {
        what: what.to_string(),
        source,
    }
}

fn in_folder(folder: &Path, name: &str) -> Result<Stored, Defect> {
    let escape = |what| Defect::Escape {
        name: name.to_owned(),
        what,
    };
    let name = clean(name)?;
    let path = folder.join(&name);
    let real = match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Defect::Missing(name)),
        outcome => outcome.map_err(|source| unreadable(&path.display(), source))?,
    };
    // Whatever leads elsewhere on the way there makes the two differ.
    if real != path {
        return Err(escape("behind a link"));
    }
    let metadata = real.metadata().map_err(|source| unreadable(&path.display(), source))?;
    if !metadata.is_file() {
        return Err(escape("no file"));
    }
    Ok(Stored {
        content: Content::Path(real),
        size: metadata.len(),
    })
}

fn in_archive(file: &Arc<File>, entries: &BTreeMap<String, Packed>, name: &str) -> Result<Stored, Defect> {
    let mut at = clean(name)?;
    for _ in 0..LINKS {
        match entries.get(&at) {
            None => return Err(Defect::Missing(at)),
            Some(Packed::Link(to)) => at.clone_from(to),
            Some(Packed::File { offset, size }) => {
                return Ok(Stored {
                    content: Content::Part {
                        file: file.clone(),
                        offset: *offset,
                    },
                    size: *size,
                });
            }
        }
    }
    Err(Defect::Escape {
        name: name.to_owned(),
        what: "a link that leads nowhere",
    })
}

/// `name` in the one way to write it; refused where it leads out.
pub(super) fn clean(name: &str) -> Result<String, Defect> {
    let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if name.starts_with('/') || name.contains('\0') || parts.contains(&"..") {
        return Err(Defect::Escape {
            name: name.to_owned(),
            what: "a path that leads out",
        });
    }
    Ok(parts.join("/"))
}
