//! What a run must reach to count as passed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::report::Report;

/// A bound on a number of requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Bound {
    Count(u64),
    /// Of all that were due.
    Percent(f64),
}

impl Bound {
    #[allow(clippy::cast_precision_loss)]
    fn allows(self, count: u64, due: u64) -> bool {
        match self {
            Self::Count(max) => count <= max,
            Self::Percent(max) => count as f64 * 100.0 <= max * due as f64,
        }
    }
}

/// Why a text is not a bound.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a bound, give a number like `0` or a share like `1%`")]
pub(super) struct BoundError;

impl FromStr for Bound {
    type Err = BoundError;

    fn from_str(text: &str) -> Result<Self, BoundError> {
        let Some(percent) = text.strip_suffix('%') else {
            return text.parse().map(Self::Count).map_err(|_| BoundError);
        };
        let percent = percent.parse().map_err(|_| BoundError)?;
        if (0.0..=100.0).contains(&percent) {
            Ok(Self::Percent(percent))
        } else {
            Err(BoundError)
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// The bounds that were asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thresholds {
    /// On requests that failed or were dropped.
    pub(super) failed: Option<Bound>,
    pub(super) resent: Option<Bound>,
    /// On requests that were begun late.
    pub(super) late: Option<Bound>,
    pub(super) p99: Option<Duration>,
    /// On the answers of the busiest pod at the end, in means.
    pub(super) imbalance: Option<f64>,
}

impl Thresholds {
    /// A sentence for each bound that was missed.
    pub(super) fn missed(&self, report: &Report<'_>) -> Vec<String> {
        let all = [
            self.failed.and_then(|max| missed_failed(max, report)),
            self.resent
                .and_then(|max| missed_count("resent", report.resent, max, report)),
            self.late.and_then(|max| missed_count("late", report.late, max, report)),
            self.p99.and_then(|max| missed_p99(max, report)),
            self.imbalance.and_then(|max| missed_imbalance(max, report)),
        ];
        all.into_iter().flatten().collect()
    }
}

/// A dropped request is one that a user did not get through: load that was never sent must not pass for success.
fn missed_failed(max: Bound, report: &Report<'_>) -> Option<String> {
    let due = report.requests + report.dropped;
    (!max.allows(report.failed + report.dropped, due)).then(|| {
        format!(
            "{} failed and {} dropped of {due} requests, at most {max} allowed",
            report.failed, report.dropped
        )
    })
}

fn missed_count(what: &str, count: u64, max: Bound, report: &Report<'_>) -> Option<String> {
    let due = report.requests + report.dropped;
    (!max.allows(count, due)).then(|| format!("{count} {what} of {due} requests, at most {max} allowed"))
}

/// Where more than one in a hundred has no latency, the 99th percentile of all that were due is none that was measured: the
/// rest being quick says nothing of it.
fn missed_p99(max: Duration, report: &Report<'_>) -> Option<String> {
    let (untimed, due) = (report.untimed, report.requests + report.dropped);
    if !Bound::Percent(1.0).allows(untimed, due) {
        return Some(format!(
            "p99 is not known: {untimed} of {due} requests were dropped or failed without a latency"
        ));
    }
    let p99 = report.p99_s.filter(|p99| *p99 > max.as_secs_f64())?;
    Some(format!(
        "p99 is {:.1} ms, at most {:.1} ms allowed",
        p99 * 1e3,
        max.as_secs_f64() * 1e3
    ))
}

/// Pods without names cannot be compared: what was asked for was not seen.
fn missed_imbalance(max: f64, report: &Report<'_>) -> Option<String> {
    let Some(end) = report.imbalance_end else {
        return Some("no answer named its pod, so nobody knows how evenly they answered".to_owned());
    };
    (end.max_over_mean > max).then(|| {
        format!(
            "the busiest of {} pods had {:.2} of the mean in the last 10 s, at most {max} allowed",
            end.pods, end.max_over_mean
        )
    })
}

/// A share of the mean, 1 or more.
pub(super) fn share(text: &str) -> Result<f64, &'static str> {
    let share = text
        .parse()
        .ok()
        .filter(|share: &f64| share.is_finite() && *share >= 1.0);
    share.ok_or("not a share of the mean, give 1 or more, like `1.5`")
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::answer::Answer;
    use super::super::rate::Profile;
    use super::super::record::{Outcome, Record};
    use super::super::schedule::{Schedule, Spacing};
    use super::*;

    const NONE: Thresholds = Thresholds {
        failed: None,
        resent: None,
        late: None,
        p99: None,
        imbalance: None,
    };

    fn bound(max: &str) -> Bound {
        max.parse().unwrap()
    }

    /// Of 98 requests 2 failed, 3 were resent, one was late; 2 more were dropped. Pod `a` answered three times as many as `b`.
    fn missed(thresholds: Thresholds) -> Vec<String> {
        missed_with(thresholds, 2)
    }

    fn missed_with(thresholds: Thresholds, dropped: usize) -> Vec<String> {
        let mut record = Record::new().unwrap();
        for (nth, status) in [vec![200; 96], vec![500; 2]].concat().into_iter().enumerate() {
            record.sent(SystemTime::now(), Duration::from_millis(if nth == 5 { 70 } else { 0 }));
            let pod = Some(if nth % 4 == 0 { "b" } else { "a" }.to_owned());
            record.ended(Outcome {
                latency: Duration::from_millis(50),
                at: Duration::ZERO,
                result: Ok(Answer { status, pod }),
                resent: nth < 3,
            });
        }
        (0..dropped).for_each(|_| record.dropped());
        record.next_second();
        let profile = Profile::constant("1".parse().unwrap(), Duration::ZERO);
        let schedule = Schedule::new(profile, Spacing::Even, 1);
        thresholds.missed(&Report::new(&schedule, &record))
    }

    #[test]
    fn a_bound_is_met_up_to_and_including_its_value() {
        assert_eq!(missed(NONE), [""; 0]);
        let exact = Thresholds {
            failed: Some(bound("4")),
            resent: Some(bound("3")),
            late: Some(bound("1")),
            p99: None,
            imbalance: Some(1.5),
        };
        assert_eq!(missed(exact), [""; 0]);
        let shares = Thresholds {
            failed: Some(bound("4%")),
            resent: Some(bound("3%")),
            late: Some(bound("1%")),
            ..NONE
        };
        assert_eq!(missed(shares), [""; 0]);
    }

    #[test]
    fn every_missed_bound_is_named() {
        let all = Thresholds {
            failed: Some(bound("3")),
            resent: Some(bound("2")),
            late: Some(bound("0")),
            p99: Some(Duration::from_millis(49)),
            imbalance: Some(1.2),
        };
        assert_eq!(
            missed(all),
            [
                "2 failed and 2 dropped of 100 requests, at most 3 allowed",
                "3 resent of 100 requests, at most 2 allowed",
                "1 late of 100 requests, at most 0 allowed",
                "p99 is not known: 2 of 100 requests were dropped or failed without a latency",
                "the busiest of 2 pods had 1.49 of the mean in the last 10 s, at most 1.2 allowed"
            ]
        );
        let share = Thresholds {
            failed: Some(bound("3.9%")),
            ..NONE
        };
        assert_eq!(
            missed(share),
            ["2 failed and 2 dropped of 100 requests, at most 3.9% allowed"]
        );
    }

    #[test]
    fn requests_without_a_latency_are_not_left_out_of_the_tail() {
        let p99 = |millis| Thresholds {
            p99: Some(Duration::from_millis(millis)),
            ..NONE
        };
        assert_eq!(missed_with(p99(50), 0), [""; 0]);
        assert_eq!(missed_with(p99(49), 0), ["p99 is 50.0 ms, at most 49.0 ms allowed"]);
        // Of 99 one is more than a hundredth.
        assert_eq!(missed_with(p99(50), 1).len(), 1);
        assert_eq!(missed(p99(1000)).len(), 1);
    }

    #[test]
    fn pods_that_nobody_named_are_not_taken_for_even() {
        let profile = Profile::constant("1".parse().unwrap(), Duration::ZERO);
        let schedule = Schedule::new(profile, Spacing::Even, 1);
        let record = Record::new().unwrap();
        let thresholds = Thresholds {
            imbalance: Some(2.0),
            ..NONE
        };
        let missed = thresholds.missed(&Report::new(&schedule, &record));
        assert_eq!(missed.len(), 1, "{missed:?}");
    }

    #[test]
    fn a_share_of_the_mean_cannot_be_below_it() {
        assert_eq!(share("1.5"), Ok(1.5));
        for text in ["0.9", "-2", "NaN", "inf", "all"] {
            assert!(share(text).is_err(), "{text}");
        }
    }

    #[test]
    fn refuses_bounds_that_cannot_be() {
        for text in ["", "-1", "1.5", "%", "101%", "-1%", "NaN%", "few"] {
            assert_eq!(text.parse::<Bound>(), Err(BoundError), "{text}");
        }
    }
}
