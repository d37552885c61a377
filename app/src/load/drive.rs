//! The run: takes arrivals as they come due, starts requests, collects outcomes.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior};

use super::client::{Client, Connection, Exchange, Idle};
use super::progress::Progress;
use super::record::{Counts, Outcome, Record};
use super::schedule::Schedule;
use crate::shutdown::Signals;

const SECOND: Duration = Duration::from_secs(1);

/// Between two looks at all idle connections.
const SWEEP: Duration = Duration::from_millis(100);

/// How many connections there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Connections {
    /// At least, taking turns: over one alone all requests of a moment would go to the same pod.
    pub(super) users: usize,
    /// Most requests in flight.
    pub(super) most: usize,
}

/// One load from its first request to its last answer.
pub(super) struct Run<'a> {
    client: Arc<Client>,
    schedule: &'a Schedule,
    connections: Connections,
    /// Those without a request, the one used last at the end.
    idle: VecDeque<Connection>,
    swept: Instant,
    in_flight: JoinSet<Ended>,
    record: Record,
    progress: Progress<'a>,
    start: Instant,
}

/// A request that has ended.
struct Ended {
    due: Instant,
    at: Instant,
    exchange: Exchange,
}

impl<'a> Run<'a> {
    /// A run that starts now.
    pub(super) fn new(
        client: Arc<Client>,
        schedule: &'a Schedule,
        connections: Connections,
        record: Record,
        progress: Progress<'a>,
    ) -> Self {
        Self {
            client,
            schedule,
            connections,
            idle: VecDeque::new(),
            swept: Instant::now(),
            in_flight: JoinSet::new(),
            record,
            progress,
            start: Instant::now(),
        }
    }

    /// Sends until the schedule ends or a signal comes, then waits for the requests in flight; a second signal gives
    /// them up.
    pub(super) async fn drive(mut self, signals: &mut Signals) -> io::Result<Record> {
        self.progress.start(SystemTime::now(), self.schedule);
        self.start = Instant::now();
        let mut arrivals = self.schedule.start(self.start)?;
        let mut ticks = ticks(self.start);
        let mut sending = true;
        while sending || !self.in_flight.is_empty() {
            tokio::select! {
                biased;
                signal = signals.next() => {
                    if !sending {
                        break;
                    }
                    sending = false;
                    self.record.interrupted = Some(signal);
                    arrivals.close();
                    self.record.duration = self.start.elapsed();
                }
                Some(ended) = self.in_flight.join_next() => self.absorb(ended.ok()),
                _ = ticks.tick() => self.end_second(),
                due = arrivals.recv(), if sending => {
                    let Some(due) = due else {
                        sending = false;
                        self.record.duration = self.start.elapsed();
                        continue;
                    };
                    self.launch(due);
                }
            }
        }
        for _ in 0..self.in_flight.len() {
            self.absorb(None);
        }
        self.in_flight.abort_all();
        if self.record.second.counts != Counts::default() {
            self.end_second();
        }
        Ok(self.record)
    }

    fn launch(&mut self, due: Instant) {
        if self.in_flight.len() >= self.connections.most {
            self.record.dropped();
            return;
        }
        self.record.sent(SystemTime::now(), due.elapsed());
        let client = Arc::clone(&self.client);
        let idle = self.take_idle();
        self.in_flight.spawn(async move {
            let exchange = client.exchange(idle).await;
            Ended {
                due,
                at: Instant::now(),
                exchange,
            }
        });
    }

    /// The connection that waits longest, once there is one for each user; those past their time are closed, and those that
    /// the server closed before are counted. All are looked at now and then only: a stall leaves hundreds behind.
    fn take_idle(&mut self) -> Option<Connection> {
        if self.swept.elapsed() >= SWEEP {
            self.swept = Instant::now();
            let (client, record) = (&self.client, &mut self.record);
            self.idle.retain(|connection| is_usable(client, record, connection));
        }
        while self.idle.len() + self.in_flight.len() >= self.connections.users {
            let connection = self.idle.pop_front()?;
            if is_usable(&self.client, &mut self.record, &connection) {
                return Some(connection);
            }
        }
        None
    }

    /// Records an end; None is a request given up.
    fn absorb(&mut self, ended: Option<Ended>) {
        let Some(Ended { due, at, exchange }) = ended else {
            self.record.given_up();
            return;
        };
        self.idle.extend(exchange.connection);
        let at_run = at.saturating_duration_since(self.start);
        let first = self.record.ended(Outcome {
            latency: at.saturating_duration_since(due),
            at: at_run,
            result: exchange.result,
            resent: exchange.resent,
        });
        if let Some(pod) = first {
            self.progress.first_hit(&pod, at_run);
        }
    }

    fn end_second(&mut self) {
        self.progress
            .second(&self.record, self.start.elapsed(), self.in_flight.len());
        self.record.next_second();
    }
}

/// Looks at a connection that has no request; one that the server closed is counted.
fn is_usable(client: &Client, record: &mut Record, connection: &Connection) -> bool {
    let idle = client.look_at(connection);
    if idle == Idle::Closed {
        record.closed_by_server();
    }
    idle == Idle::Usable
}

fn ticks(start: Instant) -> Interval {
    let mut ticks = tokio::time::interval_at((start + SECOND).into(), SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}
