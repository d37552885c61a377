//! The crates of one executable: what cargo's tree and lock file say together.

use std::collections::BTreeSet;

use url::Url;

use super::license;
use super::tree::{Package, Tree};
use crate::image::inputs::{Lock, Locked};

/// How the lock file names crates.io.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// All crates that an executable is made of or with, the package itself first and the others by their names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Crates(Vec<Crate>);

/// One crate.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Crate {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) origin: Origin,
    /// SHA-256 of its package file, 64 hexadecimal digits.
    pub(super) checksum: Option<String>,
    /// An SPDX expression.
    pub(super) license: Option<String>,
    pub(super) repository: Option<String>,
    /// Whether it only runs while others are compiled.
    pub(super) is_macro: bool,
    /// Whether code of it may be in the executable: it is needed otherwise than by macros.
    pub(super) is_linked: bool,
    /// What it needs, by their places in [`Crates::all`].
    pub(super) needs: BTreeSet<usize>,
}

/// Where a crate comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// crates.io.
    CratesIo,
    /// Another registry, by its index.
    Registry(String),
    /// A repository and the commit in it.
    Git { url: String, commit: String },
    /// A folder.
    Local,
}

impl Crates {
    /// Packages of the tree with what the lock file says of them.
    pub(super) fn new(tree: &Tree, lock: &Lock) -> Self {
        let linked = linked(tree);
        let mut crates: Vec<(usize, Crate)> = tree
            .packages
            .iter()
            .enumerate()
            .map(|(at, package)| (at, Crate::new(package, lock, linked.contains(&at))))
            .collect();
        let key = |(at, of): &(usize, Crate)| (*at > 0, of.name.clone(), of.version.clone(), of.origin.clone());
        crates.sort_by_key(key);
        let mut places = vec![0; crates.len()];
        for (place, (at, _)) in crates.iter().enumerate() {
            places[*at] = place;
        }
        let mut crates: Vec<Crate> = crates.into_iter().map(|(_, of)| of).collect();
        for &(from, to) in &tree.edges {
            crates[places[from]].needs.insert(places[to]);
        }
        Self(crates)
    }

    /// The package that the executable is built from.
    pub(super) fn root(&self) -> &Crate {
        &self.0[0]
    }

    /// All of them, [`Self::root`] first.
    pub(super) fn all(&self) -> &[Crate] {
        &self.0
    }

    /// Who needs whom.
    pub(super) fn edges(&self) -> impl Iterator<Item = (&Crate, &Crate)> {
        let all = &self.0;
        all.iter()
            .flat_map(move |from| from.needs.iter().map(move |&to| (from, &all[to])))
    }
}

/// What is reached from the first package without a macro on the way.
fn linked(tree: &Tree) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut open = vec![0];
    while let Some(at) = open.pop() {
        if !tree.packages[at].is_macro && reached.insert(at) {
            open.extend(tree.edges.range((at, 0)..=(at, usize::MAX)).map(|(_, to)| *to));
        }
    }
    reached
}

impl Crate {
    fn new(package: &Package, lock: &Lock, is_linked: bool) -> Self {
        let locked = locked(package, lock);
        Self {
            name: package.name.clone(),
            version: package.version.clone(),
            origin: locked.map_or(Origin::Local, Origin::of),
            checksum: locked
                .and_then(|locked| locked.checksum.clone())
                .filter(|sum| is_sha256(sum)),
            license: package.license.as_deref().and_then(license::expression),
            repository: package
                .repository
                .as_deref()
                .filter(|text| Url::parse(text).is_ok())
                .map(public),
            is_macro: package.is_macro,
            is_linked,
            needs: BTreeSet::new(),
        }
    }
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
}

/// The package's entry in the lock file. Where two have its name and version, the one of the source that cargo shows.
fn locked<'a>(package: &Package, lock: &'a Lock) -> Option<&'a Locked> {
    let same: Vec<&Locked> = lock.named(&package.name, &package.version).collect();
    let is_source = |locked: &&&Locked| match (&package.source, &locked.source) {
        (None, Some(source)) => source == CRATES_IO,
        (Some(shown), Some(source)) => {
            let shown = shown.split('#').next().unwrap_or_default();
            source.split_once('+').is_some_and(|(_, url)| url.starts_with(shown))
        }
        (Some(_), None) => true,
        (None, None) => false,
    };
    match same.as_slice() {
        [one] => Some(one),
        several => several.iter().find(is_source).copied(),
    }
}

impl Origin {
    fn of(locked: &Locked) -> Self {
        let Some(source) = &locked.source else {
            return Self::Local;
        };
        if source == CRATES_IO {
            return Self::CratesIo;
        }
        match source.split_once('+') {
            Some(("git", url)) => {
                let (url, commit) = url.rsplit_once('#').unwrap_or((url, ""));
                let url = url.split('?').next().unwrap_or(url);
                Self::Git {
                    url: public(url),
                    commit: commit.to_owned(),
                }
            }
            Some((_, index)) => Self::Registry(public(index)),
            None => Self::Registry(public(source)),
        }
    }
}

/// An address without who asks there: a lock file may hold a password, and a bill of materials is read by everybody.
fn public(address: &str) -> String {
    let Ok(mut url) = Url::parse(address) else {
        return address.rsplit_once('@').map_or(address, |(_, place)| place).to_owned();
    };
    if url.username().is_empty() && url.password().is_none() {
        return address.to_owned();
    }
    // Both are refused only where there is no host, and then there is no user either.
    let _ = (url.set_username(""), url.set_password(None));
    url.into()
}
