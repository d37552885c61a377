//! What a load begins with. One that is to show how the app scales begins with an app that can: where pods of an earlier load
//! are still there, it waits until the HPA has removed them.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::chain::HPA;
use crate::cluster::pace::Pace;
use crate::error::Error;
use crate::report::Reporter;
use crate::timeline::{AtStart, Recorder, Recording};

/// Between two looks while nothing else is waited for, and for how long.
const OFTEN: Duration = Duration::from_millis(20);
const GLANCE: Duration = Duration::from_secs(2);

/// How long what is waited for.
const PATIENCE: Patience = Patience {
    every: Duration::from_millis(250),
    seen: Duration::from_secs(20),
    echo: Duration::from_mins(2),
    limit: Duration::from_mins(10),
};

/// Bounds of a wait.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// Between two looks.
    every: Duration,
    /// For the first looks at pods and HPA.
    seen: Duration,
    /// For requests of an earlier load, which still show in the rate: two scrapes and a window of the slowest profile.
    echo: Duration,
    /// For the HPA to remove the pods: longer than its default stabilisation of 5 min.
    limit: Duration,
}

/// What has to be so at the first request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// Nothing: the load is sent at once.
    Anyhow,
    /// Fewer pods than the HPA's maximum, and none that come or go: there is something to scale, and nothing else scales.
    Settled,
    /// The HPA's minimum of pods, which the load ends with too.
    AtMinimum,
}

/// Whether the load may begin.
#[derive(Debug, PartialEq)]
enum Verdict {
    Begin,
    /// Pods or HPA were not seen yet.
    Unseen,
    /// Not yet: this is how it is.
    Not(String),
    /// Never, whatever is waited for.
    Never(String),
}

impl Begin {
    /// What these flags ask for.
    pub(super) fn of(until_scaled: bool, max_scale_up: bool) -> Self {
        match (until_scaled, max_scale_up) {
            (true, _) => Self::AtMinimum,
            (false, true) => Self::Settled,
            (false, false) => Self::Anyhow,
        }
    }

    /// Waits until it is so.
    ///
    /// # Errors
    /// It cannot become so, or nobody can see whether it is: exit 2. It did not become so: exit 1. Nothing was sent.
    pub(super) async fn reach(self, recorder: &Recorder, report: &dyn Reporter) -> Result<(), Error> {
        if self == Self::Anyhow {
            glance(recorder).await;
            return Ok(());
        }
        self.wait(PATIENCE, recorder, report).await
    }

    async fn wait(self, patience: Patience, recorder: &Recorder, report: &dyn Reporter) -> Result<(), Error> {
        let mut pace = Pace::new(report);
        let (mut told, mut asked_since) = (false, None);
        loop {
            let (verdict, traffic) = {
                let seen = recorder.seen();
                (self.judge(&seen), self.traffic(&seen))
            };
            match verdict {
                Verdict::Begin => return Ok(()),
                Verdict::Unseen if pace.elapsed() >= patience.seen => return Err(unseen()),
                Verdict::Unseen => {}
                Verdict::Never(why) => return Err(Error::usage(Unscalable(why))),
                Verdict::Not(state) => {
                    if !std::mem::replace(&mut told, true) {
                        report.note(self.why());
                    }
                    let since = traffic.map(|_| *asked_since.get_or_insert_with(Instant::now));
                    match (traffic, since) {
                        (Some(rate), Some(since)) if since.elapsed() >= patience.echo => {
                            return Err(others(&state, rate));
                        }
                        (None, _) => asked_since = None,
                        _ => {}
                    }
                    if pace.elapsed() >= patience.limit {
                        return Err(Error::failed(NotYet(state, patience.limit.as_secs_f64())).hint(DOES_NOT));
                    }
                    pace.waiting(&format!("HPA `{HPA}`"), &state);
                }
            }
            sleep(patience.every).await;
        }
    }

