//! How many requests per second, over time.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use crate::duration;

/// Requests per second, positive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate(f64);

/// More is beyond one process, and a slip of the pen.
const HIGHEST_RATE: f64 = 100_000.0;

/// Why a number is not a rate.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a rate, give requests per second above 0 and up to 100000")]
pub(crate) struct RateError;

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let rate = text.parse().map_err(|_| RateError)?;
        if rate > 0.0 && rate <= HIGHEST_RATE {
            Ok(Self(rate))
        } else {
            Err(RateError)
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A part of a load: the rate goes in a straight line from that of the part before to `rate`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Stage {
    rate: f64,
    #[serde(rename = "duration_s", serialize_with = "seconds")]
    duration: Duration,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// `RATE:DURATION,...`, at least one request in all.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stages(Vec<Stage>);

/// Why a text is not stages.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StagesError {
    #[error("`{0}` is not a stage, write RATE:DURATION like `100:30s`, with a rate from 0 to 100000")]
    Stage(String),
    #[error("stage `{stage}`: {error}")]
    Duration {
        stage: String,
        error: duration::DurationError,
    },
    #[error("these stages send nothing")]
    Nothing,
}

impl FromStr for Stages {
    type Err = StagesError;

    fn from_str(text: &str) -> Result<Self, StagesError> {
        let stages: Vec<Stage> = text
            .split(',')
            .map(|stage| stage.trim().parse())
            .collect::<Result<_, _>>()?;
        let stages = Self(stages);
        if Profile::staged(&stages).requests() < 1.0 {
            return Err(StagesError::Nothing);
        }
        Ok(stages)
    }
}

impl FromStr for Stage {
    type Err = StagesError;

    fn from_str(text: &str) -> Result<Self, StagesError> {
        let syntax = || StagesError::Stage(text.to_owned());
        let (rate, duration) = text.split_once(':').ok_or_else(syntax)?;
        let rate = rate.parse().map_err(|_| syntax())?;
        if !(0.0..=HIGHEST_RATE).contains(&rate) {
            return Err(syntax());
        }
        let duration = duration::parse(duration).map_err(|error| StagesError::Duration {
            stage: text.to_owned(),
            error,
        })?;
        Ok(Self { rate, duration })
    }
}

/// The rate over time, in straight pieces.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Profile {
    pieces: Vec<Piece>,
    duration: Duration,
    requests: f64,
    mean: f64,
    stages: Option<Vec<Stage>>,
}

/// The rate goes from `from` to `to` in `length` seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Piece {
    from: f64,
    to: f64,
    length: f64,
    /// Seconds and requests before it.
    start: f64,
    before: f64,
}

impl Piece {
    fn requests(&self) -> f64 {
        self.length * f64::midpoint(self.from, self.to)
    }

    /// When so many requests (of this piece) are due, in seconds from its start: the solution of
    /// `from t + slope t^2 / 2 = requests`, in the form that loses no digits and divides by no slope of zero.
    fn time_of(&self, requests: f64) -> f64 {
        let slope = (self.to - self.from) / self.length;
        let now = (self.from * self.from + 2.0 * slope * requests).max(0.0).sqrt();
        // At the very start of a ramp from zero nothing is due and nothing moves yet.
        let seconds = if requests == 0.0 {
            0.0
        } else {
            2.0 * requests / (self.from + now)
        };
        seconds.clamp(0.0, self.length)
    }
}

impl Profile {
    /// The same rate all the time.
    pub(super) fn constant(rate: Rate, duration: Duration) -> Self {
        let stage = |duration| Stage { rate: rate.0, duration };
        Self {
            mean: rate.0,
            stages: None,
            ..Self::of(&[stage(Duration::ZERO), stage(duration)])
        }
    }

    /// One stage after the other, from a rate of 0.
    pub(super) fn staged(stages: &Stages) -> Self {
        Self::of(&stages.0)
    }

    fn of(stages: &[Stage]) -> Self {
        let mut profile = Self {
            pieces: Vec::new(),
            duration: Duration::ZERO,
            requests: 0.0,
            mean: 0.0,
            stages: Some(stages.to_vec()),
        };
        let mut from = 0.0;
        for stage in stages {
            // One without a length only sets the rate that the next starts from.
            if !stage.duration.is_zero() {
                let piece = Piece {
                    from,
                    to: stage.rate,
                    length: stage.duration.as_secs_f64(),
                    start: profile.duration.as_secs_f64(),
                    before: profile.requests,
                };
                profile.requests += piece.requests();
                profile.pieces.push(piece);
            }
            profile.duration += stage.duration;
            from = stage.rate;
        }
        if !profile.duration.is_zero() {
            profile.mean = profile.requests / profile.duration.as_secs_f64();
        }
        profile
    }

