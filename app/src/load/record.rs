//! What is kept of a run: counts, latencies, who answered; and the same of the second that is on.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime};

use hdrhistogram::CreationError;
use serde::Serialize;

use super::answer::Answer;
use super::client::RequestError;
use super::latency::Latencies;
use super::pods::Hits;

/// A request that was begun this long after it was due was late: the generator, not the server, was too slow for it.
const LATE: Duration = Duration::from_millis(10);

/// The seconds at the end of a run that tell how evenly all pods that came up during it are used.
const LAST: usize = 10;

/// How one request ended.
#[derive(Debug)]
pub(super) struct Outcome {
    /// From the moment it was due, so that a wait in the generator or for a connection counts.
    pub(super) latency: Duration,
    /// When it ended, from the start of the run on.
    pub(super) at: Duration,
    pub(super) result: Result<Answer, RequestError>,
    /// It went out a second time, see [`super::client::Exchange`].
    pub(super) resent: bool,
}

/// Numbers of requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    /// Sent, whatever became of them.
    pub(super) sent: u64,
    /// Of those sent, the ones that have ended.
    pub(super) done: u64,
    /// Of those done: no answer, or a status from 400 on.
    pub(super) failed: u64,
    /// Not sent, because all connections were busy when they were due.
    pub(super) dropped: u64,
    /// Of those sent: 10 ms or more after they were due.
    pub(super) late: u64,
}

/// What happened since the last second ended.
#[derive(Debug)]
pub(super) struct Second {
    pub(super) counts: Counts,
    pub(super) latencies: Latencies,
    pub(super) per_pod: Hits,
}

/// Counts and latencies of a run. `sent` = Σ `status` + Σ `errors` − the error `status`, once all have ended.
#[derive(Debug)]
pub(super) struct Record {
    /// How long requests were sent.
    pub(super) duration: Duration,
    /// The signal that ended it before its time.
    pub(super) interrupted: Option<&'static str>,
    pub(super) counts: Counts,
    pub(super) latencies: Latencies,
    /// The longest that a request was begun after it was due.
    pub(super) longest_lag: Duration,
    pub(super) resent: u64,
    /// Idle connections that the server closed while they had their time; those that a request was chosen for count as
    /// `resent` too.
    pub(super) closed_by_server: u64,
    pub(super) per_pod: Hits,
    /// When each pod gave its first answer, from the start of the run on.
    pub(super) first_hits: BTreeMap<String, Duration>,
    pub(super) status: BTreeMap<u16, u64>,
    pub(super) errors: BTreeMap<&'static str, u64>,
    /// The first error of each kind, in words.
    pub(super) examples: BTreeMap<&'static str, String>,
    pub(super) first: Option<SystemTime>,
    pub(super) last: Option<SystemTime>,
    pub(super) second: Second,
    /// Who answered in the seconds before, the last of them last.
    seconds: VecDeque<Hits>,
    last_error: Option<String>,
}

impl Record {
    pub(super) fn new() -> Result<Self, CreationError> {
        Ok(Self {
            duration: Duration::ZERO,
            interrupted: None,
            counts: Counts::default(),
            latencies: Latencies::new()?,
            longest_lag: Duration::ZERO,
            resent: 0,
            closed_by_server: 0,
            per_pod: Hits::default(),
            first_hits: BTreeMap::new(),
            status: BTreeMap::new(),
            errors: BTreeMap::new(),
            examples: BTreeMap::new(),
            first: None,
            last: None,
            second: Second {
                counts: Counts::default(),
                latencies: Latencies::new()?,
                per_pod: Hits::default(),
            },
            seconds: VecDeque::new(),
            last_error: None,
        })
    }

    /// Counts for the run and for the second.
    fn count(&mut self, add: impl Fn(&mut Counts)) {
        add(&mut self.counts);
        add(&mut self.second.counts);
    }

