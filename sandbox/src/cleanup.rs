//! `down`: no process, mount, interface, rule, cgroup, changed sysctl or run-time file is left.

use std::fs;

use crate::error::Error;
use crate::owner::{self, MARK};
use crate::state::{Dirs, remove};
use crate::{network, node, process, say, sysctl};

/// Stops and removes everything; the logs stay for reading.
pub(crate) fn down(dirs: &Dirs) -> Result<(), Error> {
    let _lock = owner::lock(dirs)?;
    end(dirs)
}

/// Removes the state too, and with `cache` also what was built and downloaded.
pub(crate) fn reset(dirs: &Dirs, cache: bool) -> Result<(), Error> {
    let _lock = owner::lock(dirs)?;
    end(dirs)?;
    owner::require_mark(dirs)?;
    for path in [Some(&dirs.state), cache.then_some(&dirs.cache)].into_iter().flatten() {
        if path.exists() {
            fs::remove_dir_all(path).map_err(|e| Error::cannot("remove", path.display(), e))?;
        }
    }
    Ok(())
}

fn end(dirs: &Dirs) -> Result<(), Error> {
    owner::require_ours(dirs)?;
    let had = was_up(dirs);
    clear(dirs)?;
    let left = left(dirs, had);
    if !left.is_empty() {
        return Err(Error::failed(format!("left after `down`: {}", left.join(", "))));
    }
    owner::forget(dirs)?;
    say::line("down: nothing is left but the logs");
    Ok(())
}

/// Whether there is something of a sandbox on the machine: else rules and control groups of a kubelet are somebody else's.
fn was_up(dirs: &Dirs) -> bool {
    owner::owner(dirs).is_some() || network::has_bridge()
}

/// Ends and removes what runs, whose state ever it is; the lock must be held. Refuses a folder that is no sandbox's before
/// anything ends; where the running sandbox lost its mark, all ends but the folder stays. Records are kept until all of it is
/// done, so that an interrupted clearing goes on.
pub(crate) fn clear(dirs: &Dirs) -> Result<(), Error> {
    let marked = owner::require_mark(dirs);
    if owner::owner(dirs).as_ref() != Some(&dirs.state) {
        marked.as_ref().map_err(Clone::clone)?;
    }
    // The node's first process takes its containers, mounts and network namespaces along.
    node::stop(dirs)?;
    for name in process::recorded(dirs) {
        process::stop(dirs, &name)?;
    }
    if was_up(dirs) {
        node::remove_cgroups()?;
        network::remove()?;
        sysctl::restore(dirs)?;
    }
    if let Err(reason) = marked {
        say::line(&format!("{reason}; its files are left alone"));
        return Ok(());
    }
    empty(dirs)
}

/// Removes the state but for the logs and the mark.
fn empty(dirs: &Dirs) -> Result<(), Error> {
    let kept = ["logs", MARK];
    let entries = fs::read_dir(&dirs.state).into_iter().flatten().flatten();
    for entry in entries.filter(|e| !kept.iter().any(|k| e.file_name() == *k)) {
        remove(&entry.path())?;
    }
    Ok(())
}

/// What is still there: empty after a clean `down`.
fn left(dirs: &Dirs, had: bool) -> Vec<String> {
    let mut left = Vec::new();
    if had {
        left.extend(network::left());
        left.extend(node::left_cgroups());
    }
    left.extend(
        process::recorded(dirs)
            .into_iter()
            .map(|name| format!("process {name}")),
    );
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let state = dirs.state.display().to_string();
    left.extend(
        mounts
            .lines()
            .filter(|m| m.contains(&state))
            .map(|m| format!("mount {m}")),
    );
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::write;

    #[test]
    fn somebody_elses_folder_is_not_cleared() {
        let folder = tempfile::tempdir().expect("folder");
        let dirs = Dirs::below(folder.path());
        write(&dirs.at("thesis.tex"), "", false).expect("writes");
        let refused = clear(&dirs).expect_err("no sandbox's folder");
        assert_eq!(refused.exit_code(), 2);
        assert!(dirs.at("thesis.tex").exists());
    }

    #[test]
    fn emptying_keeps_the_logs_and_the_mark() {
        let folder = tempfile::tempdir().expect("folder");
        let dirs = Dirs::below(folder.path());
        owner::mark(&dirs).expect("marks");
        for file in ["etcd/member", "complete", "logs/etcd.log"] {
            write(&dirs.at(file), "", false).expect("writes");
        }
        empty(&dirs).expect("empties");
        let mut names: Vec<_> = fs::read_dir(&dirs.state)
            .expect("state")
            .flatten()
            .map(|e| e.file_name())
            .collect();
        names.sort();
        assert_eq!(names, [MARK, "logs"]);
    }
}
