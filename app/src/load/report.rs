//! The result of a load: one JSON object, or a few lines of text.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::Serialize;

use super::pods::{Hits, Imbalance};
use super::progress::{per_second, unix};
use super::rate::Stage;
use super::record::Record;
use super::schedule::{Schedule, Spacing};

/// Version of the JSON object.
const SCHEMA: u32 = 1;

/// The figures of a run. Times are in seconds; null where nothing was measured.
#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    schema: u32,
    /// Requests per second asked for, the mean where they come in stages.
    rate: f64,
    /// How long requests were sent.
    duration_s: f64,
    /// The signal that ended it before its time; null where none did.
    interrupted: Option<&'static str>,
    /// Sent, whatever became of them.
    pub(super) requests: u64,
    /// Of those: no answer, or a status from 400 on.
    pub(super) failed: u64,
    /// Not sent, because all connections were busy when they were due.
    pub(super) dropped: u64,
    /// Of those sent: begun 10 ms or more after they were due, because the generator was held up.
    pub(super) late: u64,
    /// Of those sent: on a new connection, because the server had closed the idle one before a byte was written to it, and that
    /// was not known yet when it was chosen. No request is lost so, but a server that lets its clients finish causes none.
    pub(super) resent: u64,
    /// Idle connections that the server closed unannounced, found so when a request was due, while they might still have
    /// carried one. Each costs a new connection; those in `resent` are among them.
    closed_by_server: u64,
    p50_s: Option<f64>,
    p90_s: Option<f64>,
    pub(super) p99_s: Option<f64>,
    max_s: Option<f64>,
    /// The longest that a request was begun after it was due; part of its latency.
    max_lag_s: f64,
    per_pod: &'a Hits,
    /// When each pod first answered, from the start of the run on.
    first_hit_s: BTreeMap<&'a str, f64>,
    /// Over the whole run: pods that came up during it have answered less.
    imbalance: Option<Imbalance>,
    /// Over its last ten seconds.
    pub(super) imbalance_end: Option<Imbalance>,
    status: &'a BTreeMap<u16, u64>,
    errors: &'a BTreeMap<&'static str, u64>,
    /// The first of each kind, in words.
    error_examples: &'a BTreeMap<&'static str, String>,
    /// Of those due: dropped, or failed without a time that says anything; no latency has them.
    #[serde(skip)]
    pub(super) untimed: u64,
    first_request_unix_s: Option<f64>,
    last_request_unix_s: Option<f64>,
    achieved_rate: f64,
    stages: Option<&'a [Stage]>,
    arrivals: Spacing,
    seed: Option<u64>,
}

impl<'a> Report<'a> {
    pub(super) fn new(schedule: &'a Schedule, record: &'a Record) -> Self {
        let quantile = |q| record.latencies.quantile(q).map(|latency| latency.as_secs_f64());
        let first_hits = record.first_hits.iter();
        Self {
            schema: SCHEMA,
            rate: schedule.profile().mean(),
            duration_s: record.duration.as_secs_f64(),
            interrupted: record.interrupted,
            requests: record.counts.sent,
            failed: record.counts.failed,
            dropped: record.counts.dropped,
            late: record.counts.late,
            resent: record.resent,
            closed_by_server: record.closed_by_server,
            p50_s: quantile(0.5),
            p90_s: quantile(0.9),
            p99_s: quantile(0.99),
            max_s: record.latencies.longest().map(|latency| latency.as_secs_f64()),
            max_lag_s: record.longest_lag.as_secs_f64(),
            per_pod: &record.per_pod,
            first_hit_s: first_hits.map(|(pod, at)| (pod.as_str(), at.as_secs_f64())).collect(),
            imbalance: record.per_pod.imbalance(),
            imbalance_end: record.last_hits().imbalance(),
            status: &record.status,
            errors: &record.errors,
            error_examples: &record.examples,
            untimed: (record.counts.sent + record.counts.dropped).saturating_sub(record.latencies.count()),
            first_request_unix_s: record.first.and_then(unix),
            last_request_unix_s: record.last.and_then(unix),
            achieved_rate: per_second(record.counts.sent, record.duration),
            stages: schedule.profile().stages(),
            arrivals: schedule.spacing(),
            seed: schedule.seed(),
        }
    }

    pub(super) fn succeeded(&self) -> u64 {
        self.requests - self.failed
    }

    pub(super) fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    pub(super) fn text(&self) -> String {
        let mut lines = vec![
            format!(
                "requests  {} in {:.1} s, {:.1} of {} per second",
                self.requests, self.duration_s, self.achieved_rate, self.rate
            ),
            format!("failed    {}", self.failed),
            format!("dropped   {}", self.dropped),
            format!("late      {}, the worst by {:.1} ms", self.late, self.max_lag_s * 1e3),
            format!("resent    {}", self.resent),
            format!("closed    {} idle connections, by the server", self.closed_by_server),
            format!("latency   {}", self.latencies()),
            format!("status    {}", list(self.status.iter())),
            format!("errors    {}", list(self.errors.iter())),
        ];
        lines.extend(
            self.interrupted
                .map(|signal| format!("ended     by {signal}, before its time")),
        );
        lines.extend(
            self.error_examples
                .iter()
                .map(|(kind, error)| format!("error     {kind}: {error}")),
        );
        lines.extend(
            self.per_pod
                .iter()
                .map(|(pod, count)| format!("pod       {pod}: {count}")),
        );
        lines.extend(self.imbalance_end.map(|end| {
            format!(
                "balance   the busiest of {} pods had {:.2} of the mean in the last 10 s",
                end.pods, end.max_over_mean
            )
        }));
        lines.join("\n")
    }

