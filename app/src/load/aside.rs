//! Lines that are written beside the load: a reader that stands still must not hold it up.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// Lines that wait for the reader; more are left out.
const WAITING: usize = 256;

/// How long the end waits for the reader to take them.
const PATIENCE: Duration = Duration::from_secs(1);

/// Hands each write as a whole to a thread that does it. Never blocks and never fails: nobody may be reading.
pub(super) struct Aside {
    lines: Option<SyncSender<Vec<u8>>>,
    /// Closed when all is written.
    written: Receiver<()>,
}

impl Aside {
    /// # Errors
    /// There can be no other thread.
    pub(super) fn new(mut to: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines, waiting) = sync_channel::<Vec<u8>>(WAITING);
        let (done, written) = sync_channel::<()>(0);
        thread::Builder::new().name("progress".to_owned()).spawn(move || {
            for line in waiting {
                to.write_all(&line).and_then(|()| to.flush()).ok();
            }
            drop(done);
        })?;
        Ok(Self {
            lines: Some(lines),
            written,
        })
    }
}

impl Write for Aside {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(lines) = &self.lines {
            lines.try_send(line.to_vec()).ok();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What was said is there before the report is; but not at any price.
impl Drop for Aside {
    fn drop(&mut self) {
        self.lines = None;
        // Nothing is ever sent: this ends with the thread or with our patience.
        self.written.recv_timeout(PATIENCE).ok();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Instant;

    use super::*;

    /// Keeps what is written; stands still before each write while the gate is held.
    #[derive(Clone, Default)]
    struct Reader {
        read: Arc<Mutex<Vec<u8>>>,
        gate: Arc<Mutex<()>>,
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _gate = self.gate.lock().unwrap();
            self.read.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn all_lines_are_written_in_order_before_the_end() {
        let reader = Reader::default();
        let mut aside = Aside::new(reader.clone()).unwrap();
        (0..100).for_each(|n| aside.write_all(format!("{n}\n").as_bytes()).unwrap());
        drop(aside);
        let lines: Vec<u8> = (0..100).flat_map(|n| format!("{n}\n").into_bytes()).collect();
        assert_eq!(*reader.read.lock().unwrap(), lines);
    }

    #[test]
    fn a_reader_that_stands_still_holds_nobody_up_for_long() {
        let reader = Reader::default();
        let held = reader.gate.lock().unwrap();
        let mut aside = Aside::new(reader.clone()).unwrap();
        let started = Instant::now();
        (0..10_000).for_each(|n| aside.write_all(format!("{n}\n").as_bytes()).unwrap());
        assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
        drop(aside);
        assert!(started.elapsed() >= PATIENCE);
        assert_eq!(*reader.read.lock().unwrap(), b"");
        drop(held);
    }
}
