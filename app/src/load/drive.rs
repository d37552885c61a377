//! The run: takes arrivals as they come due, starts requests, collects outcomes.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior};

use super::client::{Client, Connection, Exchange, Idle};
use super::record::{Outcome, Record};
use super::report::progress;
use super::schedule::Schedule;
use crate::shutdown::Signals;

/// Between two progress lines.
const PROGRESS: Duration = Duration::from_secs(5);

/// One load from its first request to its last answer.
pub(super) struct Run {
    client: Arc<Client>,
    schedule: Schedule,
    /// Most requests in flight.
    connections: usize,
    idle: Vec<Connection>,
    in_flight: JoinSet<Ended>,
    record: Record,
}

/// A request that has ended.
struct Ended {
    /// Since it was due.
    latency: Duration,
    exchange: Exchange,
}

impl Run {
    pub(super) fn new(client: Arc<Client>, schedule: Schedule, connections: usize, record: Record) -> Self {
        Self {
            client,
            schedule,
            connections,
            idle: Vec::new(),
            in_flight: JoinSet::new(),
            record,
        }
    }

    /// Sends until the schedule ends or a signal comes, then waits for the requests in flight; a second signal gives
    /// them up. Progress goes to `progress_to`, a line each 5 s.
    pub(super) async fn drive(mut self, signals: &mut Signals, progress_to: &mut dyn Write) -> io::Result<Record> {
        let start = Instant::now();
        let mut arrivals = self.schedule.start(start)?;
        let mut ticks = ticks();
        let mut sending = true;
        while sending || !self.in_flight.is_empty() {
            tokio::select! {
                biased;
                _ = signals.next() => {
                    if !sending {
                        break;
                    }
                    sending = false;
                    arrivals.close();
                    self.record.duration = start.elapsed();
                }
                Some(ended) = self.in_flight.join_next() => self.absorb(ended.ok()),
                _ = ticks.tick() => self.report_progress(start.elapsed(), progress_to),
                due = arrivals.recv(), if sending => {
                    let Some(due) = due else {
                        sending = false;
                        self.record.duration = start.elapsed().max(self.schedule.duration());
                        continue;
                    };
                    self.launch(due);
                }
            }
        }
        for _ in 0..self.in_flight.len() {
            self.absorb(None);
        }
        Ok(self.record)
    }

    fn launch(&mut self, due: Instant) {
        if self.in_flight.len() >= self.connections {
            self.record.dropped();
            return;
        }
        self.record.sent(SystemTime::now());
        let client = Arc::clone(&self.client);
        let idle = self.take_idle();
        self.in_flight.spawn(async move {
            let exchange = client.exchange(idle).await;
            Ended {
                latency: due.elapsed(),
                exchange,
            }
        });
    }

    /// The connection used last, so that as few stay open as the load needs; those past their time are closed, and those
    /// that the server closed before are counted.
    fn take_idle(&mut self) -> Option<Connection> {
        let (client, record) = (&self.client, &mut self.record);
        self.idle.retain(|connection| match client.look_at(connection) {
            Idle::Usable => true,
            Idle::PastItsTime => false,
            Idle::Closed => {
                record.closed_by_server();
                false
            }
        });
        self.idle.pop()
    }

    /// Records an end; None is a request given up.
    fn absorb(&mut self, ended: Option<Ended>) {
        let Some(Ended { latency, exchange }) = ended else {
            self.record.given_up();
            return;
        };
        self.idle.extend(exchange.connection);
        self.record.ended(Outcome {
            latency,
            result: exchange.result,
            resent: exchange.resent,
        });
    }

    fn report_progress(&self, elapsed: Duration, to: &mut dyn Write) {
        // Nobody may be reading; the load goes on.
        writeln!(to, "{}", progress(&self.record, elapsed)).ok();
    }
}

fn ticks() -> Interval {
    let first = tokio::time::Instant::now() + PROGRESS;
    let mut ticks = tokio::time::interval_at(first, PROGRESS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}
