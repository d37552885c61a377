//! Controllers of others, as `make` builds them: their kinds on the cluster, and their program beside it with the administrator's rights.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::Sandbox;

/// A program that `make NAME` made, with the kinds it looks after; it ends with this value.
pub(crate) struct Controller {
    name: &'static str,
    process: Child,
}

impl Controller {
    /// The folder with what was made.
    pub(crate) fn made(name: &str) -> PathBuf {
        let made = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")).join(name);
        assert!(made.is_dir(), "`make {name}` was not run");
        made
    }

    /// Makes its kinds known and starts its program. What that says is kept beside it, in `log`.
    pub(crate) fn start(sandbox: &Sandbox, name: &'static str, args: &[&str]) -> Self {
        let made = Self::made(name);
        let kinds = made.join("crds");
        let kinds = kinds.to_str().expect("UTF-8");
        // Some are too large for the annotation that a client-side apply leaves.
        sandbox.kubectl(&["apply", "--server-side", "-f", kinds]);
        sandbox.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "-f", kinds]);
        let log = File::create(made.join("log")).expect("made");
        let mut command = Command::new(made.join(name));
        command.args(args).env("KUBECONFIG", sandbox.kubeconfig());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let process = command.spawn().expect("it starts");
        Self { name, process }
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        if let Ok(Some(ended)) = self.process.try_wait() {
            println!("{0} ended by itself, {ended}: target/{0}/log", self.name);
        }
        // It ends with the test in any case.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