    pub(super) fn duration(&self) -> Duration {
        self.duration
    }

    /// How many requests it asks for: the area under the rate.
    pub(super) fn requests(&self) -> f64 {
        self.requests
    }

    /// The mean rate, which is the rate where it is constant.
    pub(super) fn mean(&self) -> f64 {
        self.mean
    }

    /// As they were asked for; none where the rate is constant.
    pub(super) fn stages(&self) -> Option<&[Stage]> {
        self.stages.as_deref()
    }

    /// When the rate has asked for so many requests.
    pub(super) fn time_of(&self, requests: f64) -> Duration {
        // The last piece that begins no later; pieces that ask for nothing are passed over.
        let after = self.pieces.partition_point(|piece| piece.before <= requests);
        let Some(piece) = after.checked_sub(1).and_then(|nth| self.pieces.get(nth)) else {
            return Duration::ZERO;
        };
        Duration::from_secs_f64(piece.start + piece.time_of(requests - piece.before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn staged(text: &str) -> Profile {
        Profile::staged(&text.parse().unwrap())
    }

    #[test]
    fn asks_for_the_area_under_the_rate() {
        for (stages, requests, seconds) in [
            ("100:30s", 1500.0, 30.0),
            ("100:0,100:2m", 12_000.0, 120.0),
            ("0:30s,100:2m,0:1m", 9000.0, 210.0),
            ("10:10s,10:1m,100:10s,100:1m,0:0s", 7200.0, 140.0),
            ("0.5:4s", 1.0, 4.0),
        ] {
            let profile = staged(stages);
            assert!((profile.requests() - requests).abs() < 1e-9, "{stages}");
            assert!((profile.duration().as_secs_f64() - seconds).abs() < 1e-9, "{stages}");
        }
    }

    #[test]
    fn a_request_is_due_when_the_area_has_reached_it() {
        // 0 to 100 in 10 s: 5 t^2 requests; then 100 per second for 10 s; then down to 0 in 20 s.
        let profile = staged("100:10s,100:10s,0:20s");
        for (requests, seconds) in [
            (0.0, 0.0),
            (5.0, 1.0),
            (125.0, 5.0),
            (500.0, 10.0),
            (600.0, 11.0),
            (1500.0, 20.0),
            (1500.0 + 750.0, 30.0),
            (2500.0, 40.0),
        ] {
            let due = profile.time_of(requests).as_secs_f64();
            assert!((due - seconds).abs() < 1e-6, "{requests}: {due}");
        }
    }

    #[test]
    fn nothing_is_due_while_the_rate_is_zero() {
        let profile = staged("0:30s,100:0,100:10s,0:0,0:30s,50:0,50:2s");
        let seconds = |requests| profile.time_of(requests).as_secs_f64();
        assert_eq!((seconds(0.0), seconds(1.0), seconds(999.0)), (30.0, 30.01, 39.99));
        assert_eq!((seconds(1000.0), seconds(1050.0)), (70.0, 71.0));
    }

    #[test]
    fn refuses_rates_that_cannot_be() {
        for text in ["0", "-1", "NaN", "inf", "100001", "ten", ""] {
            assert_eq!(text.parse::<Rate>(), Err(RateError), "{text}");
        }
    }

    #[test]
    fn says_which_stage_is_none() {
        for (text, message) in [
            ("100", "`100` is not a stage, write RATE:DURATION"),
            ("10:1s,,", "`` is not a stage"),
            ("10:1s, -1:1s", "`-1:1s` is not a stage"),
            ("NaN:1s", "`NaN:1s` is not a stage"),
            ("10:1m, 200000:1m", "`200000:1m` is not a stage"),
            ("10:5", "stage `10:5`: not a duration, write it like"),
            ("0:10s", "these stages send nothing"),
            ("100:0", "these stages send nothing"),
        ] {
            let error = text.parse::<Stages>().unwrap_err().to_string();
            assert!(error.starts_with(message), "{text}: {error}");
        }
    }
}
