//! Runs the program in a clean environment, away from the user's files and from AWS.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// What is shown where a terminal is given back as it was.
pub(crate) const AS_BEFORE: &str = "terminal-as-before";

/// One run that nothing of the test's own environment reaches.
pub(crate) struct Run {
    command: Command,
    home: tempfile::TempDir,
}

impl Run {
    /// `provisioner ARGUMENTS`, words divided by spaces, in an empty folder.
    pub(crate) fn of(arguments: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_provisioner"));
        command
            .args(arguments.split_whitespace())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", home.path())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .current_dir(home.path())
            .stdin(Stdio::null());
        Self { command, home }
    }

    /// A run in a folder that a (pretended) toolchain takes for a cargo workspace with the package `app`.
    pub(crate) fn in_workspace(arguments: &str) -> Self {
        let toolchain = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/toolchain");
        Self::of(arguments)
            .file("Cargo.toml", "[workspace]\n")
            .env("CARGO", &format!("{toolchain}/cargo"))
            .env("RUSTC", &format!("{toolchain}/rustc-with-musl"))
    }

    /// One more argument, which need not be UTF-8.
    pub(crate) fn argument(mut self, word: &[u8]) -> Self {
        self.command.arg(OsStr::from_bytes(word));
        self
    }

    pub(crate) fn env_bytes(mut self, name: &str, value: &[u8]) -> Self {
        self.command.env(name, OsStr::from_bytes(value));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        let path = self.home.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// AWS at `url`, with credentials that are nobody's.
    pub(crate) fn aws(self, url: &str) -> Self {
        self.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_ENDPOINT_URL", url)
    }

    /// AWS where nobody listens.
    pub(crate) fn unreachable_aws(self) -> Self {
        self.aws("http://127.0.0.1:1")
    }

    /// The same on a terminal of its own: what is written to its standard input is typed there.
    pub(crate) fn on_a_terminal(self) -> Self {
        let line = self.words();
        self.at_a_terminal(&format!("exec {line}"))
    }

    /// The same, and after its end [`AS_BEFORE`] where the terminal has the settings that it had.
    pub(crate) fn on_a_terminal_that_is_looked_at(self) -> Self {
        let line = self.words();
        self.at_a_terminal(&format!(
            "was=$(stty -g); {line}; code=$?; [ \"$was\" = \"$(stty -g)\" ] && echo {AS_BEFORE}; exit $code"
        ))
    }

    fn words(&self) -> String {
        let words = std::iter::once(self.command.get_program()).chain(self.command.get_args());
        let words: Vec<_> = words.map(|word| word.to_string_lossy().into_owned()).collect();
        words.join(" ")
    }

    fn at_a_terminal(mut self, line: &str) -> Self {
        let mut terminal = Command::new("timeout");
        terminal
            .args(["60", "script", "--quiet", "--return", "--command"])
            .arg(line)
            .arg("/dev/null")
            .env_clear()
            .envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .env("SHELL", "/bin/sh")
            .current_dir(self.home.path())
            .stdin(Stdio::piped());
        self.command = terminal;
        self
    }

    /// The same, started by a shell script that ends with `exec "$@"`.
    pub(crate) fn started_by(mut self, script: &str) -> Self {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", script, "sh"])
            .arg(self.command.get_program())
            .args(self.command.get_args())
            .env_clear()
            .envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .current_dir(self.home.path())
            .stdin(Stdio::null());
        self.command = shell;
        self
    }

    pub(crate) fn start(mut self) -> Started {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = self.command.spawn().unwrap();
        Started { child, home: self.home }
    }

    pub(crate) fn end(self) -> Ended {
        self.start().end()
    }
}

/// A run under way.
pub(crate) struct Started {
    child: Child,
    home: tempfile::TempDir,
}

impl Started {
    /// Sends a signal by name, e.g. `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Sends a signal by name to the program itself, where it was started on a terminal.
    pub(crate) fn signal_inside(&self, name: &str) {
        let mut last = self.child.id().to_string();
        // `timeout` has started `script`, which has started a shell.
        while let Some(child) = std::fs::read_to_string(format!("/proc/{last}/task/{last}/children"))
            .ok()
            .and_then(|children| Some(children.split_whitespace().next()?.to_owned()))
        {
            last = child;
        }
        let sent = Command::new("kill").args([format!("-{name}"), last]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits until standard output has shown `text`; all that it has shown by then, which is not part of the end's.
    #[track_caller]
    pub(crate) fn look_for(&mut self, text: &str) -> String {
        shown(self.child.stdout.as_mut().unwrap(), text)
    }

    /// Waits until standard output has shown `text`, then types `keys` on its terminal.
    #[track_caller]
    pub(crate) fn answer(&mut self, text: &str, keys: &str) {
        shown(self.child.stdout.as_mut().unwrap(), text);
        self.child.stdin.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until standard error has shown `text`; what was shown is not part of the end's.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) {
        shown(self.child.stderr.as_mut().unwrap(), text);
    }

    /// The next line of standard output; it is not part of the end's.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let mut byte = [0];
            let read = self.child.stdout.as_mut().unwrap().read(&mut byte).unwrap();
            assert_eq!(read, 1, "{}", String::from_utf8_lossy(&line));
            line.push(byte[0]);
        }
        String::from_utf8(line).unwrap().trim_end().to_owned()
    }

    pub(crate) fn end(mut self) -> Ended {
        // It stays open until the end: a terminal does not hang up because nobody types.
        let _keyboard = self.child.stdin.take();
        Ended {
            output: self.child.wait_with_output().unwrap(),
            home: self.home,
        }
    }
}

/// Reads until `text` was shown.
#[track_caller]
fn shown(stream: &mut impl Read, text: &str) -> String {
    let mut shown = Vec::new();
    while !String::from_utf8_lossy(&shown).contains(text) {
        let mut byte = [0];
        let read = stream.read(&mut byte).unwrap();
        assert_eq!(read, 1, "{}", String::from_utf8_lossy(&shown));
        shown.push(byte[0]);
    }
    String::from_utf8_lossy(&shown).into_owned()
}

/// A run that is over.
pub(crate) struct Ended {
    output: Output,
    home: tempfile::TempDir,
}

impl Ended {
    pub(crate) fn code(&self) -> i32 {
        self.output.status.code().unwrap_or(-1)
    }

    /// A file that it wrote into its folder.
    pub(crate) fn written(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.home.path().join(name)).unwrap()
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// Standard error with the temporary folder's name taken out.
    pub(crate) fn stderr(&self) -> String {
        let text = String::from_utf8_lossy(&self.output.stderr).into_owned();
        text.replace(&self.home.path().display().to_string(), "HOME")
    }

    /// It ended with `code`, said nothing on stdout, and gave exactly this on stderr.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32) -> String {
        assert_eq!(self.code(), code, "{}{}", self.stdout(), self.stderr());
        assert_eq!(self.stdout(), "");
        self.stderr()
    }
}
