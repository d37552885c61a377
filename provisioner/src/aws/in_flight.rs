//! Requests that make something: one that is cut off, or gets no answer, may have made it all the same.

use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;

use crate::report::Reporter;

/// Tells, when it is dropped unanswered, that something may come to exist.
struct Unanswered<'a>(Option<(&'a str, &'a dyn Reporter)>);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some((what, report)) = self.0.take() {
            report.waiting(what, "requested, no answer yet", Duration::ZERO);
        }
    }
}

/// The answer to `request`, which makes `what`, e.g. "cluster `demo`". Where none comes, or this is dropped before it
/// comes, `what` is told as waited for: so it counts among what may exist.
pub(super) async fn tracked<T, E>(
    what: &str,
    report: &dyn Reporter,
    request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T, SdkError<E, HttpResponse>> {
    let mut unanswered = Unanswered(Some((what, report)));
    let answer = request.await;
    let is_open = match &answer {
        Err(SdkError::ConstructionFailure(_)) | Ok(_) => false,
        // An earlier attempt may have made it, where the last one says no more than that the service is busy.
        Err(error) => error
            .raw_response()
            .is_none_or(|last| matches!(last.status().as_u16(), 429 | 500..)),
    };
    if !is_open {
        unanswered.0 = None;
    }
    answer
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::FutureExt as _;

    use super::*;
    use crate::aws::Aws;
    use crate::aws::fake::{Wire, error};
    use crate::report::{Ledger, Silent};

    async fn create(aws: &Aws, report: &dyn Reporter) -> bool {
        let call = aws.eks.delete_cluster().name("demo");
        tracked("cluster `demo`", report, call.send()).await.is_ok()
    }

    fn pending(ledger: &Ledger) -> Vec<String> {
        Vec::from_iter(ledger.entries().pending)
    }

    #[tokio::test]
    async fn what_is_answered_exists_or_not_and_what_is_refused_does_not() {
        let ledger = Ledger::new(Arc::new(Silent));
        let refusal = error("AccessDeniedException", "no");
        for (status, body, ok) in [(200, r#"{"cluster": {}}"#.to_owned(), true), (403, refusal, false)] {
            let wire = Wire::default().on("DELETE /clusters/demo", status, body);
            assert_eq!(create(&wire.aws(), &ledger).await, ok);
            assert_eq!(pending(&ledger), Vec::<String>::new());
        }
    }

    #[tokio::test]
    async fn a_request_that_is_cut_off_may_have_made_what_it_asked_for() {
        let ledger = Ledger::new(Arc::new(Silent));
        let never = futures::future::pending::<Result<(), SdkError<(), HttpResponse>>>();
        assert!(tracked("cluster `demo`", &ledger, never).now_or_never().is_none());
        assert_eq!(pending(&ledger), ["cluster `demo`"]);
    }

    #[tokio::test]
    async fn a_request_without_an_answer_may_have_made_what_it_asked_for() {
        let ledger = Ledger::new(Arc::new(Silent));
        let lost = async { Err::<(), _>(SdkError::<(), HttpResponse>::timeout_error("no answer")) };
        assert!(tracked("cluster `demo`", &ledger, lost).await.is_err());
        assert_eq!(pending(&ledger), ["cluster `demo`"]);
    }
}
