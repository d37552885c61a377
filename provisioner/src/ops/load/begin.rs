//! What a load begins with. One that is to show how the app scales begins with an app that can: where pods of an earlier load
//! are still there, it waits until the HPA has removed them.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::chain::HPA;
use crate::cluster::pace::Pace;
use crate::error::Error;
use crate::report::{Outcome, Reporter};
use crate::timeline::{AtStart, Hpa, Recorder, Recording, watch};

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
    /// For pods and HPA to be seen, at first or again.
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
    /// It may, with this.
    Begin(AtStart),
    /// Pods or HPA were not seen yet, or the HPA is gone.
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
        let (mut told, mut asked_since, mut seen_at) = (false, None, Instant::now());
        loop {
            let (verdict, traffic) = {
                let seen = recorder.seen();
                (self.judge(&seen), self.traffic(&seen, watch::now()))
            };
            if verdict != Verdict::Unseen {
                seen_at = Instant::now();
            }
            match verdict {
                Verdict::Begin(state) => {
                    if told {
                        report.done("HPA", HPA, Outcome::Ready, &state.to_string());
                    }
                    return Ok(());
                }
                Verdict::Unseen if seen_at.elapsed() >= patience.seen => return Err(unseen()),
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
                    pace.watching(&format!("HPA `{HPA}`"), &state);
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
        if let Some(why) = fixed(hpa) {
            return Verdict::Never(why);
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
            Verdict::Begin(now)
        } else {
            Verdict::Not(now.to_string())
        }
    }

    /// Requests per second that keep the app from what the load begins with; none where they do not, or are not known at
    /// `moment`. Pure.
    fn traffic(self, seen: &Recording, moment: f64) -> Option<f64> {
        let (rate, hpa) = (seen.rate(moment)?, seen.hpa.last()?);
        #[expect(clippy::cast_precision_loss, reason = "a number of pods")]
        let enough = match self {
            Self::Anyhow => return None,
            Self::Settled => hpa.max.saturating_sub(1) as f64,
            Self::AtMinimum => hpa.min as f64,
        };
        (rate > enough * hpa.target?).then_some(rate)
    }

    fn why(self) -> &'static str {
        match self {
            Self::AtMinimum => {
                "a load with `--until-scaled` begins and ends with the fewest pods, each of them ready: it waits for that"
            }
            _ => {
                "a load with `--max-scale-up` begins while the HPA has something to do and does nothing else: it waits for that"
            }
        }
    }
}

/// Why an HPA scales nothing, whatever the load is; none where it does. Pure.
fn fixed(hpa: &Hpa) -> Option<String> {
    (hpa.min >= hpa.max).then(|| format!("minimum and maximum of the HPA `{HPA}` are both {}", hpa.max))
}

/// Waits a moment for the first looks: what the load begins with belongs to its report.
async fn glance(recorder: &Recorder) {
    let give_up = Instant::now() + GLANCE;
    while recorder.seen().at_start(f64::INFINITY).is_none() && Instant::now() < give_up {
        sleep(OFTEN).await;
    }
}

/// What to do where the app does not come to rest.
const DOES_NOT: &str =
    "`provisioner status` shows why; without `--until-scaled` and `--max-scale-up` a load is sent at once";

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
pub(super) fn warn(seen: &Recording, report: &dyn Reporter) {
    let Some(begun) = seen.at_start(f64::INFINITY).filter(AtStart::is_at_max) else {
        return;
    };
    let why = seen.hpa.last().and_then(fixed);
    let why = why.unwrap_or_else(|| "`--until-scaled` waits until it can".to_owned());
    report.warning(&format!("{begun}: this load cannot show how the app scales up; {why}"));
}

#[cfg(test)]
#[path = "begin_tests.rs"]
mod tests;
