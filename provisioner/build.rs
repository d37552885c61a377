//! Embeds `manifests/` and `grafana/` (dashboards, rules, series): a new component is a new folder, without a line of Rust.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    // Read when it runs, not when it was compiled: a target folder may be shared between checkouts.
    let root = env::var_os("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .unwrap_or_default()
        .join("..");
    let mut code = String::new();
    for (name, folder, extensions) in [
        ("MANIFESTS", "manifests", &["yaml", "yml"][..]),
        ("DASHBOARDS", "grafana", &["json"][..]),
        ("MONITORING", "grafana", &["yaml", "txt"][..]),
    ] {
        let top = root.join(folder);
        println!("cargo:rerun-if-changed={}", top.display());
        let mut files = Vec::new();
        collect(&top, &mut files)?;
        files.sort();
        let _ = writeln!(code, "pub(super) static {name}: &[(&str, &str)] = &[");
        for file in files {
            if !file.extension().is_some_and(|e| extensions.iter().any(|x| e == *x)) {
                continue;
            }
            let full = file.canonicalize()?;
            let relative = file.strip_prefix(&top).unwrap_or(&file);
            let _ = writeln!(
                code,
                "    ({:?}, include_str!({:?})),",
                relative.to_string_lossy(),
                full.to_string_lossy()
            );
        }
        code.push_str("];\n");
    }
    println!("cargo:rerun-if-env-changed=PROVISIONER_COMMIT");
    for (name, from) in [
        ("BUILD_COMMIT", "PROVISIONER_COMMIT"),
        ("BUILD_TARGET", "TARGET"),
        ("BUILD_PROFILE", "PROFILE"),
    ] {
        let value = env::var(from).unwrap_or_else(|_| "unknown, built from a checkout".to_owned());
        println!("cargo:rustc-env={name}={value}");
    }
    let out = env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    fs::write(out.join("embedded.rs"), code)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            println!("cargo:rerun-if-changed={}", path.display());
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
