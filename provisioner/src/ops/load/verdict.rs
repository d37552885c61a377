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
        let missed = [self.scaled(times), self.errors(report)];
        let missed: Vec<String> = missed.into_iter().flatten().collect();
        match missed.as_slice() {
            [] => Ok(()),
            missed => Err(Missed(missed.join("; "))),
        }
    }

    fn scaled(&self, times: &Timeline) -> Option<String> {
        match (times.ready_s, self.max_scale_up) {
            (Some(ready), most) if ready <= 0.0 && (self.until_scaled || most.is_some()) => {
                Some("the maximum of pods was ready before the first request, so no scaling was seen".to_owned())
            }
            (Some(ready), Some(most)) if ready > most.as_secs_f64() => Some(format!(
                "the maximum of pods was ready after {ready:.1} s, at most {:.1} s are allowed",
                most.as_secs_f64()
            )),
            (None, most) if self.until_scaled || most.is_some() => {
                Some("the maximum of pods did not get ready while the load ran".to_owned())
            }
            _ => None,
        }
    }

    fn errors(&self, report: &Value) -> Option<String> {
        let most = self.error_rate?;
        let number = |key: &str| report[key].as_f64().unwrap_or_default();
        let (sent, failed, dropped) = (number("requests"), number("failed"), number("dropped"));
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
        let before = judged(bounds, Some(0.0), 0).expect("missed");
        assert_eq!(
            before,
            "the maximum of pods was ready before the first request, so no scaling was seen"
        );
        assert_eq!(judged(Bounds::default(), Some(0.0), 0), None, "nothing was asked");
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
        let nothing = bounds(100.0).judge(&json!({}), &Timeline::default());
        assert!(nothing.is_err());
    }
}
