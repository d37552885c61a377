//! Long-running programs: start detached, check, wait until they answer, stop by pid.

use std::fs::{self, File};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::command::without_proxy;
use crate::error::Error;
use crate::state::{Dirs, create_dir, write};

const POLL: Duration = Duration::from_millis(100);

/// A program to run: its name is that of its log and pid file.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    /// Its whole environment, or `None` for ours.
    pub(crate) env: Option<Vec<(String, String)>>,
    /// When it is ready.
    pub(crate) ready: Ready,
}

/// How a service shows that it answers.
#[derive(Debug, Clone)]
pub(crate) enum Ready {
    /// Its process runs.
    Running,
    /// A TCP port accepts.
    Port(&'static str, u16),
    /// A command succeeds.
    Succeeds(PathBuf, Vec<String>),
}

/// A process as recorded: a pid is ours only while its start time is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Record {
    pid: i32,
    started: u64,
}

/// Starts the service unless it runs; says whether it was started.
pub(crate) fn start(dirs: &Dirs, service: &Service) -> Result<bool, Error> {
    if is_running(dirs, service.name) {
        return Ok(false);
    }
    create_dir(&dirs.at("logs"))?;
    let log = dirs.log(service.name);
    let file = File::options()
        .create(true)
        .append(true)
        .open(&log)
        .map_err(|e| Error::cannot("open", log.display(), e))?;
    let errors = file.try_clone().map_err(|e| Error::cannot("open", log.display(), e))?;
    let mut command = Command::new(&service.program);
    command
        .args(&service.args)
        .current_dir(&dirs.state)
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(errors)
        .process_group(0);
    without_proxy(&mut command);
    if let Some(env) = &service.env {
        command.env_clear().envs(env.iter().cloned());
    }
    let child = command
        .spawn()
        .map_err(|e| Error::cannot("start", service.program.display(), e))?;
    let pid = i32::try_from(child.id()).map_err(|e| Error::cannot("start", service.name, e))?;
    record(dirs, service.name, pid)?;
    Ok(true)
}

/// Records a live process under a name, with its start time.
pub(crate) fn record(dirs: &Dirs, name: &str, pid: i32) -> Result<(), Error> {
    let started = start_time(pid).ok_or_else(|| died(dirs, name))?;
    write(&pid_file(dirs, name), format!("{pid} {started}\n"), false)
}

/// Waits until the service answers; fails at once, with the end of its log, when it died.
pub(crate) fn wait_ready(dirs: &Dirs, service: &Service, limit: Duration) -> Result<(), Error> {
    let deadline = Instant::now() + limit;
    loop {
        if !is_running(dirs, service.name) {
            return Err(died(dirs, service.name));
        }
        if answers(&service.ready) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let tail = log_tail(&dirs.log(service.name), 12);
            return Err(Error::failed(format!(
                "`{}` did not answer within {} s; end of its log:\n{tail}",
                service.name,
                limit.as_secs()
            ))
            .with_hint(format!("`sandbox logs {}` shows all of it", service.name)));
        }
        sleep(POLL);
    }
}

fn answers(ready: &Ready) -> bool {
    match ready {
        Ready::Running => true,
        Ready::Port(host, port) => TcpStream::connect((*host, *port)).is_ok(),
        Ready::Succeeds(program, args) => without_proxy(&mut Command::new(program))
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|s| s.success()),
    }
}

/// Whether the recorded process lives.
pub(crate) fn is_running(dirs: &Dirs, name: &str) -> bool {
    pid(dirs, name).is_some()
}

/// The pid of the recorded process while it lives.
pub(crate) fn pid(dirs: &Dirs, name: &str) -> Option<i32> {
    let record = read_record(&pid_file(dirs, name))?;
    (start_time(record.pid) == Some(record.started)).then_some(record.pid)
}