    /// A request was begun, so long after it was due.
    pub(super) fn sent(&mut self, at: SystemTime, lag: Duration) {
        let late = u64::from(lag >= LATE);
        self.count(|counts| {
            counts.sent += 1;
            counts.late += late;
        });
        self.longest_lag = self.longest_lag.max(lag);
        self.first.get_or_insert(at);
        self.last = Some(at);
    }

    /// An arrival that found all connections busy: no request was sent.
    pub(super) fn dropped(&mut self) {
        self.count(|counts| counts.dropped += 1);
    }

    /// An idle connection that was found closed before a request was chosen for it.
    pub(super) fn closed_by_server(&mut self) {
        self.closed_by_server += 1;
    }

    /// A request whose end nobody waited for.
    pub(super) fn given_up(&mut self) {
        self.count(|counts| counts.done += 1);
        self.fail("given_up", "given up before an answer".to_owned());
    }

    /// A request ended; gives the pod if this is the first answer of it.
    pub(super) fn ended(&mut self, outcome: Outcome) -> Option<String> {
        self.resent += u64::from(outcome.resent);
        self.closed_by_server += u64::from(outcome.resent);
        self.count(|counts| counts.done += 1);
        match outcome.result {
            Ok(answer) => {
                self.time(outcome.latency);
                self.answered(answer, outcome.at)
            }
            Err(error) => {
                // A timeout took at least this long. Other errors took no time that says anything about the server.
                if matches!(error, RequestError::Timeout(_) | RequestError::ConnectTimeout(_)) {
                    self.time(outcome.latency);
                }
                self.fail(error.kind(), error.to_string());
                None
            }
        }
    }

    fn answered(&mut self, answer: Answer, at: Duration) -> Option<String> {
        *self.status.entry(answer.status).or_default() += 1;
        if answer.status >= 400 {
            self.fail("status", format!("status {}", answer.status));
        }
        let pod = answer.pod?;
        self.second.per_pod.count(&pod);
        self.per_pod.count(&pod).then(|| {
            self.first_hits.insert(pod.clone(), at);
            pod
        })
    }

    fn time(&mut self, latency: Duration) {
        self.latencies.add(latency);
        self.second.latencies.add(latency);
    }

    fn fail(&mut self, kind: &'static str, error: String) {
        self.count(|counts| counts.failed += 1);
        *self.errors.entry(kind).or_default() += 1;
        self.examples.entry(kind).or_insert_with(|| error.clone());
        self.last_error = Some(error);
    }

    /// Begins the next second.
    pub(super) fn next_second(&mut self) {
        let second = &mut self.second;
        match self.seconds.back_mut() {
            // While nothing is sent only leftovers are answered, too few to say how evenly.
            Some(last) if second.counts.sent == 0 => last.merge(&second.per_pod),
            _ => {
                self.seconds.push_back(second.per_pod.clone());
                if self.seconds.len() > LAST {
                    self.seconds.pop_front();
                }
            }
        }
        second.counts = Counts::default();
        second.latencies.clear();
        second.per_pod.clear();
    }

    /// Who answered in the last ten seconds that were ended.
    pub(super) fn last_hits(&self) -> Hits {
        let mut hits = Hits::default();
        self.seconds.iter().for_each(|second| hits.merge(second));
        hits
    }

