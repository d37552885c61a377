//! What the sandbox needs on the machine: Debian packages, a Python venv, Go programs.
//!
//! The last two live in the cache by the hash of their inputs, so that a fresh checkout reuses them. Each is made in a folder
//! of its own and renamed when complete: an interrupted install leaves nothing that looks finished.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::process::{run, run_with};
use crate::say;
use crate::state::{Dirs, create_dir};

/// A program that must be on the machine and the Debian package that has it.
const PACKAGES: [(&str, &str); 9] = [
    ("/usr/bin/containerd", "containerd"),
    ("/usr/sbin/runc", "runc"),
    ("/usr/lib/cni/bridge", "containernetworking-plugins"),
    ("/usr/sbin/nft", "nftables"),
    ("/usr/sbin/conntrack", "conntrack"),
    ("/usr/sbin/ip", "iproute2"),
    ("/usr/bin/htpasswd", "apache2-utils"),
    ("/usr/bin/openssl", "openssl"),
    ("/usr/bin/curl", "curl"),
];

/// A Go program: its file name, the module folder below `sandbox/kubernetes`, the package, extra flags.
struct GoProgram {
    file: &'static str,
    module: &'static str,
    package: &'static str,
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

const PROGRAMS: [GoProgram; 9] = [
    GoProgram {
        file: "kubernetes",
        module: ".",
        package: ".",
        flags: &["-ldflags", STAMP],
    },
    GoProgram {
        file: "pause",
        module: ".",
        package: "./pause",
        flags: &["-ldflags", "-s -w"],
    },
    GoProgram {
        file: "registry",
        module: ".",
        package: "github.com/distribution/distribution/v3/cmd/registry",
        flags: &["-ldflags", "-s -w"],
    },
    GoProgram {
        file: "aws-iam-authenticator",
        module: ".",
        package: "sigs.k8s.io/aws-iam-authenticator/cmd/aws-iam-authenticator",
        flags: &["-ldflags", "-s -w"],
    },
    GoProgram {
        file: "coredns",
        module: ".",
        package: "github.com/coredns/coredns",
        flags: &["-ldflags", "-s -w"],
    },
    GoProgram {
        file: "kube-state-metrics",
        module: ".",
        package: "k8s.io/kube-state-metrics/v2",
        flags: &["-ldflags", "-s -w"],
    },
    GoProgram {
        file: "prometheus",
        module: ".",
        package: "github.com/prometheus/prometheus/cmd/prometheus",
        // Without the tags a compile step needs 3 GB.
        flags: &["-ldflags", "-s -w", "-tags", "remove_all_sd,enable_kubernetes_sd"],
    },
    GoProgram {
        file: "prometheus-adapter",
        module: "prometheus-adapter",
        package: "sigs.k8s.io/prometheus-adapter/cmd/adapter",
        flags: &["-ldflags", "-s -w"],
    },
    GoProgram {
        file: "metrics-server",
        module: "metrics-server",
        package: "sigs.k8s.io/metrics-server/cmd/metrics-server",
        flags: &["-ldflags", "-s -w"],
    },
];

/// Installs what is missing and links every program into the state's `bin/`.
pub(crate) fn ensure(dirs: &Dirs) -> Result<(), Error> {
    require_tools()?;
    packages()?;
    let venv = venv(dirs)?;
    link(dirs, "venv", &venv)?;
    for program in &PROGRAMS {
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

fn require_tools() -> Result<(), Error> {
    let tools = [
        (
            "go",
            vec!["version"],
            "install Go 1.26 or later: https://go.dev/doc/install",
        ),
        (
            "python3",
            vec!["-c", "import sys, venv; sys.exit(sys.version_info < (3, 11))"],
            "install Python 3.11 with venv",
        ),
    ];
    for (tool, args, hint) in tools {
        run(tool, &args).map_err(|e| Error::usage(format!("`{tool}` is missing or too old: {e}")).with_hint(hint))?;
    }
    Ok(())
}

fn packages() -> Result<(), Error> {
    let missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|(file, _)| !Path::new(file).exists())
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    say::timed(&format!("install Debian packages {}", missing.join(", ")), || {
        let apt = |args: &[&str]| {
            run_with(
                Command::new("apt-get")
                    .args(args)
                    .env("DEBIAN_FRONTEND", "noninteractive"),
            )
            .map_err(|e| {
                Error::usage(format!("cannot install {}: {e}", missing.join(", ")))
                    .with_hint("the sandbox runs on Debian 12; elsewhere install these packages yourself")
            })
        };
        apt(&["update", "-qq"])?;
        let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
        install.extend(&missing);
        apt(&install).map(drop)
    })
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
        let file = requirements.display().to_string();
        run(
            target.join("bin/pip"),
            &["install", "--quiet", "--require-hashes", "--requirement", &file],
        )?;
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
        run_with(&mut command)?;
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
