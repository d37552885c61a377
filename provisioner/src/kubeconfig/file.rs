//! Files of the kubeconfig: found as kubectl finds them, locked as kubectl locks them, replaced as a whole.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::{KubeconfigError, current, empty, mentions};

/// How long another program may hold the lock.
const LOCKED: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(50);

/// The files that make up the kubeconfig, in the order in which they win.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locations(Vec<PathBuf>);

impl Locations {
    /// The files of a `KUBECONFIG` value, else `.kube/config` in the home folder.
    ///
    /// # Errors
    /// Neither is known.
    pub fn of(variable: Option<&OsStr>, home: Option<&OsStr>) -> Result<Self, KubeconfigError> {
        let listed: Vec<PathBuf> = variable
            .into_iter()
            .flat_map(std::env::split_paths)
            .filter(|path| !path.as_os_str().is_empty())
            .collect();
        if !listed.is_empty() {
            return Ok(Self(listed));
        }
        let home = home.filter(|home| !home.is_empty()).ok_or(KubeconfigError::NoPlace)?;
        Ok(Self(vec![PathBuf::from(home).join(".kube/config")]))
    }

    /// One file that was named.
    pub fn one(path: PathBuf) -> Self {
        Self(vec![path])
    }

    /// The files.
    pub fn paths(&self) -> &[PathBuf] {
        &self.0
    }

    /// Where an entry of that name belongs, as kubectl decides: where it is, else the first file that exists, else the
    /// last.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn place(&self, name: &str) -> Result<&Path, KubeconfigError> {
        for path in &self.0 {
            if mentions(&read(path)?, name) {
                return Ok(path);
            }
        }
        let existing = self.0.iter().find(|path| path.exists());
        existing
            .or(self.0.last())
            .map(PathBuf::as_path)
            .ok_or(KubeconfigError::NoPlace)
    }

    /// Whether the context is the current one.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn is_current(&self, name: &str) -> Result<bool, KubeconfigError> {
        match self.current()? {
            Some(path) => Ok(current(&read(path)?) == Some(name)),
            None => Ok(false),
        }
    }

    /// The file that says which context is current.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn current(&self) -> Result<Option<&Path>, KubeconfigError> {
        for path in &self.0 {
            if current(&read(path)?).is_some() {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }
}

/// Changes a file under its lock; `change` says whether it did. The new text is in place at once or not at all,
/// readable by its owner only.
///
/// # Errors
/// The file is locked for too long, is no kubeconfig, cannot be written, or `change` refuses.
pub fn edit(
    path: &Path,
    change: impl FnOnce(&mut Value) -> Result<bool, KubeconfigError>,
) -> Result<bool, KubeconfigError> {
    // A link stays a link: what it points to is replaced.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(failed("write", path))?;
    }
    let _lock = Lock::take(path)?;
    let mut value = read(path)?;
    let changed = change(&mut value)?;
    if changed {
        let text = serde_saphyr::to_string(&value).map_err(|error| not_one(path, &error))?;
        replace(path, &text).map_err(failed("write", path))?;
    }
    Ok(changed)
}

/// The file as a value; one that does not exist has no entries.
///
/// # Errors
/// It cannot be read, or is no kubeconfig.
pub fn read(path: &Path) -> Result<Value, KubeconfigError> {
    let text = match fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => return Ok(empty()),
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(empty()),
        Err(error) => return Err(failed("read", path)(error)),
    };
    // The lines around a mistake may hold a token.
    let value: Value = serde_saphyr::from_str(&text).map_err(|error| not_one(path, error.without_snippet()))?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(not_one(path, &"it is no mapping"))
    }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let temporary = beside(path, &format!(".{}.new", std::process::id()));
    let written = write_new(&temporary, text).and_then(|file| {
        // Of the same owner as before, where root edits somebody else's file.
        if let Ok(before) = fs::metadata(path) {
            std::os::unix::fs::fchown(&file, Some(before.uid()), Some(before.gid())).or_else(|error| {
                let same = file.metadata().is_ok_and(|now| now.uid() == before.uid());
                if same { Ok(()) } else { Err(error) }
            })?;
        }
        fs::rename(&temporary, path)
    });
    if written.is_err() {
        // What is left of the attempt must not stay; the first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn write_new(path: &Path, text: &str) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(file)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn failed(verb: &'static str, path: &Path) -> impl Fn(io::Error) -> KubeconfigError {
    let path = path.to_owned();
    move |source| KubeconfigError::File {
        verb,
        path: path.clone(),
        source,
    }
}

fn not_one(path: &Path, why: &dyn std::fmt::Display) -> KubeconfigError {
    KubeconfigError::NotOne {
        path: path.to_owned(),
        why: why.to_string(),
    }
}

/// `FILE.lock`, which kubectl and every client-go program respect.
struct Lock(PathBuf);

impl Lock {
    fn take(path: &Path) -> Result<Self, KubeconfigError> {
        let lock = beside(path, ".lock");
        let give_up = std::time::Instant::now() + LOCKED;
        loop {
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&lock) {
                Ok(_) => return Ok(Self(lock)),
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed("lock", path)(error)),
                Err(_) if std::time::Instant::now() >= give_up => {
                    return Err(KubeconfigError::Locked {
                        path: path.to_owned(),
                        lock,
                    });
                }
                Err(_) => std::thread::sleep(POLL),
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
