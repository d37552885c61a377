//! What a command takes back where it does not reach its end: it fails, or a signal ends it.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::time::timeout;

/// How long taking back may hold up the exit.
const LIMIT: Duration = Duration::from_secs(5);

/// At most one piece of work that makes up for what a command began.
#[derive(Default)]
pub struct Undo(Mutex<Option<BoxFuture<'static, ()>>>);

impl fmt::Debug for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Undo").finish_non_exhaustive()
    }
}

impl Undo {
    /// From here on `work` makes up for what the command does.
    pub(super) fn register(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.replace(Some(work.boxed()));
    }

    /// There is nothing to take back any more.
    pub(super) fn forget(&self) {
        self.replace(None);
    }

    /// Takes back what is registered, if anything. A signal dropped the command: this runs after it, for a few seconds at
    /// most.
    pub async fn run(&self) {
        if let Some(work) = self.replace(None) {
            // What is not done by then is told as remaining.
            let _ = timeout(LIMIT, work).await;
        }
    }

    fn replace(&self, work: Option<BoxFuture<'static, ()>>) -> Option<BoxFuture<'static, ()>> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), work)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn what_is_registered_is_taken_back_once_and_what_is_forgotten_never() {
        let (undo, count) = (Undo::default(), Arc::new(AtomicU32::new(0)));
        let work = || {
            let count = Arc::clone(&count);
            async move {
                count.fetch_add(1, Ordering::Relaxed);
            }
        };
        undo.run().await;
        undo.register(work());
        undo.run().await;
        undo.run().await;
        assert_eq!(count.load(Ordering::Relaxed), 1);
        undo.register(work());
        undo.forget();
        undo.run().await;
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }
}
