//! What a registry's answer means, and trying again where that may help.

use std::future::Future;
use std::time::Duration;

use oci_client::errors::{OciDistributionError, OciEnvelope, OciErrorCode};

use crate::report::Reporter;

/// How often and how patiently a request is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, at least 1.
    pub attempts: u32,
    /// Pause after the first failure; it doubles with each further one.
    pub base_delay: Duration,
    /// How long one request may take, the registry's hashing of a layer included, beside what its bytes take on a slow
    /// line.
    pub patience: Duration,
}

/// The slowest line that is waited for, in bytes per second.
const SLOWEST: u64 = 32_000;

impl Default for RetryPolicy {
    /// 4 attempts within 3.5 s of pauses.
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
    pub(super) error: OciDistributionError,
}

impl RetryPolicy {
    /// The policy for a request that sends `bytes`.
    pub(super) fn sending(self, bytes: usize) -> Self {
        let on_the_line = Duration::from_secs(bytes as u64 / SLOWEST);
        Self {
            patience: self.patience + on_the_line,
            ..self
        }
    }

    async fn bounded<T>(
        &self,
        request: impl Future<Output = Result<T, OciDistributionError>>,
    ) -> Result<T, OciDistributionError> {
        tokio::time::timeout(self.patience, request).await.unwrap_or_else(|_| {
            let message = format!("no answer within {:.0} s", self.patience.as_secs_f64());
            let error = std::io::Error::new(std::io::ErrorKind::TimedOut, message);
            Err(OciDistributionError::IoError(error))
        })
    }

    /// Runs `request` until it succeeds, fails for good, or the attempts are used up.
    pub(super) async fn run<T, F>(
        &self,
        what: &str,
        reporter: &dyn Reporter,
        mut request: impl FnMut() -> F,
    ) -> Result<T, Exhausted>
    where
        F: Future<Output = Result<T, OciDistributionError>>,
    {
        let (mut attempts, mut delay) = (1, self.base_delay);
        loop {
            let error = match self.bounded(Box::pin(request())).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if attempts >= self.attempts || !is_transient(&error) {
                return Err(Exhausted { attempts, error });
            }
            reporter.warning(&format!(
                "cannot {what}: {error}; trying again in {:.1} s (attempt {attempts} of {})",
                delay.as_secs_f64(),
                self.attempts
            ));
            tokio::time::sleep(delay).await;
            attempts += 1;
            delay = delay.saturating_mul(2);
        }
    }
}

/// The HTTP status of a registry's answer; none where there was no answer or it does not tell.
pub(super) fn status(error: &OciDistributionError) -> Option<u16> {
    use OciDistributionError as E;
    match error {
        E::RequestError(error) => error.status().map(|status| status.as_u16()),
        E::ServerError { code, .. } => Some(*code),
        E::UnauthorizedError { .. } | E::AuthenticationFailure(_) => Some(401),
        E::ImageManifestNotFoundError(_) => Some(404),
        E::RegistryError { envelope, .. } => envelope.errors.iter().find_map(|e| match e.code {
            OciErrorCode::Unauthorized => Some(401),
            OciErrorCode::Denied => Some(403),
            OciErrorCode::Toomanyrequests => Some(429),
            OciErrorCode::ManifestUnknown
            | OciErrorCode::NameUnknown
            | OciErrorCode::NotFound
            | OciErrorCode::BlobUnknown => Some(404),
            _ => None,
        }),
        _ => None,
    }
}

/// Whether the same request may succeed a moment later: no answer, an overloaded or failing server, or an upload
/// that got lost or damaged on its way.
pub(super) fn is_transient(error: &OciDistributionError) -> bool {
    match (error, status(error)) {
        (_, Some(408 | 425 | 429 | 500..)) | (OciDistributionError::IoError(_), None) => true,
        (OciDistributionError::ServerError { message, .. }, Some(400 | 404 | 416)) => is_lost_upload(message),
        (OciDistributionError::RequestError(error), None) => !error.is_builder() && !error.is_redirect(),
        _ => false,
    }
}

/// The registry lost or did not get an upload whole (codes of the distribution specification): a new one may do.
fn is_lost_upload(body: &str) -> bool {
    serde_json::from_str::<OciEnvelope>(body).is_ok_and(|envelope| {
        envelope.errors.iter().any(|error| {
            matches!(
                error.code,
                OciErrorCode::BlobUploadInvalid
                    | OciErrorCode::BlobUploadUnknown
                    | OciErrorCode::DigestInvalid
                    | OciErrorCode::SizeInvalid
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::report::Silent;

    fn answer(code: u16, message: &str) -> OciDistributionError {
        OciDistributionError::ServerError {
            code,
            url: "http://127.0.0.1/v2/".into(),
            message: message.into(),
        }
    }

    async fn attempts_until_given_up(error: impl Fn() -> OciDistributionError) -> u32 {
        let policy = RetryPolicy {
            attempts: 4,
            base_delay: Duration::ZERO,
            ..RetryPolicy::default()
        };
        let calls = AtomicU32::new(0);
        let outcome: Result<(), _> = policy
            .run("try", &Silent, || {
                calls.fetch_add(1, Ordering::Relaxed);
                let error = error();
                async { Err(error) }
            })
            .await;
        let exhausted = outcome.expect_err("never succeeds");
        assert_eq!(exhausted.attempts, calls.into_inner());
        exhausted.attempts
    }

    #[tokio::test]
    async fn overload_and_server_errors_use_all_attempts() {
        for code in [408, 429, 500, 502, 503] {
            assert_eq!(attempts_until_given_up(|| answer(code, "")).await, 4);
        }
    }

    #[test]
    fn a_slow_line_has_the_time_that_its_bytes_take() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.sending(0).patience, Duration::from_mins(2));
        // 30 MB at 128 kB/s take 4 minutes.
        assert!(policy.sending(30_000_000).patience > Duration::from_mins(10));
    }

    #[tokio::test]
    async fn refusals_are_final() {
        for code in [400, 401, 403, 404, 405, 409] {
            assert_eq!(attempts_until_given_up(|| answer(code, "")).await, 1);
        }
    }

    #[tokio::test]
    async fn a_lost_upload_is_started_again() {
        let body = r#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"gone"}]}"#;
        assert_eq!(attempts_until_given_up(|| answer(404, body)).await, 4);
        let body = r#"{"errors":[{"code":"NAME_UNKNOWN","message":"no such repository"}]}"#;
        assert_eq!(attempts_until_given_up(|| answer(404, body)).await, 1);
    }
}
