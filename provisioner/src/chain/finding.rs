//! What was found at each hop, and what follows from all of it.

use std::fmt;

use serde::Serialize;

use super::Hop;
use super::code::Code;
use crate::report::printable;

/// Whether a hop works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It does.
    Pass,
    /// It does not.
    Fail,
    /// It could not be looked at.
    Unknown,
}

/// A number with what it counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figure {
    /// The number.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
}

/// What was found at one hop.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Where.
    pub hop: Hop,
    /// Whether it works.
    pub state: State,
    /// Why, as a class.
    pub code: Code,
    /// Why, as a sentence.
    pub says: String,
    /// Its figure, where it has one.
    pub figure: Option<Figure>,
    /// How old what it says is, in seconds, where that is known.
    pub age_s: Option<f64>,
    /// Commands that mend it or show more, in order.
    pub fixes: Vec<String>,
}

impl Finding {
    fn new(hop: Hop, state: State, code: Code, says: impl Into<String>) -> Self {
        Self {
            hop,
            state,
            code,
            says: says.into(),
            figure: None,
            age_s: None,
            fixes: Vec::new(),
        }
    }

    pub(super) fn pass(hop: Hop, says: impl Into<String>) -> Self {
        Self::new(hop, State::Pass, Code::Ok, says)
    }

    pub(super) fn fail(hop: Hop, code: Code, says: impl Into<String>) -> Self {
        Self::new(hop, State::Fail, code, says)
    }

    pub(super) fn unknown(hop: Hop, code: Code, says: impl Into<String>) -> Self {
        Self::new(hop, State::Unknown, code, says)
    }

    /// Works, with something to know.
    pub(super) fn but(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of pods and targets are small")]
    pub(super) fn count(self, value: usize, unit: &'static str) -> Self {
        self.figure(value as f64, unit)
    }

    pub(super) fn figure(mut self, value: f64, unit: &'static str) -> Self {
        self.figure = Some(Figure { value, unit });
        self
    }

    pub(super) fn age(mut self, age_s: Option<f64>) -> Self {
        self.age_s = age_s;
        self
    }

    pub(super) fn fix(mut self, command: impl Into<String>) -> Self {
        self.fixes.push(command.into());
        self
    }
}

/// All hops, and the first one that is broken.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diagnosis {
    /// Whether no hop is broken, and those were looked at without which nobody knows that the app scales.
    pub healthy: bool,
    /// The first hop that is broken: what comes after it may only follow from it.
    pub broken: Option<Hop>,
    /// Why.
    pub code: Option<Code>,
    /// Hops that could not be looked at.
    pub unknown: usize,
    /// All, in the order in which values flow.
    pub hops: Vec<Finding>,
}

impl Diagnosis {
    pub(super) fn of(hops: Vec<Finding>) -> Self {
        let broken = hops.iter().find(|finding| finding.state == State::Fail);
        Self {
            healthy: broken.is_none() && !hops.iter().any(decides_unseen),
            broken: broken.map(|finding| finding.hop),
            code: broken.map(|finding| finding.code),
            unknown: hops.iter().filter(|finding| finding.state == State::Unknown).count(),
            hops,
        }
    }

    /// The first broken hop.
    pub fn first(&self) -> Option<&Finding> {
        self.hops.iter().find(|finding| Some(finding.hop) == self.broken)
    }

    /// What was found at a hop.
    pub fn at(&self, hop: Hop) -> Option<&Finding> {
        self.hops.iter().find(|finding| finding.hop == hop)
    }
}

/// A hop that decides, and that nobody could look at: what is not known is not healthy.
fn decides_unseen(finding: &Finding) -> bool {
    matches!(finding.hop, Hop::Values | Hop::Hpa) && finding.state == State::Unknown
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.state {
            State::Pass => "ok",
            State::Fail => "broken",
            State::Unknown => "unknown",
        };
        write!(f, "{word:<8} {:<21} ", self.hop)?;
        if self.code != Code::Ok {
            write!(f, "{}: ", self.code)?;
        }
        // It may be what a program in the cluster wrote.
        f.write_str(&printable(&self.says).replace('\n', " "))?;
        match self.age_s {
            Some(age) if self.hop.has_state() => write!(f, " (for {})", pace(age)),
            Some(age) => write!(f, " ({} ago)", pace(age)),
            None => Ok(()),
        }
    }
}

/// Seconds as people say them.
pub(super) fn pace(seconds: f64) -> String {
    match seconds.max(0.0) {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.hops {
            writeln!(f, "{finding}")?;
        }
        match self.first() {
            Some(first) => {
                writeln!(f, "\nfirst broken: {} ({})", first.hop, first.code)?;
                for (index, fix) in first.fixes.iter().enumerate() {
                    let what = if index == 0 { "fix:" } else { "also:" };
                    writeln!(f, "{what:<6}{fix}")?;
                }
                if first.fixes.iter().any(|fix| fix.contains(" bootstrap ")) {
                    writeln!(
                        f,
                        "{:<6}with the flags that the stack is made with, where they are not in provisioner.toml",
                        ""
                    )?;
                }
            }
            None if self.unknown == 0 => writeln!(f, "\nevery hop works")?,
            None if self.healthy => writeln!(f, "\nno hop is broken; {} could not be looked at", self.unknown)?,
            None => writeln!(
                f,
                "\nno hop is seen to be broken, but {} could not be looked at: whether the app scales is not known",
                self.unknown
            )?,
        }
        // What works and wants attention all the same.
        let due = self.hops.iter().filter(|finding| finding.state == State::Pass);
        for finding in due {
            for fix in &finding.fixes {
                writeln!(f, "{}: {fix}", finding.code)?;
            }
        }
        Ok(())
    }
}
