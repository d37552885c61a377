//! What the use cases tell about their progress; who renders it decides where and how.

mod answer;
mod ledger;
mod lines;
mod pace;
#[cfg(test)]
mod record;
mod terminal;

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

pub use answer::Answer;
pub use ledger::{Entries, Ledger};
pub use lines::{Lines, Style};
pub(crate) use lines::{printable, word};
#[cfg(test)]
pub(crate) use record::Record;
pub use terminal::Terminal;

use crate::config::{Format, Output};

/// How one thing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was made.
    Created,
    /// It existed and was changed.
    Updated,
    /// It existed as wanted.
    Unchanged,
    /// It was removed.
    Deleted,
    /// It was deleted and made anew.
    Recreated,
    /// It is wanted no longer and stays on purpose.
    Kept,
    /// It was left alone on purpose.
    Skipped,
    /// It is in the state that was waited for.
    Ready,
    /// It was uploaded.
    Pushed,
    /// It was compiled, on this machine only.
    Built,
}

/// One thing that happened. Rendered on stderr, never on stdout.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A phase of the command begins, e.g. "cluster".
    Phase {
        /// Its title.
        name: String,
    },
    /// Something reached an outcome.
    Done {
        /// Kind of thing, e.g. "repository", "Deployment".
        kind: String,
        /// Its name, with the namespace where it has one.
        name: String,
        /// How it ended.
        outcome: Outcome,
        /// A figure or reason worth reading, else empty.
        detail: String,
    },
    /// A wait goes on.
    Waiting {
        /// What is waited for.
        what: String,
        /// Its present state, as a person would say it.
        state: String,
        /// How long so far, in seconds.
        #[serde(rename = "elapsed_s", serialize_with = "seconds")]
        elapsed: Duration,
        /// Whether it is only looked at: then a run that ends meanwhile leaves nothing of it.
        #[serde(skip)]
        looked_at: bool,
    },
    /// Bytes of a transfer or steps of a build.
    Progress {
        /// What is transferred or built.
        what: String,
        /// Done so far.
        done: u64,
        /// Of how much; 0 where unknown.
        total: u64,
    },
    /// Something the user should know.
    Warning {
        /// A sentence.
        message: String,
    },
    /// Something worth saying.
    Note {
        /// A sentence.
        message: String,
    },
}

/// Takes events. Implementations must not block for long nor fail.
pub trait Reporter: Send + Sync {
    /// Takes one event.
    fn emit(&self, event: Event);

    /// A phase begins.
    fn phase(&self, name: &str) {
        self.emit(Event::Phase { name: name.to_owned() });
    }

    /// Something reached an outcome.
    fn done(&self, kind: &str, name: &str, outcome: Outcome, detail: &str) {
        self.emit(Event::Done {
            kind: kind.to_owned(),
            name: name.to_owned(),
            outcome,
            detail: detail.to_owned(),
        });
    }

    /// A wait goes on.
    fn waiting(&self, what: &str, state: &str, elapsed: Duration) {
        self.emit(Event::Waiting {
            what: what.to_owned(),
            state: state.to_owned(),
            elapsed,
            looked_at: false,
        });
    }

    /// A wait for what this run neither makes nor changes goes on.
    fn watching(&self, what: &str, state: &str, elapsed: Duration) {
        self.emit(Event::Waiting {
            what: what.to_owned(),
            state: state.to_owned(),
            elapsed,
            looked_at: true,
        });
    }

    /// Something the user should know.
    fn warning(&self, message: &str) {
        self.emit(Event::Warning {
            message: message.to_owned(),
        });
    }

    /// Something worth saying.
    fn note(&self, message: &str) {
        self.emit(Event::Note {
            message: message.to_owned(),
        });
    }
}

/// Whether `what`, which is waited for, names `name`: as a whole, not as a part of a longer name.
fn is_named(what: &str, name: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || "-_./".contains(c);
    what.match_indices(name).any(|(at, _)| {
        let (before, after) = (&what[..at], &what[at + name.len()..]);
        !before.ends_with(goes_on) && !after.starts_with(goes_on)
    })
}

/// Drops every event: for tests and library callers that want none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Reporter for Silent {
    fn emit(&self, _event: Event) {}
}

/// Warnings only, for `--quiet`.
struct Quiet(Arc<dyn Reporter>);

impl Reporter for Quiet {
    fn emit(&self, event: Event) {
        if matches!(event, Event::Warning { .. }) {
            self.0.emit(event);
        }
    }
}

/// The reporter that fits: JSON lines, a terminal, or plain lines; always on stderr, chosen once.
pub fn choose(output: &Output) -> Arc<dyn Reporter> {
    let stderr = std::io::stderr();
    let reporter: Arc<dyn Reporter> = match output.format {
        Format::Json => Arc::new(Lines::new(Style::Json, stderr)),
        Format::Text if stderr.is_terminal() => Arc::new(Terminal::stderr(!output.no_color)),
        Format::Text => Arc::new(Lines::new(Style::Plain, stderr)),
    };
    if output.quiet {
        Arc::new(Quiet(reporter))
    } else {
        reporter
    }
}

fn seconds<S: serde::Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(value.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_lets_only_warnings_through() {
        let ledger = Arc::new(Ledger::new(Arc::new(Silent)));
        let quiet = Quiet(ledger.clone());
        quiet.phase("cluster");
        quiet.warning("old");
        assert_eq!(ledger.entries(), Entries::default());
    }
}
