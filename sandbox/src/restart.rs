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

/// Kills a program at once, leaves it down for a while, starts it and waits until it answers, and
/// the API server where that stands on it.
pub(crate) fn restart(dirs: &Dirs, name: &str, down: Duration) -> Result<(), Error> {
    let make = find(name)?;
    let _lock = owner::lock(dirs)?;
    owner::require_ours(dirs)?;
    if !up::all_running(dirs) {
        return Err(Error::failed("the sandbox is not up").with_hint("start it: sandbox up"));
    }
    say::line(&announcement(name, down));
    again(dirs, &make(dirs)?, down, &users(dirs, name))
}

/// What is told before anything is done: whoever interrupts it knows what to do.
fn announcement(name: &str, down: Duration) -> String {
    format!(
        "`{name}` is killed, and starts again in {} s; where this is interrupted before, `sandbox up` starts it",
        down.as_secs()
    )
}

/// Kills, starts, and waits until the program and those that cannot do without it answer.
fn again(dirs: &Dirs, service: &Service, down: Duration, users: &[Service]) -> Result<(), Error> {
    process::stop(dirs, service.name)?;
    sleep(down);
    process::start(dirs, service)?;
    let all = std::iter::once(service).chain(users);
    for service in all {
        process::wait_ready(dirs, service, READY)?;
    }
    Ok(())
}

/// What does not answer for a while after a program was down, each with what it answers again: the API server waits longer
/// and longer between two tries to reach its store.
fn users(dirs: &Dirs, name: &str) -> Vec<Service> {
    match name {
        "etcd" => vec![components::api_server_reads(dirs), components::api_server(dirs)],
        "kube-apiserver" => vec![components::api_server_reads(dirs)],
        _ => Vec::new(),
    }
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
    use std::path::Path;
    use std::thread;
    use std::time::Instant;

    use super::*;
    use crate::process::Ready;

    fn sleeper(ready: Ready) -> Service {
        Service {
            name: "sleeper",
            program: "sleep".into(),
            args: vec!["60".into()],
            env: None,
            ready,
        }
    }

    /// Ready once a file is there.
    fn answers_with(file: &Path) -> Ready {
        Ready::Succeeds("test".into(), vec!["-e".to_owned(), file.display().to_string()])
    }

    #[test]
    fn it_is_started_again_once_what_uses_it_answers() {
        let folder = tempfile::tempdir().expect("folder");
        let dirs = Dirs::below(folder.path());
        process::start(&dirs, &sleeper(Ready::Running)).expect("starts");
        let former = process::pid(&dirs, "sleeper");
        let answer = folder.path().join("answers");
        thread::scope(|scope| {
            scope.spawn(|| {
                // The restart is over only after this, so the program is another one by then.
                let give_up = Instant::now() + READY;
                while process::pid(&dirs, "sleeper").is_none_or(|pid| Some(pid) == former) {
                    assert!(Instant::now() < give_up, "it is not started again");
                    thread::yield_now();
                }
                std::fs::write(&answer, "").expect("writes");
            });
            let users = [sleeper(answers_with(&answer))];
            again(&dirs, &sleeper(Ready::Running), Duration::ZERO, &users).expect("starts again");
            assert!(answer.exists(), "its user was waited for");
        });
        process::stop(&dirs, "sleeper").expect("stops");
    }

    #[test]
    fn whoever_interrupts_it_knows_how_the_program_starts_again() {
        let told = announcement("etcd", Duration::from_secs(5));
        assert!(
            told.starts_with("`etcd` is killed") && told.ends_with("`sandbox up` starts it"),
            "{told}"
        );
    }

    #[test]
    fn the_api_server_is_waited_for_after_its_store_and_reads_from_it() {
        let folder = tempfile::tempdir().expect("folder");
        let dirs = Dirs::below(folder.path());
        let asked = |name: &str| -> Vec<String> {
            let users = users(&dirs, name);
            assert!(users.iter().all(|user| user.name == "kube-apiserver"));
            let paths = users.into_iter().map(|user| match user.ready {
                Ready::Succeeds(_, args) => args.last().cloned().unwrap_or_default(),
                other => panic!("{other:?}"),
            });
            paths.collect()
        };
        assert_eq!(asked("etcd"), ["/api/v1/namespaces/kube-system", "/readyz"]);
        assert_eq!(asked("kube-apiserver"), ["/api/v1/namespaces/kube-system"]);
        assert!(asked("registry").is_empty());
    }

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
