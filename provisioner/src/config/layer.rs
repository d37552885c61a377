//! One source of settings: the flags, the environment or the file, read without judging the values.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;

use super::Problem;
use super::keys::{KEYS, Key, Kind, OTHER_VARIABLES, PREFIX};
use crate::cluster::placeholders::is_own;
use crate::cluster::template::is_name;
use crate::image::Given;
use crate::spelling::nearest;

/// The section with placeholders of the user's own.
pub(super) const OWN: &str = "values";

/// Settings of one source, by key path.
#[derive(Debug, Default, Clone)]
pub struct Layer {
    values: BTreeMap<&'static str, Setting>,
    /// The table `[values]`, which only a file has.
    pub(super) own: BTreeMap<String, String>,
}

/// One setting as its source wrote it.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    /// How the source calls it, for messages.
    pub(crate) origin: String,
    /// The values: one, or several for a list.
    pub(crate) texts: Vec<String>,
}

impl Layer {
    /// A setting from a flag that was given; `flag` is its name in the table.
    pub(crate) fn flag(&mut self, flag: &'static str, texts: Vec<String>) {
        if let Some(key) = KEYS.iter().find(|key| key.flag == flag) {
            self.put(key, format!("`--{flag}`"), texts);
        }
    }

    pub(crate) fn get(&self, path: &str) -> Option<&Setting> {
        self.values.get(path)
    }

    fn put(&mut self, key: &Key, origin: String, texts: Vec<String>) {
        self.values.insert(key.path, Setting { origin, texts });
    }

    /// Settings from `PROVISIONER_*`; an empty variable counts as not set.
    pub(crate) fn from_env(variables: &BTreeMap<String, String>, problems: &mut Vec<Problem>) -> Self {
        let mut layer = Self::default();
        for (name, value) in variables {
            if !name.starts_with(PREFIX) || OTHER_VARIABLES.contains(&name.as_str()) {
                continue;
            }
            match KEYS.iter().find(|key| key.variable() == *name) {
                Some(_) if value.is_empty() => {}
                Some(key) => {
                    let texts = match key.kind {
                        Kind::List | Kind::Binaries => value.split(',').map(|t| t.trim().to_owned()).collect(),
                        _ => vec![value.clone()],
                    };
                    layer.put(key, format!("`{name}`"), texts);
                }
                None => problems.push(unknown_variable(name)),
            }
        }
        layer
    }

    /// Settings from the file at `path`.
    pub(crate) fn from_file(path: &Path, problems: &mut Vec<Problem>) -> Self {
        let mut layer = Self::default();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                problems.push(Problem::new(format!("cannot read `{}`: {error}", path.display())));
                return layer;
            }
        };
        match text.parse::<toml::Table>() {
            Ok(table) => {
                let mut reader = FileReader {
                    path,
                    layer: &mut layer,
                    problems,
                };
                reader.table("", &table);
            }
            Err(error) => {
                let message = format!("`{}` is not valid TOML: {error}", path.display());
                problems.push(Problem::new(message.trim_end().to_owned()));
            }
        }
        layer
    }
}

fn unknown_variable(name: &str) -> Problem {
    let flag = name.trim_start_matches(PREFIX).to_lowercase().replace('_', "-");
    if is_only_a_flag(&flag) {
        return Problem::new(format!(
            "`{name}` is no variable: `--{flag}` can only be given as a flag"
        ));
    }
    let known: Vec<String> = KEYS.iter().map(Key::variable).collect();
    let known = known.iter().map(String::as_str).chain(OTHER_VARIABLES);
    Problem::unknown(format!("unknown variable `{name}`"), nearest(name, known))
}

/// Whether a command has a flag of that name that is no setting: it stands for one run, and must not last.
fn is_only_a_flag(name: &str) -> bool {
    let cli = crate::cli::Cli::command();
    let commands = cli.get_subcommands().chain([&cli]);
    let mut flags = commands
        .flat_map(clap::Command::get_arguments)
        .filter_map(clap::Arg::get_long);
    flags.any(|flag| flag == name) && !KEYS.iter().any(|key| key.flag == name)
}

/// A value as it stands in YAML: texts as they are written.
fn in_yaml(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(_) | toml::Value::Table(_) => serde_json::to_string(value).unwrap_or_default(),
        other => other.to_string(),
    }
}

