//! `up`: the story of bringing the sandbox to life, and of finding it alive.

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::inputs::Inputs;
use crate::process::{self, Service};
use crate::state::{Dirs, PORTS, write};
use crate::{addons, cleanup, components, images, install, node, owner, say};

const READY: Duration = Duration::from_secs(90);

/// Brings everything up that is not; a second run changes nothing.
pub(crate) fn up(dirs: &Dirs) -> Result<(), Error> {
    let _lock = owner::lock(dirs)?;
    let start = Instant::now();
    owner::require_ours(dirs)?;
    owner::require_mark(dirs)?;
    let inputs = Inputs::read(dirs)?;
    clear_outdated(dirs, &inputs)?;
    if all_running(dirs) {
        say::line("up already");
        return Ok(());
    }
    end_broken_node(dirs)?;
    require_free_ports(dirs)?;
    install::require_tools(dirs)?;
    take_ownership(dirs)?;
    inputs.record(dirs)?;
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
pub(crate) const NAMES: [&str; 12] = [
    "registry",
    "aws",
    "front",
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
    owner::owner(dirs).as_ref() == Some(&dirs.state)
        && dirs.at("complete").exists()
        && NAMES.iter().all(|name| process::is_running(dirs, name))
}

fn control_plane(dirs: &Dirs) -> Result<(), Error> {
    images::seed(dirs)?;
    say::timed("start the registry, the AWS endpoint and the control plane", || {
        let (registry, aws, front, etcd) = (
            components::registry(dirs)?,
            components::aws(dirs)?,
            components::front(dirs)?,
            components::etcd(dirs),
        );
        let first = [&registry, &aws, &front, &etcd];
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

/// Ends a node of which something is missing: what runs in its namespace may live on without its recorded outer process.
fn end_broken_node(dirs: &Dirs) -> Result<(), Error> {
    let inside = ["containerd", "kubelet"];
    if node::is_up(dirs) && inside.iter().all(|name| process::is_running(dirs, name)) {
        return Ok(());
    }
    node::stop(dirs)?;
    inside.iter().try_for_each(|name| process::stop(dirs, name))
}

fn node(dirs: &Dirs) -> Result<(), Error> {
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

/// One sandbox a machine: what a dead one of another checkout left is cleared first.
fn take_ownership(dirs: &Dirs) -> Result<(), Error> {
    if let Some(other) = owner::owner(dirs).filter(|o| *o != dirs.state) {
        say::line(&format!("clear what the sandbox of `{}` left", other.display()));
        cleanup::clear(&Dirs {
            state: other,
            ..dirs.clone()
        })?;
    }
    owner::mark(dirs)?;
    owner::claim(dirs)
}

/// What was made from other sources, by another program or for another cluster is not what is asked for now.
fn clear_outdated(dirs: &Dirs, now: &Inputs) -> Result<(), Error> {
    let changed = now.changed_since(dirs);
    if changed.is_empty() {
        return Ok(());
    }
    say::line(&format!("changed since `up`: {}; starting anew", changed.join(", ")));
    cleanup::clear(dirs)
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
