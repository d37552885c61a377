//! Which machine this is, and which processes on it have ended: what a killed run left need not expire then.

use std::path::Path;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use sha2::{Digest, Sha256};

/// Where a process number means the same process: one boot of one kernel, one process namespace. (Virtual machines that
/// were cloned while they ran share all three: they must not work on one stack.)
#[derive(Debug, Clone)]
pub struct Machine {
    pub(super) id: String,
    pub(super) has_ended: fn(u32) -> bool,
}

impl Machine {
    /// This one; none where the system does not tell (it is not Linux).
    pub fn this() -> Option<Self> {
        // A `/proc` of another namespace has other numbers.
        let own = std::fs::read_link("/proc/self").ok()?;
        if own != Path::new(&std::process::id().to_string()) {
            return None;
        }
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
        let both = format!("{} {}", boot.trim(), namespace.display());
        Some(Self {
            id: hex::encode(Sha256::digest(both))[..16].to_owned(),
            has_ended,
        })
    }
}

/// Whether there is no process of that number, whoever it belongs to.
fn has_ended(process: u32) -> bool {
    let Ok(process) = i32::try_from(process) else {
        return false;
    };
    kill(Pid::from_raw(process), None) == Err(Errno::ESRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_ended_when_it_is_gone_and_not_before() {
        assert!(!has_ended(std::process::id()));
        let mut child = std::process::Command::new("true").spawn().expect("started");
        let process = child.id();
        child.wait().expect("ended");
        assert!(has_ended(process));
    }

    #[test]
    fn a_machine_is_the_same_for_every_run_on_it() {
        let id = || Machine::this().map(|machine| machine.id);
        assert_eq!(id(), id());
        assert_eq!(id().is_some(), cfg!(target_os = "linux"));
    }
}
