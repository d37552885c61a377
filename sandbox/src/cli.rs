//! The command line: one match, no logic.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::command;
use crate::error::Error;
use crate::process;
use crate::state::{ACCESS_KEY_ID, AWS_PORT, Dirs, KUBECTL_CACHE, REGION, REGISTRY_FRONT_PORT, SECRET_ACCESS_KEY};
use crate::{addons, cleanup, front, install, owner, restart, say, up};

/// A real Kubernetes behind a local AWS endpoint.
#[derive(Parser)]
#[command(version, about, max_term_width = 100)]
pub(crate) struct Arguments {
    /// The EKS cluster whose tokens the API server accepts
    #[arg(long, global = true, env = "SANDBOX_CLUSTER", default_value = "demo")]
    cluster: String,
    #[command(subcommand)]
    command: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Install what is missing and start everything; a second `up` changes nothing
    Up,
    /// Only install and build what is missing: packages, Python venv, Go programs
    Install,
    /// Stop everything and leave nothing but the logs
    Down,
    /// Say what runs; exit 1 when something does not
    Status,
    /// Print `export` lines for clients: env=$(sandbox env) && eval "$env"
    Env,
    /// Print a program's log
    Logs {
        /// A program as `status` names it
        name: String,
    },
    /// Kill a program of the control plane, and start it again
    Restart {
        /// A program as `status` names it
        name: String,
        /// For how many seconds it stays down
        #[arg(long, value_name = "SECONDS", default_value_t = 0)]
        down: u64,
    },
    /// `down`, and remove the logs too
    Reset {
        /// Also remove what was built and downloaded
        #[arg(long)]
        cache: bool,
    },
    /// Load faults (a JSON list) of AWS, Kubernetes and the registry; `-` reads standard input
    Fault {
        /// The file with the list
        file: PathBuf,
    },
    /// Make the real cluster as good as new; the AWS endpoint calls it when an EKS cluster is deleted
    #[command(hide = true)]
    Wipe,
    /// Let the node take pods or not; the AWS endpoint calls it when EKS clusters gain or lose their nodes
    #[command(hide = true)]
    Node {
        /// `cordon` or `uncordon`
        #[arg(value_parser = ["cordon", "uncordon"])]
        verb: String,
    },
    /// The program that clients talk to; `up` starts it
    #[command(hide = true)]
    Front,
}

fn dispatch(dirs: &Dirs, verb: &Verb) -> Result<(), Error> {
    match verb {
        Verb::Up => up::up(dirs),
        Verb::Install => install(dirs),
        Verb::Down => cleanup::down(dirs),
        Verb::Status => status(dirs),
        Verb::Env => env(dirs),
        Verb::Logs { name } => logs(dirs, name),
        Verb::Restart { name, down } => restart::restart(dirs, name, Duration::from_secs(*down)),
        Verb::Reset { cache } => cleanup::reset(dirs, *cache),
        Verb::Fault { file } => fault(file),
        Verb::Wipe => addons::wipe(dirs),
        Verb::Node { verb } => addons::kubectl(dirs, &[verb, "sandbox"]).map(drop),
        Verb::Front => front::run(dirs).map(|never| match never {}),
    }
}

/// Resolves the folders and runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Error> {
    dispatch(&Dirs::resolve(&arguments.cluster)?, &arguments.command)
}

fn install(dirs: &Dirs) -> Result<(), Error> {
    let _lock = owner::lock(dirs)?;
    install::require_tools(dirs)?;
    owner::mark(dirs)?;
    install::ensure(dirs)
}

fn status(dirs: &Dirs) -> Result<(), Error> {
    owner::require_ours(dirs)?;
    let mut dead = Vec::new();
    for name in up::NAMES {
        if let Some(pid) = process::pid(dirs, name) {
            say::result(&format!("{name:<26} running  pid {pid}"));
        } else {
            say::result(&format!("{name:<26} stopped"));
            dead.push(name);
        }
    }
    if dead.len() == up::NAMES.len() {
        return Err(Error::failed("the sandbox is down").with_hint("start it: sandbox up"));
    }
    say::result(&format!("{:<26} {}", "node `sandbox`", addons::node_state(dirs)));
    if dead.is_empty() {
        return Ok(());
    }
    Err(Error::failed(format!("stopped: {}", dead.join(", "))).with_hint("`sandbox up` starts them again"))
}

fn env(dirs: &Dirs) -> Result<(), Error> {
    owner::require_ours(dirs)?;
    if !up::all_running(dirs) {
        return Err(Error::failed("the sandbox is not up").with_hint("start it: sandbox up"));
    }
    let values = [
        ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{AWS_PORT}")),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY.to_owned()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("KUBECONFIG", dirs.kubeconfig().display().to_string()),
        ("KUBECACHEDIR", dirs.text(KUBECTL_CACHE)),
        ("SANDBOX_REGISTRY", format!("http://127.0.0.1:{REGISTRY_FRONT_PORT}")),
    ];
    // Only these keys may count: a profile or a session token of the user's would belong to a real account.
    say::result("unset AWS_PROFILE AWS_SESSION_TOKEN AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
    for (name, value) in values {
        say::result(&format!("export {name}='{value}'"));
    }
    Ok(())
}

fn logs(dirs: &Dirs, name: &str) -> Result<(), Error> {
    if !up::NAMES.contains(&name) {
        return Err(Error::usage(format!(
            "no program `{name}`; there are {}",
            up::NAMES.join(", ")
        )));
    }
    let path = dirs.log(name);
    let text = std::fs::read(&path).map_err(|e| Error::cannot("read", path.display(), e))?;
    say::result(&String::from_utf8_lossy(&text));
    Ok(())
}

/// Sends the list on; what the endpoint does not accept is bad usage, explained in its words.
fn fault(file: &Path) -> Result<(), Error> {
    let read = if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(file)
    };
    let body = read.map_err(|e| Error::usage(format!("cannot read `{}`: {e}", file.display())))?;
    let url = format!("http://127.0.0.1:{AWS_PORT}/_sandbox/faults");
    let fixed = ["--silent", "--show-error", "--noproxy", "*", "--max-time", "10"];
    let mut command = Command::new("curl");
    command
        .args(fixed)
        .args(["--write-out", "\n%{http_code}", "--data-binary", "@-", &url]);
    let answer = command::run_fed(&mut command, body).map_err(|e| e.with_hint("start it: sandbox up"))?;
    let (text, status) = answer.rsplit_once('\n').unwrap_or_default();
    if status == "200" {
        say::result(text.trim());
        return Ok(());
    }
    let document: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let reason = document["error"].as_str().unwrap_or(text);
    Err(Error::usage(format!(
        "the AWS endpoint does not accept the faults ({status}): {reason}"
    )))
}
