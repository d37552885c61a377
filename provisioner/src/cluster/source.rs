//! Folders of manifests as text: embedded or from disk.

use std::path::Path;

use super::embedded::MANIFESTS;
use super::error::ClusterError;

/// A folder of manifests as text.
pub(super) struct Source {
    pub(super) name: String,
    pub(super) files: Vec<(String, String)>,
}

/// The folders that are part of the binary.
pub(super) fn embedded() -> Vec<Source> {
    let files = MANIFESTS.iter().map(|(p, t)| ((*p).to_owned(), (*t).to_owned()));
    group(files.collect())
}

/// The folders of `dir`, or the embedded ones.
pub(super) fn read(dir: Option<&Path>) -> Result<Vec<Source>, ClusterError> {
    let Some(dir) = dir else {
        return Ok(embedded());
    };
    let failed = |path: &Path, e: &std::io::Error| {
        ClusterError::Manifests(vec![format!("cannot read `{}`: {e}", path.display())])
    };
    let mut files = Vec::new();
    for folder in std::fs::read_dir(dir).map_err(|e| failed(dir, &e))? {
        let folder = folder.map_err(|e| failed(dir, &e))?.path();
        if !folder.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(&folder).map_err(|e| failed(&folder, &e))? {
            let file = file.map_err(|e| failed(&folder, &e))?.path();
            if file.extension().is_some_and(|e| e == "yaml" || e == "yml") {
                let text = std::fs::read_to_string(&file).map_err(|e| failed(&file, &e))?;
                let name = file.strip_prefix(dir).unwrap_or(&file);
                files.push((name.to_string_lossy().into_owned(), text));
            }
        }
    }
    files.sort();
    let sources = group(files);
    if sources.is_empty() {
        let problem = format!("`{}` has no folders with YAML files", dir.display());
        return Err(ClusterError::Manifests(vec![problem]));
    }
    Ok(sources)
}

/// Sorted files by folder: the order is the folders' number, the name what follows it.
fn group(files: Vec<(String, String)>) -> Vec<Source> {
    let mut sources: Vec<Source> = Vec::new();
    for (path, text) in files {
        let folder = path.split('/').next().unwrap_or_default();
        let name = folder
            .split_once('-')
            .filter(|(n, _)| n.chars().all(|c| c.is_ascii_digit()));
        let name = name.map_or(folder, |(_, name)| name).to_owned();
        match sources.last_mut() {
            Some(last) if last.name == name => last.files.push((path, text)),
            _ => sources.push(Source {
                name,
                files: vec![(path, text)],
            }),
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_components_named_without_their_number() {
        let files = ["10-a/x.yaml", "10-a/y.yaml", "20-b-c/x.yaml", "d-e/x.yaml"];
        let sources = group(files.map(|f| (f.to_owned(), String::new())).to_vec());
        let names: Vec<(&str, usize)> = sources.iter().map(|s| (s.name.as_str(), s.files.len())).collect();
        assert_eq!(names, [("a", 2), ("b-c", 1), ("d-e", 1)]);
    }
}
