//! Waiting: one bounded loop for everything on AWS that takes its time.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Aws, error::AwsError};
use crate::report::Reporter;

/// One wait. [`Wait::pause`] reports the state, sleeps one poll interval and fails once the limit is over.
pub(super) struct Wait<'a> {
    what: String,
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
            started: Instant::now(),
            limit: aws.timeout,
            poll: aws.poll,
            report,
        }
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
        self.report.waiting(&self.what, state, elapsed);
        sleep(self.poll.min(left)).await;
        Ok(())
    }
}
