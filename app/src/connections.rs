//! How many connections there are, and which is one too many; and when a peer that takes nothing loses its own.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;

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

/// From here on the connection breaks once its peer has taken nothing of what waits for it for so long: answers that nobody
/// reads must not hold a place for good, and no timer of HTTP runs while they wait.
pub(crate) fn break_when_stalled(stream: &TcpStream, limit: Duration) -> io::Result<()> {
    SockRef::from(stream).set_tcp_user_timeout(Some(limit))
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_peer_that_reads_nothing_loses_its_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        break_when_stalled(&stream, Duration::from_millis(300)).unwrap();
        let bytes = vec![0; 65536];
        let writes = async {
            loop {
                if let Err(error) = stream.write_all(&bytes).await {
                    return error;
                }
            }
        };
        let error = tokio::time::timeout(Duration::from_secs(20), writes).await.unwrap();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        drop(peer);
    }

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
