//! Where values and moments are in the picture.

use crate::drawing::{round_up, ticks};

/// A round step may be so much too small: then there is one more of them.
const SLACK: f64 = 1e-3;

/// Moments from left to right, in seconds from the first request. Scaling up takes seconds, what follows takes minutes: the
/// first part is stretched, so that both can be read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Time {
    pub(super) from: f64,
    pub(super) to: f64,
    /// Where the stretched part ends; none where nothing is stretched.
    pub(super) bend: Option<f64>,
    pub(super) left: f64,
    pub(super) right: f64,
}

/// What the stretched part takes of the width.
const PART: f64 = 0.55;
/// Below this nothing is gained by stretching.
const STRETCH: f64 = 2.0;

impl Time {
    /// From `from` to `to`, with that until `detail` stretched where it is short against the whole.
    pub(super) fn new((from, to): (f64, f64), detail: Option<f64>, (left, right): (f64, f64)) -> Self {
        let share = |bend: &f64| PART / ((bend - from) / (to - from));
        let bend = detail.filter(|bend| *bend > from && share(bend) >= STRETCH);
        Self {
            from,
            to,
            bend,
            left,
            right,
        }
    }

    /// The place of a moment.
    pub(super) fn x(&self, at: f64) -> f64 {
        let at = at.clamp(self.from, self.to);
        let part = match self.bend {
            Some(bend) if at <= bend => (at - self.from) / (bend - self.from) * PART,
            Some(bend) => PART + (at - bend) / (self.to - bend) * (1.0 - PART),
            None => (at - self.from) / (self.to - self.from),
        };
        self.left + part * (self.right - self.left)
    }

    /// Round moments, about a dozen, where they are not too close to each other.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let Some(bend) = self.bend else {
            return steps(self.from, self.to, 12.0);
        };
        let mut ticks = steps(self.from, bend, 8.0);
        let near = (self.to - bend) * 0.07;
        ticks.extend(steps(bend, self.to, 5.0).into_iter().filter(|at| *at > bend + near));
        ticks
    }
}

/// Multiples of a round number between two values, about `count`.
fn steps(from: f64, to: f64, count: f64) -> Vec<f64> {
    let step = round_up((to - from) / count, SLACK);
    ticks((from / step).ceil() * step, to, step)
}

/// Values from bottom to top, from zero on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Height {
    pub(super) top: f64,
    pub(super) bottom: f64,
    pub(super) high: f64,
    step: f64,
}

impl Height {
    /// For values up to `highest`, in about `count` steps of at least `least`.
    pub(super) fn new((top, bottom): (f64, f64), highest: f64, (count, least): (f64, f64)) -> Self {
        let step = round_up(highest.max(least) / count, SLACK).max(least);
        // A line at the highest value is not to touch what is above.
        let high = highest.max(step) * 1.1;
        Self {
            top,
            bottom,
            high,
            step,
        }
    }

    /// The place of a value.
    pub(super) fn y(&self, value: f64) -> f64 {
        self.bottom - (value / self.high).clamp(0.0, 1.0) * (self.bottom - self.top)
    }

    /// Round values.
    pub(super) fn ticks(&self) -> Vec<f64> {
        ticks(0.0, self.high, self.step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn a_short_beginning_is_stretched_and_order_stays() {
        let time = Time::new((-5.0, 115.0), Some(15.0), (0.0, 1000.0));
        assert_eq!(time.bend, Some(15.0));
        for (at, x) in [
            (-9.0, 0.0),
            (-5.0, 0.0),
            (5.0, 275.0),
            (15.0, 550.0),
            (115.0, 1000.0),
            (999.0, 1000.0),
        ] {
            assert!(near(time.x(at), x), "{at}: {}", time.x(at));
        }
        assert!(
            time.ticks().is_sorted() && time.ticks().contains(&0.0),
            "{:?}",
            time.ticks()
        );
    }

    #[test]
    fn nothing_is_stretched_where_that_gains_nothing() {
        for detail in [None, Some(60.0), Some(-9.0)] {
            let time = Time::new((0.0, 100.0), detail, (0.0, 100.0));
            assert!(time.bend.is_none() && near(time.x(30.0), 30.0), "{detail:?}");
        }
    }

    #[test]
    fn heights_have_round_steps_and_hold_every_value() {
        for (highest, least, want) in [
            (10.0, 1.0, vec![0.0, 5.0, 10.0]),
            (1.0, 1.0, vec![0.0, 1.0]),
            (0.0, 1.0, vec![0.0, 1.0]),
            (99.0, 1.0, vec![0.0, 50.0, 100.0]),
            (0.0034, 0.0001, vec![0.0, 0.002]),
        ] {
            let height = Height::new((0.0, 90.0), highest, (3.0, least));
            let ticks = height.ticks();
            assert!(
                ticks.len() == want.len() && ticks.iter().zip(&want).all(|(a, b)| near(*a, *b)),
                "{highest}: {ticks:?}"
            );
            assert!(height.y(highest) > 0.0 && near(height.y(0.0), 90.0));
        }
    }
}
