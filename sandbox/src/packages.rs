//! Debian packages. Installing them starts no service: the sandbox runs a containerd of its own, with its own configuration.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::command::{run, run_long};
use crate::error::Error;
use crate::say;
use crate::state::write;

/// A program that must be on the machine and the package that has it.
const PACKAGES: [(&str, &str); 9] = [
    ("/usr/bin/containerd", "containerd"),
    ("/usr/sbin/runc", "runc"),
    ("/usr/lib/cni/bridge", "containernetworking-plugins"),
    ("/usr/sbin/nft", "nftables"),
    ("/usr/sbin/conntrack", "conntrack"),
    ("/usr/sbin/ip", "iproute2"),
    ("/usr/bin/htpasswd", "apache2-utils"),
    ("/usr/bin/openssl", "openssl"),
    ("/usr/bin/curl", "curl"),
];
const LIMIT: Duration = Duration::from_mins(30);
/// What maintainer scripts ask before they start a service; 101 forbids it.
const POLICY: &str = "/usr/sbin/policy-rc.d";
const FORBID: &str = "#!/bin/sh\n# Written by the provisioner's sandbox while it installs packages.\nexit 101\n";

/// Installs what is missing, without starting any service.
pub(crate) fn ensure() -> Result<(), Error> {
    // An installation that was killed may have left its policy.
    Policy(POLICY.into()).restore()?;
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    say::timed(&format!("install Debian packages {}", missing.join(", ")), || {
        let _policy = Policy::forbid(POLICY.into())?;
        apt(&["update", "-qq"], &missing)?;
        let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
        install.extend(&missing);
        apt(&install, &missing)
    })?;
    let left = self::missing();
    if left.is_empty() {
        return Ok(());
    }
    Err(Error::usage(format!(
        "installed, but not where it is looked for: {}",
        left.join(", ")
    ))
    .with_hint("the sandbox runs on Debian 12; a `python3` that is not Debian's must bring its own `ensurepip`"))
}

fn missing() -> Vec<&'static str> {
    let programs = PACKAGES.iter().filter(|(file, _)| !Path::new(file).exists());
    let mut missing: Vec<&str> = programs.map(|(_, package)| *package).collect();
    if run("python3", &["-c", "import ensurepip, venv"]).is_err() {
        missing.push("python3-venv");
    }
    missing
}

fn apt(args: &[&str], wanted: &[&str]) -> Result<(), Error> {
    let mut command = Command::new("apt-get");
    command
        .args(["-o", "DPkg::Lock::Timeout=300"])
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive");
    run_long(&mut command, "apt-get", LIMIT).map(drop).map_err(|e| {
        Error::usage(format!("cannot install {}: {e}", wanted.join(", ")))
            .with_hint("the sandbox runs on Debian 12; elsewhere install these packages yourself")
    })
}

/// The file that forbids services to start; what was there before comes back when it is dropped.
struct Policy(PathBuf);

impl Policy {
    fn forbid(path: PathBuf) -> Result<Self, Error> {
        let policy = Self(path);
        if policy.0.exists() {
            fs::rename(&policy.0, policy.kept()).map_err(|e| Error::cannot("keep", policy.0.display(), e))?;
        }
        write(&policy.0, FORBID, false)?;
        fs::set_permissions(&policy.0, fs::Permissions::from_mode(0o755))
            .map_err(|e| Error::cannot("write", policy.0.display(), e))?;
        Ok(policy)
    }

    fn kept(&self) -> PathBuf {
        let mut name = self.0.as_os_str().to_owned();
        name.push(".before-sandbox");
        name.into()
    }

    fn restore(&self) -> Result<(), Error> {
        let fail = |e: std::io::Error| Error::cannot("restore", self.0.display(), e);
        if self.kept().exists() {
            return fs::rename(self.kept(), &self.0).map_err(fail);
        }
        if fs::read_to_string(&self.0).is_ok_and(|text| text == FORBID) {
            return fs::remove_file(&self.0).map_err(fail);
        }
        Ok(())
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        if let Err(error) = self.restore() {
            say::line(&error.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_forbidden_only_while_packages_are_installed() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("policy-rc.d");
        let policy = Policy::forbid(path.clone()).expect("forbids");
        let status = Command::new(&path).status().expect("it runs");
        assert_eq!(status.code(), Some(101));
        drop(policy);
        assert!(!path.exists());
    }

    #[test]
    fn the_machines_own_policy_comes_back_also_after_a_kill() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("policy-rc.d");
        write(&path, "#!/bin/sh\nexit 0\n", false).expect("writes");
        std::mem::forget(Policy::forbid(path.clone()).expect("forbids"));
        drop(Policy(path.clone()));
        assert_eq!(fs::read_to_string(&path).expect("the policy"), "#!/bin/sh\nexit 0\n");
        assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 1);
    }
}
