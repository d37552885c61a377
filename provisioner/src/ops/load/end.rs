//! What a load with `--until-scaled` ends with: the HPA has removed the pods again.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::chain::HPA;
use crate::error::Error;
use crate::timeline::{Recorder, Recording, watch};

/// How long the HPA may take to remove the pods: longer than its default stabilisation of 5 min.
const BACK: Duration = Duration::from_mins(10);
/// Between two looks whether it has.
const EVERY: Duration = Duration::from_millis(250);
/// How long the HPA may be gone, in seconds: who replaces one deletes it first.
const GONE: f64 = 20.0;

/// Waits until no more pods are there than stay without load.
///
/// # Errors
/// They stay, or nothing would remove them: exit 1.
pub(super) async fn back(recorder: &Recorder) -> Result<(), Error> {
    let since = Instant::now();
    while !recorder.seen().is_back() {
        if let Some(kept) = kept(&recorder.seen(), watch::now(), since.elapsed()) {
            return Err(kept);
        }
        sleep(EVERY).await;
    }
    Ok(())
}

/// Why it is not waited for any longer; none while it is. Pure.
fn kept(seen: &Recording, now: f64, waited: Duration) -> Option<Error> {
    let error = |why: String| Error::failed(NotBack(seen.min(), why));
    if seen.hpa.last().is_some_and(|hpa| hpa.gone && now - hpa.at >= GONE) {
        let hint = "`provisioner bootstrap` makes it again";
        return Some(error(format!("the HPA `{HPA}` was deleted")).hint(hint));
    }
    if waited < BACK {
        return None;
    }
    let pods = seen.pods.last().map_or_else(
        || "they cannot be seen".to_owned(),
        |pods| format!("{} are there, {} ready,", pods.replicas, pods.ready),
    );
    let why = format!("{pods} {} s after the load", waited.as_secs());
    Some(error(why).hint("`provisioner status` shows what the HPA says"))
}

/// Pods were not removed in time.
#[derive(Debug, thiserror::Error)]
#[error("the pods are not back at the HPA's minimum of {0}: {1}")]
struct NotBack(u64, String);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::{Hpa, Pods};

    fn seen(hpa: Hpa) -> Recording {
        Recording {
            pods: vec![Pods {
                at: 1.0,
                replicas: 10,
                ready: 9,
            }],
            hpa: vec![Hpa { min: 1, max: 10, ..hpa }],
            ..Recording::default()
        }
    }

    #[test]
    fn pods_that_stay_are_told_with_the_reason() {
        let there = seen(Hpa::default());
        assert!(kept(&there, 500.0, Duration::from_secs(599)).is_none());
        insta::assert_snapshot!(kept(&there, 500.0, BACK).expect("they stay"), @"
        error: the pods are not back at the HPA's minimum of 1: 10 are there, 9 ready, 600 s after the load

        hint: `provisioner status` shows what the HPA says
        ");
    }

    #[test]
    fn an_hpa_that_was_deleted_is_not_waited_for() {
        let gone = seen(Hpa {
            at: 100.0,
            gone: true,
            ..Hpa::default()
        });
        assert!(kept(&gone, 119.0, Duration::ZERO).is_none(), "it may be replaced");
        insta::assert_snapshot!(kept(&gone, 120.0, Duration::ZERO).expect("it is gone"), @"
        error: the pods are not back at the HPA's minimum of 1: the HPA `web-app-hpa` was deleted

        hint: `provisioner bootstrap` makes it again
        ");
    }
}
