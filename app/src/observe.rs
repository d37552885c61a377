//! The layer around every request that counts: measured, traced, and kept within its limits.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::extract::Request;
use axum::response::Response;
use tower::{Layer, Service};

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

/// The layer. Counts on arrival, so that a request whose client gives up counts too, and times on completion. A service of
/// its own, since axum's `from_fn` boxes what is inside anew for each request.
#[derive(Debug, Clone)]
pub(crate) struct Observe(pub(crate) Arc<Observed>);

/// A service with the layer around it.
#[derive(Debug, Clone)]
pub(crate) struct Watched<S> {
    observed: Arc<Observed>,
    inner: S,
}

impl<S> Layer<S> for Observe {
    type Service = Watched<S>;

    fn layer(&self, inner: S) -> Watched<S> {
        let observed = Arc::clone(&self.0);
        Watched { observed, inner }
    }
}

impl<S> Service<Request> for Watched<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let visit = Visit::begin(Arc::clone(&self.observed), &request);
        let limits = self.observed.limits;
        let answer = limits.admit(request).map(|request| self.inner.call(request));
        Box::pin(async move {
            let response = match (answer, &visit.span) {
                (Err(refusal), _) => *refusal,
                (Ok(answer), None) => limits.bound(answer).await,
                (Ok(answer), Some(span)) => span.around(limits.bound(answer)).await,
            };
            let error = error_type(response.status(), response.extensions().get::<Fault>());
            visit.end(response.status().as_u16(), error);
            Ok(response)
        })
    }
}

/// One request in progress. Dropped without an end, its client has gone away.
struct Visit {
    observed: Arc<Observed>,
    labels: Labels,
    span: Option<Span>,
    started: Instant,
    answered: bool,
}

impl Visit {
    fn begin(observed: Arc<Observed>, request: &Request) -> Self {
        let labels = Labels::of(request, &observed.methods, observed.routes);
        let span = observed.spans.begin(request, &labels);
        observed.metrics.arrived(&labels);
        Self {
            observed,
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
        let took = self.started.elapsed();
        self.observed.metrics.ended(&self.labels, took, status, error);
        if let Some(span) = &self.span {
            span.end(status, error);
        }
    }
}

impl Drop for Visit {
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
            metrics: Metrics::new(&telemetry.meter(), &settings.identity, &Methods::default()),
            methods: Methods::default(),
            routes: &["/never"],
            limits: settings.limits,
            spans: Spans::default(),
        };
        let router = Router::new()
            .route("/never", get(std::future::pending::<()>))
            .layer(Observe(Arc::new(observed)));
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