    /// Whether what was seen last is what the load begins with. Pure.
    fn judge(self, seen: &Recording) -> Verdict {
        let (Some(now), Some(hpa)) = (seen.at_start(f64::INFINITY), seen.hpa.last()) else {
            return Verdict::Unseen;
        };
        if hpa.min >= hpa.max {
            return Verdict::Never(format!("the HPA `{HPA}` keeps {} pods, fewest and most", hpa.max));
        }
        let wanted = now.wanted.unwrap_or(0);
        // Without pods nothing answers, and the HPA scales nothing.
        let serves = now.pods > 0 && now.ready >= now.pods;
        let moves = now.wanted.is_some_and(|wanted| wanted != now.pods);
        let fits = match self {
            Self::Anyhow => true,
            Self::Settled => serves && !now.is_at_max() && !moves,
            Self::AtMinimum => serves && now.pods.max(wanted) <= hpa.min,
        };
        if fits {
            Verdict::Begin
        } else {
            Verdict::Not(now.to_string())
        }
    }

    /// Requests per second that keep the app from what the load begins with; none where they do not. Pure.
    fn traffic(self, seen: &Recording) -> Option<f64> {
        let (rates, hpa) = (seen.rates.last()?, seen.hpa.last()?);
        #[expect(clippy::cast_precision_loss, reason = "a number of pods")]
        let enough = match self {
            Self::Anyhow => return None,
            Self::Settled => hpa.max.saturating_sub(1) as f64,
            Self::AtMinimum => hpa.min as f64,
        };
        (rates.total > enough * hpa.target?).then_some(rates.total)
    }

    fn why(self) -> &'static str {
        match self {
            Self::AtMinimum => {
                "a load with `--until-scaled` begins and ends with the fewest pods: it waits until the HPA has removed the others"
            }
            _ => {
                "a load with `--max-scale-up` begins while the HPA has something to do and does nothing else: it waits for that"
            }
        }
    }
}

/// Waits a moment for the first looks: what the load begins with belongs to its report.
async fn glance(recorder: &Recorder) {
    let give_up = Instant::now() + GLANCE;
    while recorder.seen().at_start(f64::INFINITY).is_none() && Instant::now() < give_up {
        sleep(OFTEN).await;
    }
}

/// What to do where the HPA does not remove pods.
const DOES_NOT: &str = "`provisioner status` shows why the HPA keeps them; without `--until-scaled` and `--max-scale-up` a load is sent at once";

fn unseen() -> Error {
    let hint = "`provisioner doctor` names what is missing; without `--until-scaled` and `--max-scale-up` a load is sent at once";
    Error::usage(Unseen).hint(hint)
}

fn others(state: &str, rate: f64) -> Error {
    let hint =
        "`provisioner status --watch` shows them; without `--until-scaled` and `--max-scale-up` a load is sent at once";
    Error::usage(Others(state.to_owned(), rate)).hint(hint)
}

/// The app cannot scale.
#[derive(Debug, thiserror::Error)]
#[error("cannot show how the app scales: {0}")]
struct Unscalable(String);

/// Pods or HPA cannot be seen.
#[derive(Debug, thiserror::Error)]
#[error("cannot show how the app scales: its pods or its HPA `{}` cannot be seen", HPA)]
struct Unseen;

/// The app has its pods for good reason.
#[derive(Debug, thiserror::Error)]
#[error("cannot show how the app scales: {0}, and others send {1:.0} requests/s to it")]
struct Others(String, f64);

/// Pods stayed.
#[derive(Debug, thiserror::Error)]
#[error("cannot show how the app scales: still {0} after {1} s")]
struct NotYet(String, f64);

/// Says of a load that is sent anyhow that it will not show what it is likely to be sent for.
pub(super) fn warn(begun: Option<AtStart>, report: &dyn Reporter) {
    if let Some(begun) = begun.filter(AtStart::is_at_max) {
        report.warning(&format!(
            "{begun}: this load cannot show how the app scales up; `--until-scaled` waits until it can"
        ));
    }
}

#[cfg(test)]
#[path = "begin_tests.rs"]
mod tests;
