//! The result of a load: one JSON object, or a few lines of text.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::record::Record;
use super::schedule::Rate;

/// Version of the JSON object.
const SCHEMA: u32 = 1;

/// The figures of a run. Times are in seconds; null where nothing was measured.
#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    schema: u32,
    /// Requests per second asked for.
    rate: f64,
    /// How long requests were sent.
    duration_s: f64,
    /// Sent, whatever became of them.
    pub(super) requests: u64,
    /// Of those: no answer, or a status from 400 on.
    pub(super) failed: u64,
    /// Not sent, because all connections were busy when they were due.
    pub(super) dropped: u64,
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
    per_pod: &'a BTreeMap<String, u64>,
    status: &'a BTreeMap<u16, u64>,
    errors: &'a BTreeMap<&'static str, u64>,
    first_request_unix_s: Option<f64>,
    last_request_unix_s: Option<f64>,
    achieved_rate: f64,
}

impl<'a> Report<'a> {
    pub(super) fn new(rate: Rate, record: &'a Record) -> Self {
        let quantile = |q| record.quantile(q).map(|latency| latency.as_secs_f64());
        Self {
            schema: SCHEMA,
            rate: rate.per_second(),
            duration_s: record.duration.as_secs_f64(),
            requests: record.requests,
            failed: record.failed,
            dropped: record.dropped,
            resent: record.resent,
            closed_by_server: record.closed_by_server,
            p50_s: quantile(0.5),
            p90_s: quantile(0.9),
            p99_s: quantile(0.99),
            max_s: record.longest().map(|latency| latency.as_secs_f64()),
            per_pod: &record.per_pod,
            status: &record.status,
            errors: &record.errors,
            first_request_unix_s: record.first.and_then(unix),
            last_request_unix_s: record.last.and_then(unix),
            achieved_rate: per_second(record.requests, record.duration),
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
            format!("resent    {}", self.resent),
            format!("closed    {} idle connections, by the server", self.closed_by_server),
            format!("latency   {}", self.latencies()),
            format!("status    {}", list(self.status.iter())),
            format!("errors    {}", list(self.errors.iter())),
        ];
        lines.extend(
            self.per_pod
                .iter()
                .map(|(pod, count)| format!("pod       {pod}: {count}")),
        );
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

/// A line about a run in progress.
pub(super) fn progress(record: &Record, elapsed: Duration) -> String {
    format!(
        "{:.0} s: {} requests, {:.1} per second, {} failed, {} dropped, {} resent",
        elapsed.as_secs_f64(),
        record.requests,
        per_second(record.requests, elapsed),
        record.failed,
        record.dropped,
        record.resent,
    )
}

fn list(counts: impl Iterator<Item = (impl Display, impl Display)>) -> String {
    let counts: Vec<_> = counts.map(|(key, count)| format!("{key}: {count}")).collect();
    if counts.is_empty() {
        "-".to_owned()
    } else {
        counts.join(", ")
    }
}

fn unix(time: SystemTime) -> Option<f64> {
    time.duration_since(UNIX_EPOCH).ok().map(|time| time.as_secs_f64())
}

/// Counts stay far below 2^53.
#[allow(clippy::cast_precision_loss)]
fn per_second(count: u64, time: Duration) -> f64 {
    if time.is_zero() {
        0.0
    } else {
        count as f64 / time.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::{Answer, RequestError};
    use super::super::record::Outcome;
    use super::*;

    fn record() -> Record {
        let mut record = Record::new().unwrap();
        record.duration = Duration::from_secs(2);
        for (pod, millis) in [("web-1", 4), ("web-1", 8), ("web-2", 16)] {
            record.sent(UNIX_EPOCH + Duration::from_millis(1_700_000_000_000 + millis));
            let result = Ok(Answer {
                status: 200,
                pod: Some(pod.to_owned()),
            });
            record.ended(Outcome {
                latency: Duration::from_millis(millis),
                result,
                resent: false,
            });
        }
        record.sent(UNIX_EPOCH + Duration::from_millis(1_700_000_001_500));
        let result = Err(RequestError::Timeout(Duration::from_secs(2)));
        record.ended(Outcome {
            latency: Duration::from_secs(2),
            result,
            resent: false,
        });
        record.dropped();
        record
    }

    #[test]
    fn json_has_every_figure_once() {
        let record = record();
        let report = Report::new("2.5".parse().unwrap(), &record);
        insta::assert_snapshot!(serde_json::to_string_pretty(&report).unwrap(), @r#"
        {
          "schema": 1,
          "rate": 2.5,
          "duration_s": 2.0,
          "requests": 4,
          "failed": 1,
          "dropped": 1,
          "resent": 0,
          "closed_by_server": 0,
          "p50_s": 0.008003,
          "p90_s": 2.0,
          "p99_s": 2.0,
          "max_s": 2.0,
          "per_pod": {
            "web-1": 2,
            "web-2": 1
          },
          "status": {
            "200": 3
          },
          "errors": {
            "timeout": 1
          },
          "first_request_unix_s": 1700000000.004,
          "last_request_unix_s": 1700000001.5,
          "achieved_rate": 2.0
        }
        "#);
    }

    #[test]
    fn text_is_short() {
        let record = record();
        insta::assert_snapshot!(Report::new("2.5".parse().unwrap(), &record).text(), @r"
        requests  4 in 2.0 s, 2.0 of 2.5 per second
        failed    1
        dropped   1
        resent    0
        closed    0 idle connections, by the server
        latency   p50 8.0 ms, p90 2000.0 ms, p99 2000.0 ms, max 2000.0 ms
        status    200: 3
        errors    timeout: 1
        pod       web-1: 2
        pod       web-2: 1
        ");
    }

    #[test]
    fn nothing_sent_gives_nulls_and_no_nan() {
        let record = Record::new().unwrap();
        insta::assert_snapshot!(Report::new("1".parse().unwrap(), &record).json().unwrap(), @r#"{"schema":1,"rate":1.0,"duration_s":0.0,"requests":0,"failed":0,"dropped":0,"resent":0,"closed_by_server":0,"p50_s":null,"p90_s":null,"p99_s":null,"max_s":null,"per_pod":{},"status":{},"errors":{},"first_request_unix_s":null,"last_request_unix_s":null,"achieved_rate":0.0}"#);
    }

    #[test]
    fn progress_names_rate_and_failures() {
        insta::assert_snapshot!(progress(&record(), Duration::from_secs(5)), @"5 s: 4 requests, 0.8 per second, 1 failed, 1 dropped, 0 resent");
    }
}
