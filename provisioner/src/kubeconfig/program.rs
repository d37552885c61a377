//! Where this program lies, as an entry names it: a path that is there when a token is asked for.

use std::path::Path;

use super::KubeconfigError;

/// What Linux puts behind the path of a running program whose file was replaced or deleted.
const DELETED: &str = " (deleted)";

/// The path to write for a program that runs from `exe`. Where its file was replaced meanwhile, that of the new one.
///
/// # Errors
/// There is no such file any more, or its path is not UTF-8: nothing could run it.
pub fn program(exe: &Path) -> Result<String, KubeconfigError> {
    let unusable = |why| KubeconfigError::Program {
        path: exe.to_owned(),
        why,
    };
    let path = exe.to_str().ok_or_else(|| unusable("its path is not UTF-8"))?;
    let replaced = || path.strip_suffix(DELETED).filter(|path| Path::new(path).is_file());
    let there = Some(path).filter(|path| Path::new(path).is_file()).or_else(replaced);
    Ok(there.ok_or_else(|| unusable("it is not there any more"))?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_that_is_there_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let exe = folder.path().join("provisioner-linux-amd64");
        let deleted = folder.path().join("provisioner-linux-amd64 (deleted)");
        let gone = program(&deleted).unwrap_err();
        assert!(gone.is_configuration() && gone.hint().is_some(), "{gone}");
        assert!(program(&exe).is_err());
        std::fs::write(&exe, "").unwrap();
        assert_eq!(program(&exe).unwrap(), exe.to_str().unwrap());
        assert_eq!(
            program(&deleted).unwrap(),
            exe.to_str().unwrap(),
            "replaced while it ran"
        );
    }
}
