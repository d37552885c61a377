//! A tar archive as a store: what it holds is listed once, and read from where it lies. One that is compressed by gzip is
//! unpacked into a file without a name first, which is gone when nobody reads it any more.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read as _, Seek as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use tar::EntryType;

use super::Defect;
use super::graph::bounded;
use super::store::{Packed, Store, clean, each_chunk, unreadable};

/// Entries of an archive: 500 layers in Docker's older form are 2000.
const MOST_ENTRIES: usize = 50_000;
/// Bytes of an archive that is unpacked: larger than any image, smaller than what a few megabytes of zeros may become.
const MOST_UNPACKED: u64 = 32 * 1024 * 1024 * 1024;
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Opens the archive at `path` and lists it.
pub(super) fn open(path: &Path) -> Result<Store, Defect> {
    let cannot = |source| unreadable(&path.display(), source);
    let mut file = File::open(path).map_err(cannot)?;
    let mut magic = [0; 4];
    let read = file.read(&mut magic).and_then(|count| file.rewind().map(|()| count));
    let magic = magic.get(..read.map_err(cannot)?).unwrap_or_default();
    if magic == ZSTD {
        return Err(Defect::Form(
            "it is compressed by zstd: unpack it with `zstd -d` first".to_owned(),
        ));
    }
    if magic.starts_with(&GZIP) {
        file = unpack(file, MOST_UNPACKED)?;
    }
    let entries = list(&file)?;
    Ok(Store::Archive {
        file: Arc::new(file),
        entries,
    })
}

/// The bytes of a file that is compressed by gzip, in a file without a name.
fn unpack(file: File, most: u64) -> Result<File, Defect> {
    let mut unpacked = BufWriter::new(tempfile::tempfile().map_err(no_room)?);
    let mut size = 0;
    let mut failed = None;
    let decoder = MultiGzDecoder::new(BufReader::new(file));
    let outcome = each_chunk(decoder, |chunk| {
        size += chunk.len() as u64;
        if size > most {
            failed = Some(Defect::TooMany {
                what: "bytes when it is unpacked",
                found: usize::try_from(size).unwrap_or(usize::MAX),
                most: usize::try_from(most).unwrap_or(usize::MAX),
            });
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        unpacked.write_all(chunk).inspect_err(|error| {
            failed = Some(no_room(io::Error::new(error.kind(), error.to_string())));
        })
    });
    if let Some(defect) = failed {
        return Err(defect);
    }
    outcome.map_err(|error| Defect::Malformed(format!("its gzip stream is damaged or cut off: {error}")))?;
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

fn list(file: &File) -> Result<BTreeMap<String, Packed>, Defect> {
    // The library's own words quote what it could not read, byte by byte.
    let broken = |_| Defect::Malformed("it is no tar archive, or a damaged one".to_owned());
    let length = file.metadata().map_err(broken)?.len();
    let mut archive = tar::Archive::new(file);
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
