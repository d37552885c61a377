//! The sandbox as its users see it: errors without changes, and the whole life of one on this machine.
//!
//! One test makes the real thing, since a machine holds one sandbox; it needs root and leaves nothing.

#![allow(clippy::expect_used, reason = "a test that cannot go on says why")]

mod recipes;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

fn sandbox(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sandbox"))
        .args(args)
        .env("SANDBOX_DIR", dir)
        .output()
        .expect("the sandbox's program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn ok(dir: &Path, args: &[&str]) -> String {
    let output = sandbox(dir, args);
    assert!(output.status.success(), "sandbox {args:?}: {}", text(&output.stderr));
    text(&output.stdout) + &text(&output.stderr)
}

#[track_caller]
fn refused(dir: &Path, args: &[&str], code: i32, says: &str) {
    let output = sandbox(dir, args);
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {errors}");
    assert!(errors.contains(says), "{args:?}: {errors}");
}

/// A machine holds one sandbox, so tests that look at it take turns.
static MACHINE: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn what_cannot_work_is_refused_by_name() {
    let _turn = turn();
    let folder = tempfile::tempdir().expect("folder");
    refused(folder.path(), &["logs", "nothing"], 2, "no program `nothing`");
    refused(folder.path(), &["frobnicate"], 2, "unrecognized subcommand");
    refused(Path::new("/run/sandbox"), &["status"], 2, "mount namespace covers");
    refused(folder.path(), &["status"], 1, "the sandbox is down");
    refused(folder.path(), &["env"], 1, "the sandbox is not up");
    assert_eq!(
        fs::read_dir(folder.path()).expect("folder").count(),
        0,
        "nothing was made"
    );
}

#[test]
fn one_sandbox_lives_recovers_and_leaves_nothing() {
    let _turn = turn();
    let folder = tempfile::Builder::new()
        .prefix("sandbox")
        .tempdir_in("/tmp")
        .expect("folder");
    let dir = folder.path().join("state");
    let before = machine();

    let taken = TcpListener::bind("127.0.0.1:5555").expect("port 5555 is free before the test");
    refused(&dir, &["up"], 2, "port 5555");
    drop(taken);
    assert_eq!(machine(), before, "a refused `up` changes nothing");

    ok(&dir, &["up"]);
    assert!(ok(&dir, &["up"]).contains("up already"));
    assert!(ok(&dir, &["env"]).contains("export AWS_ENDPOINT_URL='http://127.0.0.1:5555'"));
    only_own_addresses_listen();
    refused(&folder.path().join("other"), &["up"], 2, "runs on this machine");

    kill_all();
    refused(&dir, &["status"], 1, "the sandbox is down");
    ok(&dir, &["up"]);
    assert!(ok(&dir, &["status"]).contains("node `sandbox`"));

    // The state may be gone, too: what runs is recorded elsewhere.
    kill_all();
    fs::remove_dir_all(&dir).expect("state is removed");
    let other = folder.path().join("other");
    let cleared = ok(&other, &["up"]);
    assert!(cleared.contains("clear what the sandbox of"), "{cleared}");
    ok(&other, &["down"]);
    assert_eq!(machine(), before, "`down` leaves the machine as it was");
}

/// Kills everything that is recorded as running and waits until it is gone.
fn kill_all() {
    let home = PathBuf::from(std::env::var_os("HOME").expect("HOME"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(|| home.join(".cache"), PathBuf::from);
    let records = fs::read_dir(cache.join("provisioner-sandbox/pids")).expect("pid records");
    let deadline = Instant::now() + Duration::from_secs(20);
    for entry in records.flatten() {
        let record = fs::read_to_string(entry.path()).expect("a record");
        let pid = record.split(' ').next().unwrap_or_default();
        Command::new("kill")
            .args(["-9", pid])
            .stderr(Stdio::null())
            .status()
            .expect("kill runs");
        while is_alive(pid) {
            assert!(Instant::now() < deadline, "{pid} does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Whether a process lives; one that was killed does while other threads of it are still there and hold its ports.
fn is_alive(pid: &str) -> bool {
    fs::read_dir(format!("/proc/{pid}/task")).is_ok_and(|threads| {
        threads.flatten().any(|thread| {
            let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(") ")
                .is_some_and(|(_, rest)| !rest.starts_with('Z') && !rest.starts_with('X'))
        })
    })
}

/// Interfaces, mounts, packet filter tables, sysctls, control groups and run-time folders of this machine.
fn machine() -> Vec<String> {
    let output = |program: &str, args: &[&str]| {
        text(
            &Command::new(program)
                .args(args)
                .output()
                .map(|o| o.stdout)
                .unwrap_or_default(),
        )
    };
    let interfaces = fs::read_dir("/sys/class/net").expect("interfaces").flatten();
    let mut facts: Vec<String> = interfaces
        .map(|e| format!("interface {}", e.file_name().display()))
        .collect();
    facts.sort();
    facts.push(output("nft", &["list", "tables"]));
    facts.push(output("ip", &["netns", "list"]));
    facts.push(fs::read_to_string("/proc/self/mounts").expect("mounts"));
    facts.push(fs::read_to_string("/proc/sys/net/ipv4/ip_forward").expect("sysctl"));
    for path in [
        "/run/containerd",
        "/var/lib/cni",
        "/var/lib/kubelet",
        "/var/log/pods",
        "/var/log/containers",
    ] {
        facts.push(format!("{path} {}", Path::new(path).exists()));
    }
    let groups = fs::read_dir("/sys/fs/cgroup").expect("cgroups").flatten();
    facts.extend(
        groups
            .map(|g| g.path().join("kubepods"))
            .filter(|p| p.exists())
            .map(|p| p.display().to_string()),
    );
    facts
}

/// Every listening socket of the sandbox's programs is on loopback or the node's bridge, but for the one port that a
/// packet filter rule shuts.
#[track_caller]
fn only_own_addresses_listen() {
    let sockets = Command::new("ss").args(["-Htlnp"]).output().expect("ss runs");
    let own = ["etcd", "kube", "registry", "containerd", "aws-iam", "python"];
    let listed = text(&sockets.stdout);
    let foreign: Vec<&str> = listed
        .lines()
        .filter(|line| own.iter().any(|name| line.contains(&format!("((\"{name}"))))
        .filter(|line| {
            let address = line.split_whitespace().nth(3).unwrap_or_default();
            !address.starts_with("127.") && !address.starts_with("10.200.0.1:") && !address.ends_with(":21363")
        })
        .collect();
    assert!(foreign.is_empty(), "listening for everybody: {foreign:#?}");
    let rules = Command::new("nft")
        .args(["list", "table", "inet", "provisioner-sandbox"])
        .output()
        .expect("nft runs");
    assert!(
        text(&rules.stdout).contains("dport 21363 drop"),
        "port 21363 is shut off"
    );
}
