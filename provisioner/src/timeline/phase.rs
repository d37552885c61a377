//! When the HPA's controller looks. It looks at every HPA once in a period, whatever happens, and writes the status only
//! where it changed. So a few requests make it change: the next write tells of a look, and those after it follow from the
//! period.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Recorder;
use super::watch::now;
use crate::chain;
use crate::cluster::Cluster;
use crate::cluster::pace::Pace;
use crate::cluster::values::Namespaces;
use crate::names::APP;
use crate::report::{Outcome, Reporter};

/// Between two of our requests: less than what a pod is to get, more than nothing.
const EVERY: Duration = Duration::from_millis(250);
/// How long until they show, at least: two scrapes and a window of the slowest profile.
const NOTICED: Duration = Duration::from_mins(2);
/// How long until our requests no longer show: longer than the longest window, and than the stabilisation that a step
/// down waits for.
const QUIET: Duration = Duration::from_mins(4);

/// No look was seen, or the app does not come to rest.
#[derive(Debug, thiserror::Error)]
#[error("cannot observe when the HPA's controller looks: {0}")]
pub struct Unobserved(String);

/// Waits until the controller looks and our own requests are forgotten; the moment of the look. `recorder` is filled
/// meanwhile by the watches.
pub async fn observe(
    cluster: &Cluster,
    at: &Namespaces,
    recorder: &Recorder,
    period: Duration,
    report: &dyn Reporter,
) -> Result<f64, Unobserved> {
    let path = format!("/api/v1/namespaces/{}/services/http:{APP}-service:http/proxy/", at.app);
    let look = knock(cluster, &path, period, recorder).await?;
    rest(cluster, at, report).await?;
    Ok(look)
}

/// Sends requests, through the API server, until the HPA's status changes because of them.
async fn knock(cluster: &Cluster, path: &str, period: Duration, recorder: &Recorder) -> Result<f64, Unobserved> {
    let limit = NOTICED.max(3 * period);
    let give_up = Instant::now() + limit;
    let known = recorder.seen().looks.len();
    let mut last = None;
    loop {
        // What the app answers does not matter: it counts every request.
        if let Err(failure) = cluster.get_json(path).await
            && failure.code == Some(503)
        {
            last = Some(failure.to_string());
        }
        if let Some(look) = recorder.seen().looks.get(known) {
            return Ok(*look);
        }
        if Instant::now() >= give_up {
            let seconds = limit.as_secs();
            let why = last.map_or_else(String::new, |why| format!("; the app says: {why}"));
            return Err(Unobserved(format!("its status did not change within {seconds} s{why}")));
        }
        sleep(EVERY).await;
    }
}

/// Waits until the app has no requests.
async fn rest(cluster: &Cluster, at: &Namespaces, report: &dyn Reporter) -> Result<(), Unobserved> {
    let mut pace = Pace::new(report);
    loop {
        let answer = chain::per_pod_or_none(cluster, at).await;
        let (still, why) = match answer.map(|per_pod| per_pod.values().sum::<f64>()) {
            Ok(rate) if rate <= 0.0 => {
                report.done("the app's", "rate", Outcome::Ready, "none");
                return Ok(());
            }
            Ok(rate) => (
                format!("still {rate:.2} requests/s"),
                format!("others send {rate:.2} requests/s to the app"),
            ),
            // Not known is not none.
            Err(failure) => (
                format!("not known: {failure}"),
                format!("the custom metrics API does not say whether the app is at rest: {failure}"),
            ),
        };
        if pace.elapsed() >= QUIET {
            return Err(Unobserved(why));
        }
        pace.watching("the app's rate", &still);
        sleep(EVERY).await;
    }
}

/// How long to wait from `now` on so that what takes `lead` ends `phase` after a look, where one was at `look`. Pure.
pub fn wait(look: f64, now: f64, phase: Duration, lead: Duration, period: Duration) -> Duration {
    let aim = look + phase.as_secs_f64() - lead.as_secs_f64();
    Duration::from_secs_f64((aim - now).rem_euclid(period.as_secs_f64()))
}

/// [`wait`]s from the present on.
pub async fn reach(look: f64, phase: Duration, lead: Duration, period: Duration) {
    sleep(wait(look, now(), phase, lead, period)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_moment_of_that_phase_is_waited_for() {
        let seconds = Duration::from_secs_f64;
        let of = |now: f64, phase: f64| wait(100.0, now, seconds(phase), seconds(2.0), seconds(15.0)).as_secs_f64();
        for (now, phase, want) in [
            (100.0, 3.0, 1.0),
            (100.0, 0.0, 13.0),
            (101.0, 3.0, 0.0),
            (131.5, 3.0, 14.5),
            (98.0, 0.0, 0.0),
        ] {
            assert!(
                (of(now, phase) - want).abs() < 1e-9,
                "{now} {phase}: {}",
                of(now, phase)
            );
        }
    }
}
