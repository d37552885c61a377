//! What a build read, by cargo's own account of it, held against what the hash of its inputs holds.
//!
//! Cargo leaves two lists behind: `NAME.d` beside the executable, of files of the workspace in the form of make, and one
//! for each crate in `deps/`, which also has the environment variables that the compiler read:
//! <https://doc.rust-lang.org/cargo/reference/build-cache.html#dep-info-files>.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::image::ImageError;

/// Variables that cargo derives from a package's manifest.
const OF_MANIFEST: [&str; 4] = [
    "CARGO_PKG_",
    "CARGO_CRATE_NAME",
    "CARGO_BIN_NAME",
    "CARGO_PRIMARY_PACKAGE",
];
/// How the lists mark a variable.
const VARIABLE: &str = "# env-dep:";

/// The first thing that the build of `executable` read beside `files` and the manifests of `crates`.
pub(super) fn beside(
    executable: &Path,
    files: &BTreeSet<PathBuf>,
    crates: &[String],
) -> Result<Option<String>, ImageError> {
    let list = read(&executable.with_extension("d"))?;
    if let Some(file) = sources(&list).into_iter().find(|file| !files.contains(Path::new(file))) {
        return Ok(Some(format!("file `{file}`")));
    }
    let deps = executable.with_file_name("deps");
    let failed = |source| ImageError::Read {
        path: deps.clone(),
        source,
    };
    for entry in std::fs::read_dir(&deps).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if !is_list_of(&path, crates) {
            continue;
        }
        let list = read(&path)?;
        let names = list.lines().filter_map(|line| line.strip_prefix(VARIABLE));
        let mut names = names.map(|text| text.split_once('=').map_or(text, |(name, _)| name));
        if let Some(name) = names.find(|name| !OF_MANIFEST.iter().any(|known| name.starts_with(known))) {
            return Ok(Some(format!("variable `{name}`")));
        }
    }
    Ok(None)
}

/// `CRATE-HASH.d` of one of `crates`, libraries with `lib` before.
fn is_list_of(path: &Path, crates: &[String]) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let stem = name.and_then(|name| name.strip_suffix(".d")?.rsplit_once('-'));
    stem.is_some_and(|(name, _)| {
        let name = name
            .strip_prefix("lib")
            .filter(|rest| crates.iter().any(|c| c == rest))
            .unwrap_or(name);
        crates.iter().any(|known| known == name)
    })
}

/// The files after the colon of a rule of make; a space within a name has a backslash before it.
fn sources(list: &str) -> Vec<String> {
    let mut files = Vec::new();
    for (_, rule) in list.lines().filter_map(|line| line.split_once(": ")) {
        let words = rule.replace("\\ ", "\0");
        files.extend(words.split_whitespace().map(|word| word.replace('\0', " ")));
    }
    files
}

fn read(path: &Path) -> Result<String, ImageError> {
    std::fs::read_to_string(path).map_err(|source| ImageError::Read {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Made {
        folder: tempfile::TempDir,
        files: BTreeSet<PathBuf>,
    }

    /// What a build leaves, with these lists.
    fn made(files: &str, variables: &str) -> Made {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("deps")).unwrap();
        std::fs::write(folder.path().join("app.d"), format!("/t/app: {files}\n")).unwrap();
        let list = format!("/t/deps/app-01.d: {files}\n\n{variables}\n");
        std::fs::write(folder.path().join("deps/app-01.d"), list).unwrap();
        std::fs::write(folder.path().join("deps/serde-01.d"), "# env-dep:OUT_DIR=/t\n").unwrap();
        let files = ["/w/src/main.rs", "/w/src/a b.rs"].map(PathBuf::from).into();
        Made { folder, files }
    }

    fn beside_inputs(made: &Made) -> Option<String> {
        beside(&made.folder.path().join("app"), &made.files, &["app".to_owned()]).unwrap()
    }

    #[test]
    fn a_build_that_reads_only_its_inputs_is_covered() {
        let variables = "# env-dep:CARGO_PKG_VERSION=1.0.0\n# env-dep:CARGO_PKG_NAME=app";
        assert_eq!(beside_inputs(&made("/w/src/a\\ b.rs /w/src/main.rs", variables)), None);
    }

    #[test]
    fn files_and_variables_beside_the_inputs_are_named() {
        let file = beside_inputs(&made("/w/src/main.rs /w/logo.png", ""));
        assert_eq!(file.as_deref(), Some("file `/w/logo.png`"));
        for variable in ["# env-dep:COMMIT=0123", "# env-dep:COMMIT"] {
            let variable = beside_inputs(&made("/w/src/main.rs", variable));
            assert_eq!(variable.as_deref(), Some("variable `COMMIT`"));
        }
    }

    #[test]
    fn a_missing_list_is_an_error() {
        let made = made("/w/src/main.rs", "");
        std::fs::remove_file(made.folder.path().join("app.d")).unwrap();
        assert!(beside(&made.folder.path().join("app"), &made.files, &[]).is_err());
    }
}
