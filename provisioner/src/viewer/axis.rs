//! Where the lines of a grid are.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::drawing::{round_up, ticks};

/// From where to where values are drawn, and the steps between.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) step: f64,
}

/// What an axis has to show.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted {
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    /// Steps between round numbers of 1024.
    pub(super) is_binary: bool,
    /// No step below one.
    pub(super) is_whole: bool,
}

impl Axis {
    /// Round numbers around `values`, in about `steps` steps; a limit of the panel is kept where it is.
    pub(super) fn around(values: impl Iterator<Item = f64>, wanted: Wanted, steps: f64) -> Self {
        let (mut low, mut high) = values
            .filter(|value| value.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        if !low.is_finite() {
            (low, high) = (0.0, 0.0);
        }
        low = wanted.min.map_or(low, |min| min.min(low));
        high = wanted.max.map_or(high, |max| max.max(high));
        let reached = high;
        if high - low <= f64::EPSILON * high.abs() {
            high = low + if low == 0.0 { 1.0 } else { low.abs() };
        }
        let mut step = round_step((high - low) / steps, wanted.is_binary);
        if wanted.is_whole {
            step = step.ceil().max(1.0);
        }
        let low = (low / step).floor() * step;
        let mut high = (high / step - 1e-6).ceil() * step;
        // A line along the upper edge would be half outside; a limit of the panel stays where it is.
        if high - reached < step * 1e-6 && wanted.max.is_none() {
            high += step;
        }
        Self { low, high, step }
    }

    /// The lines.
    pub(super) fn ticks(&self) -> Vec<f64> {
        ticks(self.low, self.high, self.step)
    }

    /// Where a value is, from 0 at the bottom to 1.
    pub(super) fn place(&self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }
}

/// The next round number; of bytes, a power of two.
fn round_step(value: f64, is_binary: bool) -> f64 {
    if is_binary {
        return 2_f64.powf(value.max(1.0).log2().ceil());
    }
    round_up(value, 1e-6)
}

/// Full points in time between two, at most `most`, as Unix time and clock time.
pub(super) fn clock(from: i64, to: i64, most: usize, zone: &TimeZone) -> Vec<(i64, String)> {
    let offset = |at: i64| -> i64 {
        let at = Timestamp::from_second(at).unwrap_or(Timestamp::UNIX_EPOCH);
        zone.to_offset(at).seconds().into()
    };
    let step = [30, 60, 120, 300, 600, 900, 1800, 3600]
        .into_iter()
        .find(|step| usize::try_from((to - from) / step).unwrap_or(usize::MAX) <= most.max(1))
        .unwrap_or(3600);
    let shift = offset(to);
    let first = (from + shift + step - 1).div_euclid(step) * step - shift;
    let written = |at: i64| {
        let at = Timestamp::from_second(at).unwrap_or(Timestamp::UNIX_EPOCH);
        let form = if step < 60 { "%H:%M:%S" } else { "%H:%M" };
        at.to_zoned(zone.clone()).strftime(form).to_string()
    };
    let step_by = usize::try_from(step).unwrap_or(1);
    (first..=to).step_by(step_by).map(|at| (at, written(at))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole_to_hundred(wanted: Wanted) -> Wanted {
        Wanted {
            max: Some(100.0),
            is_whole: true,
            ..wanted
        }
    }

    #[test]
    fn axes_have_round_steps_around_the_values() {
        let zero = Wanted {
            min: Some(0.0),
            ..Wanted::default()
        };
        let whole = Wanted { is_whole: true, ..zero };
        let binary = Wanted {
            is_binary: true,
            ..zero
        };
        for (values, wanted, (low, high, step)) in [
            (&[99.0, 3.0][..], zero, (0.0, 100.0, 20.0)),
            (&[100.0], zero, (0.0, 120.0, 20.0)),
            (&[0.0], zero, (0.0, 1.0, 0.2)),
            (&[0.0, 100.0], whole_to_hundred(zero), (0.0, 100.0, 20.0)),
            (&[], zero, (0.0, 1.0, 0.2)),
            (&[1.0, 10.0], whole, (0.0, 12.0, 2.0)),
            (&[1.0], whole, (0.0, 2.0, 1.0)),
            (&[0.004], zero, (0.0, 0.005, 0.001)),
            (&[7_000_000.0], binary, (0.0, 8_388_608.0, 2_097_152.0)),
            (&[5.0], Wanted::default(), (5.0, 10.0, 1.0)),
            (&[f64::NAN, 4.0], zero, (0.0, 5.0, 1.0)),
        ] {
            let axis = Axis::around(values.iter().copied(), wanted, 5.0);
            let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
            let is_wanted = near(axis.low, low) && near(axis.high, high) && near(axis.step, step);
            assert!(is_wanted, "{values:?}: {axis:?}");
            let (first, last) = (axis.ticks()[0], axis.ticks().last().copied().unwrap());
            assert!(near(first, low) && near(last, high), "{values:?}: {:?}", axis.ticks());
        }
    }

    #[test]
    fn the_clock_is_read_at_full_minutes_of_its_zone() {
        let india = TimeZone::fixed(jiff::tz::Offset::from_seconds(19_800).unwrap());
        let texts = |from, to, most, zone: &TimeZone| -> Vec<String> {
            clock(from, to, most, zone).into_iter().map(|(_, text)| text).collect()
        };
        assert_eq!(texts(10, 900, 5, &TimeZone::UTC), ["00:05", "00:10", "00:15"]);
        assert_eq!(texts(0, 60, 2, &TimeZone::UTC), ["00:00:00", "00:00:30", "00:01:00"]);
        assert_eq!(texts(0, 3600, 4, &india), ["05:30", "05:45", "06:00", "06:15", "06:30"]);
    }
}
