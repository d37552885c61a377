//! `down`: no process, mount, interface, rule, cgroup, changed sysctl or run-time file is left.

use std::fs;

use crate::error::Error;
use crate::state::Dirs;
use crate::{network, node, process, say, up};

/// Stops and removes everything; the logs stay for reading.
pub(crate) fn down(dirs: &Dirs) -> Result<(), Error> {
    let _lock = dirs.lock()?;
    up::require_ours(dirs)?;
    clear(dirs)?;
    let left = left(dirs);
    if !left.is_empty() {
        return Err(Error::failed(format!("left after `down`: {}", left.join(", "))));
    }
    say::line("down: nothing is left but the logs");
    Ok(())
}

/// The same without the lock, also for what another checkout left.
pub(crate) fn clear(dirs: &Dirs) -> Result<(), Error> {
    // The node's first process takes its containers, mounts and network namespaces along.
    node::stop(dirs)?;
    for name in process::recorded(dirs) {
        process::stop(dirs, &name)?;
    }
    node::remove_cgroups()?;
    network::remove(dirs)?;
    let entries = fs::read_dir(&dirs.state).into_iter().flatten().flatten();
    for entry in entries.filter(|e| e.file_name() != "logs") {
        let path = entry.path();
        let removed = if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.map_err(|e| Error::cannot("remove", path.display(), e))?;
    }
    let _ = fs::remove_file(dirs.owner_file());
    Ok(())
}

/// What is still there: empty after a clean `down`.
pub(crate) fn left(dirs: &Dirs) -> Vec<String> {
    let mut left = network::left();
    left.extend(node::left_cgroups());
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

/// Removes state, and with `cache` also what was built and downloaded.
pub(crate) fn reset(dirs: &Dirs, cache: bool) -> Result<(), Error> {
    down(dirs)?;
    for path in [Some(dirs.state.clone()), cache.then(|| dirs.cache.clone())]
        .into_iter()
        .flatten()
    {
        if path.exists() {
            fs::remove_dir_all(&path).map_err(|e| Error::cannot("remove", path.display(), e))?;
        }
    }
    Ok(())
}
