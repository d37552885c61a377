//! Quotas are final: the SDK would take `LimitExceededException` for throttling and try again.

use std::error::Error as StdError;
use std::fmt;
use std::marker::PhantomData;

use aws_sdk_sts::error::ProvideErrorMetadata;
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::orchestrator::OrchestratorError;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction, RetryClassifierPriority};

/// Forbids retries of an operation with error `E` that a quota stopped.
pub(super) struct QuotaIsFinal<E>(PhantomData<E>);

impl<E> QuotaIsFinal<E> {
    pub(super) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<E> fmt::Debug for QuotaIsFinal<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QuotaIsFinal")
    }
}

impl<E> ClassifyRetry for QuotaIsFinal<E>
where
    E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
{
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = context.output_or_error().and_then(Result::err);
        let error = error.and_then(OrchestratorError::as_operation_error);
        let code = error
            .and_then(|e| e.downcast_ref::<E>())
            .and_then(ProvideErrorMetadata::code);
        match code {
            Some("LimitExceededException") => RetryAction::RetryForbidden,
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "quota is final"
    }

    /// The last word.
    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}
