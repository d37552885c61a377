//! Open-loop arrivals: when each request is due is fixed before the first is sent.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Requests per second, positive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate(f64);

/// More is beyond one process, and a slip of the pen.
const HIGHEST_RATE: f64 = 100_000.0;

/// Why a number is not a rate.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a rate, give requests per second above 0 and up to 100000")]
pub(crate) struct RateError;

impl Rate {
    pub(super) fn per_second(self) -> f64 {
        self.0
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let rate = text.parse().map_err(|_| RateError)?;
        if rate > 0.0 && rate <= HIGHEST_RATE {
            Ok(Self(rate))
        } else {
            Err(RateError)
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Evenly spaced arrivals from the start on, those before `duration`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Schedule {
    rate: Rate,
    duration: Duration,
}

impl Schedule {
    pub(super) fn new(rate: Rate, duration: Duration) -> Self {
        Self { rate, duration }
    }

    pub(super) fn duration(&self) -> Duration {
        self.duration
    }

    /// When each request is due, counted from the start.
    fn arrivals(self) -> impl Iterator<Item = Duration> {
        // Divided, not added up: rounding errors must not grow into a wrong rate.
        (0_u32..)
            .map(move |n| Duration::from_secs_f64(f64::from(n) / self.rate.0))
            .take_while(move |arrival| *arrival < self.duration)
    }

    /// Starts the clock: each arrival is delivered when it is due, late ones at once. A thread of its own, because
    /// the runtime's timer has a resolution of a millisecond, which would show in every latency. The channel holds
    /// what the receiver was too slow for; the thread ends with the last arrival or soon after the receiver.
    pub(super) fn start(self, start: Instant) -> io::Result<UnboundedReceiver<Instant>> {
        let (sender, receiver) = unbounded_channel();
        thread::Builder::new()
            .name("pacer".to_owned())
            .spawn(move || self.pace(start, &sender))?;
        Ok(receiver)
    }

    fn pace(self, start: Instant, arrivals: &UnboundedSender<Instant>) {
        for offset in self.arrivals() {
            let due = start + offset;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if arrivals.send(due).is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(rate: &str, duration: Duration) -> Vec<Duration> {
        Schedule::new(rate.parse().unwrap(), duration).arrivals().collect()
    }

    #[test]
    fn spaces_arrivals_evenly_from_zero() {
        let millis: Vec<_> = arrivals("4", Duration::from_secs(1))
            .iter()
            .map(Duration::as_millis)
            .collect();
        assert_eq!(millis, [0, 250, 500, 750]);
    }

    #[test]
    fn sends_rate_times_duration_requests() {
        for (rate, seconds, count) in [
            ("100", 120.0, 12_000),
            ("3", 10.0, 30),
            ("0.5", 4.0, 2),
            ("7", 0.1, 1),
            ("33.3", 100.0, 3_330),
            ("100", 0.0, 0),
        ] {
            let duration = Duration::from_secs_f64(seconds);
            assert_eq!(arrivals(rate, duration).len(), count, "{rate} for {seconds} s");
        }
    }

    #[test]
    fn does_not_drift() {
        let last = arrivals("99", Duration::from_hours(1)).pop().unwrap();
        assert_eq!(last, Duration::from_secs_f64((3600.0 * 99.0 - 1.0) / 99.0));
    }

    #[test]
    fn a_late_start_delivers_what_is_due_at_once() {
        let schedule = Schedule::new("10".parse().unwrap(), Duration::from_secs(1));
        let start = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
        let mut receiver = schedule.start(start).unwrap();
        let due: Vec<_> = std::iter::from_fn(|| receiver.blocking_recv()).collect();
        assert_eq!(due.len(), 10);
        assert_eq!(due[9], start + Duration::from_millis(900));
    }

    #[test]
    fn refuses_rates_that_cannot_be() {
        for text in ["0", "-1", "NaN", "inf", "100001", "ten", ""] {
            assert_eq!(text.parse::<Rate>(), Err(RateError), "{text}");
        }
    }
}
