//! What cargo is told beside its command line: its configuration files and the environment, as far as they change what
//! is compiled. Rules: <https://doc.rust-lang.org/cargo/reference/config.html>.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::ImageError;

/// Tables of a configuration file that say how cargo talks, fetches or installs, but not what it compiles: what is
/// fetched is checked against the lock file.
const HARMLESS: [&str; 13] = [
    "alias",
    "cache",
    "cargo-new",
    "credential-alias",
    "doc",
    "future-incompat-report",
    "http",
    "install",
    "net",
    "registries",
    "registry",
    "source",
    "term",
];

/// Configuration files, the closest first, and the environment.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    files: Vec<Table>,
    env: BTreeMap<String, String>,
}

impl Settings {
    /// Reads the files that cargo would read in `workspace`.
    pub(super) fn read(workspace: &Path, env: &BTreeMap<String, String>) -> Result<Self, ImageError> {
        let above = workspace.ancestors().map(|folder| folder.join(".cargo"));
        let mut folders: Vec<PathBuf> = above.collect();
        let home = home(env).filter(|home| !folders.contains(home));
        folders.extend(home);
        let mut files = Vec::new();
        for folder in folders {
            // The older name wins where both exist.
            let names = ["config", "config.toml"].map(|name| folder.join(name));
            if let Some(path) = names.into_iter().find(|path| path.is_file()) {
                files.push(table(&path)?);
            }
        }
        Ok(Self {
            files,
            env: env.clone(),
        })
    }

    /// Whether the user chose a linker for `target`; one for a `cfg(...)` may be meant for it.
    pub(super) fn has_linker(&self, target: &str) -> bool {
        self.env.contains_key(&variable(target, "LINKER"))
            || self.target_tables(target).any(|t| t.contains_key("linker"))
    }

    /// The user's own flags in the variable that cargo prefers to every other source.
    pub(super) fn flags_of_env(&self) -> Option<Vec<String>> {
        let words = |text: &String, separator: char| {
            let words = text.split(separator).map(str::trim);
            words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
        };
        let encoded = self.env.get("CARGO_ENCODED_RUSTFLAGS");
        let plain = self.env.get("RUSTFLAGS");
        encoded
            .map(|text| words(text, '\u{1f}'))
            .or_else(|| plain.map(|text| words(text, ' ')))
    }

    /// The flags of `[build]`, which cargo ignores as soon as there are any for `target`.
    pub(super) fn general_flags(&self, target: &str) -> Vec<String> {
        let of_target = self.env.contains_key(&variable(target, "RUSTFLAGS"))
            || self.target_tables(target).any(|t| t.contains_key("rustflags"));
        if of_target {
            return Vec::new();
        }
        let of_files = self.files.iter().rev();
        let of_files = of_files.filter_map(|file| file.get("build")?.get("rustflags"));
        let of_env = self.env.get("CARGO_BUILD_RUSTFLAGS").map(|text| split(text));
        of_files.flat_map(flags).chain(of_env.into_iter().flatten()).collect()
    }

    /// All of it that changes what is compiled, as text; the same on every machine that is set up alike.
    pub(super) fn fingerprint(&self) -> String {
        let files = self.files.iter().map(|file| {
            let relevant = file.iter().filter(|(name, _)| !HARMLESS.contains(&name.as_str()));
            let relevant: Table = relevant.map(|(k, v)| (k.clone(), v.clone())).collect();
            relevant.to_string()
        });
        let files = files.filter(|text| !text.is_empty());
        let env = self.env.iter().filter(|(name, _)| changes_a_build(name));
        let env = env.map(|(name, value)| format!("{name}={value}\n"));
        files.chain(env).collect()
    }

    fn target_tables(&self, target: &str) -> impl Iterator<Item = &Table> {
        let targets = self.files.iter().filter_map(|file| file.get("target")?.as_table());
        targets.flatten().filter_map(move |(name, table)| {
            let concerns = name == target || name.starts_with("cfg(");
            table.as_table().filter(|_| concerns)
        })
    }
}

/// Cargo's home folder.
pub(super) fn home(env: &BTreeMap<String, String>) -> Option<PathBuf> {
    let named = env.get("CARGO_HOME").filter(|home| !home.is_empty());
    named
        .map(PathBuf::from)
        .or_else(|| Some(Path::new(env.get("HOME")?).join(".cargo")))
}

fn table(path: &Path) -> Result<Table, ImageError> {
    let text = std::fs::read_to_string(path).map_err(|source| ImageError::Read {
        path: path.to_owned(),
        source,
    })?;
    text.parse().map_err(|error: toml::de::Error| ImageError::Settings {
        path: path.to_owned(),
        reason: error.to_string().trim_end().to_owned(),
    })
}

/// `CARGO_TARGET_<TRIPLE>_<KEY>`.
fn variable(target: &str, key: &str) -> String {
    format!("CARGO_TARGET_{}_{key}", target.replace(['-', '.'], "_").to_uppercase())
}

