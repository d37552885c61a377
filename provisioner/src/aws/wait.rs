//! Waiting: one bounded loop for everything on AWS that takes its time.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Aws, error::AwsError};
use crate::report::Reporter;

/// One wait. [`Wait::pause`] reports the state, sleeps one poll interval and fails once the limit is over; in no other
/// case.
pub(super) struct Wait<'a> {
    what: String,
    usual: Option<&'static str>,
    started: Instant,
    limit: Duration,
    poll: Duration,
    report: &'a dyn Reporter,
}

impl<'a> Wait<'a> {
    /// A wait for `what`, bounded by the options' timeout.
    pub(super) fn new(aws: &Aws, what: String, report: &'a dyn Reporter) -> Self {
        Self {
            what,
            usual: None,
            started: Instant::now(),
            limit: aws.timeout,
            poll: aws.poll,
            report,
        }
    }

    /// The same wait, told with how long it usually takes on AWS.
    pub(super) fn usually(mut self, usual: &'static str) -> Self {
        self.usual = Some(usual);
        self
    }

    /// The same wait, given up after `limit` where that is less.
    pub(super) fn at_most(mut self, limit: Duration) -> Self {
        self.limit = self.limit.min(limit);
        self
    }

    /// Says that the state is still `state`, and sleeps. Never sleeps past the limit.
    pub(super) async fn pause(&self, state: &str) -> Result<(), AwsError> {
        let elapsed = self.started.elapsed();
        let left = self.limit.saturating_sub(elapsed);
        if left.is_zero() {
            return Err(AwsError::TimedOut {
                what: self.what.clone(),
                state: state.to_owned(),
                after: elapsed,
            });
        }
        match self.usual {
            Some(usual) => {
                let state = format!("{state}, usually {usual} on AWS");
                self.report.waiting(&self.what, &state, elapsed);
            }
            None => self.report.waiting(&self.what, state, elapsed),
        }
        sleep(self.poll.min(left)).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::fake::{Record, Wire};
    use crate::report::Event;

    #[tokio::test]
    async fn a_wait_tells_state_time_and_what_is_usual_and_ends_with_the_bare_state() {
        let record = Record::default();
        let aws = Aws {
            timeout: Duration::from_millis(5),
            ..Wire::default().aws()
        };
        let wait = Wait::new(&aws, "cluster `demo`".to_owned(), &record).usually("10 min");
        let over = loop {
            if let Err(over) = wait.pause("CREATING").await {
                break over;
            }
        };
        assert!(matches!(over, AwsError::TimedOut { state, .. } if state == "CREATING"));
        let events = record.0.lock().expect("lock");
        assert!(matches!(
            &events[0],
            Event::Waiting { what, state, .. } if what == "cluster `demo`" && state == "CREATING, usually 10 min on AWS"
        ));
    }
}
