//! A tar archive as a store: what it holds is listed once, and read from where it lies. One that is compressed is unpacked
//! into a file without a name first, which is gone when nobody reads it any more.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;

use tar::EntryType;

use super::Defect;
use super::graph::bounded;
use super::store::{Packed, Store, clean, unreadable};
use super::unpack::{Budget, MOST_UNPACKED, Packing};

/// Entries of an archive: 500 layers in Docker's older form are 2000.
const MOST_ENTRIES: usize = 50_000;
/// Bytes of headers and long names, which are read into memory: those of as many entries, each with a name of 500 bytes.
const LONGEST_LISTING: u64 = 100 * 1024 * 1024;

/// Opens the archive at `path` and lists it.
pub(super) fn open(path: &Path) -> Result<Store, Defect> {
    let cannot = |source| unreadable(&path.display(), source);
    let mut file = File::open(path).map_err(cannot)?;
    let mut start = Vec::new();
    (&file)
        .take(Packing::MAGIC as u64)
        .read_to_end(&mut start)
        .map_err(cannot)?;
    file.rewind().map_err(cannot)?;
    match Packing::of(&start) {
        Packing::Plain => {}
        packing => file = unpack(path, file, packing)?,
    }
    let entries = list(&file)?;
    Ok(Store::Archive {
        file: Arc::new(file),
        entries,
    })
}

/// The bytes of a file that is compressed, in a file without a name.
fn unpack(path: &Path, file: File, packing: Packing) -> Result<File, Defect> {
    let mut unpacked = BufWriter::new(tempfile::tempfile().map_err(no_room)?);
    let mut failed = None;
    let packed = (BufReader::new(file), packing);
    let outcome = Budget::new(MOST_UNPACKED).unpack(&path.display().to_string(), packed, |chunk| {
        unpacked.write_all(chunk).map_err(|error| {
            let kind = error.kind();
            failed = Some(no_room(error));
            kind.into()
        })
    });
    if let Some(defect) = failed {
        return Err(defect);
    }
    outcome?;
    let mut unpacked = unpacked.into_inner().map_err(|error| no_room(error.into_error()))?;
    unpacked.rewind().map_err(no_room)?;
    Ok(unpacked)
}

/// Nothing can be written beside the archive.
pub(super) fn no_room(source: io::Error) -> Defect {
    let folder = std::env::temp_dir();
    Defect::Unpack {
        folder: folder.display().to_string(),
        source,
    }
}

/// What is read of an archive while it is listed: the library reads headers and, however long they say that they are,
/// names; content is passed over.
struct Listing<'a> {
    file: &'a File,
    left: u64,
}

impl Read for Listing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        let left = self.left.checked_sub(count as u64);
        self.left = left.ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(count)
    }
}

impl Seek for Listing<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

fn list(file: &File) -> Result<BTreeMap<String, Packed>, Defect> {
    // The library's own words quote what it could not read, byte by byte.
    let broken = |error: io::Error| match error.kind() {
        io::ErrorKind::FileTooLarge => Defect::TooLarge {
            what: "in its headers and names",
            most: LONGEST_LISTING,
        },
        _ => Defect::Malformed("it is no tar archive, or a damaged one".to_owned()),
    };
    let length = file.metadata().map_err(broken)?.len();
    let mut archive = tar::Archive::new(Listing {
        file,
        left: LONGEST_LISTING,
    });
    let mut entries = BTreeMap::new();
    for entry in archive.entries_with_seek().map_err(broken)? {
        let entry = entry.map_err(broken)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let (offset, size) = (entry.raw_file_position(), entry.size());
        let packed = match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {
                if offset.checked_add(size).is_none_or(|end| end > length) {
                    return Err(Defect::Malformed(format!("it is cut off within `{name}`")));
                }
                Packed::File { offset, size }
            }
            kind @ (EntryType::Symlink | EntryType::Link) => {
                let to = entry.link_name_bytes().unwrap_or_default();
                Packed::Link(within(
                    &name,
                    &String::from_utf8_lossy(&to),
                    kind == EntryType::Symlink,
                )?)
            }
            EntryType::Directory | EntryType::XGlobalHeader => continue,
            _ => {
                let what = "neither file, folder nor link";
                return Err(Defect::Escape { name, what });
            }
        };
        let name = clean(&name)?;
        bounded("entries", entries.len() + 1, MOST_ENTRIES)?;
        if entries.insert(name.clone(), packed).is_some() {
            return Err(Defect::Malformed(format!("it holds `{name}` twice")));
        }
    }
    Ok(entries)
}

/// What the link `name` leads to, as a name within the archive: a symbolic one starts from its own folder.
fn within(name: &str, to: &str, is_symbolic: bool) -> Result<String, Defect> {
    let escape = || Defect::Escape {
        name: name.to_owned(),
        what: "a link that leads out",
    };
    if to.starts_with('/') {
        return Err(escape());
    }
    let mut parts: Vec<&str> = if is_symbolic {
        name.split('/').collect()
    } else {
        Vec::new()
    };
    parts.pop();
    for part in to.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.retain(|part| !matches!(*part, "" | "."));
                parts.pop().ok_or_else(escape)?;
            }
            part => parts.push(part),
        }
    }
    clean(&parts.join("/")).map_err(|_| escape())
}
