//! What the sandbox needs on the machine: Debian packages ([`packages`]), a Python venv, Go programs.
//!
//! The last two live in the cache by the hash of their inputs, so that a fresh checkout reuses them. Each is made in a folder
//! of its own and renamed when complete: an interrupted install leaves nothing that looks finished.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::command::{run, run_long};
use crate::error::Error;
use crate::state::{Dirs, create_dir};
use crate::{packages, say};

/// How long downloads and builds may take on a slow machine.
const VENV_LIMIT: Duration = Duration::from_mins(15);
const BUILD_LIMIT: Duration = Duration::from_mins(90);

/// A Go program: its file name, the module folder below `sandbox/kubernetes`, the package, extra flags.
pub(crate) struct GoProgram {
    pub(crate) file: &'static str,
    pub(crate) module: &'static str,
    pub(crate) package: &'static str,
    flags: &'static [&'static str],
}

/// Version stamps and the links that name the programs in the one Kubernetes binary.
const STAMP: &str = "-s -w -X k8s.io/component-base/version.gitVersion=v1.35.4";
const KUBERNETES_LINKS: [&str; 7] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
    "etcd",
];

/// A program of the main module, without symbols.
const fn plain(file: &'static str, package: &'static str) -> GoProgram {
    GoProgram {
        file,
        module: ".",
        package,
        flags: &["-ldflags", "-s -w"],
    }
}

pub(crate) const PROGRAMS: &[GoProgram] = &[
    GoProgram {
        flags: &["-ldflags", STAMP],
        ..plain("kubernetes", ".")
    },
    plain("pause", "./pause"),
    plain("registry", "github.com/distribution/distribution/v3/cmd/registry"),
    plain(
        "aws-iam-authenticator",
        "sigs.k8s.io/aws-iam-authenticator/cmd/aws-iam-authenticator",
    ),
    plain("coredns", "github.com/coredns/coredns"),
    plain("kube-state-metrics", "k8s.io/kube-state-metrics/v2"),
    GoProgram {
        // Without the tags a compile step needs 3 GB.
        flags: &["-ldflags", "-s -w", "-tags", "remove_all_sd,enable_kubernetes_sd"],
        ..plain("prometheus", "github.com/prometheus/prometheus/cmd/prometheus")
    },
    GoProgram {
        module: "prometheus-adapter",
        ..plain("prometheus-adapter", "sigs.k8s.io/prometheus-adapter/cmd/adapter")
    },
    GoProgram {
        module: "metrics-server",
        ..plain("metrics-server", "sigs.k8s.io/metrics-server/cmd/metrics-server")
    },
];

/// Installs what is missing and links every program into the state's `bin/`; the tools must be there.
pub(crate) fn ensure(dirs: &Dirs) -> Result<(), Error> {
    packages::ensure()?;
    let venv = venv(dirs)?;
    link(dirs, "venv", &venv)?;
    for program in PROGRAMS {
        let built = build(dirs, program)?;
        link(dirs, program.file, &built)?;
    }
    let kubernetes = fs::canonicalize(dirs.program("kubernetes"))
        .map_err(|e| Error::cannot("find", dirs.program("kubernetes").display(), e))?;
    for name in KUBERNETES_LINKS {
        link(dirs, name, &kubernetes)?;
    }
    Ok(())
}

/// Go and Python, which no package of Debian 12 brings in the version that is needed; changes nothing.
pub(crate) fn require_tools(dirs: &Dirs) -> Result<(), Error> {
    let needed = go_needed(dirs)?;
    let hint = format!("install Go {} or later: https://go.dev/doc/install", needed.0);
    let too_old = |what: String| Error::usage(what).with_hint(hint.clone());
    let version = run("go", &["env", "GOVERSION"]).map_err(|e| too_old(format!("`go` is missing: {e}")))?;
    if go_version(&version) < needed.1 {
        return Err(too_old(format!("{} is too old", version.trim())));
    }
    let old = "import sys; sys.exit(sys.version_info < (3, 11))";
    run("python3", &["-c", old])
        .map(drop)
        .map_err(|e| Error::usage(format!("`python3` is missing or too old: {e}")).with_hint("install Python 3.11"))
}

/// The highest version that a `go` line of our modules asks for.
fn go_needed(dirs: &Dirs) -> Result<(String, Vec<u32>), Error> {
    let mut highest = (String::new(), Vec::new());
    for program in PROGRAMS {
        let file = dirs.source.join("kubernetes").join(program.module).join("go.mod");
        let text = read(&file)?;
        let text = String::from_utf8_lossy(&text);
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("go "))
            .unwrap_or_default();
        if go_version(line) > highest.1 {
            highest = (line.to_owned(), go_version(line));
        }
    }
    Ok(highest)
}

