//! The sandbox as its users see it: errors without changes, and the whole life of one on this machine.
//!
//! One test makes the real thing, since a machine holds one sandbox; it needs root and leaves nothing.

#![allow(clippy::expect_used, reason = "a test that cannot go on says why")]

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

mod machine;
mod recipes;

/// Where the programs of the machine's sandbox are recorded.
const PIDS: &str = "/run/provisioner-sandbox/pids";

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sandbox"));
    command.args(args).env("SANDBOX_DIR", dir);
    command
}

fn sandbox(dir: &Path, args: &[&str]) -> Output {
    command(dir, args).output().expect("the sandbox's program starts")
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
    refused(
        folder.path(),
        &["restart", "kube-apiserver"],
        1,
        "the sandbox is not up",
    );
    refused(
        folder.path(),
        &["restart", "kubelet"],
        2,
        "no program `kubelet` that can be restarted",
    );
    assert_eq!(
        fs::read_dir(folder.path()).expect("folder").count(),
        0,
        "nothing was made"
    );
    fs::write(folder.path().join("thesis.tex"), "years").expect("writes");
    for verb in ["up", "install", "down", "reset"] {
        refused(folder.path(), &[verb], 2, "is not a sandbox's folder");
    }
    let file = folder.path().join("thesis.tex");
    assert_eq!(fs::read_to_string(file).expect("it is still there"), "years");
}

#[test]
fn one_sandbox_lives_recovers_and_leaves_nothing() {
    let _turn = turn();
    let folder = tempfile::Builder::new()
        .prefix("sandbox")
        .tempdir_in("/tmp")
        .expect("folder");
    let dir = folder.path().join("state");
    let _down = DownAtLast(vec![dir.clone(), folder.path().join("other")]);
    let before = machine::Machine::look(folder.path());

    for port in [5555, 10256] {
        let taken = TcpListener::bind(("127.0.0.1", port)).expect("the port is free before the test");
        refused(&dir, &["up"], 2, &format!("port {port}"));
        drop(taken);
    }
    assert_eq!(before.left(), Vec::<String>::new(), "a refused `up` changes nothing");

    ok(&dir, &["up"]);
    assert!(ok(&dir, &["up"]).contains("up already"));
    assert!(ok(&dir, &["env"]).contains("export AWS_ENDPOINT_URL='http://127.0.0.1:5555'"));
    only_own_addresses_listen();
    calls_of_clients_pass_the_front(&dir);
    refused(&folder.path().join("other"), &["up"], 2, "runs on this machine");
    faults_from_standard_input(&dir);
    the_api_server_is_killed_and_started_again(&dir);

    // As if `up` had been killed while it started the node and while it copied the registry's images.
    kill(&Path::new(PIDS).join("kubelet"));
    fs::remove_file(Path::new(PIDS).join("node-first")).expect("a record");
    ok(&dir, &["up"]);
    assert!(ok(&dir, &["status"]).contains("node `sandbox`"));

    // What is up is of another cluster than the one asked for.
    let anew = ok(&dir, &["--cluster", "second", "up"]);
    assert!(anew.contains("changed since `up`: the cluster's name"), "{anew}");
    assert!(ok(&dir, &["--cluster", "second", "up"]).contains("up already"));

    kill_all();
    refused(&dir, &["status"], 1, "the sandbox is down");
    ok(&dir, &["--cluster", "second", "up"]);
    assert!(ok(&dir, &["status"]).contains("node `sandbox`"));

    // The state may be gone, too: what runs is recorded elsewhere.
    kill_all();
    fs::remove_dir_all(&dir).expect("state is removed");
    let other = folder.path().join("other");
    let cleared = ok(&other, &["up"]);
    assert!(cleared.contains("clear what the sandbox of"), "{cleared}");
    ok(&other, &["down"]);
    assert_eq!(
        before.left(),
        Vec::<String>::new(),
        "`down` leaves the machine as it was"
    );
}

/// Ends what a failed test left running, before its folder goes.
struct DownAtLast(Vec<PathBuf>);

impl Drop for DownAtLast {
    fn drop(&mut self) {
        for dir in &self.0 {
            let _ = sandbox(dir, &["down"]);
        }
    }
}

