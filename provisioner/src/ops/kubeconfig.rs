//! `kubeconfig`: access for other tools, without a secret in it: tokens come from this program.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Context;
use crate::aws::Aws;
use crate::cli;
use crate::config::Config;
use crate::error::Error;
use crate::kubeconfig::{self, Access, KubeconfigError, Locations, edit, read};
use crate::names::kube_context;
use crate::report::{Answer, Outcome, Reporter};
use crate::target::{self, Place};

/// Adds the cluster to the kubeconfig, or prints one of its own.
pub(super) async fn run(flags: &cli::Kubeconfig, context: &Context) -> Result<Answer, Error> {
    let (cluster, stack) = context.target()?;
    let place = context.place().await?;
    let Place::Eks(aws, _) = &place else {
        return existing(flags, cluster);
    };
    let found = target::existing(aws, cluster, stack).await?;
    let endpoint = target::endpoint(&found)?;
    let access = Access {
        name: entry_name(cluster, aws),
        server: endpoint.server,
        ca_pem: endpoint.ca_pem,
        program: kubeconfig::program(&std::env::current_exe().map_err(Error::failed)?)?,
        arguments: token_arguments(&context.config, aws),
    };
    if flags.stdout {
        let text = serde_saphyr::to_string(&access.alone()).map_err(Error::failed)?;
        return Ok(Answer::verbatim(text));
    }
    let entry = add(&locations(flags.file.as_deref())?, &access, flags.current)?;
    Answer::of(&entry).map_err(Error::failed)
}

fn entry_name(cluster: &str, aws: &Aws) -> String {
    kube_context(cluster, aws.region(), &aws.identity().account)
}

/// Takes out what [`run`] wrote for a cluster that is gone. What fails is told, and fails nothing.
pub(super) fn forget(cluster: &str, aws: &Aws, report: &dyn Reporter) {
    let entry = entry_name(cluster, aws);
    let removed = locations(None).and_then(|locations| {
        let mut removed = Vec::new();
        for path in locations.paths() {
            take_out(path, &mut removed, &entry)?;
        }
        Ok(removed)
    });
    match removed {
        Ok(removed) => {
            for (name, path) in removed {
                report.done("context", &name, Outcome::Deleted, &path.display().to_string());
            }
        }
        Err(error) => report.warning(&format!("its context stays in the kubeconfig: {}", error.message())),
    }
}

fn take_out(path: &Path, removed: &mut Vec<(String, PathBuf)>, entry: &str) -> Result<(), KubeconfigError> {
    // A file without an entry of ours is neither locked nor written.
    if kubeconfig::remove(&mut read(path)?, entry).is_empty() {
        return Ok(());
    }
    edit(path, |file| {
        let names = kubeconfig::remove(file, entry);
        let changed = !names.is_empty();
        removed.extend(names.into_iter().map(|name| (name, path.to_owned())));
        Ok(changed)
    })
    .map(drop)
}

/// A kube-context is in the kubeconfig by nature; it can be made current.
fn existing(flags: &cli::Kubeconfig, name: &str) -> Result<Answer, Error> {
    if flags.stdout || flags.file.is_some() {
        return Err(
            Error::usage(format!("context `{name}` is in the kubeconfig already")).hint(format!(
                "copy it with `kubectl config view --minify --flatten --context {name}`"
            )),
        );
    }
    let locations = locations(None)?;
    let (file, changed) = if flags.current {
        make_current(&locations, name)?
    } else {
        (locations.place(name)?.to_owned(), false)
    };
    let outcome = if changed { Outcome::Updated } else { Outcome::Unchanged };
    let entry = Entry::new(&locations, name, file, outcome)?;
    Answer::of(&entry).map_err(Error::failed)
}

fn locations(file: Option<&Path>) -> Result<Locations, Error> {
    if let Some(path) = file {
        return Ok(Locations::one(path.to_owned()));
    }
    let (variable, home) = (std::env::var_os("KUBECONFIG"), std::env::var_os("HOME"));
    Ok(Locations::of(variable.as_deref(), home.as_deref())?)
}

/// The context in the kubeconfig; current where that is asked, or where none was.
fn add(locations: &Locations, access: &Access, current: bool) -> Result<Entry, Error> {
    let path = locations.place(&access.name)?.to_owned();
    let existed = path.exists();
    let mut known = false;
    let current = current || locations.current()?.is_none();
    let changed = edit(&path, |file| {
        known = kubeconfig::mentions(file, &access.name);
        access.merge(file)
    })?;
    let made_current = current && make_current(locations, &access.name)?.1;
    let outcome = match (known && existed, changed || made_current) {
        (_, false) => Outcome::Unchanged,
        (true, true) => Outcome::Updated,
        (false, true) => Outcome::Created,
    };
    Ok(Entry::new(locations, &access.name, path, outcome)?)
}

fn make_current(locations: &Locations, name: &str) -> Result<(PathBuf, bool), KubeconfigError> {
    let path = match locations.current()? {
        Some(path) => path,
        None => locations.place(name)?,
    };
    let changed = edit(path, |file| Ok(kubeconfig::make_current(file, name)))?;
    Ok((path.to_owned(), changed))
}

/// A context that is in the kubeconfig.
#[derive(Debug, Serialize)]
struct Entry {
    context: String,
    file: PathBuf,
    outcome: Outcome,
    current: bool,
}

impl Entry {
    fn new(locations: &Locations, name: &str, file: PathBuf, outcome: Outcome) -> Result<Self, KubeconfigError> {
        Ok(Self {
            context: name.to_owned(),
            current: locations.is_current(name)?,
            file,
            outcome,
        })
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            context, file, current, ..
        } = self;
        writeln!(f, "context   {context}{}", if *current { ", current" } else { "" })?;
        writeln!(f, "file      {}", file.display())?;
        let flag = if *current {
            String::new()
        } else {
            format!(" --context {context}")
        };
        write!(f, "next      kubectl{flag} get pods -A")
    }
}

fn token_arguments(config: &Config, aws: &Aws) -> Vec<String> {
    let target = &config.target;
    let name = target.stack.as_ref().map(ToString::to_string);
    let name = name.filter(|name| Some(name) != target.cluster.as_ref());
    let region = Some(aws.region().to_owned());
    let flags = [
        ("--cluster", &target.cluster),
        ("--name", &name),
        ("--region", &region),
        ("--profile", &target.profile),
    ];
    let given = flags
        .into_iter()
        .filter_map(|(flag, value)| Some((flag, value.clone()?)));
    let pairs = given.flat_map(|(flag, value)| [flag.to_owned(), value]);
    std::iter::once("token".to_owned()).chain(pairs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubeconfig::tests::access;

    fn outcome(locations: &Locations, current: bool) -> (Outcome, bool) {
        let entry = add(locations, &access(), current).unwrap();
        (entry.outcome, entry.current)
    }

    #[test]
    fn a_context_is_current_where_it_is_asked_or_where_there_was_none() {
        let folder = tempfile::tempdir().unwrap();
        let locations = Locations::one(folder.path().join("config"));
        assert_eq!(outcome(&locations, false), (Outcome::Created, true));
        assert_eq!(outcome(&locations, false), (Outcome::Unchanged, true));
        let other = folder.path().join("other");
        std::fs::write(&other, "current-context: mine\n").unwrap();
        let locations = Locations::one(other);
        assert_eq!(outcome(&locations, false), (Outcome::Created, false));
        assert_eq!(outcome(&locations, true), (Outcome::Updated, true));
    }
}
