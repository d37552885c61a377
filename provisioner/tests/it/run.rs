//! Runs the program in a clean environment, away from the user's files and from AWS.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

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

    pub(crate) fn end(self) -> Ended {
        Ended {
            output: self.child.wait_with_output().unwrap(),
            home: self.home,
        }
    }
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
