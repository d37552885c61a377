//! Whether a load was as it was asked to be.

use std::time::Duration;

use serde_json::Value;

use crate::timeline::Timeline;

/// What was asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bounds {
    /// The HPA's maximum of pods has to get ready.
    pub(super) until_scaled: bool,
    /// So soon after the first request.
    pub(super) max_scale_up: Option<Duration>,
    /// Most requests that may have failed or been dropped, in percent.
    pub(super) error_rate: Option<f64>,
}

/// The load was not as it was asked to be.
#[derive(Debug, thiserror::Error)]
#[error("the load missed what was asked of it: {0}")]
pub(super) struct Missed(String);

impl Bounds {
    /// Judges a load by its report and its times. Pure.
    pub(super) fn judge(&self, report: &Value, times: &Timeline) -> Result<(), Missed> {
        let missed = [interrupted(report), self.scaled(report, times), self.errors(report)];
        let missed: Vec<String> = missed.into_iter().flatten().collect();
        match missed.as_slice() {
            [] => Ok(()),
            missed => Err(Missed(missed.join("; "))),
        }
    }

    fn scaled(&self, report: &Value, times: &Timeline) -> Option<String> {
        if !self.until_scaled && self.max_scale_up.is_none() {
            return None;
        }
        let begun = &report["at_start"];
        let number = |key: &str| begun[key].as_u64();
        let was_there = number("max").is_some_and(|max| number("pods").max(number("wanted")) >= Some(max));
        let Some(ready) = times.ready_s.filter(|_| !was_there || times.desired_s.is_some()) else {
            return Some(match (number("pods"), number("max")) {
                (Some(pods), Some(max)) if was_there => {
                    let wanted = number("wanted").map_or_else(String::new, |wanted| format!(" and {wanted} wanted"));
                    format!("{pods} of {max} pods were there{wanted} before the first request, so no scaling was seen")
                }
                _ => "the maximum of pods did not get ready while the load ran".to_owned(),
            });
        };
        let most = self.max_scale_up.map(|most| most.as_secs_f64());
        let most = most.filter(|most| ready > *most)?;
        Some(format!(
            "the maximum of pods was ready after {ready:.1} s, at most {most:.1} s are allowed"
        ))
    }

    fn errors(&self, report: &Value) -> Option<String> {
        let most = self.error_rate?;
        let number = |key: &str| report[key].as_f64();
        let Some(failed) = number("failed") else {
            return Some("its loader does not say how many requests failed".to_owned());
        };
        let (sent, dropped) = (
            number("requests").unwrap_or_default(),
            number("dropped").unwrap_or_default(),
        );
        let due = sent + dropped;
        if due <= 0.0 {
            return Some("no request was sent".to_owned());
        }
        let percent = (failed + dropped) / due * 100.0;
        (percent > most).then(|| {
            format!("{failed} failed and {dropped} dropped of {due} requests are {percent:.3} %, at most {most} % are allowed")
        })
    }
}

/// A loader whose pod is evicted, or that somebody else ends, says so and is content all the same.
fn interrupted(report: &Value) -> Option<String> {
    let signal = report["interrupted"].as_str()?;
    let sent = report["duration_s"].as_f64().unwrap_or_default();
    Some(format!("{signal} ended it after {sent:.1} s, before its time"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn judged(bounds: Bounds, ready_s: Option<f64>, failed: u64) -> Option<String> {
        let times = Timeline {
            ready_s,
            ..Timeline::default()
        };
        let report = json!({"requests": 990, "failed": failed, "dropped": 10});
        bounds.judge(&report, &times).err().map(|missed| missed.0)
    }

    #[test]
    fn nothing_asked_is_nothing_missed() {
        assert_eq!(judged(Bounds::default(), None, 990), None);
    }

    #[test]
    fn a_load_that_was_cut_short_is_not_the_one_that_was_asked_for() {
        let report = json!({"requests": 990, "interrupted": "SIGTERM", "duration_s": 9.9});
        let missed = Bounds::default().judge(&report, &Timeline::default()).expect_err("cut");
        assert_eq!(missed.0, "SIGTERM ended it after 9.9 s, before its time");
    }

    #[test]
    fn pods_have_to_be_ready_and_in_time() {
        let bounds = Bounds {
            max_scale_up: Some(Duration::from_secs(30)),
            ..Bounds::default()
        };
        assert_eq!(judged(bounds, Some(30.0), 0), None);
        let late = judged(bounds, Some(30.1), 0).expect("late");
        assert_eq!(
            late,
            "the maximum of pods was ready after 30.1 s, at most 30.0 s are allowed"
        );
        let never = Some("the maximum of pods did not get ready while the load ran".to_owned());
        assert_eq!(judged(bounds, None, 0), never);
        let until_scaled = Bounds {
            until_scaled: true,
            ..Bounds::default()
        };
        assert_eq!(
            (judged(until_scaled, None, 0), judged(until_scaled, Some(99.0), 0)),
            (never, None)
        );
    }

    #[test]
    fn what_was_there_before_the_load_is_no_scaling() {
        let judged = |pods: u64, wanted: Option<u64>, desired_s, ready_s| {
            let times = Timeline {
                desired_s,
                ready_s,
                ..Timeline::default()
            };
            let report = json!({"at_start": {"pods": pods, "ready": pods, "wanted": wanted, "max": 10}});
            let bounds = Bounds {
                until_scaled: true,
                ..Bounds::default()
            };
            assert!(Bounds::default().judge(&report, &times).is_ok(), "nothing was asked");
            bounds.judge(&report, &times).err().map(|missed| missed.0)
        };
        assert_eq!(
            judged(10, Some(10), None, None).expect("missed"),
            "10 of 10 pods were there and 10 wanted before the first request, so no scaling was seen"
        );
        // The HPA had not looked yet.
        assert_eq!(
            judged(10, None, None, None).expect("missed"),
            "10 of 10 pods were there before the first request, so no scaling was seen"
        );
        // Pods that were on their way for somebody else got ready.
        let others = judged(4, Some(10), None, Some(3.0)).expect("missed");
        assert!(others.starts_with("4 of 10 pods were there and 10 wanted"), "{others}");
        // A scale-down was under way: they were removed and came again.
        assert_eq!(judged(10, Some(10), Some(19.0), Some(22.0)), None);
        assert_eq!(judged(4, Some(4), Some(5.0), Some(7.0)), None);
        let never = judged(4, None, None, None).expect("missed");
        assert!(never.contains("did not get ready"), "{never}");
    }

    #[test]
    fn requests_that_failed_or_were_never_sent_count() {
        let bounds = |error_rate| Bounds {
            error_rate: Some(error_rate),
            ..Bounds::default()
        };
        assert_eq!(judged(bounds(1.0), None, 0), None);
        assert_eq!(
            judged(bounds(0.0), None, 5).expect("missed"),
            "5 failed and 10 dropped of 1000 requests are 1.500 %, at most 0 % are allowed"
        );
        let both = Bounds {
            until_scaled: true,
            ..bounds(0.0)
        };
        assert!(
            judged(both, None, 0)
                .expect("missed")
                .contains("ran; 0 failed and 10 dropped")
        );
        for (report, why) in [
            (json!({"requests": 0, "failed": 0}), "no request was sent"),
            (
                json!({"requests": 9}),
                "its loader does not say how many requests failed",
            ),
        ] {
            let missed = bounds(100.0).judge(&report, &Timeline::default()).expect_err(why);
            assert_eq!(missed.0, why);
        }
    }
}
