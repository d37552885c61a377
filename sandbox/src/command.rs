//! Commands that run to their end, within a limit.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::Error;
use crate::say;

/// How long a command may take that is not expected to take long, and how often a long one is mentioned.
const SHORT: Duration = Duration::from_mins(5);
const TICK: Duration = Duration::from_secs(30);

/// Takes the user's proxy away: everything that a sandbox talks to is on this machine.
pub(crate) fn without_proxy(command: &mut Command) -> &mut Command {
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command
}

/// Runs a command to its end, 5 minutes at most; an error carries its command line and output.
pub(crate) fn run(program: impl AsRef<Path>, args: &[&str]) -> Result<String, Error> {
    run_with(Command::new(program.as_ref()).args(args))
}

/// The same for a prepared command.
pub(crate) fn run_with(command: &mut Command) -> Result<String, Error> {
    run_within(command.stdin(Stdio::null()), Vec::new(), SHORT, &mut |_| {})
}

/// The same with something on its standard input.
pub(crate) fn run_fed(command: &mut Command, input: Vec<u8>) -> Result<String, Error> {
    run_within(command.stdin(Stdio::piped()), input, SHORT, &mut |_| {})
}

/// The same for what takes long: says every half minute that it still runs.
pub(crate) fn run_long(command: &mut Command, what: &str, limit: Duration) -> Result<String, Error> {
    run_within(command.stdin(Stdio::null()), Vec::new(), limit, &mut |elapsed| {
        say::line(&format!("{what}: {} s so far", elapsed.as_secs()));
    })
}

fn run_within(
    command: &mut Command,
    input: Vec<u8>,
    limit: Duration,
    tick: &mut dyn FnMut(Duration),
) -> Result<String, Error> {
    let shown = format!("{command:?}").replace('"', "");
    let fail = |e: &dyn std::fmt::Display| Error::cannot("run", &shown, e);
    let start = Instant::now();
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| fail(&e))?;
    let pid = i32::try_from(child.id()).map_err(|e| fail(&e))?;
    if let Some(mut pipe) = child.stdin.take() {
        std::thread::spawn(move || pipe.write_all(&input));
    }
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    loop {
        let left = limit.saturating_sub(start.elapsed());
        match receiver.recv_timeout(left.min(TICK)) {
            Ok(output) => return outcome(&shown, &output.map_err(|e| fail(&e))?),
            Err(_) if start.elapsed() >= limit => {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                return Err(Error::failed(format!(
                    "`{shown}` did not end within {} s",
                    limit.as_secs()
                )));
            }
            Err(_) => tick(start.elapsed()),
        }
    }
}

fn outcome(shown: &str, output: &Output) -> Result<String, Error> {
    let stdout = String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        return Ok(stdout.into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = stdout
        .lines()
        .chain(stderr.lines())
        .filter(|l| !l.trim().is_empty())
        .collect();
    let tail = lines[lines.len().saturating_sub(20)..].join("\n");
    Err(Error::failed(format!(
        "`{shown}` failed with {}:\n{tail}",
        output.status
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_is_shown_with_all_that_it_said() {
        let error = run("sh", &["-c", "echo on stdout; echo on stderr >&2; exit 4"]).expect_err("it fails");
        let text = error.to_string();
        assert!(
            text.contains("on stdout") && text.contains("on stderr") && text.contains("exit status: 4"),
            "{text}"
        );
    }

    #[test]
    fn a_command_past_its_limit_is_ended() {
        let mut command = Command::new("sleep");
        let error = run_long(command.arg("60"), "sleep", Duration::from_millis(50)).expect_err("too long");
        assert!(error.to_string().contains("did not end within"), "{error}");
    }

    #[test]
    fn services_do_not_see_the_users_proxy() {
        let mut command = Command::new("env");
        command
            .env("HTTPS_PROXY", "http://proxy")
            .env("http_proxy", "http://proxy");
        let seen = run_with(without_proxy(&mut command)).expect("env runs");
        assert!(!seen.to_lowercase().contains("_proxy=http://proxy"), "{seen}");
    }

    #[test]
    fn input_reaches_a_command() {
        assert_eq!(
            run_fed(&mut Command::new("cat"), b"[]".to_vec()).expect("cat runs"),
            "[]"
        );
    }
}
