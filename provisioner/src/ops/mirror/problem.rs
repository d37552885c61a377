//! Why images are not mirrored, each with what to try.

use std::fmt;

use super::Wanted;
use crate::error::{Error, Exit};
use crate::image::ImageError;

/// Images whose copies would go into the same repository.
#[derive(Debug)]
pub(super) struct Clashes(pub(super) Vec<String>);

/// Images that their sources do not give.
#[derive(Debug)]
pub(super) struct NotMirrored {
    /// How many are to be mirrored.
    pub(super) all: usize,
    pub(super) problems: Vec<Problem>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Problem {
    /// The image and who names it.
    what: String,
    why: String,
    /// What to try.
    way: Option<String>,
    /// Whether trying again would not mend it.
    is_final: bool,
}

/// Why a source gives no image.
pub(super) enum Failure {
    /// There are no credentials for it.
    Credentials(Error),
    /// It refuses or does not answer, or what it has is no image for the stack.
    Image(ImageError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Credentials(error)
    }
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        Self::Image(error)
    }
}

impl Failure {
    pub(super) fn of(self, wanted: &Wanted) -> Problem {
        let (error, way) = match self {
            Self::Credentials(error) => {
                let way = error.advice().map(str::to_owned);
                (error, way)
            }
            Self::Image(error) => {
                let way = error.way_on(wanted.image.host());
                (Error::from(error), way)
            }
        };
        Problem {
            what: format!("`{}` of {}", wanted.image, wanted.by),
            why: error.message(),
            way,
            is_final: error.exit() == Exit::Usage,
        }
    }
}

impl From<NotMirrored> for Error {
    fn from(error: NotMirrored) -> Self {
        let is_final = error.problems.iter().all(|problem| problem.is_final);
        let failed = Self::failed(error).hint(
            "nothing was changed, and what was copied before is not asked for again; `--without COMPONENT` leaves a component out, \
             and without `--mirror` nodes pull from the sources themselves",
        );
        if is_final { failed.before_any_change() } else { failed }
    }
}

impl std::error::Error for Clashes {}

impl fmt::Display for Clashes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot mirror images into one repository")?;
        self.0.iter().try_for_each(|clash| write!(f, "\n  {clash}"))
    }
}

impl std::error::Error for NotMirrored {}

impl fmt::Display for NotMirrored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot mirror {} of {} images", self.problems.len(), self.all)?;
        for Problem { what, why, way, .. } in &self.problems {
            write!(f, "\n  {what}: {why}")?;
            if let Some(way) = way {
                write!(f, "\n    {way}")?;
            }
        }
        Ok(())
    }
}
