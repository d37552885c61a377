//! What a running sandbox was made from, so that `up` notices when that is not what it would make now.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::install::hash;
use crate::state::{Dirs, write};

const FILE: &str = "inputs";

/// Name and hash of everything that decides what `up` makes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Inputs(BTreeMap<String, String>);

impl Inputs {
    /// Hashes the sources; this program brings the hash of those that it was built from.
    pub(crate) fn read(dirs: &Dirs) -> Result<Self, Error> {
        let parts = [
            ("the cluster's name", hash(&[&dirs.cluster])),
            ("the program `sandbox`", env!("SANDBOX_SOURCES").to_owned()),
            ("sandbox/aws", tree(&dirs.source.join("aws"), &["py", "txt"])?),
            (
                "sandbox/kubernetes",
                tree(&dirs.source.join("kubernetes"), &["go", "mod", "sum", "yaml"])?,
            ),
        ];
        Ok(Self(parts.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()))
    }

    /// Keeps them with the state.
    pub(crate) fn record(&self, dirs: &Dirs) -> Result<(), Error> {
        let lines = self.0.iter().map(|(name, hash)| format!("{hash} {name}\n"));
        write(&dirs.at(FILE), lines.collect::<String>(), false)
    }

    /// Which of them are not what the state was made from; none where there is no state.
    pub(crate) fn changed_since(&self, dirs: &Dirs) -> Vec<&str> {
        let Ok(text) = fs::read_to_string(dirs.at(FILE)) else {
            return Vec::new();
        };
        let then: BTreeMap<&str, &str> = text
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(hash, name)| (name, hash))
            .collect();
        let is_new = |(name, hash): &(&String, &String)| then.get(name.as_str()) != Some(&hash.as_str());
        self.0.iter().filter(is_new).map(|(name, _)| name.as_str()).collect()
    }
}

/// One hash over the names and contents of a folder's files with one of these endings; tests and caches do not count.
fn tree(folder: &Path, endings: &[&str]) -> Result<String, Error> {
    let mut files = Vec::new();
    collect(folder, endings, &mut files)?;
    files.sort();
    let mut parts = Vec::new();
    for file in files {
        parts.push(file.display().to_string().into_bytes());
        parts.push(bytes(&file)?);
    }
    Ok(hash(&parts))
}

fn collect(folder: &Path, endings: &[&str], files: &mut Vec<PathBuf>) -> Result<(), Error> {
    let fail = |e: std::io::Error| Error::cannot("read", folder.display(), e);
    for entry in fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if path.is_dir() {
            if !path.ends_with("tests") {
                collect(&path, endings, files)?;
            }
        } else if path
            .extension()
            .is_some_and(|e| endings.iter().any(|wanted| e == *wanted))
        {
            files.push(path);
        }
    }
    Ok(())
}

fn bytes(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|e| Error::cannot("read", path.display(), e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_inputs_are_named() {
        let folder = tempfile::tempdir().expect("folder");
        let mut dirs = Dirs::below(folder.path());
        let source =
            |file: &str, text: &str| write(&folder.path().join("source").join(file), text, false).expect("writes");
        source("aws/server.py", "1");
        source("aws/tests/test_server.py", "1");
        source("kubernetes/go.mod", "1");
        let first = Inputs::read(&dirs).expect("reads");
        assert!(first.changed_since(&dirs).is_empty(), "nothing was made yet");
        first.record(&dirs).expect("records");
        source("aws/tests/test_server.py", "2");
        let changed = |dirs: &Dirs| Inputs::read(dirs).expect("reads").changed_since(dirs).join(", ");
        assert_eq!(changed(&dirs), "");
        source("aws/server.py", "2");
        assert_eq!(changed(&dirs), "sandbox/aws");
        dirs.cluster = "other".into();
        source("kubernetes/metrics-server/go.mod", "1");
        assert_eq!(changed(&dirs), "sandbox/aws, sandbox/kubernetes, the cluster's name");
    }
}
