//! What is kept of a run: counts, latencies, who answered.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use hdrhistogram::{CreationError, Histogram};

use super::client::{Answer, RequestError};

/// Latencies are kept in microseconds, to three digits, up to an hour.
const HIGHEST_MICROS: u64 = 3_600_000_000;
const DIGITS: u8 = 3;

/// How one request ended.
#[derive(Debug)]
pub(super) struct Outcome {
    /// From the moment it was due, so that a wait in the generator or for a connection counts.
    pub(super) latency: Duration,
    pub(super) result: Result<Answer, RequestError>,
    /// It went out a second time, see [`super::client::Exchange`].
    pub(super) resent: bool,
}

/// Counts and latencies of a run. `requests` = Σ `status` + Σ `errors` − the error `status`, once all have ended.
#[derive(Debug)]
pub(super) struct Record {
    /// How long requests were sent.
    pub(super) duration: Duration,
    pub(super) requests: u64,
    pub(super) failed: u64,
    pub(super) dropped: u64,
    pub(super) resent: u64,
    /// Idle connections that the server closed while they had their time; those that a request was chosen for count as
    /// `resent` too.
    pub(super) closed_by_server: u64,
    pub(super) per_pod: BTreeMap<String, u64>,
    pub(super) status: BTreeMap<u16, u64>,
    pub(super) errors: BTreeMap<&'static str, u64>,
    pub(super) first: Option<SystemTime>,
    pub(super) last: Option<SystemTime>,
    latencies: Histogram<u64>,
    longest: Duration,
    last_error: Option<String>,
}

impl Record {
    pub(super) fn new() -> Result<Self, CreationError> {
        Ok(Self {
            duration: Duration::ZERO,
            requests: 0,
            failed: 0,
            dropped: 0,
            resent: 0,
            closed_by_server: 0,
            per_pod: BTreeMap::new(),
            status: BTreeMap::new(),
            errors: BTreeMap::new(),
            first: None,
            last: None,
            latencies: Histogram::new_with_max(HIGHEST_MICROS, DIGITS)?,
            longest: Duration::ZERO,
            last_error: None,
        })
    }

    pub(super) fn sent(&mut self, at: SystemTime) {
        self.requests += 1;
        self.first.get_or_insert(at);
        self.last = Some(at);
    }

    /// An arrival that found all connections busy: no request was sent.
    pub(super) fn dropped(&mut self) {
        self.dropped += 1;
    }

    /// An idle connection that was found closed before a request was chosen for it.
    pub(super) fn closed_by_server(&mut self) {
        self.closed_by_server += 1;
    }

    /// A request whose end nobody waited for.
    pub(super) fn given_up(&mut self) {
        self.fail("given_up", "given up before an answer".to_owned());
    }

    pub(super) fn ended(&mut self, outcome: Outcome) {
        self.resent += u64::from(outcome.resent);
        self.closed_by_server += u64::from(outcome.resent);
        match outcome.result {
            Ok(answer) => {
                self.time(outcome.latency);
                self.answered(answer);
            }
            Err(error) => {
                // A timeout took at least this long. Other errors took no time that says anything about the server.
                if matches!(error, RequestError::Timeout(_)) {
                    self.time(outcome.latency);
                }
                self.fail(error.kind(), error.to_string());
            }
        }
    }

    fn answered(&mut self, answer: Answer) {
        *self.status.entry(answer.status).or_default() += 1;
        if let Some(pod) = answer.pod {
            *self.per_pod.entry(pod).or_default() += 1;
        }
        if answer.status >= 400 {
            self.fail("status", format!("status {}", answer.status));
        }
    }

    fn time(&mut self, latency: Duration) {
        self.longest = self.longest.max(latency);
        self.latencies
            .saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }

    fn fail(&mut self, kind: &'static str, error: String) {
        self.failed += 1;
        *self.errors.entry(kind).or_default() += 1;
        self.last_error = Some(error);
    }

    /// None without an answer. Off by the histogram's three digits, never above the longest.
    pub(super) fn quantile(&self, q: f64) -> Option<Duration> {
        let value = Duration::from_micros(self.latencies.value_at_quantile(q));
        (!self.latencies.is_empty()).then(|| value.min(self.longest))
    }

    pub(super) fn longest(&self) -> Option<Duration> {
        (!self.latencies.is_empty()).then_some(self.longest)
    }

    pub(super) fn why_nothing_succeeded(&self) -> String {
        match &self.last_error {
            Some(error) => format!("{} of {} failed, the last: {error}", self.failed, self.requests),
            None => "none was sent".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(millis: u64) -> Outcome {
        let answer = Answer {
            status: 200,
            pod: Some("a".to_owned()),
        };
        Outcome {
            latency: Duration::from_millis(millis),
            result: Ok(answer),
            resent: false,
        }
    }

    fn timeout(millis: u64) -> Outcome {
        let latency = Duration::from_millis(millis);
        Outcome {
            latency,
            result: Err(RequestError::Timeout(latency)),
            resent: true,
        }
    }

    fn seconds(latency: Option<Duration>) -> f64 {
        latency.unwrap().as_secs_f64()
    }

    #[test]
    fn percentiles_are_within_a_thousandth() {
        let mut record = Record::new().unwrap();
        (1..=1000).for_each(|millis| record.ended(ok(millis)));
        for (q, expected) in [(0.5, 0.5), (0.9, 0.9), (0.99, 0.99), (1.0, 1.0)] {
            let value = seconds(record.quantile(q));
            assert!((value / expected - 1.0).abs() <= 0.001, "{q}: {value}");
        }
        assert_eq!(record.longest(), Some(Duration::from_secs(1)));
    }

    #[test]
    fn a_timeout_is_not_hidden_from_the_tail() {
        let mut record = Record::new().unwrap();
        (0..9).for_each(|_| record.ended(ok(1)));
        record.ended(timeout(2000));
        assert_eq!(record.quantile(0.99), Some(Duration::from_secs(2)));
        assert_eq!((record.failed, record.resent), (1, 1));
        assert_eq!(record.errors, BTreeMap::from([("timeout", 1)]));
    }

    #[test]
    fn a_refused_connection_has_no_latency() {
        let mut record = Record::new().unwrap();
        record.sent(SystemTime::now());
        let source = std::io::ErrorKind::ConnectionRefused.into();
        let result = Err(RequestError::Connect {
            address: "web:80".to_owned(),
            source,
        });
        record.ended(Outcome {
            latency: Duration::from_millis(1),
            result,
            resent: false,
        });
        assert_eq!((record.quantile(0.5), record.longest()), (None, None));
        assert_eq!(
            record.why_nothing_succeeded(),
            "1 of 1 failed, the last: cannot connect to `web:80`: connection refused"
        );
    }

    #[test]
    fn statuses_from_400_on_fail_and_still_count_for_their_pod() {
        let mut record = Record::new().unwrap();
        for status in [200, 302, 404, 503] {
            let answer = Answer {
                status,
                pod: Some("a".to_owned()),
            };
            record.ended(Outcome {
                latency: Duration::ZERO,
                result: Ok(answer),
                resent: false,
            });
        }
        assert_eq!((record.failed, record.per_pod["a"]), (2, 4));
        assert_eq!(record.errors, BTreeMap::from([("status", 2)]));
    }
}
