//! Remembers what a run has made, so that a failure or an interruption can say what remains.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Event, Outcome, Reporter, is_named};

/// Passes every event on and keeps the phase, what was made, and what was being waited for.
pub struct Ledger {
    next: Arc<dyn Reporter>,
    entries: Mutex<Entries>,
}

/// A run so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entries {
    /// The phase that was entered last.
    pub phase: Option<String>,
    /// What was made and not removed again, as "kind name".
    pub made: BTreeSet<String>,
    /// What was waited for last and has not been told ready.
    pub pending: BTreeSet<String>,
    /// What was removed, as "kind name".
    pub gone: BTreeSet<String>,
    /// Whether anything was made, changed or removed anywhere but on this machine.
    pub changed: bool,
}

impl Ledger {
    /// A ledger in front of `next`.
    pub fn new(next: Arc<dyn Reporter>) -> Self {
        Self {
            next,
            entries: Mutex::default(),
        }
    }

    /// The run so far.
    pub fn entries(&self) -> Entries {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Reporter for Ledger {
    fn emit(&self, event: Event) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).take(&event);
        self.next.emit(event);
    }
}

impl Entries {
    fn take(&mut self, event: &Event) {
        match event {
            Event::Phase { name } => {
                self.phase = Some(name.clone());
                self.pending.clear();
            }
            Event::Waiting {
                what, looked_at: false, ..
            } => {
                self.pending.insert(what.clone());
            }
            Event::Done {
                kind, name, outcome, ..
            } => {
                self.pending.retain(|what| !is_named(what, name));
                let thing = format!("{kind} {name}");
                self.changed |= matches!(
                    outcome,
                    Outcome::Created | Outcome::Updated | Outcome::Recreated | Outcome::Deleted | Outcome::Pushed
                );
                match outcome {
                    Outcome::Created | Outcome::Pushed => {
                        self.made.insert(thing);
                    }
                    Outcome::Recreated => {
                        self.gone.remove(&thing);
                    }
                    Outcome::Deleted => {
                        self.made.remove(&thing);
                        self.gone.insert(thing);
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Silent;
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_was_made_and_what_was_under_way_is_remembered() {
        let ledger = Ledger::new(Arc::new(Silent));
        ledger.phase("registry");
        ledger.done("repository", "demo/web-app", Outcome::Created, "");
        ledger.done("repository", "demo/load", Outcome::Unchanged, "");
        ledger.phase("cluster");
        ledger.waiting("foundation `provisioner-demo`", "CREATE_IN_PROGRESS", Duration::ZERO);
        ledger.done("repository", "provisioner", Outcome::Unchanged, "");
        assert_eq!(ledger.entries().pending.len(), 1, "a part of a name is another name");
        ledger.done("foundation", "provisioner-demo", Outcome::Created, "");
        ledger.waiting("cluster `demo`", "CREATING", Duration::ZERO);
        ledger.watching("HPA `web-app-hpa`", "10 of 10 pods", Duration::ZERO);
        let entries = ledger.entries();
        assert_eq!(entries.phase.as_deref(), Some("cluster"));
        assert_eq!(
            Vec::from_iter(entries.made),
            ["foundation provisioner-demo", "repository demo/web-app"]
        );
        assert_eq!(Vec::from_iter(entries.pending), ["cluster `demo`"]);
        ledger.done("repository", "demo/web-app", Outcome::Deleted, "");
        assert_eq!(ledger.entries().made.len(), 1);
        assert_eq!(Vec::from_iter(ledger.entries().gone), ["repository demo/web-app"]);
    }

    #[test]
    fn only_what_changes_something_elsewhere_counts_as_a_change() {
        for (outcome, changed) in [
            (Outcome::Created, true),
            (Outcome::Updated, true),
            (Outcome::Recreated, true),
            (Outcome::Deleted, true),
            (Outcome::Pushed, true),
            (Outcome::Unchanged, false),
            (Outcome::Skipped, false),
            (Outcome::Kept, false),
            (Outcome::Ready, false),
            (Outcome::Built, false),
        ] {
            let ledger = Ledger::new(Arc::new(Silent));
            ledger.done("thing", "a", outcome, "");
            assert_eq!(ledger.entries().changed, changed, "{outcome:?}");
        }
    }
}