/// A signed AWS call, one to the API server with its CA, one to the registry: all three are written down.
#[track_caller]
fn calls_of_clients_pass_the_front(dir: &Path) {
    let done = |program: &Path, args: &[&str]| {
        let mut command = Command::new(program);
        for (name, value) in [
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:5555"),
            ("AWS_ACCESS_KEY_ID", "AKIASANDBOX000000DEV"),
            ("AWS_SECRET_ACCESS_KEY", "sandbox-secret"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
        ] {
            command.env(name, value);
        }
        let output = command.args(args).output().expect("the program starts");
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    let curl = Path::new("curl");
    let control = "http://127.0.0.1:5555/_sandbox/requests";
    done(curl, &["-sSf", "-X", "DELETE", control]);
    let python = dir.join("bin/venv/bin/python");
    done(
        &python,
        &["-c", "import boto3; boto3.client('sts').get_caller_identity()"],
    );
    let ca = dir.join("pki/ca.crt").display().to_string();
    done(curl, &["-sSf", "--cacert", &ca, "https://10.200.0.1:6444/version"]);
    done(curl, &["-sS", "http://127.0.0.1:5001/v2/"]);
    let journal: serde_json::Value = serde_json::from_str(&done(curl, &["-sSf", control])).expect("JSON");
    let shown: Vec<String> = journal
        .as_array()
        .expect("an array")
        .iter()
        .map(|e| format!("{} {} {}", e["service"], e["operation"], e["status"]).replace('"', ""))
        .collect();
    let expected = [
        "sts GetCallerIdentity 200",
        "kubernetes GET /version 200",
        "registry GET /v2/ 401",
    ];
    assert_eq!(shown, expected);
}

/// It is another process, and what it keeps is as it was.
#[track_caller]
fn the_api_server_is_killed_and_started_again(dir: &Path) {
    let kubectl = |args: &[&str]| {
        let mut command = Command::new(dir.join("bin/kubectl"));
        command.arg("--kubeconfig").arg(dir.join("admin.kubeconfig")).args(args);
        let output = command.output().expect("kubectl starts");
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    let record = || fs::read_to_string(Path::new(PIDS).join("kube-apiserver")).expect("a record");
    kubectl(&["create", "namespace", "kept"]);
    let former = record();
    let began = Instant::now();
    ok(dir, &["restart", "kube-apiserver", "--down", "2"]);
    assert!(began.elapsed() >= Duration::from_secs(2));
    assert_ne!(record(), former);
    // Nothing has to be waited for after its store was killed either.
    for down in ["0", "3"] {
        ok(dir, &["restart", "etcd", "--down", down]);
        kubectl(&["get", "--raw", "/readyz"]);
        kubectl(&["annotate", "namespace", "kept", "--overwrite", &format!("down={down}")]);
    }
    kubectl(&["delete", "namespace", "kept"]);
    assert!(ok(dir, &["up"]).contains("up already"));
}

/// Kills everything that is recorded as running and waits until it is gone.
fn kill_all() {
    for entry in fs::read_dir(PIDS).expect("pid records").flatten() {
        kill(&entry.path());
    }
}

/// Kills what a record names.
fn kill(record: &Path) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let record = fs::read_to_string(record).expect("a record");
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

/// `fault -` takes the list from standard input, and says what the endpoint thinks of it.
#[track_caller]
fn faults_from_standard_input(dir: &Path) {
    let fed = |list: &str| {
        let piped = command(dir, &["fault", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = piped.expect("the sandbox's program starts");
        let mut pipe = child.stdin.take().expect("a pipe");
        pipe.write_all(list.as_bytes()).expect("it reads");
        drop(pipe);
        child.wait_with_output().expect("it ends")
    };
    let taken = fed(r#"[{"service": "ecr", "operation": "CreateRepository", "status": 500}]"#);
    assert!(
        text(&taken.stdout).contains("CreateRepository"),
        "{}",
        text(&taken.stderr)
    );
    let wrong = fed(r#"{"service": "ecr"}"#);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("array"), "{}", text(&wrong.stderr));
    assert!(fed("[]").status.success());
    refused(dir, &["fault", "/nonexistent"], 2, "cannot read `/nonexistent`");
}

/// Every listening socket of the sandbox's programs is on loopback or the node's bridge, but for the one port that a
/// packet filter rule shuts.
#[track_caller]
fn only_own_addresses_listen() {
    let sockets = Command::new("ss").args(["-Htlnp"]).output().expect("ss runs");
    let own = ["etcd", "kube", "registry", "containerd", "aws-iam", "python", "sandbox"];
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
