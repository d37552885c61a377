//! Where cases run: a process of its own in a folder of its own, with little memory, so that what leaves traces or dies is
//! seen from outside.

use std::cell::Cell;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Tells the inner process where its folder is.
const ROOT: &str = "FUZZ_ROOT";
/// Address space of the inner process in kB: threads and their stacks included.
const ADDRESSES: &str = "8388608";
/// The only folder that cases write to.
const INPUT: &str = "in";
/// What else there is: the folder for temporary files, the home, the working directory, and a file that paths which
/// lead out might hit.
const FOLDERS: [&str; 3] = ["tmp", "home", "work"];
const CANARY: &str = "canary";
/// Names the case that is under way.
const CASE: &str = "case";

/// The inner process's surroundings.
pub(crate) struct World {
    root: PathBuf,
    /// The most memory in kB until what is tried out began.
    before: Cell<u64>,
    pub(crate) runtime: tokio::runtime::Runtime,
}

/// Runs this program again, inside; tells which case was under way where that dies.
pub(crate) fn shut_in() -> ExitCode {
    // In memory where the system has a place for that: every case writes files.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    let folder = folder.unwrap();
    let root = folder.path();
    for name in FOLDERS.into_iter().chain([INPUT]) {
        fs::create_dir(root.join(name)).unwrap();
    }
    fs::write(root.join(CANARY), CANARY).unwrap();
    let ended = Command::new("sh")
        .args(["-c", r#"ulimit -v "$1"; shift; exec "$@""#, "sh", ADDRESSES])
        .arg(std::env::current_exe().unwrap())
        .args(std::env::args_os().skip(1))
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", root.join("home"))
        .env("TMPDIR", root.join("tmp"))
        .env(ROOT, root)
        .current_dir(root.join("work"))
        .status()
        .unwrap();
    if let Some(signal) = ended.signal() {
        let case = fs::read_to_string(root.join(CASE)).unwrap_or_default();
        eprintln!("error: the process died by signal {signal} (out of memory or stack, or an abort)\n{case}");
    }
    if ended.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

impl World {
    /// The surroundings, if this is the inner process.
    pub(crate) fn inside() -> Option<Self> {
        let root = PathBuf::from(std::env::var_os(ROOT)?);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        Some(Self {
            root,
            before: Cell::new(0),
            runtime,
        })
    }

    /// Where a case puts its input.
    pub(crate) fn input(&self) -> PathBuf {
        self.root.join(INPUT)
    }

    /// Empties the input for the next case, and writes down which one it is.
    pub(crate) fn next(&self, case: &str) {
        let input = self.input();
        fs::remove_dir_all(&input).unwrap();
        fs::create_dir(&input).unwrap();
        fs::write(self.root.join(CASE), case).unwrap();
    }

    /// From now on memory counts: what makes the input takes some too.
    pub(crate) fn begin(&self) {
        // The system forgets what was before.
        let _ = fs::write("/proc/self/clear_refs", "5");
        self.before.set(peak());
    }

    /// How much more memory than at the beginning there was at any time since, in kB.
    pub(crate) fn grown(&self) -> u64 {
        peak().saturating_sub(self.before.get())
    }

    /// What is there and was not, and what was there and is not.
    pub(crate) fn strays(&self) -> Vec<String> {
        let mut expected: Vec<PathBuf> = FOLDERS.iter().map(|name| self.root.join(name)).collect();
        expected.extend([INPUT, CANARY, CASE].map(|name| self.root.join(name)));
        let mut found = list(&self.root);
        found.extend(FOLDERS.iter().flat_map(|name| list(&self.root.join(name))));
        let new = found.iter().filter(|path| !expected.contains(path));
        let gone = expected.iter().filter(|path| !found.contains(path));
        let changed = fs::read_to_string(self.root.join(CANARY)).ok().as_deref() != Some(CANARY);
        let canary = changed.then(|| self.root.join(CANARY));
        new.chain(gone)
            .chain(&canary)
            .map(|path| path.display().to_string())
            .collect()
    }
}

/// The most memory that this process had in kB, where the system tells.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.unwrap_or_default()
}

fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}
