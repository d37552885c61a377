//! Trying again where that may help.

use std::future::Future;
use std::time::Duration;

use super::answer::RegistryError;
use crate::report::Reporter;

/// How often and how patiently a request is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, at least 1.
    pub attempts: u32,
    /// Pause after the first failure; it doubles with each further one.
    pub base_delay: Duration,
    /// How long one request may take, the registry's hashing of a layer included, beside what its bytes take on a slow
    /// line. A registry that asks for a longer pause, or one of more than two minutes, is not waited for.
    pub patience: Duration,
}

/// The longest pause that a registry gets because it asks for it.
const LONGEST_PAUSE: Duration = Duration::from_mins(2);
/// The slowest line that is waited for, in bytes per second.
const SLOWEST: u64 = 32_000;

impl Default for RetryPolicy {
    /// 4 attempts within 3.5 s of pauses, longer where the registry asks for it.
    fn default() -> Self {
        Self {
            attempts: 4,
            base_delay: Duration::from_millis(500),
            patience: Duration::from_mins(2),
        }
    }
}

/// The last error of a request, and how often it was tried.
#[derive(Debug)]
pub(super) struct Exhausted {
    pub(super) attempts: u32,
    pub(super) error: RegistryError,
}

impl RetryPolicy {
    /// The policy for a request that sends `bytes`.
    pub(super) fn sending(self, bytes: u64) -> Self {
        let on_the_line = Duration::from_secs(bytes / SLOWEST);
        Self {
            patience: self.patience + on_the_line,
            ..self
        }
    }

    /// The policy for reading what is sent to somebody else at the same time, who tries again as a whole and has to outlast
    /// this.
    pub(super) fn source(self) -> Self {
        Self {
            attempts: 1,
            patience: self.patience / 4,
            ..self
        }
    }

    async fn bounded<T>(&self, request: impl Future<Output = Result<T, RegistryError>>) -> Result<T, RegistryError> {
        let outcome = tokio::time::timeout(self.patience, request).await;
        outcome.unwrap_or(Err(RegistryError::Silent(self.patience)))
    }

    /// How long to wait before the attempt after number `attempts`; none where that was the last one.
    fn pause(&self, attempts: u32, error: &RegistryError) -> Option<Duration> {
        if attempts >= self.attempts || !error.is_transient() {
            return None;
        }
        let usual = self.base_delay.saturating_mul(1 << (attempts - 1).min(16));
        let asked = error.retry_after().unwrap_or_default();
        // Not what the bytes of a layer may take: whoever made it says how large it is.
        (asked <= self.patience.min(LONGEST_PAUSE)).then(|| usual.max(asked))
    }

    /// Runs `request` until it succeeds, fails for good, or the attempts are used up.
    pub(super) async fn run<T, F>(
        &self,
        what: &str,
        reporter: &dyn Reporter,
        mut request: impl FnMut() -> F,
    ) -> Result<T, Exhausted>
    where
        F: Future<Output = Result<T, RegistryError>>,
    {
        let mut attempts = 1;
        loop {
            let error = match self.bounded(Box::pin(request())).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let Some(pause) = self.pause(attempts, &error) else {
                return Err(Exhausted { attempts, error });
            };
            reporter.warning(&format!(
                "cannot {what}: {}; trying again in {:.1} s (attempt {attempts} of {})",
                with_causes(&error),
                pause.as_secs_f64(),
                self.attempts
            ));
            tokio::time::sleep(pause).await;
            attempts += 1;
        }
    }
}

/// The error and what it came from, on one line.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::report::Silent;

    fn answer(status: u16, retry_after: Option<u64>) -> RegistryError {
        RegistryError::Refused {
            status,
            request: String::new(),
            errors: Vec::new(),
            body: String::new(),
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    async fn attempts_until_given_up(status: u16) -> u32 {
        let policy = RetryPolicy {
            attempts: 4,
            base_delay: Duration::ZERO,
            ..RetryPolicy::default()
        };
        let calls = AtomicU32::new(0);
        let outcome: Result<(), _> = policy
            .run("try", &Silent, || {
                calls.fetch_add(1, Ordering::Relaxed);
                async move { Err(answer(status, None)) }
            })
            .await;
        let exhausted = outcome.expect_err("never succeeds");
        assert_eq!(exhausted.attempts, calls.into_inner());
        exhausted.attempts
    }

    #[tokio::test]
    async fn what_may_pass_uses_all_attempts_and_refusals_are_final() {
        assert_eq!(attempts_until_given_up(503).await, 4);
        assert_eq!(attempts_until_given_up(403).await, 1);
    }

    #[test]
    fn a_slow_line_has_the_time_that_its_bytes_take() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.sending(0).patience, Duration::from_mins(2));
        // 30 MB at 128 kB/s take 4 minutes.
        assert!(policy.sending(30_000_000).patience > Duration::from_mins(10));
    }

    #[test]
    fn pauses_double_and_are_as_long_as_the_registry_asks() {
        let policy = RetryPolicy::default();
        let pause = |attempts, asked| policy.pause(attempts, &answer(429, asked));
        assert_eq!(pause(1, None), Some(Duration::from_millis(500)));
        assert_eq!(pause(3, None), Some(Duration::from_secs(2)));
        assert_eq!(pause(1, Some(30)), Some(Duration::from_secs(30)));
        assert_eq!(pause(3, Some(1)), Some(Duration::from_secs(2)));
        assert_eq!(pause(4, None), None, "the last attempt");
        assert_eq!(pause(1, Some(3600)), None, "nobody waits that long");
        let large = policy.sending(1 << 40).pause(1, &answer(429, Some(3600)));
        assert_eq!(large, None, "nor for a layer that is said to be large");
    }
}
