//! Files that results are also written to: checked before the work, written after it.

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

/// Writes `text` to the file, if one is named.
pub(super) fn write(path: Option<&Path>, text: &str) -> Result<(), Error> {
    let Some(path) = path else { return Ok(()) };
    let cannot = |error| Error::failed(format!("cannot write file `{}`: {error}", path.display()));
    std::fs::write(path, text).map_err(cannot)
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
}
