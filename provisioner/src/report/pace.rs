//! Which events are worth a line of their own: a log must not fill with a wait that goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Event;

/// A wait whose state stays the same is repeated this often.
const REPEAT: Duration = Duration::from_secs(30);
/// Progress is told at each of this many parts.
const PARTS: u64 = 4;

/// Remembers what was said. Time comes from the events, so it needs no clock.
#[derive(Debug, Default)]
pub(super) struct Pace {
    waits: BTreeMap<String, (String, Duration)>,
    parts: BTreeMap<String, u64>,
}

impl Pace {
    pub(super) fn is_worth_a_line(&mut self, event: &Event) -> bool {
        match event {
            Event::Waiting {
                what, state, elapsed, ..
            } => self.wait(what, state, *elapsed),
            Event::Progress { what, done, total } => self.progress(what, *done, *total),
            _ => true,
        }
    }

    fn wait(&mut self, what: &str, state: &str, elapsed: Duration) -> bool {
        let said = self
            .waits
            .get(what)
            .is_some_and(|(last, at)| last == state && elapsed >= *at && elapsed.saturating_sub(*at) < REPEAT);
        if !said {
            self.waits.insert(what.to_owned(), (state.to_owned(), elapsed));
        }
        !said
    }

    /// Where the total is unknown, doublings are told.
    fn progress(&mut self, what: &str, done: u64, total: u64) -> bool {
        let part = done
            .saturating_mul(PARTS)
            .checked_div(total)
            .unwrap_or_else(|| done.checked_ilog2().map_or(0, |log| u64::from(log) + 1));
        let last = self.parts.insert(what.to_owned(), part);
        part > last.unwrap_or(0) || last.is_some_and(|last| part < last)
    }
}
