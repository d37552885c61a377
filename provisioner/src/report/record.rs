//! A reporter for tests.

use std::sync::Mutex;

use super::{Event, Reporter};

/// Keeps events.
#[derive(Default)]
pub(crate) struct Record(pub(crate) Mutex<Vec<Event>>);

impl Reporter for Record {
    fn emit(&self, event: Event) {
        self.0.lock().expect("lock").push(event);
    }
}

impl Record {
    /// The warnings, in order.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let events = self.0.lock().expect("lock");
        let warnings = events.iter().filter_map(|event| match event {
            Event::Warning { message } => Some(message.clone()),
            _ => None,
        });
        warnings.collect()
    }
}
