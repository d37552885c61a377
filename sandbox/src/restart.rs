//! `restart`: a program of the control plane is killed and started again, as a node's failure or an upgrade does to it.

use std::thread::sleep;
use std::time::Duration;

use crate::error::Error;
use crate::process::{self, Service};
use crate::state::Dirs;
use crate::{components, owner, say, up};

/// Until it answers again.
const READY: Duration = Duration::from_secs(90);

/// How a program's command line is made.
type Make = fn(&Dirs) -> Result<Service, Error>;

/// What can be started again alone: the AWS endpoint and the front keep their state in memory, containerd and the kubelet
/// live in the node's namespace, which outlives the process that is recorded for them.
const PROGRAMS: [(&str, Make); 7] = [
    ("registry", components::registry),
    ("etcd", |dirs| Ok(components::etcd(dirs))),
    ("authenticator", components::authenticator),
    ("kube-apiserver", |dirs| Ok(components::api_server(dirs))),
    ("kube-controller-manager", |dirs| {
        Ok(components::controller_manager(dirs))
    }),
    ("kube-scheduler", |dirs| Ok(components::scheduler(dirs))),
    ("kube-proxy", |dirs| Ok(components::kube_proxy(dirs))),
];

/// Kills a program at once, leaves it down for a while, starts it and waits until it answers.
pub(crate) fn restart(dirs: &Dirs, name: &str, down: Duration) -> Result<(), Error> {
    let make = find(name)?;
    let _lock = owner::lock(dirs)?;
    owner::require_ours(dirs)?;
    if !up::all_running(dirs) {
        return Err(Error::failed("the sandbox is not up").with_hint("start it: sandbox up"));
    }
    let service = make(dirs)?;
    process::stop(dirs, name)?;
    say::line(&format!("`{name}` is killed, and starts again in {} s", down.as_secs()));
    sleep(down);
    process::start(dirs, &service)?;
    process::wait_ready(dirs, &service, READY)
}

fn find(name: &str) -> Result<Make, Error> {
    let found = PROGRAMS.iter().find(|(program, _)| *program == name);
    found.map(|(_, make)| *make).ok_or_else(|| {
        let names = PROGRAMS.map(|(program, _)| program).join(", ");
        Error::usage(format!(
            "no program `{name}` that can be restarted alone; there are {names}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_restarted_runs_in_the_sandbox_and_is_not_in_its_node() {
        for (name, _) in PROGRAMS {
            assert!(up::NAMES.contains(&name), "{name}");
        }
        for name in ["aws", "front", "node", "containerd", "kubelet", "nothing"] {
            let error = find(name).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(
                error.contains(&format!("no program `{name}` that can be restarted")),
                "{error}"
            );
        }
    }
}
