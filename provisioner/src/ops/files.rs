//! Files that results are also written to: checked before the work, written after it.

use std::io::ErrorKind;
use std::path::Path;

use crate::error::Error;

/// Refuses a file that could not be written in the end.
///
/// # Errors
/// Its folder does not exist, or it is a folder itself: exit 2.
pub(super) fn check(path: Option<&Path>) -> Result<(), Error> {
    let Some(path) = path else { return Ok(()) };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if path.is_dir() || !folder.is_none_or(Path::is_dir) {
        return Err(
            Error::usage(format!("cannot write file `{}`", path.display())).hint("name a file in a folder that exists")
        );
    }
    Ok(())
}

/// Writes `content` to the file, if one is named.
pub(super) fn write(path: Option<&Path>, content: &(impl AsRef<[u8]> + ?Sized)) -> Result<(), Error> {
    let Some(path) = path else { return Ok(()) };
    std::fs::write(path, content).map_err(|error| {
        let failed = Error::failed(format!("cannot write file `{}`: {error}", path.display()));
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                failed.hint("make room there, or name a file elsewhere; run it again: what was done is kept")
            }
            _ => failed,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_written_is_refused_before_the_work() {
        let folder = tempfile::tempdir().unwrap();
        for (path, valid) in [
            (folder.path().join("refs"), true),
            ("refs".into(), true),
            (folder.path().to_path_buf(), false),
            (folder.path().join("none/refs"), false),
        ] {
            assert_eq!(check(Some(&path)).is_ok(), valid, "{}", path.display());
        }
        assert!(check(None).is_ok());
    }

    #[test]
    fn a_full_disk_is_told_with_what_to_do() {
        let error = write(Some(Path::new("/dev/full")), "text").unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("error: cannot write file `/dev/full`"), "{text}");
        assert!(text.contains("hint: make room there"), "{text}");
        assert_eq!(error.exit().code(), 1);
    }
}
