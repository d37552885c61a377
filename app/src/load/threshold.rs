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
    pub(super) p99: Option<Duration>,
}

impl Thresholds {
    /// A sentence for each bound that was missed.
    pub(super) fn missed(&self, report: &Report<'_>) -> Vec<String> {
        let failed = self.failed.and_then(|max| missed_failed(max, report));
        let resent = self.resent.and_then(|max| missed_resent(max, report));
        let p99 = self.p99.and_then(|max| missed_p99(max, report));
        failed.into_iter().chain(resent).chain(p99).collect()
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

fn missed_resent(max: Bound, report: &Report<'_>) -> Option<String> {
    let (resent, due) = (report.resent, report.requests + report.dropped);
    (!max.allows(resent, due)).then(|| format!("{resent} resent of {due} requests, at most {max} allowed"))
}

fn missed_p99(max: Duration, report: &Report<'_>) -> Option<String> {
    let p99 = report.p99_s.filter(|p99| *p99 > max.as_secs_f64())?;
    Some(format!(
        "p99 is {:.1} ms, at most {:.1} ms allowed",
        p99 * 1e3,
        max.as_secs_f64() * 1e3
    ))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::client::Answer;
    use super::super::rate::Profile;
    use super::super::record::{Outcome, Record};
    use super::super::schedule::{Schedule, Spacing};
    use super::*;

    fn missed(failed: Option<&str>, resent: Option<&str>, p99_millis: Option<u64>) -> Vec<String> {
        let mut record = Record::new().unwrap();
        for (nth, status) in [vec![200; 96], vec![500; 2]].concat().into_iter().enumerate() {
            record.sent(SystemTime::now(), Duration::ZERO);
            let result = Ok(Answer { status, pod: None });
            record.ended(Outcome {
                latency: Duration::from_millis(50),
                at: Duration::ZERO,
                result,
                resent: nth < 3,
            });
        }
        record.dropped();
        record.dropped();
        let profile = Profile::constant("1".parse().unwrap(), Duration::ZERO);
        let schedule = Schedule::new(profile, Spacing::Even, 1);
        let report = Report::new(&schedule, &record);
        let bound = |max: Option<&str>| max.map(|max| max.parse().unwrap());
        Thresholds {
            failed: bound(failed),
            resent: bound(resent),
            p99: p99_millis.map(Duration::from_millis),
        }
        .missed(&report)
    }

    #[test]
    fn a_bound_is_met_up_to_and_including_its_value() {
        assert_eq!(missed(None, None, None), [""; 0]);
        assert_eq!(missed(Some("4"), Some("3"), Some(50)), [""; 0]);
        assert_eq!(missed(Some("4%"), Some("3%"), None), [""; 0]);
    }

    #[test]
    fn every_missed_bound_is_named() {
        assert_eq!(
            missed(Some("3"), Some("2"), Some(49)),
            [
                "2 failed and 2 dropped of 100 requests, at most 3 allowed",
                "3 resent of 100 requests, at most 2 allowed",
                "p99 is 50.0 ms, at most 49.0 ms allowed"
            ]
        );
        assert_eq!(
            missed(Some("3.9%"), None, None),
            ["2 failed and 2 dropped of 100 requests, at most 3.9% allowed"]
        );
    }

    #[test]
    fn refuses_bounds_that_cannot_be() {
        for text in ["", "-1", "1.5", "%", "101%", "-1%", "NaN%", "few"] {
            assert_eq!(text.parse::<Bound>(), Err(BoundError), "{text}");
        }
    }
}