struct FileReader<'a> {
    path: &'a Path,
    layer: &'a mut Layer,
    problems: &'a mut Vec<Problem>,
}

impl FileReader<'_> {
    fn table(&mut self, prefix: &str, table: &toml::Table) {
        for (name, value) in table {
            let path = if prefix.is_empty() {
                name.clone()
            } else {
                format!("{prefix}.{name}")
            };
            let section = format!("{path}.");
            if path == OWN {
                self.own(value);
                continue;
            }
            match KEYS.iter().find(|key| key.path == path) {
                Some(key) => self.value(key, value),
                None if KEYS.iter().any(|key| key.path.starts_with(&section)) => match value {
                    toml::Value::Table(inner) => self.table(&path, inner),
                    _ => self.problem(&path, "must be a section"),
                },
                None => self.unknown(&path),
            }
        }
    }

    /// Placeholders of the user's own. Lists and tables become JSON, which is YAML too.
    fn own(&mut self, value: &toml::Value) {
        let Some(table) = value.as_table() else {
            return self.problem(OWN, "must be a section");
        };
        for (name, value) in table {
            let path = format!("{OWN}.{name}");
            if is_own(name) {
                self.problem(&path, "is a placeholder of the tool itself: give it another name");
            } else if !is_name(name) {
                self.problem(
                    &path,
                    "is no name of a placeholder: lower-case letters, digits and `_`, first a letter",
                );
            } else {
                self.layer.own.insert(name.clone(), in_yaml(value));
            }
        }
    }

    fn value(&mut self, key: &Key, value: &toml::Value) {
        let texts = match (key.kind, value) {
            (Kind::Text, toml::Value::String(text)) => vec![text.clone()],
            (Kind::Number, toml::Value::Integer(number)) => vec![number.to_string()],
            (Kind::Number, toml::Value::Float(number)) => vec![number.to_string()],
            (Kind::Path, toml::Value::String(text)) => vec![self.beside(text)],
            (Kind::Binaries, toml::Value::String(text)) => vec![self.binary(text)],
            (Kind::Binaries, toml::Value::Array(items)) if items.iter().all(toml::Value::is_str) => {
                let texts = items.iter().filter_map(toml::Value::as_str);
                texts.map(|text| self.binary(text)).collect()
            }
            (Kind::Switch, toml::Value::Boolean(on)) => vec![on.to_string()],
            (Kind::List, toml::Value::Array(items)) if items.iter().all(toml::Value::is_str) => items
                .iter()
                .filter_map(|item| item.as_str().map(str::to_owned))
                .collect(),
            _ => {
                let wanted = match key.kind {
                    Kind::Text | Kind::Path => "must be a text in quotes",
                    Kind::Number => "must be a number without quotes",
                    Kind::Switch => "must be `true` or `false`",
                    Kind::List => "must be a list of texts",
                    Kind::Binaries => "must be a text in quotes or a list of texts",
                };
                return self.problem(key.path, wanted);
            }
        };
        let origin = format!("`{}` in `{}`", key.path, self.path.display());
        self.layer.put(key, origin, texts);
    }

    fn beside(&self, text: &str) -> String {
        let folder = self.path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        folder.join(text).display().to_string()
    }

    fn binary(&self, text: &str) -> String {
        match Given::split(text) {
            (Some(platform), path) => format!("{platform}={}", self.beside(path)),
            (None, path) => self.beside(path),
        }
    }

    fn problem(&mut self, path: &str, what: &str) {
        let message = format!("`{path}` in `{}` {what}", self.path.display());
        self.problems.push(Problem::new(message));
    }

    fn unknown(&mut self, path: &str) {
        let last = path.rsplit('.').next().unwrap_or(path);
        if is_only_a_flag(last) {
            return self.problem(path, &format!("is no setting: `--{last}` can only be given as a flag"));
        }
        let sections = KEYS.iter().filter_map(|key| key.path.split_once('.')).map(|(s, _)| s);
        // The right name in the wrong place first.
        let same = KEYS.iter().find(|key| key.flag == last).map(|key| key.path);
        let near = same
            .or((last == OWN).then_some(OWN))
            .or_else(|| nearest(path, KEYS.iter().map(|key| key.path).chain(sections).chain([OWN])));
        let message = format!("unknown key `{path}` in `{}`", self.path.display());
        self.problems.push(Problem::unknown(message, near));
    }
}
