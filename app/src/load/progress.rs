//! What a run says while it is on, on stderr.
//!
//! For people a line each 5 s. For programs (`--progress json`) JSON lines, each an object with a `type`:
//!
//! | `type` | when | fields |
//! | --- | --- | --- |
//! | `start` | once, first | `schema`, `unix_s` (the moment that all `t_s` count from), `rate` (the mean), `duration_s`, `stages`, `arrivals` |
//! | `first_hit` | at once, with the first answer of each pod | `pod`, `t_s` |
//! | `second` | each second until the last answer is there | `t_s`, `sent`, `done`, `failed`, `dropped`, `late`, `in_flight`, `p50_s`, `p99_s`, `per_pod`, `total` |
//!
//! ```json
//! {"type":"start","schema":1,"unix_s":1700000000.004,"rate":100.0,"duration_s":120.0,"stages":null,"arrivals":"even"}
//! {"type":"first_hit","pod":"web-app-abc","t_s":0.002}
//! {"type":"second","t_s":1.0,"sent":100,"done":99,"failed":0,"dropped":0,"late":0,"in_flight":1,"p50_s":0.001,
//!  "p99_s":0.004,"per_pod":{"web-app-abc":99},"total":{"sent":100,"done":99,"failed":0,"dropped":0,"late":0}}
//! ```
//!
//! (The last one is one line.) `t_s` is the end of the second, which began with the line before: where the generator was
//! held up, a line may stand for more than a second, and the last one stands for less. Counts, latencies and `per_pod` are
//! those of the second alone, by the time at which a request was sent, dropped or ended; those of the run are in `total`.
//! `p50_s` and `p99_s` are null where nothing ended. A reader that stands still loses lines, while the load goes on. Other
//! lines on stderr are no JSON. More fields and types may come.

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use serde::Serialize;

use super::pods::Hits;
use super::rate::Stage;
use super::record::{Counts, Record};
use super::schedule::{Schedule, Spacing};

/// Version of the lines.
const SCHEMA: u32 = 1;

/// Between two lines for people, in seconds.
const TEXT_EVERY: u32 = 5;

/// Form of what is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// A line each 5 s
    Text,
    /// A JSON object each second and with the first answer of each pod
    Json,
    /// Nothing
    None,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Start {
        schema: u32,
        unix_s: Option<f64>,
        rate: f64,
        duration_s: f64,
        stages: Option<&'a [Stage]>,
        arrivals: Spacing,
    },
    FirstHit {
        pod: &'a str,
        t_s: f64,
    },
    Second {
        t_s: f64,
        #[serde(flatten)]
        counts: Counts,
        in_flight: usize,
        p50_s: Option<f64>,
        p99_s: Option<f64>,
        per_pod: &'a Hits,
        total: Counts,
    },
}

/// Says how a run goes on.
pub(super) struct Progress<'a> {
    form: Form,
    to: &'a mut dyn Write,
    seconds: u32,
}

impl<'a> Progress<'a> {
    pub(super) fn new(form: Form, to: &'a mut dyn Write) -> Self {
        Self { form, to, seconds: 0 }
    }

    pub(super) fn start(&mut self, now: SystemTime, schedule: &Schedule) {
        self.json(|| Line::Start {
            schema: SCHEMA,
            unix_s: unix(now),
            rate: schedule.profile().mean(),
            duration_s: schedule.profile().duration().as_secs_f64(),
            stages: schedule.profile().stages(),
            arrivals: schedule.spacing(),
        });
    }

    pub(super) fn first_hit(&mut self, pod: &str, at: Duration) {
        self.json(|| Line::FirstHit { pod, t_s: millis(at) });
    }

    /// The record's second ends now, `at` from the start of the run on.
    pub(super) fn second(&mut self, record: &Record, at: Duration, in_flight: usize) {
        self.seconds += 1;
        let second = &record.second;
        let quantile = |q| second.latencies.quantile(q).map(|latency| latency.as_secs_f64());
        self.json(|| Line::Second {
            t_s: millis(at),
            counts: second.counts,
            in_flight,
            p50_s: quantile(0.5),
            p99_s: quantile(0.99),
            per_pod: &second.per_pod,
            total: record.counts,
        });
        if self.form == Form::Text && self.seconds.is_multiple_of(TEXT_EVERY) {
            self.line(&text(record, at));
        }
    }

