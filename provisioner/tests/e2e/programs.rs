//! Executables that images are made of.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::Sandbox;

/// Where the machine stands in an ELF header, and which number is `aarch64`.
const MACHINE: usize = 18;
const AARCH64: u8 = 183;

/// Executables as `--binary` takes them, each with its platform.
pub(crate) struct Programs {
    /// The app with something behind its end: the same program, another digest.
    pub(crate) changed: String,
    /// It says that it is for arm64, and is only pushed.
    pub(crate) foreign: String,
    /// It ends at once with exit code 1.
    pub(crate) broken: String,
    _folder: tempfile::TempDir,
}

impl Programs {
    /// Made from the app, which is built where it was not yet.
    pub(crate) fn new(sandbox: &Sandbox) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let app = fs::read(app(sandbox)).expect("the app");
        let mut changed = app.clone();
        changed.extend_from_slice(b"changed");
        let mut foreign = app;
        foreign[MACHINE] = AARCH64;
        let write = |platform: &str, name: &str, content: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, content).expect("written");
            format!("linux/{platform}={}", path.display())
        };
        Self {
            changed: write("amd64", "changed", &changed),
            foreign: write("arm64", "foreign", &foreign),
            broken: write("amd64", "broken", &ending()),
            _folder: folder,
        }
    }
}

/// The flags that make an image of executables.
pub(crate) fn binaries<'a>(of: &[&'a String]) -> Vec<&'a str> {
    of.iter().flat_map(|binary| ["--binary", binary.as_str()]).collect()
}

/// Where cargo puts the app of an image, for whichever target is installed.
pub(crate) fn app(sandbox: &Sandbox) -> PathBuf {
    let debug = Path::new(env!("CARGO_BIN_EXE_provisioner")).parent().expect("a folder");
    let target = debug.parent().expect("a folder");
    let places = ["x86_64-unknown-linux-musl", "x86_64-unknown-linux-gnu"].map(|to| target.join(to).join("image/app"));
    let there = || places.iter().find(|path| path.is_file()).cloned();
    there().unwrap_or_else(|| {
        sandbox.run(&["push", "--cluster", "demo", "--rebuild"]);
        there().unwrap_or_else(|| panic!("none of these is there: {places:?}"))
    })
}

/// A static executable for x86-64: ELF header, one segment that is the whole file, and `exit(1)`.
fn ending() -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u8 = 64 + 56;
    // mov edi, 1; mov eax, 60; syscall
    let code = [0xbf, 1, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05];
    let size = u64::from(HEADERS) + code.len() as u64;
    let mut file = vec![0; usize::from(HEADERS)];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01");
    put(16, &[2, 0, 62, 0, 1]);
    put(24, &(BASE + u64::from(HEADERS)).to_le_bytes());
    put(32, &[64]);
    put(52, &[64, 0, 56, 0, 1]);
    // Loaded, readable and executable.
    put(64, &[1, 0, 0, 0, 5]);
    put(80, &BASE.to_le_bytes());
    put(88, &BASE.to_le_bytes());
    put(96, &size.to_le_bytes());
    put(104, &size.to_le_bytes());
    put(112, &0x1000_u64.to_le_bytes());
    file.extend(code);
    file
}

#[test]
fn the_broken_program_runs_and_ends_with_1() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("broken");
    fs::write(&path, ending()).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
    let ended = std::process::Command::new(&path).status().expect("it starts");
    assert_eq!(ended.code(), Some(1));
}
