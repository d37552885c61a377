//! The part of `Cargo.lock` that one package is built from: a change elsewhere in the workspace is none of it.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;

use serde::Deserialize;

use crate::image::ImageError;

/// What cargo chose, as far as it matters here.
#[derive(Debug, Deserialize)]
pub(in crate::image) struct Lock {
    #[serde(default)]
    package: Vec<Locked>,
}

/// One package.
#[derive(Debug, Deserialize)]
pub(in crate::image) struct Locked {
    name: String,
    version: String,
    /// None for what is in a folder.
    pub(in crate::image) source: Option<String>,
    /// SHA-256 of the package file that a registry gave.
    pub(in crate::image) checksum: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

/// A package and all that it needs, development and every platform included: the lock file does not tell them apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Closure {
    /// Names of packages that come from folders, sorted.
    pub(super) local: BTreeSet<String>,
    /// One line for each of the others, sorted: name, version, source and checksum.
    pub(super) locked: Vec<String>,
}

impl Lock {
    /// The lock file in the folder `root`; none where there is none or it is of a form that is not known.
    pub(in crate::image) fn read(root: &Path) -> Result<Option<Self>, ImageError> {
        let path = root.join("Cargo.lock");
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(toml::from_str(&text).ok()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ImageError::Read { path, source }),
        }
    }

    /// The packages of this name and version: more than one only where they come from several places.
    pub(in crate::image) fn named(&self, name: &str, version: &str) -> impl Iterator<Item = &Locked> {
        let is = move |package: &&Locked| package.name == name && package.version == version;
        self.package.iter().filter(is)
    }

    /// What the local package `name` is built from.
    pub(super) fn closure(&self, name: &str) -> Closure {
        let mut reached = BTreeSet::new();
        let mut open: Vec<usize> = self.matching(name).filter(|&at| self.is_local(at)).collect();
        while let Some(at) = open.pop() {
            if let Some(package) = self.package.get(at).filter(|_| reached.insert(at)) {
                open.extend(package.dependencies.iter().flat_map(|text| self.matching(text)));
            }
        }
        let mut closure = Closure::default();
        for package in reached.iter().filter_map(|&at| self.package.get(at)) {
            match &package.source {
                None => drop(closure.local.insert(package.name.clone())),
                Some(source) => closure.locked.push(format!(
                    "{} {} {source} {}\n",
                    package.name,
                    package.version,
                    package.checksum.as_deref().unwrap_or_default()
                )),
            }
        }
        closure.locked.sort_unstable();
        closure
    }

    fn is_local(&self, at: usize) -> bool {
        self.package.get(at).is_some_and(|package| package.source.is_none())
    }

    /// Packages that `NAME`, `NAME VERSION` or `NAME VERSION (SOURCE)` means.
    fn matching<'a>(&'a self, text: &'a str) -> impl Iterator<Item = usize> + 'a {
        let mut words = text.splitn(3, ' ');
        let (name, version) = (words.next().unwrap_or_default(), words.next());
        let source = words.next().map(|source| source.trim_matches(['(', ')']));
        let means = move |package: &Locked| {
            package.name == name
                && version.is_none_or(|version| package.version == version)
                && source.is_none_or(|source| package.source.as_deref() == Some(source))
        };
        self.package
            .iter()
            .enumerate()
            .filter(move |(_, p)| means(p))
            .map(|(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = "version = 4\n
        [[package]]\nname = 'app'\nversion = '1.0.0'\ndependencies = ['a 2.0.0', 'part']\n
        [[package]]\nname = 'part'\nversion = '1.0.0'\ndependencies = ['b']\n
        [[package]]\nname = 'a'\nversion = '1.0.0'\nsource = 'registry'\nchecksum = 'a1'\n
        [[package]]\nname = 'a'\nversion = '2.0.0'\nsource = 'registry'\nchecksum = 'a2'\n
        [[package]]\nname = 'b'\nversion = '1.0.0'\nsource = 'git+https://example.org/b#0123'\ndependencies = ['app']\n
        [[package]]\nname = 'other'\nversion = '1.0.0'\nsource = 'registry'\nchecksum = 'o1'\n";

    #[test]
    fn only_what_is_reached_from_the_package_counts() {
        let lock: Lock = toml::from_str(LOCK).unwrap();
        let closure = lock.closure("app");
        assert_eq!(closure.local, BTreeSet::from(["app".to_owned(), "part".to_owned()]));
        let expected = ["a 2.0.0 registry a2\n", "b 1.0.0 git+https://example.org/b#0123 \n"];
        assert_eq!(closure.locked, expected);
        assert_eq!(lock.closure("unknown"), Closure::default());
    }

    #[test]
    fn this_workspaces_own_lock_file_is_understood() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let closure = Lock::read(root).unwrap().unwrap().closure("app");
        assert_eq!(closure.local, BTreeSet::from(["app".to_owned()]));
        let has = |name: &str| closure.locked.iter().any(|line| line.starts_with(name));
        assert!(has("axum ") && has("serde_core ") && !has("kube "), "{closure:?}");
    }
}
