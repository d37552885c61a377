//! Keeps waits readable: a state is told when it changes, then every few seconds.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::report::Reporter;

/// Between two lines of the same state.
const REPEAT: Duration = Duration::from_secs(5);

/// What was told about each thing, and when.
pub(crate) struct Pace<'a> {
    report: &'a dyn Reporter,
    started: Instant,
    told: HashMap<String, (String, Instant)>,
}

impl<'a> Pace<'a> {
    /// A wait that begins now.
    pub(crate) fn new(report: &'a dyn Reporter) -> Self {
        Self {
            report,
            started: Instant::now(),
            told: HashMap::new(),
        }
    }

    /// How long the wait has lasted.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Tells that `what` is in `state`, unless that was told a moment ago.
    pub(crate) fn waiting(&mut self, what: &str, state: &str) {
        if self.is_due(what, state) {
            self.report.waiting(what, state, self.elapsed());
        }
    }

    /// The same of what this run neither makes nor changes.
    pub(crate) fn watching(&mut self, what: &str, state: &str) {
        if self.is_due(what, state) {
            self.report.watching(what, state, self.elapsed());
        }
    }

    fn is_due(&mut self, what: &str, state: &str) -> bool {
        let known = self.told.get(what);
        if known.is_some_and(|(said, at)| said == state && at.elapsed() < REPEAT) {
            return false;
        }
        self.told.insert(what.to_owned(), (state.to_owned(), Instant::now()));
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::report::Event;

    #[derive(Default)]
    struct Count(Mutex<usize>);

    impl Reporter for Count {
        fn emit(&self, _event: Event) {
            *self.0.lock().expect("not poisoned") += 1;
        }
    }

    #[test]
    fn a_state_is_told_when_it_changes() {
        let count = Count::default();
        let mut pace = Pace::new(&count);
        for state in ["a", "a", "b", "b", "a"] {
            pace.waiting("x", state);
        }
        assert_eq!(*count.0.lock().expect("not poisoned"), 3);
    }
}
