//! Folders of manifests as text: the embedded ones, and over them those of a folder on disk.

use std::path::{Path, PathBuf};

use super::embedded::MANIFESTS;
use super::error::ClusterError;

/// A folder of manifests as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// The folder's name without its number.
    pub(super) name: String,
    /// The folder's number, by which components are ordered; without one a component comes last.
    number: u32,
    /// Path in the folder of components, and text.
    pub(super) files: Vec<(String, String)>,
}

/// The folders that are part of the binary.
pub(super) fn embedded() -> Vec<Source> {
    let files = MANIFESTS.iter().map(|(p, t)| ((*p).to_owned(), (*t).to_owned()));
    ordered(group(files.collect()))
}

/// The embedded components; those of `dir` replace the ones of the same name, and are added where there is none.
pub(super) fn read(dir: Option<&Path>) -> Result<Vec<Source>, ClusterError> {
    match dir {
        None => Ok(embedded()),
        Some(dir) => Ok(overlay(embedded(), group(files(dir)?))),
    }
}

/// The components of `own` over others.
fn overlay(mut sources: Vec<Source>, own: Vec<Source>) -> Vec<Source> {
    sources.retain(|source| own.iter().all(|own| own.name != source.name));
    sources.extend(own);
    ordered(sources)
}

fn ordered(mut sources: Vec<Source>) -> Vec<Source> {
    sources.sort_by(|a, b| (a.number, &a.name).cmp(&(b.number, &b.name)));
    sources
}

/// Every YAML file of the folders in `dir`, by its path in `dir`. What would be passed over in silence is a problem: a
/// file beside the folders, a component without files, one that has two folders.
fn files(dir: &Path) -> Result<Vec<(String, String)>, ClusterError> {
    let (mut files, mut problems) = (Vec::new(), Vec::new());
    let mut components: Vec<(String, String)> = Vec::new();
    for path in entries(dir)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !path.is_dir() {
            if is_yaml(&path) {
                problems.push(format!(
                    "`{name}` is in no component: put it into a folder, e.g. `60-mine/{name}`"
                ));
            }
            continue;
        }
        if name.starts_with('.') {
            continue;
        }
        let inside: Vec<PathBuf> = entries(&path)?.into_iter().filter(|file| is_yaml(file)).collect();
        let (number, component) = split(&name);
        if inside.is_empty() {
            // Other folders may well lie beside components.
            if number.is_some() {
                let hint = format!("`--without {component}` leaves a component out");
                problems.push(format!("`{name}` has no YAML files: {hint}"));
            }
            continue;
        }
        if let Some((_, first)) = components.iter().find(|(known, _)| known == component) {
            problems.push(format!("`{first}` and `{name}` are the same component"));
        }
        components.push((component.to_owned(), name.clone()));
        for file in inside {
            let text = std::fs::read_to_string(&file).map_err(|e| failed(&file, &e))?;
            let name = file.strip_prefix(dir).unwrap_or(&file);
            files.push((name.to_string_lossy().into_owned(), text));
        }
    }
    if files.is_empty() && problems.is_empty() {
        problems.push(format!("`{}` has no folders with YAML files", dir.display()));
    }
    if problems.is_empty() {
        Ok(files)
    } else {
        Err(ClusterError::Manifests(problems))
    }
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "yaml" || e == "yml")
}

/// The paths in a folder, sorted.
fn entries(dir: &Path) -> Result<Vec<PathBuf>, ClusterError> {
    let read = || {
        std::fs::read_dir(dir)?
            .map(|entry| Ok(entry?.path()))
            .collect::<std::io::Result<Vec<PathBuf>>>()
    };
    let mut all = read().map_err(|e| failed(dir, &e))?;
    all.sort();
    Ok(all)
}

fn failed(path: &Path, e: &std::io::Error) -> ClusterError {
    ClusterError::Manifests(vec![format!("cannot read `{}`: {e}", path.display())])
}

/// Number and name of a folder: `10-app`.
fn split(folder: &str) -> (Option<u32>, &str) {
    let numbered = folder
        .split_once('-')
        .and_then(|(number, name)| Some((number.parse().ok()?, name)));
    match numbered {
        Some((number, name)) if !name.is_empty() => (Some(number), name),
        _ => (None, folder),
    }
}

/// Sorted files by folder.
fn group(files: Vec<(String, String)>) -> Vec<Source> {
    let mut sources: Vec<Source> = Vec::new();
    for (path, text) in files {
        let (number, name) = split(path.split('/').next().unwrap_or_default());
        match sources.iter_mut().find(|source| source.name == name) {
            Some(source) => source.files.push((path, text)),
            None => sources.push(Source {
                name: name.to_owned(),
                number: number.unwrap_or(u32::MAX),
                files: vec![(path, text)],
            }),
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(files: &[&str]) -> Vec<Source> {
        group(files.iter().map(|file| ((*file).to_owned(), String::new())).collect())
    }

    fn names(sources: &[Source]) -> Vec<(&str, usize)> {
        sources
            .iter()
            .map(|source| (source.name.as_str(), source.files.len()))
            .collect()
    }

    #[test]
    fn folders_are_components_named_without_their_number() {
        let all = ordered(sources(&[
            "100-z/x.yaml",
            "d-e/x.yaml",
            "10-a/x.yaml",
            "10-a/y.yaml",
            "20-b-c/x.yaml",
        ]));
        assert_eq!(names(&all), [("a", 2), ("b-c", 1), ("z", 1), ("d-e", 1)]);
    }

    #[test]
    fn a_folder_replaces_the_component_of_its_name_and_others_are_added_where_their_number_says() {
        let shipped = sources(&["10-a/x.yaml", "10-a/y.yaml", "20-b/x.yaml", "30-c/x.yaml"]);
        let own = sources(&["25-b/mine.yaml", "15-new/x.yaml", "40-a/x.yaml"]);
        let all = overlay(shipped, own);
        assert_eq!(names(&all), [("new", 1), ("b", 1), ("c", 1), ("a", 1)]);
        assert_eq!(all[1].files[0].0, "25-b/mine.yaml");
    }

    #[test]
    fn nothing_in_a_folder_is_passed_over_in_silence() {
        let dir = tempfile::tempdir().expect("a folder");
        let write = |path: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, "").expect("written");
        };
        let problems = || match read(Some(dir.path())) {
            Err(ClusterError::Manifests(problems)) => problems,
            other => panic!("refused: {other:?}"),
        };
        let nothing = problems();
        assert!(nothing[0].contains("has no folders with YAML files"), "{nothing:?}");
        for path in [
            "README.md",
            ".git/x.yaml",
            "docs/x.md",
            "50-grafana/notes.txt",
            "x.yaml",
            "10-a/x.yml",
            "20-a/x.yml",
        ] {
            write(path);
        }
        assert_eq!(
            problems(),
            [
                "`10-a` and `20-a` are the same component",
                "`50-grafana` has no YAML files: `--without grafana` leaves a component out",
                "`x.yaml` is in no component: put it into a folder, e.g. `60-mine/x.yaml`"
            ]
        );
    }
}
