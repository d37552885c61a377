//! Latencies as a histogram: bounded memory, however long the run.

use std::time::Duration;

use hdrhistogram::{CreationError, Histogram};

/// Kept in microseconds, to three digits, up to an hour.
const HIGHEST_MICROS: u64 = 3_600_000_000;
const DIGITS: u8 = 3;

/// Latencies of a run, or of a part of it.
#[derive(Debug)]
pub(super) struct Latencies {
    histogram: Histogram<u64>,
    longest: Duration,
}

impl Latencies {
    pub(super) fn new() -> Result<Self, CreationError> {
        Ok(Self {
            histogram: Histogram::new_with_max(HIGHEST_MICROS, DIGITS)?,
            longest: Duration::ZERO,
        })
    }

    pub(super) fn add(&mut self, latency: Duration) {
        self.longest = self.longest.max(latency);
        self.histogram
            .saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }

    /// None where nothing was measured. Off by the histogram's three digits, never above the longest.
    pub(super) fn quantile(&self, q: f64) -> Option<Duration> {
        let value = Duration::from_micros(self.histogram.value_at_quantile(q));
        self.measured(value.min(self.longest))
    }

    pub(super) fn longest(&self) -> Option<Duration> {
        self.measured(self.longest)
    }

    /// How many were measured.
    pub(super) fn count(&self) -> u64 {
        self.histogram.len()
    }

    fn measured(&self, value: Duration) -> Option<Duration> {
        (!self.histogram.is_empty()).then_some(value)
    }

    pub(super) fn clear(&mut self) {
        self.histogram.reset();
        self.longest = Duration::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_a_thousandth() {
        let mut latencies = Latencies::new().unwrap();
        (1..=1000).for_each(|millis| latencies.add(Duration::from_millis(millis)));
        for (q, expected) in [(0.5, 0.5), (0.9, 0.9), (0.99, 0.99), (1.0, 1.0)] {
            let value = latencies.quantile(q).unwrap().as_secs_f64();
            assert!((value / expected - 1.0).abs() <= 0.001, "{q}: {value}");
        }
        assert_eq!(latencies.longest(), Some(Duration::from_secs(1)));
    }

    #[test]
    fn nothing_is_left_of_what_was_cleared() {
        let mut latencies = Latencies::new().unwrap();
        latencies.add(Duration::from_secs(3));
        latencies.clear();
        assert_eq!((latencies.quantile(0.5), latencies.longest()), (None, None));
        latencies.add(Duration::from_millis(1));
        assert_eq!(latencies.quantile(1.0), Some(Duration::from_millis(1)));
    }
}
