//! The layer around every request that counts: measured, traced, and kept within its limits.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::semconv::{CANCELLED, Fault, Labels, Methods, error_type};
use crate::spans::{Span, Spans};

/// What the layer works with.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) metrics: Metrics,
    pub(crate) methods: Methods,
    pub(crate) routes: &'static [&'static str],
    pub(crate) limits: Limits,
    pub(crate) spans: Spans,
}

/// Counts on arrival, so that a request whose client gives up counts too, and times on completion.
pub(crate) async fn observe(State(observed): State<Arc<Observed>>, request: Request, next: Next) -> Response {
    let labels = Labels::of(&request, &observed.methods, observed.routes);
    let span = observed.spans.begin(&request, &labels);
    let visit = Visit::begin(&observed.metrics, labels, span);
    let answer = observed.limits.apply(request, next);
    let response = match &visit.span {
        None => answer.await,
        Some(span) => span.around(answer).await,
    };
    let error = error_type(response.status(), response.extensions().get::<Fault>());
    visit.end(response.status().as_u16(), error);
    response
}

/// One request in progress. Dropped without an end, its client has gone away.
struct Visit<'a> {
    metrics: &'a Metrics,
    labels: Labels,
    span: Option<Span>,
    started: Instant,
    answered: bool,
}

impl<'a> Visit<'a> {
    fn begin(metrics: &'a Metrics, labels: Labels, span: Option<Span>) -> Self {
        metrics.arrived(&labels);
        Self {
            metrics,
            labels,
            span,
            started: Instant::now(),
            answered: false,
        }
    }

    fn end(mut self, status: u16, error: Option<&'static str>) {
        self.answered = true;
        self.leave(Some(status), error);
    }

    fn leave(&self, status: Option<u16>, error: Option<&'static str>) {
        self.metrics.ended(&self.labels, self.started.elapsed(), status, error);
        if let Some(span) = &self.span {
            span.end(status, error);
        }
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.leave(None, Some(CANCELLED));
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::Request;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;
    use crate::config::Settings;
    use crate::telemetry::{Telemetry, resource};

    #[tokio::test]
    async fn a_request_whose_client_goes_away_is_over_and_says_why() {
        let settings = Settings::for_tests();
        let telemetry = Telemetry::new(resource(&settings.identity, None)).unwrap();
        let observed = Observed {
            metrics: Metrics::new(&telemetry.meter(), &settings.identity),
            methods: Methods::default(),
            routes: &["/never"],
            limits: settings.limits,
            spans: Spans::default(),
        };
        let router = Router::new()
            .route("/never", get(std::future::pending::<()>))
            .layer(from_fn_with_state(Arc::new(observed), observe));
        let request = Request::get("/never").body(Body::empty()).unwrap();
        let mut answer = Box::pin(router.oneshot(request));
        assert!(futures::poll!(&mut answer).is_pending());
        let active =
            |count| format!(r#"http_server_active_requests{{http_request_method="GET",url_scheme="http"}} {count}"#);
        assert!(telemetry.exposition().unwrap().contains(&active(1)));
        drop(answer);
        let text = telemetry.exposition().unwrap();
        assert!(text.contains(&active(0)), "{text}");
        let over = r#"http_server_request_duration_seconds_count{error_type="cancelled",http_request_method="GET",http_route="/never",network_protocol_version="1.1",url_scheme="http"} 1"#;
        assert!(text.contains(over), "{text}");
    }
}
