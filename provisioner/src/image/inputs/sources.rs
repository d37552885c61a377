//! Files of the workspace that packages are built from.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ignore::{DirEntry, WalkBuilder};

use crate::image::ImageError;
use crate::image::workspace::{Package, Workspace};

/// Folders of a package that its binary is not made from.
const ELSEWHERE: [&str; 3] = ["benches", "examples", "tests"];
/// Files of the workspace's folder that say how to compile.
const OF_WORKSPACE: [&str; 3] = ["Cargo.toml", "rust-toolchain.toml", "rust-toolchain"];

/// What the folders of `members` hold but for what git ignores, hidden files, folders of other packages and what
/// only tests, benchmarks and examples are made from; and the workspace's own manifest. Whether git knows a file does
/// not matter, as it does not to cargo: a module that is not committed yet is compiled all the same.
pub(super) fn files(workspace: &Workspace, members: &[&Package]) -> Result<BTreeSet<PathBuf>, ImageError> {
    let folders: Vec<PathBuf> = members.iter().map(|package| package.folder().to_owned()).collect();
    let root = &workspace.root;
    let own = OF_WORKSPACE.into_iter().map(|name| root.join(name));
    let mut files: BTreeSet<PathBuf> = own.filter(|path| path.is_file()).collect();
    let mut walk = WalkBuilder::new(root);
    // Only rules within the workspace count, so that every copy of it has the same files.
    walk.standard_filters(false)
        .hidden(true)
        .git_ignore(true)
        .require_git(false);
    walk.follow_links(true);
    let (inside, target) = (folders.clone(), workspace.target_directory.clone());
    walk.filter_entry(move |entry| entry.path() != target && is_wanted(entry, &inside));
    for entry in walk.build() {
        let entry = entry.map_err(|error| ImageError::Read {
            path: root.clone(),
            source: std::io::Error::other(error),
        })?;
        let path = entry.path();
        if path.is_file() && folders.iter().any(|folder| path.starts_with(folder)) {
            files.insert(path.to_owned());
        }
    }
    Ok(files)
}

/// Whether a file or folder may be, or hold, a source.
fn is_wanted(entry: &DirEntry, folders: &[PathBuf]) -> bool {
    let path = entry.path();
    if !path.is_dir() {
        return true;
    }
    let is_package = |path: &Path| folders.iter().any(|folder| folder == path);
    if is_package(path) || folders.iter().any(|folder| folder.starts_with(path)) {
        return true;
    }
    let of_package =
        |name: &&str| path.parent().is_some_and(is_package) && entry.file_name() == std::ffi::OsStr::new(name);
    folders.iter().any(|folder| path.starts_with(folder))
        && !path.join("Cargo.toml").is_file()
        && !path.join("CACHEDIR.TAG").is_file()
        && !ELSEWHERE.iter().any(of_package)
}
