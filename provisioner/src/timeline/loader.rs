//! What the loader tells while it runs: lines of JSON in its log. Loaders that tell nothing are fine.

use serde::Deserialize;

use super::recording::Second;

/// One line of the log that says something.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Said {
    /// The load begins.
    Start {
        /// The moment that all times count from, in Unix seconds by the node's clock.
        unix_s: Option<f64>,
    },
    /// A second has passed.
    Second(Second),
    /// A pod answered for the first time.
    FirstHit {
        /// Its name.
        pod: String,
        /// When, in seconds from the start.
        t_s: f64,
    },
}

/// A line of a log with the time that the node gave it.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Unix time in seconds, by the node's clock; none where the line has none.
    pub written: Option<f64>,
    /// What it says; none where that is for people.
    pub said: Option<Said>,
}

impl Line {
    /// Takes a line apart. Pure.
    pub fn parse(line: &str) -> Self {
        let stamped = line.split_once(' ').and_then(|(time, rest)| {
            let time: jiff::Timestamp = time.parse().ok()?;
            Some((time.as_duration().as_secs_f64(), rest))
        });
        let (written, text) = match stamped {
            Some((written, text)) => (Some(written), text),
            None => (None, line),
        };
        let said = serde_json::from_str(text.trim()).ok();
        Self { written, said }
    }
}

/// More than a line needs from the node to here.
const DELAY: f64 = 0.5;

/// How far the clock of this machine is ahead of the cluster's.
///
/// A line that the node writes at N arrives here at L >= N, so the least of all L - N is the clocks' difference plus the
/// quickest line's way. Where that alone may be the way of a line, the clocks are taken as equal.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Clock {
    least: Option<f64>,
}

impl Clock {
    /// A line was written at `node` time and arrived at `here`.
    pub fn take(&mut self, node: f64, here: f64) {
        let ahead = here - node;
        self.least = Some(self.least.map_or(ahead, |least| least.min(ahead)));
    }

    /// Seconds to add to a moment of the cluster.
    pub fn offset(self) -> f64 {
        self.least.filter(|least| !(0.0..=DELAY).contains(least)).unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_with_and_without_the_time_of_the_node() {
        let line = Line::parse(r#"2026-11-27T12:00:00.500000000Z {"type":"first_hit","pod":"web-app-a","t_s":0.01}"#);
        let hit = Said::FirstHit {
            pod: "web-app-a".to_owned(),
            t_s: 0.01,
        };
        assert_eq!(line.said, Some(hit));
        assert_eq!(line.written, Some(1_795_780_800.5));
        let line =
            Line::parse(r#"{"type":"second","t_s":1.0,"sent":100,"done":99,"p99_s":null,"per_pod":{"a":99},"new":1}"#);
        let Some(Said::Second(second)) = line.said else {
            panic!("{line:?}");
        };
        assert_eq!(
            (second.sent, second.done, second.failed, second.p99_s),
            (100, 99, 0, None)
        );
        assert_eq!((line.written, second.per_pod["a"]), (None, 99));
    }

    #[test]
    fn lines_that_are_not_known_say_nothing() {
        let start = Line::parse(r#"{"type":"start","schema":1,"unix_s":1700000000.004,"rate":100.0}"#);
        let unix_s = Some(1_700_000_000.004);
        assert_eq!(start.said, Some(Said::Start { unix_s }));
        for text in [
            "",
            "10 s: 1000 requests",
            "{broken",
            r#"{"requests":3}"#,
            r#"{"type":"other"}"#,
            "[1]",
        ] {
            assert_eq!(Line::parse(text).said, None, "{text}");
        }
    }

    #[test]
    fn clocks_are_equal_unless_the_way_of_a_line_does_not_explain_the_difference() {
        let offset = |pairs: &[(f64, f64)]| {
            let mut clock = Clock::default();
            for (node, here) in pairs {
                clock.take(*node, *here);
            }
            clock.offset()
        };
        assert_eq!(offset(&[]).to_bits(), 0.0_f64.to_bits());
        assert_eq!(offset(&[(10.0, 10.9), (11.0, 11.02)]).to_bits(), 0.0_f64.to_bits());
        assert!(
            (offset(&[(10.0, 13.0), (11.0, 13.5)]) - 2.5).abs() < 1e-9,
            "this one is ahead"
        );
        assert!(
            (offset(&[(10.0, 9.0), (11.0, 10.2)]) + 1.0).abs() < 1e-9,
            "this one is behind"
        );
    }
}