    fn latencies(&self) -> String {
        let figures = [
            ("p50", self.p50_s),
            ("p90", self.p90_s),
            ("p99", self.p99_s),
            ("max", self.max_s),
        ];
        let figures = figures.map(|(name, seconds)| match seconds {
            Some(seconds) => format!("{name} {:.1} ms", seconds * 1e3),
            None => format!("{name} -"),
        });
        figures.join(", ")
    }
}

fn list(counts: impl Iterator<Item = (impl Display, impl Display)>) -> String {
    let counts: Vec<_> = counts.map(|(key, count)| format!("{key}: {count}")).collect();
    if counts.is_empty() {
        "-".to_owned()
    } else {
        counts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::super::answer::Answer;
    use super::super::client::RequestError;
    use super::super::rate::Profile;
    use super::super::record::Outcome;
    use super::*;

    fn schedule(rate: &str) -> Schedule {
        let profile = Profile::constant(rate.parse().unwrap(), Duration::from_secs(2));
        Schedule::new(profile, Spacing::Even, 1)
    }

    fn record() -> Record {
        let mut record = Record::new().unwrap();
        record.duration = Duration::from_secs(2);
        for (pod, millis) in [("web-1", 4), ("web-1", 8), ("web-2", 16)] {
            let at = Duration::from_millis(1_700_000_000_000 + millis);
            record.sent(UNIX_EPOCH + at, Duration::from_millis(millis));
            let result = Ok(Answer {
                status: 200,
                pod: Some(pod.to_owned()),
            });
            record.ended(Outcome {
                latency: Duration::from_millis(millis),
                at: Duration::from_millis(millis),
                result,
                resent: false,
            });
        }
        record.sent(UNIX_EPOCH + Duration::from_millis(1_700_000_001_500), Duration::ZERO);
        let result = Err(RequestError::Timeout(Duration::from_secs(2)));
        record.ended(Outcome {
            latency: Duration::from_secs(2),
            at: Duration::from_secs(3),
            result,
            resent: false,
        });
        record.dropped();
        record.next_second();
        record
    }

    #[test]
    fn json_has_every_figure_once() {
        let (schedule, record) = (schedule("2.5"), record());
        let report = Report::new(&schedule, &record);
        insta::assert_snapshot!(serde_json::to_string_pretty(&report).unwrap(), @r#"
        {
          "schema": 1,
          "rate": 2.5,
          "duration_s": 2.0,
          "interrupted": null,
          "requests": 4,
          "failed": 1,
          "dropped": 1,
          "late": 1,
          "resent": 0,
          "closed_by_server": 0,
          "p50_s": 0.008003,
          "p90_s": 2.0,
          "p99_s": 2.0,
          "max_s": 2.0,
          "max_lag_s": 0.016,
          "per_pod": {
            "web-1": 2,
            "web-2": 1
          },
          "first_hit_s": {
            "web-1": 0.004,
            "web-2": 0.016
          },
          "imbalance": {
            "pods": 2,
            "max_over_mean": 1.3333333333333333,
            "stddev_over_mean": 0.3333333333333333
          },
          "imbalance_end": {
            "pods": 2,
            "max_over_mean": 1.3333333333333333,
            "stddev_over_mean": 0.3333333333333333
          },
          "status": {
            "200": 3
          },
          "errors": {
            "timeout": 1
          },
          "error_examples": {
            "timeout": "no answer within 2 s"
          },
          "first_request_unix_s": 1700000000.004,
          "last_request_unix_s": 1700000001.5,
          "achieved_rate": 2.0,
          "stages": null,
          "arrivals": "even",
          "seed": null
        }
        "#);
    }

    #[test]
    fn text_is_short() {
        let (schedule, record) = (schedule("2.5"), record());
        insta::assert_snapshot!(Report::new(&schedule, &record).text(), @r#"
        requests  4 in 2.0 s, 2.0 of 2.5 per second
        failed    1
        dropped   1
        late      1, the worst by 16.0 ms
        resent    0
        closed    0 idle connections, by the server
        latency   p50 8.0 ms, p90 2000.0 ms, p99 2000.0 ms, max 2000.0 ms
        status    200: 3
        errors    timeout: 1
        error     timeout: no answer within 2 s
        pod       web-1: 2
        pod       web-2: 1
        balance   the busiest of 2 pods had 1.33 of the mean in the last 10 s
        "#);
    }

    #[test]
    fn nothing_sent_gives_nulls_and_no_nan() {
        let (schedule, record) = (schedule("1"), Record::new().unwrap());
        insta::assert_snapshot!(Report::new(&schedule, &record).json().unwrap(), @r#"{"schema":1,"rate":1.0,"duration_s":0.0,"interrupted":null,"requests":0,"failed":0,"dropped":0,"late":0,"resent":0,"closed_by_server":0,"p50_s":null,"p90_s":null,"p99_s":null,"max_s":null,"max_lag_s":0.0,"per_pod":{},"first_hit_s":{},"imbalance":null,"imbalance_end":null,"status":{},"errors":{},"error_examples":{},"first_request_unix_s":null,"last_request_unix_s":null,"achieved_rate":0.0,"stages":null,"arrivals":"even","seed":null}"#);
    }
}
