//! Open-loop arrivals: when each request is due is fixed before the first is sent.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use fastrand::Rng;
use serde::Serialize;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::rate::Profile;

/// Rounding of the area under a rate is less than this, of a request.
const TOLERANCE: f64 = 1e-6;

/// How far apart requests are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Spacing {
    /// As evenly as the rate allows
    Even,
    /// At random, independent of each other, as from many users: a Poisson process of this rate
    Poisson,
}

/// Arrivals from the start on, as many as the rate asks for (`Even`) or about as many (`Poisson`).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Schedule {
    profile: Profile,
    spacing: Spacing,
    seed: u64,
}

impl Schedule {
    pub(super) fn new(profile: Profile, spacing: Spacing, seed: u64) -> Self {
        Self { profile, spacing, seed }
    }

    pub(super) fn profile(&self) -> &Profile {
        &self.profile
    }

    pub(super) fn spacing(&self) -> Spacing {
        self.spacing
    }

    /// When each request is due, counted from the start. Both kinds are made at a rate of one and put where the area under
    /// the real rate reaches them: for a Poisson process this gives exactly the one of that rate.
    fn arrivals(&self) -> impl Iterator<Item = Duration> {
        let end = self.profile.requests() - TOLERANCE;
        positions(self.spacing, self.seed)
            .take_while(move |position| *position < end)
            .map(|position| self.profile.time_of(position))
    }

    /// Starts the clock: each arrival is delivered when it is due, late ones at once. A thread of its own, because
    /// the runtime's timer has a resolution of a millisecond, which would show in every latency. The channel holds
    /// what the receiver was too slow for; the thread ends with the last arrival or soon after the receiver.
    pub(super) fn start(&self, start: Instant) -> io::Result<UnboundedReceiver<Instant>> {
        let (sender, receiver) = unbounded_channel();
        let schedule = self.clone();
        thread::Builder::new()
            .name("pacer".to_owned())
            .spawn(move || schedule.pace(start, &sender))?;
        Ok(receiver)
    }

    fn pace(&self, start: Instant, arrivals: &UnboundedSender<Instant>) {
        for offset in self.arrivals() {
            let due = start + offset;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if arrivals.send(due).is_err() {
                return;
            }
        }
    }
}

/// Arrivals of a rate of one.
fn positions(spacing: Spacing, seed: u64) -> Box<dyn Iterator<Item = f64>> {
    match spacing {
        // Counted, not added up. No run comes near 2^53.
        #[allow(clippy::cast_precision_loss)]
        Spacing::Even => Box::new((0_u64..).map(|n| n as f64)),
        Spacing::Poisson => {
            let (mut random, mut position) = (Rng::with_seed(seed), 0.0);
            Box::new(std::iter::repeat_with(move || {
                position += exponential(&mut random);
                position
            }))
        }
    }
}

/// A waiting time with mean one, by inversion; `f64` is below one, so that the logarithm is finite.
fn exponential(random: &mut Rng) -> f64 {
    -(1.0 - random.f64()).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn even(rate: &str, duration: Duration) -> Schedule {
        let profile = Profile::constant(rate.parse().unwrap(), duration);
        Schedule::new(profile, Spacing::Even, 0)
    }

    fn staged(stages: &str, spacing: Spacing, seed: u64) -> Vec<Duration> {
        let profile = Profile::staged(&stages.parse().unwrap());
        Schedule::new(profile, spacing, seed).arrivals().collect()
    }

    #[test]
    fn spaces_arrivals_evenly_from_zero() {
        let millis: Vec<_> = even("4", Duration::from_secs(1))
            .arrivals()
            .map(|arrival| arrival.as_millis())
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
            assert_eq!(even(rate, duration).arrivals().count(), count, "{rate} for {seconds} s");
        }
    }

    #[test]
    fn does_not_drift() {
        let last = even("99", Duration::from_hours(1)).arrivals().last().unwrap();
        assert_eq!(last, Duration::from_secs_f64((3600.0 * 99.0 - 1.0) / 99.0));
    }

    #[test]
    fn stages_send_what_is_under_their_rate_and_in_order() {
        for (stages, count) in [
            ("100:30s", 1500),
            ("0:30s,100:2m,0:1m", 9000),
            ("33.3:10s,33.3:90s,0:0", 3164),
        ] {
            let arrivals = staged(stages, Spacing::Even, 0);
            assert_eq!(arrivals.len(), count, "{stages}");
            assert!(arrivals.is_sorted(), "{stages}");
        }
        let ramp = staged("100:10s,0:10s", Spacing::Even, 0);
        let before = |seconds| ramp.partition_point(|due| *due < Duration::from_secs(seconds));
        assert_eq!((before(5), before(10), before(15), before(20)), (125, 500, 875, 1000));
    }

    /// Mean and variance of counts in windows of one second: both are the rate. Bounds are six standard errors wide.
    #[test]
    #[allow(clippy::cast_precision_loss)]
    fn poisson_arrivals_vary_as_they_should() {
        const SECONDS: usize = 4000;
        let arrivals = staged("50:0,50:4000s", Spacing::Poisson, 7);
        let mut counts = vec![0_f64; SECONDS];
        for due in &arrivals {
            counts[usize::try_from(due.as_secs()).unwrap()] += 1.0;
        }
        let mean = counts.iter().sum::<f64>() / SECONDS as f64;
        let variance = counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / SECONDS as f64;
        assert!((mean - 50.0).abs() < 6.0 * (50.0 / SECONDS as f64).sqrt(), "{mean}");
        assert!(
            (variance - 50.0).abs() < 6.0 * 50.0 * (2.0 / SECONDS as f64).sqrt(),
            "{variance}"
        );
        assert!(arrivals.is_sorted());
    }

    #[test]
    fn poisson_arrivals_follow_a_ramp() {
        let arrivals = staged("200:100s", Spacing::Poisson, 3);
        // A quarter of the area lies before half of the time.
        let first_half = arrivals.partition_point(|due| *due < Duration::from_secs(50));
        assert!((2100..=2900).contains(&first_half), "{first_half}");
        assert!((9400..=10_600).contains(&arrivals.len()), "{}", arrivals.len());
    }

    #[test]
    fn a_seed_repeats_its_arrivals_and_another_gives_others() {
        let of = |seed| staged("50:0,50:10s", Spacing::Poisson, seed);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn a_late_start_delivers_what_is_due_at_once() {
        let schedule = even("10", Duration::from_secs(1));
        let start = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
        let mut receiver = schedule.start(start).unwrap();
        let due: Vec<_> = std::iter::from_fn(|| receiver.blocking_recv()).collect();
        assert_eq!(due.len(), 10);
        assert_eq!(due[9], start + Duration::from_millis(900));
    }
}