    pub(super) fn why_nothing_succeeded(&self) -> String {
        match &self.last_error {
            Some(error) => format!(
                "{} of {} failed, the last: {error}",
                self.counts.failed, self.counts.sent
            ),
            None => "none was sent".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, pod: &str) -> Outcome {
        let answer = Answer {
            status,
            pod: Some(pod.to_owned()),
        };
        outcome(1, Ok(answer))
    }

    fn outcome(millis: u64, result: Result<Answer, RequestError>) -> Outcome {
        Outcome {
            latency: Duration::from_millis(millis),
            at: Duration::from_millis(1000 + millis),
            result,
            resent: false,
        }
    }

    fn timeout(millis: u64) -> Outcome {
        let latency = Duration::from_millis(millis);
        Outcome {
            resent: true,
            ..outcome(millis, Err(RequestError::Timeout(latency)))
        }
    }

    #[test]
    fn a_timeout_is_not_hidden_from_the_tail() {
        let mut record = Record::new().unwrap();
        (0..9).for_each(|_| {
            record.ended(answer(200, "a"));
        });
        record.ended(timeout(2000));
        assert_eq!(record.latencies.quantile(0.99), Some(Duration::from_secs(2)));
        assert_eq!((record.counts.failed, record.resent), (1, 1));
        assert_eq!(record.errors, BTreeMap::from([("timeout", 1)]));
    }

    #[test]
    fn a_refused_connection_has_no_latency() {
        let mut record = Record::new().unwrap();
        record.sent(SystemTime::now(), Duration::ZERO);
        let source = std::io::ErrorKind::ConnectionRefused.into();
        let result = Err(RequestError::Connect {
            address: "web:80".to_owned(),
            source,
        });
        record.ended(outcome(1, result));
        assert_eq!(record.latencies.quantile(0.5), None);
        assert_eq!(
            record.why_nothing_succeeded(),
            "1 of 1 failed, the last: cannot connect to `web:80`: connection refused"
        );
    }

    #[test]
    fn statuses_from_400_on_fail_and_still_count_for_their_pod() {
        let mut record = Record::new().unwrap();
        for status in [200, 302, 404, 503] {
            record.ended(answer(status, "a"));
        }
        let hits: Vec<_> = record.per_pod.iter().collect();
        assert_eq!((record.counts.failed, hits), (2, vec![(&"a".to_owned(), &4)]));
        assert_eq!(record.errors, BTreeMap::from([("status", 2)]));
    }

    #[test]
    fn the_first_answer_of_each_pod_is_told_once_with_its_time() {
        let mut record = Record::new().unwrap();
        let told = ["a", "b", "a"].map(|pod| record.ended(answer(200, pod)));
        assert_eq!(told, [Some("a".to_owned()), Some("b".to_owned()), None]);
        assert_eq!(record.first_hits["b"], Duration::from_millis(1001));
    }

    #[test]
    fn a_request_begun_late_is_counted_and_the_worst_kept() {
        let mut record = Record::new().unwrap();
        for millis in [0, 9, 10, 300, 2] {
            record.sent(SystemTime::now(), Duration::from_millis(millis));
        }
        assert_eq!((record.counts.sent, record.counts.late), (5, 2));
        assert_eq!(record.longest_lag, Duration::from_millis(300));
    }

    #[test]
    fn a_second_holds_only_what_happened_in_it() {
        let mut record = Record::new().unwrap();
        record.sent(SystemTime::now(), Duration::ZERO);
        record.ended(timeout(2000));
        record.next_second();
        assert_eq!(record.second.counts, Counts::default());
        record.sent(SystemTime::now(), Duration::ZERO);
        record.dropped();
        record.ended(answer(200, "a"));
        let expected = Counts {
            sent: 1,
            done: 1,
            dropped: 1,
            ..Counts::default()
        };
        assert_eq!(record.second.counts, expected);
        assert_eq!(record.second.latencies.quantile(0.99), Some(Duration::from_millis(1)));
        assert_eq!((record.counts.done, record.counts.failed), (2, 1));
    }

    #[test]
    fn the_last_seconds_forget_those_before_and_take_late_answers_in() {
        let mut record = Record::new().unwrap();
        for second in 0..12 {
            record.sent(SystemTime::now(), Duration::ZERO);
            record.ended(answer(200, if second < 2 { "old" } else { "new" }));
            record.next_second();
        }
        // Nothing is sent any more.
        record.ended(answer(200, "new"));
        record.next_second();
        let last = record.last_hits();
        let hits: Vec<_> = last.iter().collect();
        assert_eq!(hits, [(&"new".to_owned(), &11)]);
    }
}