/// The numbers of `1.26.8` or `go1.26.8`; what is no number ends them.
fn go_version(text: &str) -> Vec<u32> {
    let numbers = text.trim().trim_start_matches("go").split('.');
    numbers.map_while(|number| number.parse().ok()).collect()
}

fn venv(dirs: &Dirs) -> Result<PathBuf, Error> {
    let requirements = dirs.source.join("aws/requirements.txt");
    let python = run("python3", &["--version"])?;
    let target = dirs
        .cache
        .join("venv")
        .join(hash(&[python.as_bytes(), &read(&requirements)?]));
    if target.join("complete").exists() {
        return Ok(target);
    }
    say::timed("install the AWS endpoint's Python packages", || {
        if target.exists() {
            fs::remove_dir_all(&target).map_err(|e| Error::cannot("clear", target.display(), e))?;
        }
        create_dir(&target)?;
        // A venv cannot be moved, so it is made in place and marked when complete.
        run("python3", &["-m", "venv", &target.display().to_string()])?;
        let mut pip = Command::new(target.join("bin/pip"));
        pip.args(["install", "--quiet", "--require-hashes", "--requirement"])
            .arg(&requirements);
        run_long(&mut pip, "Python packages", VENV_LIMIT)?;
        crate::state::write(&target.join("complete"), "", false)?;
        Ok(target.clone())
    })
}

fn build(dirs: &Dirs, program: &GoProgram) -> Result<PathBuf, Error> {
    let module = dirs.source.join("kubernetes").join(program.module);
    let target = dirs
        .cache
        .join("go")
        .join(program_hash(&module, program)?)
        .join(program.file);
    if target.exists() {
        return Ok(target);
    }
    say::timed(&format!("build {} (Go)", program.file), || {
        let folder = target.parent().unwrap_or(&dirs.cache);
        create_dir(folder)?;
        let partial = folder.join(format!("{}.partial", program.file));
        let mut command = Command::new("go");
        command
            .args(["build", "-trimpath", "-buildvcs=false", "-mod=readonly"])
            .args(program.flags)
            .arg("-o")
            .arg(&partial)
            .arg(program.package)
            .env("CGO_ENABLED", "0")
            .current_dir(&module);
        run_long(&mut command, &format!("build {}", program.file), BUILD_LIMIT)?;
        fs::rename(&partial, &target).map_err(|e| Error::cannot("install", target.display(), e))?;
        Ok(target.clone())
    })
}

/// Everything that decides what the binary is: modules, their sums, our sources, flags, the compiler.
fn program_hash(module: &Path, program: &GoProgram) -> Result<String, Error> {
    let go = run("go", &["env", "GOVERSION", "GOARCH"])?;
    let flags = program.flags.join(" ");
    let mut inputs = vec![
        go.into_bytes(),
        flags.into_bytes(),
        program.package.into(),
        read(&module.join("go.mod"))?,
        read(&module.join("go.sum"))?,
    ];
    if program.package.starts_with('.') {
        inputs.push(read(&module.join(program.package).join("main.go"))?);
    }
    Ok(hash(&inputs))
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|e| Error::cannot("read", path.display(), e))
}

/// The first 16 hex digits of SHA-256 over all parts, each with its length.
pub(crate) fn hash<P: AsRef<[u8]>>(parts: &[P]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.as_ref().len().to_be_bytes());
        hasher.update(part.as_ref());
    }
    hex::encode(&hasher.finalize()[..8])
}

fn link(dirs: &Dirs, name: &str, target: &Path) -> Result<(), Error> {
    let link = dirs.program(name);
    if fs::read_link(&link).is_ok_and(|t| t == target) {
        return Ok(());
    }
    create_dir(&dirs.at("bin"))?;
    let _ = fs::remove_file(&link);
    symlink(target, &link).map_err(|e| Error::cannot("link", link.display(), e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_go_compare_by_number() {
        assert!(go_version("go1.26.8\n") >= go_version("1.26.8"));
        assert!(go_version("go1.26.4") < go_version("1.26.8"));
        assert!(go_version("go1.26.10") > go_version("1.26.8"));
        assert!(
            go_version("go1.27rc1") < go_version("1.26.8"),
            "a pre-release is not taken"
        );
        assert!(go_version("") < go_version("1.26.8"));
    }

    #[test]
    fn the_readme_names_the_go_version_that_the_modules_need() {
        let mut dirs = Dirs::below(Path::new("/"));
        dirs.source = env!("CARGO_MANIFEST_DIR").into();
        let needed = go_needed(&dirs).expect("go.mod files").0;
        let readme = fs::read_to_string(dirs.source.join("../README.md")).expect("README.md");
        assert!(
            readme.contains(&format!("Go {needed} or later")),
            "the README must ask for Go {needed}"
        );
    }
}
