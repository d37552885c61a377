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

/// Every YAML file of the folders in `dir`, by its path in `dir`. What would be passed over in silence is a problem, since
/// a component that is not found is deleted: a file beside the folders, a component without files, one that has two
/// folders, folders inside of one, what cannot be looked at. So is a folder with such files and no number: it would be
/// applied, wanted or not.
fn files(dir: &Path) -> Result<Vec<(String, String)>, ClusterError> {
    let (mut files, mut problems) = (Vec::new(), Vec::new());
    let mut components: Vec<(String, String)> = Vec::new();
    for path in entries(dir)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') && !is_yaml(&path) {
            continue;
        }
        if !is_folder(&path)? {
            if is_yaml(&path) {
                problems.push(format!(
                    "`{name}` is in no component: put it into a folder, e.g. `60-mine/{name}`"
                ));
            }
            continue;
        }
        let all = entries(&path)?;
        let (inside, others): (Vec<PathBuf>, Vec<PathBuf>) = all.iter().cloned().partition(|file| is_yaml(file));
        let deeper = others.iter().map(|other| deeper(dir, other));
        problems.extend(deeper.collect::<Result<Vec<_>, _>>()?.into_iter().flatten());
        let (number, component) = split(&name);
        if inside.is_empty() {
            // Folders of other files may well lie beside components.
            if number.is_some() || all.is_empty() {
                let hint = format!("`--without {component}` leaves a component out");
                problems.push(format!("`{name}` has no YAML files: {hint}"));
            }
            continue;
        }
        if number.is_none() {
            problems.push(format!(
                "`{name}` has YAML files but no number: name it like `60-{name}` to make it a component, or put it elsewhere"
            ));
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

/// Whether a path is a folder; one that cannot be told is none that could be passed over.
fn is_folder(path: &Path) -> Result<bool, ClusterError> {
    let metadata = std::fs::metadata(path).map_err(|e| failed(path, &e))?;
    Ok(metadata.is_dir())
}

/// What is wrong with an entry of a component that is no YAML file: a folder with such files is not read.
fn deeper(dir: &Path, path: &Path) -> Result<Option<String>, ClusterError> {
    let hidden = path
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with('.'));
    if hidden || !is_folder(path)? || !has_yaml(path)? {
        return Ok(None);
    }
    let name = path.strip_prefix(dir).unwrap_or(path).display();
    Ok(Some(format!(
        "`{name}` has YAML files, and folders inside of a component are not read: put them into the component's own"
    )))
}

/// Whether a folder has YAML files, however deep.
fn has_yaml(folder: &Path) -> Result<bool, ClusterError> {
    for path in entries(folder)? {
        // A link is not followed: it may lead back.
        if is_yaml(&path) || (!path.is_symlink() && is_folder(&path)? && has_yaml(&path)?) {
            return Ok(true);
        }
    }
    Ok(false)
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
            "charts/x.yaml",
        ] {
            write(path);
        }
        assert_eq!(
            problems(),
            [
                "`10-a` and `20-a` are the same component",
                "`50-grafana` has no YAML files: `--without grafana` leaves a component out",
                "`charts` has YAML files but no number: name it like `60-charts` to make it a component, or put it elsewhere",
                "`x.yaml` is in no component: put it into a folder, e.g. `60-mine/x.yaml`"
            ]
        );
    }

    #[test]
    fn what_cannot_be_read_or_is_empty_or_too_deep_is_a_problem() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |path: &str| dir.path().join(path);
        let folder = |path: &str| std::fs::create_dir_all(at(path)).expect("made");
        let file = |path: &str| std::fs::write(at(path), "").expect("written");
        let problems = || match read(Some(dir.path())) {
            Err(ClusterError::Manifests(problems)) => problems.join("\n"),
            Ok(_) => String::new(),
            Err(other) => panic!("refused as manifests: {other:?}"),
        };
        folder("60-mine/notes");
        file("60-mine/x.yaml");
        file("60-mine/notes/a.txt");
        folder("docs");
        file("docs/a.md");
        assert_eq!(problems(), "");
        folder("grafana");
        let want = "`grafana` has no YAML files: `--without grafana` leaves a component out";
        assert_eq!(problems(), want);
        std::fs::remove_dir(at("grafana")).expect("removed");
        for path in ["60-mine/base/deep", "docs/deep"] {
            folder(path);
            file(&format!("{path}/x.yml"));
            let said = problems();
            assert!(
                said.contains("folders inside of a component are not read"),
                "{path}: {said}"
            );
            std::fs::remove_dir_all(at(path)).expect("removed");
        }
        for path in ["70-gone", "60-mine/gone"] {
            std::os::unix::fs::symlink("nowhere", at(path)).expect("linked");
            let said = problems();
            assert!(said.contains("cannot read") && said.contains("gone"), "{path}: {said}");
            std::fs::remove_file(at(path)).expect("removed");
        }
        assert_eq!(problems(), "");
    }
}
