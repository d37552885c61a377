//! A load as a picture: what happened, and pods, rates and latency over the same time. Drawn once as SVG, of which PNG is
//! made; texts become outlines, so that it looks the same wherever it is shown.

mod colors;
mod plot;
mod scale;
mod scene;
mod svg;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use resvg::usvg::{Tree, WriteOptions};

use super::{Recording, Span, Timeline};
use crate::drawing::{self, DrawError};
use scene::Scene;

/// Where the picture goes; its form follows from the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureFile {
    path: PathBuf,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Svg,
    Png,
}

impl FromStr for PictureFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = PathBuf::from(text);
        let form = match path.extension().and_then(|extension| extension.to_str()) {
            Some("svg") => Form::Svg,
            Some("png") => Form::Png,
            _ => return Err("it does not end with `.svg` or `.png`".to_owned()),
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(format!("there is no folder `{}`", folder.display()));
        }
        Ok(Self { path, form })
    }
}

/// A picture was not made.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// It cannot be drawn.
    #[error(transparent)]
    Draw(#[from] DrawError),
    /// Its file cannot be written.
    #[error("cannot write the picture `{}`", .0.display())]
    Write(PathBuf, #[source] std::io::Error),
}

/// What stands above the picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// One line in large letters.
    pub title: String,
    /// One line below.
    pub subtitle: String,
}

impl PictureFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Draws and writes.
    ///
    /// # Errors
    /// The file cannot be written, or there is no memory for the picture.
    pub fn write(&self, seen: &Recording, span: Span, times: &Timeline, heading: Heading) -> Result<(), PictureError> {
        let tree = tree(seen, span, times, heading)?;
        let content = match self.form {
            Form::Svg => outlined(&tree).into_bytes(),
            Form::Png => drawing::png(&tree)?,
        };
        std::fs::write(&self.path, content).map_err(|error| PictureError::Write(self.path.clone(), error))
    }
}

fn tree(seen: &Recording, span: Span, times: &Timeline, heading: Heading) -> Result<Tree, DrawError> {
    let scene = Scene::of(seen, span, times, (heading.title, heading.subtitle));
    let (drawn, size) = plot::draw(&scene);
    drawing::tree(&drawn.document(size), None)
}

/// SVG without texts: their outlines need no font.
fn outlined(tree: &Tree) -> String {
    let options = WriteOptions {
        coordinates_precision: 2,
        transforms_precision: 3,
        ..WriteOptions::default()
    };
    tree.to_string(&options)
}

#[cfg(test)]
mod tests;
