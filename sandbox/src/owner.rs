//! One sandbox a machine: the lock, whose it is, and the mark by which a folder is known to be a sandbox's.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use crate::error::Error;
use crate::process;
use crate::state::{Dirs, create_dir, remove, write};

/// In every state folder from the start: only a folder that has it is ever cleared or removed.
pub(crate) const MARK: &str = ".provisioner-sandbox";

/// The machine-wide lock, on the folder of the records; where nothing is recorded the folder goes with it.
#[derive(Debug)]
pub(crate) struct Lock {
    folder: PathBuf,
    _held: Flock<File>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Fails while there are records, as it should.
        let _ = fs::remove_dir(&self.folder);
    }
}

/// Takes the machine-wide lock: one command at a time changes the sandbox. Needs root.
pub(crate) fn lock(dirs: &Dirs) -> Result<Lock, Error> {
    require_root()?;
    let path = &dirs.records;
    let fail = |e: std::io::Error| Error::cannot("open", path.display(), e);
    loop {
        create_dir(path)?;
        let folder = File::open(path).map_err(fail)?;
        let inode = folder.metadata().map_err(fail)?.ino();
        let lock = Flock::lock(folder, FlockArg::LockExclusiveNonblock).map_err(|(_, e)| {
            Error::failed(format!("another `sandbox` command holds `{}`: {e}", path.display()))
                .with_hint("wait until it ends and try again")
        })?;
        // The one who had it before may have removed the folder: a lock on what is gone locks nobody out.
        if fs::metadata(path).is_ok_and(|now| now.ino() == inode) {
            return Ok(Lock {
                folder: path.clone(),
                _held: lock,
            });
        }
    }
}

fn require_root() -> Result<(), Error> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    Err(
        Error::usage("the sandbox needs root: it makes namespaces, bridges and packet filter rules")
            .with_hint("run it as root, in a machine or container that you can throw away"),
    )
}

fn owner_file(dirs: &Dirs) -> PathBuf {
    dirs.records.join("owner")
}

/// The state folder of the machine's one sandbox, where there is one.
pub(crate) fn owner(dirs: &Dirs) -> Option<PathBuf> {
    fs::read_to_string(owner_file(dirs))
        .ok()
        .map(|text| PathBuf::from(text.trim()))
}

/// Records that the machine's sandbox is that of this state folder.
pub(crate) fn claim(dirs: &Dirs) -> Result<(), Error> {
    write(&owner_file(dirs), dirs.state.display().to_string(), false)
}

/// Forgets whose the sandbox was, and every other record; the lock stays until it is dropped.
pub(crate) fn forget(dirs: &Dirs) -> Result<(), Error> {
    for record in fs::read_dir(&dirs.records).into_iter().flatten().flatten() {
        remove(&record.path())?;
    }
    Ok(())
}

/// Refuses while another checkout's sandbox runs on this machine.
pub(crate) fn require_ours(dirs: &Dirs) -> Result<(), Error> {
    let Some(other) = owner(dirs).filter(|o| *o != dirs.state) else {
        return Ok(());
    };
    let runs = |name: &String| process::is_running(dirs, name);
    if !process::recorded(dirs).iter().any(runs) {
        return Ok(());
    }
    Err(
        Error::usage(format!("the sandbox of `{}` runs on this machine", other.display()))
            .with_hint(format!("stop it: SANDBOX_DIR={} sandbox down", other.display())),
    )
}

/// Refuses a state folder that holds somebody else's files: clearing it would take them.
pub(crate) fn require_mark(dirs: &Dirs) -> Result<(), Error> {
    let state = &dirs.state;
    if !state.exists() || state.join(MARK).is_file() || is_empty(state)? {
        return Ok(());
    }
    Err(Error::usage(format!(
        "`{}` is not a sandbox's folder: it is not empty and has no `{MARK}`",
        state.display()
    ))
    .with_hint("name a new or an empty folder: SANDBOX_DIR=/tmp/sandbox"))
}

fn is_empty(folder: &Path) -> Result<bool, Error> {
    let mut entries = fs::read_dir(folder).map_err(|e| Error::cannot("read", folder.display(), e))?;
    Ok(entries.next().is_none())
}

/// Makes the state folder a sandbox's; it must be new, empty or one already.
pub(crate) fn mark(dirs: &Dirs) -> Result<(), Error> {
    require_mark(dirs)?;
    write(
        &dirs.at(MARK),
        "This folder is cleared by `sandbox down` and removed by `sandbox reset`.\n",
        false,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_new_an_empty_or_a_marked_folder_is_taken() {
        let folder = tempfile::tempdir().expect("folder");
        let dirs = Dirs::below(folder.path());
        require_mark(&dirs).expect("a new folder will do");
        create_dir(&dirs.state).expect("creates");
        require_mark(&dirs).expect("an empty folder will do");
        write(&dirs.at("thesis.tex"), "", false).expect("writes");
        let refused = mark(&dirs).expect_err("somebody's folder");
        assert_eq!(refused.exit_code(), 2);
        fs::remove_file(dirs.at("thesis.tex")).expect("removes");
        mark(&dirs).expect("empty again");
        write(&dirs.at("etcd"), "", false).expect("writes");
        mark(&dirs).expect("a sandbox's own folder");
    }

    #[test]
    fn a_removed_lock_locks_nobody_out() {
        let folder = tempfile::tempdir().expect("folder");
        let dirs = Dirs::below(folder.path());
        if require_root().is_err() {
            return;
        }
        let held = lock(&dirs).expect("free");
        let refused = lock(&dirs).expect_err("held");
        assert!(refused.to_string().contains("another `sandbox` command"));
        fs::remove_dir(&dirs.records).expect("removes the folder that is locked");
        let next = lock(&dirs).expect("what was removed locks nobody");
        lock(&dirs).expect_err("held by the next one");
        drop((held, next));
        assert!(!dirs.records.exists(), "nothing was recorded");
        let held = lock(&dirs).expect("free");
        claim(&dirs).expect("records");
        drop(held);
        assert_eq!(owner(&dirs), Some(dirs.state), "records stay");
    }
}
