//! How many connections there are, and which is one too many.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Connections beyond the limit that are still read: enough for probes and scrapes, and to tell clients by an answer
/// that there are too many. More are closed unread.
pub(crate) const SPARE: usize = 64;

/// The connections of the process, counted.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    open: AtomicUsize,
    refused: AtomicU64,
}

/// One open connection; leaves on drop.
#[derive(Debug)]
pub(crate) struct Place {
    connections: Arc<Connections>,
    /// Beyond the limit: only probes and scrapes are answered as usual.
    pub(crate) crowded: bool,
}

impl Connections {
    /// A place for a new connection, or None where it is to be closed.
    pub(crate) fn enter(self: &Arc<Self>, limit: usize) -> Option<Place> {
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        let place = Place {
            connections: Arc::clone(self),
            crowded: before >= limit,
        };
        if place.crowded {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        // Dropped where it is not given away, and so not counted.
        (before < limit.saturating_add(SPARE)).then_some(place)
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_limit_connections_are_crowded_and_then_closed() {
        let connections = Arc::new(Connections::default());
        let first = connections.enter(1).unwrap();
        assert!(!first.crowded);
        let spare: Vec<_> = (0..SPARE).map(|_| connections.enter(1).unwrap()).collect();
        assert!(spare.iter().all(|place| place.crowded));
        assert!(connections.enter(1).is_none());
        assert_eq!((connections.open(), connections.refused()), (SPARE + 1, 65));
        drop((first, spare));
        assert_eq!(connections.open(), 0);
        assert!(!connections.enter(1).unwrap().crowded);
    }
}