/// Flags are one text, divided by spaces, or a list.
fn flags(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => split(text),
        Value::Array(words) => words
            .iter()
            .filter_map(|word| Some(word.as_str()?.to_owned()))
            .collect(),
        _ => Vec::new(),
    }
}

fn split(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Whether cargo, rustc or what compiles C for a build script reads the variable `name` for more than where to put
/// files and how to talk.
fn changes_a_build(name: &str) -> bool {
    const PLACES: [&str; 5] = [
        "CARGO_TARGET_DIR",
        "CARGO_BUILD_TARGET_DIR",
        "CARGO_BUILD_BUILD_DIR",
        "CARGO_BUILD_JOBS",
        "CARGO_BUILD_DEP_INFO_BASEDIR",
    ];
    const EXACT: [&str; 6] = [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_INCREMENTAL",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_BOOTSTRAP",
    ];
    const STARTS: [&str; 4] = ["CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_TARGET_", "CARGO_UNSTABLE_"];
    const NATIVE: [&str; 8] = [
        "CC", "CXX", "AR", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "ARFLAGS",
    ];
    let native = |key: &&str| {
        // Also per target or per side: `CC_x86_64_unknown_linux_musl`, `TARGET_CC`, `HOST_CC`.
        let rest = name.strip_prefix(*key);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
            || name.strip_prefix("TARGET_") == Some(*key)
            || name.strip_prefix("HOST_") == Some(*key)
    };
    !PLACES.contains(&name)
        && (EXACT.contains(&name) || STARTS.iter().any(|start| name.starts_with(start)) || NATIVE.iter().any(native))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MUSL: &str = "x86_64-unknown-linux-musl";

    fn settings(files: &[&str], env: &[(&str, &str)]) -> Settings {
        Settings {
            files: files.iter().map(|text| text.parse().expect("TOML")).collect(),
            env: env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        }
    }

    #[test]
    fn files_are_read_from_the_workspace_up_and_from_cargos_home() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let workspace = folder.path().join("a/workspace");
        for (at, linker) in [("a/workspace/.cargo", "near"), ("a/.cargo", "far"), ("home", "home")] {
            let at = folder.path().join(at);
            std::fs::create_dir_all(&at).expect("folder");
            std::fs::write(at.join("config.toml"), format!("[target.{linker}]\nlinker = 'l'\n")).expect("written");
        }
        let home = folder.path().join("home").display().to_string();
        let env = BTreeMap::from([("CARGO_HOME".to_owned(), home)]);
        let settings = Settings::read(&workspace, &env).expect("readable");
        for target in ["near", "far", "home"] {
            assert!(settings.has_linker(target), "{target}");
        }
        assert!(!settings.has_linker(MUSL));
    }

    #[test]
    fn a_linker_of_the_user_is_seen_in_files_and_environment() {
        assert!(settings(&["[target.x86_64-unknown-linux-musl]\nlinker = 'cc'"], &[]).has_linker(MUSL));
        assert!(settings(&["[target.'cfg(unix)']\nlinker = 'cc'"], &[]).has_linker(MUSL));
        assert!(settings(&[], &[("CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER", "cc")]).has_linker(MUSL));
        assert!(!settings(&["[target.other]\nlinker = 'cc'"], &[]).has_linker(MUSL));
    }

    #[test]
    fn general_flags_count_only_where_cargo_takes_them() {
        let general = "[build]\nrustflags = ['-g', '-Ca=b']";
        assert_eq!(settings(&[general], &[]).general_flags(MUSL), ["-g", "-Ca=b"]);
        let text = "[build]\nrustflags = '-g  -O'";
        assert_eq!(settings(&[text], &[]).general_flags(MUSL), ["-g", "-O"]);
        let of_target = "[target.x86_64-unknown-linux-musl]\nrustflags = ['-O']";
        assert_eq!(settings(&[general, of_target], &[]).general_flags(MUSL), [""; 0]);
    }

    #[test]
    fn what_only_says_how_to_fetch_or_where_to_put_files_changes_no_fingerprint() {
        let plain = settings(&[], &[]).fingerprint();
        let file = "[net]\noffline = true\n[source.crates-io]\nreplace-with = 'mirror'\n[alias]\nb = 'build'";
        let env = [
            ("CARGO_TARGET_DIR", "/tmp/t"),
            ("CARGO_HOME", "/c"),
            ("HOME", "/h"),
            ("CCACHE_DIR", "/x"),
        ];
        assert_eq!(settings(&[file], &env).fingerprint(), plain);
        for (file, env) in [
            ("[build]\nrustflags = '-g'", ("A", "")),
            ("[profile.image]\nopt-level = 1", ("A", "")),
            ("[env]\nA = 'b'", ("A", "")),
            ("", ("RUSTFLAGS", "-g")),
            ("", ("CARGO_PROFILE_IMAGE_LTO", "thin")),
            ("", ("CC_x86_64_unknown_linux_musl", "musl-gcc")),
            ("", ("TARGET_CC", "clang")),
        ] {
            assert_ne!(settings(&[file], &[env]).fingerprint(), plain, "{file} {env:?}");
        }
    }
}