    fn json<'b>(&mut self, line: impl FnOnce() -> Line<'b>) {
        if self.form != Form::Json {
            return;
        }
        if let Ok(line) = serde_json::to_string(&line()) {
            self.line(&line);
        }
    }

    /// In one write, so that it stays whole among those of others. Nobody may be reading.
    fn line(&mut self, line: &str) {
        self.to.write_all(format!("{line}\n").as_bytes()).ok();
    }
}

fn text(record: &Record, elapsed: Duration) -> String {
    format!(
        "{:.0} s: {} requests, {:.1} per second, {} failed, {} dropped, {} resent",
        elapsed.as_secs_f64(),
        record.counts.sent,
        per_second(record.counts.sent, elapsed),
        record.counts.failed,
        record.counts.dropped,
        record.resent,
    )
}

/// Seconds to three digits.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e3).round() / 1e3
}

pub(super) fn unix(time: SystemTime) -> Option<f64> {
    time.duration_since(UNIX_EPOCH).ok().map(|time| time.as_secs_f64())
}

/// Counts stay far below 2^53.
#[allow(clippy::cast_precision_loss)]
pub(super) fn per_second(count: u64, time: Duration) -> f64 {
    if time.is_zero() {
        0.0
    } else {
        count as f64 / time.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer::Answer;
    use super::super::rate::Profile;
    use super::super::record::Outcome;
    use super::*;

    /// A run of two seconds, of which the second has only a drop.
    fn said(form: Form) -> String {
        let mut lines = Vec::new();
        let mut progress = Progress::new(form, &mut lines);
        let profile = Profile::staged(&"0:1s,4:0,4:1s".parse().unwrap());
        progress.start(
            UNIX_EPOCH + Duration::from_millis(1_700_000_000_004),
            &Schedule::new(profile, Spacing::Poisson, 1),
        );
        let mut record = Record::new().unwrap();
        for millis in [2, 4] {
            record.sent(UNIX_EPOCH, Duration::from_millis(12));
            let pod = record.ended(Outcome {
                latency: Duration::from_millis(millis),
                at: Duration::from_micros(millis * 1000 + 400),
                result: Ok(Answer {
                    status: 200,
                    pod: Some("web-1".to_owned()),
                }),
                resent: false,
            });
            if let Some(pod) = pod {
                progress.first_hit(&pod, record.first_hits[&pod]);
            }
        }
        progress.second(&record, Duration::from_secs(1), 1);
        record.next_second();
        record.dropped();
        for _ in 0..4 {
            progress.second(&record, Duration::from_secs(2), 0);
        }
        String::from_utf8(lines).unwrap()
    }

    #[test]
    fn programs_read_a_start_first_hits_and_seconds() {
        let said = said(Form::Json);
        let lines: Vec<_> = said.lines().take(4).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        {"type":"start","schema":1,"unix_s":1700000000.004,"rate":2.0,"duration_s":2.0,"stages":[{"rate":0.0,"duration_s":1.0},{"rate":4.0,"duration_s":0.0},{"rate":4.0,"duration_s":1.0}],"arrivals":"poisson"}
        {"type":"first_hit","pod":"web-1","t_s":0.002}
        {"type":"second","t_s":1.0,"sent":2,"done":2,"failed":0,"dropped":0,"late":2,"in_flight":1,"p50_s":0.002,"p99_s":0.004,"per_pod":{"web-1":2},"total":{"sent":2,"done":2,"failed":0,"dropped":0,"late":2}}
        {"type":"second","t_s":2.0,"sent":0,"done":0,"failed":0,"dropped":1,"late":0,"in_flight":0,"p50_s":null,"p99_s":null,"per_pod":{},"total":{"sent":2,"done":2,"failed":0,"dropped":1,"late":2}}
        "#);
    }

    #[test]
    fn people_read_a_line_each_five_seconds() {
        insta::assert_snapshot!(said(Form::Text), @r#"2 s: 2 requests, 1.0 per second, 0 failed, 1 dropped, 0 resent"#);
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(said(Form::None), "");
    }
}
