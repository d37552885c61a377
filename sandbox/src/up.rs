//! `up`: the story of bringing the sandbox to life, and of finding it alive.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::process::{self, Service};
use crate::state::{Dirs, PORTS, create_dir, write};
use crate::{addons, cleanup, components, images, install, node, say};

const READY: Duration = Duration::from_secs(90);

/// Brings everything up that is not; a second run changes nothing.
pub(crate) fn up(dirs: &Dirs) -> Result<(), Error> {
    require_root()?;
    let _lock = dirs.lock()?;
    let start = Instant::now();
    take_ownership(dirs)?;
    if all_running(dirs) {
        say::line("up already");
        return Ok(());
    }
    require_free_ports(dirs)?;
    create_dir(&dirs.state)?;
    install::ensure(dirs)?;
    components::configure(dirs)?;
    control_plane(dirs)?;
    images::ensure(dirs)?;
    say::timed("start the node", || node(dirs))?;
    addons::ensure(dirs)?;
    write(&dirs.at("complete"), "", false)?;
    say::line(&format!(
        "up in {:.1} s; `sandbox env` prints what clients need",
        start.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// Every program's name, in the order of their start.
pub(crate) const NAMES: [&str; 11] = [
    "registry",
    "aws",
    "etcd",
    "authenticator",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    node::HOLDER,
    "containerd",
    "kubelet",
    "kube-proxy",
];

/// Whether the sandbox came up completely and everything still runs.
pub(crate) fn all_running(dirs: &Dirs) -> bool {
    owner(dirs).as_ref() == Some(&dirs.state)
        && dirs.at("complete").exists()
        && NAMES.iter().all(|name| process::is_running(dirs, name))
}

fn control_plane(dirs: &Dirs) -> Result<(), Error> {
    images::seed(dirs)?;
    say::timed("start the registry, the AWS endpoint and the control plane", || {
        let (registry, aws, etcd) = (
            components::registry(dirs)?,
            components::aws(dirs)?,
            components::etcd(dirs),
        );
        let first = [&registry, &aws, &etcd];
        for service in first {
            process::start(dirs, service)?;
        }
        process::wait_ready(dirs, &etcd, READY)?;
        let api = components::api_server(dirs);
        process::start(dirs, &api)?;
        for service in first {
            process::wait_ready(dirs, service, READY)?;
        }
        let authenticator = components::authenticator(dirs)?;
        process::start(dirs, &authenticator)?;
        process::wait_ready(dirs, &api, READY)?;
        let rest = [components::controller_manager(dirs), components::scheduler(dirs)];
        start_all(dirs, &rest)?;
        process::wait_ready(dirs, &authenticator, READY)
    })
}

fn node(dirs: &Dirs) -> Result<(), Error> {
    if !process::is_running(dirs, node::HOLDER) {
        // What ran in the namespace ended with it; the records may still name the outer helpers.
        for name in ["containerd", "kubelet"] {
            process::stop(dirs, name)?;
        }
    }
    node::start_holder(dirs)?;
    let containerd = components::containerd(dirs)?;
    start_all(dirs, std::slice::from_ref(&containerd))?;
    start_all(dirs, &[components::kubelet(dirs)?, components::kube_proxy(dirs)])
}

fn start_all(dirs: &Dirs, services: &[Service]) -> Result<(), Error> {
    for service in services {
        process::start(dirs, service)?;
    }
    services
        .iter()
        .try_for_each(|service| process::wait_ready(dirs, service, READY))
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

/// The state folder of the machine's one sandbox, where there is one.
pub(crate) fn owner(dirs: &Dirs) -> Option<PathBuf> {
    fs::read_to_string(dirs.owner_file())
        .ok()
        .map(|text| PathBuf::from(text.trim()))
}

/// Refuses while another checkout's sandbox runs on this machine.
pub(crate) fn require_ours(dirs: &Dirs) -> Result<(), Error> {
    let Some(other) = owner(dirs).filter(|o| *o != dirs.state) else {
        return Ok(());
    };
    if !process::recorded(dirs)
        .into_iter()
        .any(|name| process::is_running(dirs, &name))
    {
        return Ok(());
    }
    Err(
        Error::usage(format!("the sandbox of `{}` runs on this machine", other.display()))
            .with_hint(format!("stop it: SANDBOX_DIR={} sandbox down", other.display())),
    )
}

/// One sandbox a machine: another checkout's running one is named, a dead one is cleared.
fn take_ownership(dirs: &Dirs) -> Result<(), Error> {
    require_ours(dirs)?;
    if let Some(other) = owner(dirs).filter(|o| *o != dirs.state) {
        say::line(&format!("clear what the sandbox of `{}` left", other.display()));
        cleanup::clear(&Dirs {
            state: other,
            ..dirs.clone()
        })?;
    }
    write(&dirs.owner_file(), dirs.state.display().to_string(), false)
}

fn require_free_ports(dirs: &Dirs) -> Result<(), Error> {
    for (port, name) in PORTS {
        if !process::is_running(dirs, name) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err() {
            return Err(
                Error::usage(format!("port {port} on 127.0.0.1, which `{name}` needs, is in use")).with_hint(format!(
                    "`ss -tlnp sport = :{port}` shows by what; stop it and try again"
                )),
            );
        }
    }
    Ok(())
}
