//! What the sandbox tells people: progress on stderr, results on stdout. The only place that prints.
#![allow(clippy::print_stderr)]

use std::io::Write;
use std::time::Instant;

use crate::error::Error;

/// A line of progress on stderr.
pub(crate) fn line(text: &str) {
    eprintln!("sandbox: {text}");
}

/// A result on stdout. A reader that went away is no failure.
pub(crate) fn result(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// The error with its cause and hint.
pub(crate) fn failure(error: &Error) {
    eprintln!("error: {error}");
    if let Some(hint) = error.hint() {
        eprintln!("\nhint: {hint}");
    }
}

/// Says what is done and, when it took long enough to notice, how long it took.
pub(crate) fn timed<T>(what: &str, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let start = Instant::now();
    line(&format!("{what} ..."));
    let value = work()?;
    let seconds = start.elapsed().as_secs_f64();
    if seconds >= 1.0 {
        line(&format!("{what}: done in {seconds:.1} s"));
    }
    Ok(value)
}
