//! When what happened while the app was under load, from looks at it ([`Sample`]) and the load's own clock.

use serde::Serialize;

use crate::chain::Sample;

/// A look and when it was taken, in seconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// Unix time in seconds.
    pub at: f64,
    /// What was seen.
    pub sample: Sample,
}

/// Times of one load, in seconds from its first request; none where it did not happen (or was not looked for).
///
/// Resolution is that of the looks.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Timeline {
    /// The custom metrics API gave a rate above zero.
    pub api_value_s: Option<f64>,
    /// The HPA wanted its maximum.
    pub desired_s: Option<f64>,
    /// That many pods existed.
    pub created_s: Option<f64>,
    /// That many pods were ready.
    pub ready_s: Option<f64>,
    /// One pod was left, counted from the last request.
    pub back_s: Option<f64>,
}

impl Timeline {
    /// Reads the times off the looks. `first` and `last` request are in Unix seconds.
    pub fn of(looks: &[Look], first: f64, last: f64) -> Self {
        let after = |since: f64, holds: &dyn Fn(&Sample, u64) -> bool| {
            let seen = looks
                .iter()
                .filter(|look| look.at >= since)
                .find(|look| look.sample.max.is_some_and(|max| holds(&look.sample, max)));
            seen.map(|look| look.at - since)
        };
        Self {
            api_value_s: after(first, &|s, _| s.rate_total.is_some_and(|rate| rate > 0.0)),
            desired_s: after(first, &|s, max| s.desired.is_some_and(|d| d >= max)),
            created_s: after(first, &|s, max| s.replicas >= max),
            ready_s: after(first, &|s, max| s.ready >= max),
            back_s: after(last, &|s, _| s.replicas == 1 && s.ready == 1),
        }
    }
}

/// How often the number of pods changed.
pub fn replica_changes(looks: &[Look]) -> usize {
    looks
        .windows(2)
        .filter(|pair| pair[0].sample.replicas != pair[1].sample.replicas)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(at: f64, replicas: u64, ready: u64, desired: u64, rate: f64) -> Look {
        let sample = Sample {
            replicas,
            ready,
            desired: Some(desired),
            max: Some(10),
            rate_total: Some(rate),
            ..Sample::default()
        };
        Look { at, sample }
    }

    #[test]
    fn each_time_is_the_first_look_at_which_it_held() {
        let looks = [
            look(99.0, 1, 1, 1, 0.0),
            look(101.0, 1, 1, 1, 20.0),
            look(104.0, 1, 1, 10, 99.0),
            look(105.0, 10, 3, 10, 99.0),
            look(107.0, 10, 10, 10, 99.0),
            look(170.0, 10, 10, 10, 0.0),
            look(195.0, 1, 1, 1, 0.0),
        ];
        let times = Timeline::of(&looks, 100.0, 160.0);
        let expected = Timeline {
            api_value_s: Some(1.0),
            desired_s: Some(4.0),
            created_s: Some(5.0),
            ready_s: Some(7.0),
            back_s: Some(35.0),
        };
        assert_eq!(times, expected);
        assert_eq!(replica_changes(&looks), 2);
    }

    #[test]
    fn what_did_not_happen_has_no_time() {
        let looks = [look(101.0, 4, 4, 4, 40.0)];
        let times = Timeline::of(&looks, 100.0, 160.0);
        assert_eq!((times.desired_s, times.ready_s, times.back_s), (None, None, None));
        assert_eq!(Timeline::of(&[], 0.0, 0.0), Timeline::default());
    }
}