/// Every recorded name, whether it runs or not.
pub(crate) fn recorded(dirs: &Dirs) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dirs.records.join("pids")) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Ends the recorded process at once and waits until it is gone.
///
/// The state is thrown away with it, so nothing has to be written on the way out (the API server would take a minute).
pub(crate) fn stop(dirs: &Dirs, name: &str) -> Result<(), Error> {
    if let Some(pid) = pid(dirs, name) {
        kill(Pid::from_raw(pid), Signal::SIGKILL).map_err(|e| Error::cannot("stop", name, e))?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while is_running(dirs, name) {
            if Instant::now() >= deadline {
                return Err(Error::failed(format!("`{name}` (pid {pid}) does not end")));
            }
            sleep(Duration::from_millis(20));
        }
    }
    let _ = fs::remove_file(pid_file(dirs, name));
    Ok(())
}

/// Start time of a live process in clock ticks since boot (`/proc/PID/stat`, field 22); none for one that has ended.
///
/// A killed process is a zombie while its other threads (field 20) still hold its ports: it has not ended yet.
fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    let threads: u32 = fields.nth(16)?.parse().ok()?;
    let ended = state == "X" || (state == "Z" && threads <= 1);
    (!ended).then_some(())?;
    fields.nth(1)?.parse().ok()
}

fn read_record(path: &Path) -> Option<Record> {
    let text = fs::read_to_string(path).ok()?;
    let (pid, started) = text.trim().split_once(' ')?;
    Some(Record {
        pid: pid.parse().ok()?,
        started: started.parse().ok()?,
    })
}

/// With the machine's records, not in the state: that may be removed while the sandbox runs.
fn pid_file(dirs: &Dirs, name: &str) -> PathBuf {
    dirs.records.join("pids").join(name)
}

fn died(dirs: &Dirs, name: &str) -> Error {
    let tail = log_tail(&dirs.log(name), 12);
    Error::failed(format!("`{name}` ended; end of its log:\n{tail}"))
        .with_hint(format!("`sandbox logs {name}` shows all of it"))
}

/// The last lines of a log.
pub(crate) fn log_tail(path: &Path, lines: usize) -> String {
    let text = fs::read(path)
        .map(|b| String::from_utf8_lossy(&b).into_owned())
        .unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Service {
        Service {
            name: "sleeper",
            program: "sleep".into(),
            args: vec!["60".into()],
            env: None,
            ready: Ready::Running,
        }
    }

    #[test]
    fn a_started_service_runs_once_and_stops() {
        let folder = tempfile::tempdir().expect("folder");
        let dirs = Dirs::below(folder.path());
        assert!(start(&dirs, &sleeper()).expect("starts"));
        assert!(!start(&dirs, &sleeper()).expect("runs already"));
        assert!(is_running(&dirs, "sleeper"));
        stop(&dirs, "sleeper").expect("stops");
        assert!(!is_running(&dirs, "sleeper"));
        assert!(recorded(&dirs).is_empty());
    }

    #[test]
    fn a_reused_pid_is_not_ours() {
        let folder = tempfile::tempdir().expect("folder");
        let dirs = Dirs::below(folder.path());
        let own = std::process::id();
        write(&pid_file(&dirs, "other"), format!("{own} 1\n"), false).expect("writes");
        assert!(!is_running(&dirs, "other"));
        stop(&dirs, "other").expect("nothing to end");
    }

    #[test]
    fn a_service_that_dies_is_reported_with_its_log() {
        let folder = tempfile::tempdir().expect("folder");
        let dirs = Dirs::below(folder.path());
        let service = Service {
            name: "broken",
            program: "sh".into(),
            args: vec!["-c".into(), "echo no such flag; exit 3".into()],
            env: None,
            ready: Ready::Port("127.0.0.1", 1),
        };
        let result = start(&dirs, &service).and_then(|_| wait_ready(&dirs, &service, Duration::from_secs(10)));
        assert!(result.expect_err("it died").to_string().contains("no such flag"));
    }
}
