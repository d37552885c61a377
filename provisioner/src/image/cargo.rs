//! Speaking to cargo and rustc: command lines, workspace metadata, the stream of build messages.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Command;

use super::ImageError;

/// Lines of a failing program that an error shows.
const TAIL: usize = 40;

/// Which programs build.
#[derive(Debug, Clone)]
pub(super) struct Toolchain {
    pub(super) cargo: OsString,
    pub(super) rustc: OsString,
    /// The environment that they run in.
    pub(super) env: BTreeMap<String, String>,
}

impl Toolchain {
    /// `CARGO` and `RUSTC` where they are set (cargo sets them for what it runs), else from PATH.
    pub(super) fn from_env() -> Self {
        let lossy = |text: &OsString| text.to_string_lossy().into_owned();
        let program = |key, default: &str| {
            std::env::var_os(key)
                .filter(|value| !value.is_empty())
                .unwrap_or_else(|| default.into())
        };
        Self {
            cargo: program("CARGO", "cargo"),
            rustc: program("RUSTC", "rustc"),
            env: std::env::vars_os()
                .map(|(name, value)| (lossy(&name), lossy(&value)))
                .collect(),
        }
    }
}

/// A finished program: its status and what it said on stderr, from its first error on or else at last.
pub(super) struct Finished {
    pub(super) status: ExitStatus,
    pub(super) tail: String,
}

/// The command line of `command` with what it adds to the environment, to be pasted into a shell.
pub(super) fn command_line(command: &Command) -> String {
    let command = command.as_std();
    let quote = |text: &std::ffi::OsStr| {
        let text = text.to_string_lossy().into_owned();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:+,@".contains(c);
        if !text.is_empty() && text.chars().all(plain) {
            text
        } else {
            format!("'{}'", text.replace('\'', r"'\''"))
        }
    };
    let env = command.get_envs().filter_map(|(key, value)| {
        let (key, value) = (key.to_string_lossy(), quote(value?));
        (!key.starts_with("CARGO_TERM_")).then(|| format!("{key}={value}"))
    });
    let program = std::iter::once(quote(command.get_program()));
    let args = command.get_args().map(quote);
    env.chain(program).chain(args).collect::<Vec<_>>().join(" ")
}

/// Whether the variable `name` says who the caller is in AWS, or lets a job on GitHub become somebody there.
///
/// What cargo runs is others' code: build scripts and macros of every dependency, and whatever `rust-toolchain.toml` names.
/// Names of profiles, regions and files stay, as do variables of crates that begin alike (`AWS_LC_SYS_...`).
fn is_credential(name: &str) -> bool {
    const EXACT: [&str; 9] = [
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SECRET_KEY",
        "AWS_SECURITY_TOKEN",
        "AWS_SESSION_TOKEN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
        "ACTIONS_ID_TOKEN_REQUEST_URL",
    ];
    const STARTS: [&str; 3] = [
        "AWS_BEARER_TOKEN_",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_CREDENTIALS_",
    ];
    EXACT.contains(&name) || STARTS.iter().any(|start| name.starts_with(start))
}

/// Runs `command` without input and without the caller's credentials, and hands every line of its stdout to `line`.
/// Dropping the future kills it.
pub(super) async fn run(command: &mut Command, mut line: impl FnMut(&str)) -> Result<Finished, ImageError> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let failed = |source| ImageError::Toolchain {
        program: program.clone(),
        source,
    };
    for (name, _) in std::env::vars_os() {
        if is_credential(&name.to_string_lossy()) {
            command.env_remove(name);
        }
    }
    let mut child = command
        .env("CARGO_TERM_COLOR", "never")
        .env("CARGO_TERM_PROGRESS_WHEN", "never")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let mut last = Said::default();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    tokio::try_join!(lines(stdout, &mut line), lines(stderr, |text| last.keep(text))).map_err(failed)?;
    let status = child.wait().await.map_err(failed)?;
    let tail = Vec::from(last.lines).join("\n");
    Ok(Finished { status, tail })
}

/// What a program said, as far as an error shows it: the first error explains the others.
#[derive(Default)]
struct Said {
    lines: VecDeque<String>,
    has_error: bool,
}

impl Said {
    fn keep(&mut self, line: &str) {
        if !self.has_error && (line.starts_with("error:") || line.starts_with("error[")) {
            self.has_error = true;
            self.lines.clear();
        }
        if self.lines.len() == TAIL {
            if self.has_error {
                return;
            }
            self.lines.pop_front();
        }
        self.lines.push_back(line.to_owned());
    }
}

/// Hands over each line, also where it is not UTF-8.
async fn lines(pipe: Option<impl AsyncRead + Unpin>, mut take: impl FnMut(&str)) -> std::io::Result<()> {
    let Some(pipe) = pipe else { return Ok(()) };
    let mut lines = BufReader::new(pipe).split(b'\n');
    while let Some(line) = lines.next_segment().await? {
        take(&String::from_utf8_lossy(&line));
    }
    Ok(())
}

/// One line of `--message-format json`: <https://doc.rust-lang.org/cargo/reference/external-tools.html>.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// A crate is compiled (or was, if `fresh`), maybe into an executable.
    Artifact {
        /// The crate's target name.
        name: String,
        /// The executable, if it is one.
        executable: Option<PathBuf>,
        /// Whether it was up to date.
        fresh: bool,
    },
    /// Anything else.
    Other,
}

impl Message {
    /// Reads one line; what is no message of cargo is [`Message::Other`].
    pub(super) fn parse(line: &str) -> Self {
        #[derive(Deserialize)]
        struct Line {
            reason: String,
            target: Option<Name>,
            executable: Option<PathBuf>,
            #[serde(default)]
            fresh: bool,
        }
        #[derive(Deserialize)]
        struct Name {
            name: String,
        }
        match serde_json::from_str::<Line>(line) {
            Ok(Line {
                reason,
                target: Some(Name { name }),
                executable,
                fresh,
            }) if reason == "compiler-artifact" => Self::Artifact {
                name,
                executable,
                fresh,
            },
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(lines: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut said = Said::default();
        lines.into_iter().for_each(|line| said.keep(&line));
        said.lines.into()
    }

    #[test]
    fn the_first_error_is_kept_whatever_comes_before_and_after() {
        let lines = (0..100).map(|n| format!("   Compiling crate-{n}"));
        let lines = lines.chain(["error[E0425]: no `x`".to_owned()]);
        let kept = kept(lines.chain((0..100).map(|n| format!("error: number {n}"))));
        assert_eq!(kept.len(), TAIL);
        assert_eq!(
            (kept[0].as_str(), kept[1].as_str()),
            ("error[E0425]: no `x`", "error: number 0")
        );
    }

    #[test]
    fn credentials_are_told_from_what_only_says_where_they_are() {
        for name in [
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
        ] {
            assert!(is_credential(name), "{name}");
        }
        for name in [
            "AWS_PROFILE",
            "AWS_REGION",
            "AWS_CONFIG_FILE",
            "AWS_LC_SYS_CMAKE_BUILDER",
            "ACTIONS_RESULTS_URL",
            "CARGO_REGISTRIES_OURS_TOKEN",
            "GITHUB_TOKEN",
        ] {
            assert!(!is_credential(name), "{name}");
        }
    }

    #[test]
    fn without_an_error_the_last_lines_are_kept() {
        let kept = kept((0..100).map(|n| n.to_string()));
        assert_eq!((kept[0].as_str(), kept[TAIL - 1].as_str()), ("60", "99"));
    }
}
