//! Kernel settings: what the sandbox sets, what its programs set, and how all of it is put back.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::run_with;
use crate::error::Error;
use crate::state::{Dirs, write};

/// Pods reach services through the host, replies between pods on one bridge too.
const SET: [(&str, &str); 2] = [("net/ipv4/ip_forward", "1"), (BRIDGED, "1")];
const BRIDGED: &str = "net/bridge/bridge-nf-call-iptables";
const MODULE: &str = "br_netfilter";
/// What the kubelet sets at its start, without a way to tell it not to (`setupKernelTunables`).
const OF_THE_KUBELET: [&str; 6] = [
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
];

/// Sets what is needed; what it and the kubelet change is recorded before, for [`restore`].
pub(crate) fn ensure(dirs: &Dirs) -> Result<(), Error> {
    load_module(dirs)?;
    for name in OF_THE_KUBELET {
        if let Ok(value) = fs::read_to_string(path(name)) {
            keep(dirs, name, &value)?;
        }
    }
    for (name, wanted) in SET {
        let path = path(name);
        let value = fs::read_to_string(&path).map_err(|e| Error::cannot("read", path.display(), e))?;
        if value.trim() != wanted {
            keep(dirs, name, &value)?;
            fs::write(&path, wanted).map_err(|e| Error::cannot("set", path.display(), e))?;
        }
    }
    Ok(())
}

/// Puts every recorded value back, and unloads the module if `ensure` loaded it.
pub(crate) fn restore(dirs: &Dirs) -> Result<(), Error> {
    for name in OF_THE_KUBELET.into_iter().chain(SET.map(|(name, _)| name)) {
        let saved = saved(dirs, name);
        if let Ok(value) = fs::read_to_string(&saved) {
            put_back(&path(name), &value)?;
            let _ = fs::remove_file(saved);
        }
    }
    let loaded = saved(dirs, MODULE);
    if loaded.exists() {
        // Somebody else may use it by now: then it stays.
        let _ = run_with(Command::new("modprobe").args(["-r", MODULE]));
        let _ = fs::remove_file(loaded);
    }
    Ok(())
}

fn put_back(path: &Path, value: &str) -> Result<(), Error> {
    if fs::read_to_string(path).is_ok_and(|now| now == value) {
        return Ok(());
    }
    fs::write(path, value).map_err(|e| Error::cannot("restore", path.display(), e))
}

fn load_module(dirs: &Dirs) -> Result<(), Error> {
    if path(BRIDGED).exists() {
        return Ok(());
    }
    write(&saved(dirs, MODULE), "", false)?;
    run_with(Command::new("modprobe").arg(MODULE))
        .map(drop)
        .map_err(|e| e.with_hint("the kernel module `br_netfilter` is needed: load it on the host"))
}

/// The first value counts: a second `up` sees what the first one set.
fn keep(dirs: &Dirs, name: &str, value: &str) -> Result<(), Error> {
    let saved = saved(dirs, name);
    if saved.exists() {
        return Ok(());
    }
    write(&saved, value, false)
}

fn path(name: &str) -> PathBuf {
    Path::new("/proc/sys").join(name)
}

/// With the machine's records, not in the state: another checkout must be able to put the value back.
fn saved(dirs: &Dirs, name: &str) -> PathBuf {
    dirs.records.join("sysctl").join(name.replace('/', "."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_is_the_one_to_put_back() {
        let folder = tempfile::tempdir().expect("folder");
        let dirs = Dirs::below(folder.path());
        keep(&dirs, "kernel/panic", "0\n").expect("kept");
        keep(&dirs, "kernel/panic", "10\n").expect("kept");
        let file = folder.path().join("panic");
        write(&file, "10\n", false).expect("writes");
        let value = fs::read_to_string(saved(&dirs, "kernel/panic")).expect("a record");
        put_back(&file, &value).expect("puts back");
        assert_eq!(fs::read_to_string(file).expect("the setting"), "0\n");
    }
}
