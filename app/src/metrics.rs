//! The instruments of the service and the layer that feeds them.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use opentelemetry::metrics::{Counter, Histogram, Meter, UpDownCounter};
use opentelemetry::{KeyValue, StringValue};

use crate::config::Identity;

const METHOD: &str = "http.request.method";
const ROUTE: &str = "http.route";
const STATUS: &str = "http.response.status_code";
const SCHEME: &str = "url.scheme";

/// Route label of requests that no route takes: the raw path has no bound, so it is never a label.
const UNMATCHED: &str = "unmatched";

/// Advice of the semantic conventions for `http.server.request.duration`.
/// <https://opentelemetry.io/docs/specs/semconv/http/http-metrics/>
const BOUNDARIES: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// What is measured per request.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// `http_requests_total{pod,namespace}`: the custom metric that the autoscaler follows.
    requests: Counter<u64>,
    duration: Histogram<f64>,
    active: UpDownCounter<i64>,
    identity: [KeyValue; 2],
}

impl Metrics {
    pub(crate) fn new(meter: &Meter, identity: &Identity) -> Self {
        let metrics = Self {
            // The exporter appends `_total`.
            requests: meter
                .u64_counter("http.requests")
                .with_unit("{request}")
                .with_description("HTTP requests received, without scrapes and probes")
                .build(),
            duration: meter
                .f64_histogram("http.server.request.duration")
                .with_unit("s")
                .with_description("Duration of HTTP server requests")
                .with_boundaries(BOUNDARIES.to_vec())
                .build(),
            active: meter
                .i64_up_down_counter("http.server.active_requests")
                .with_unit("{request}")
                .with_description("Number of active HTTP server requests")
                .build(),
            identity: [
                KeyValue::new("pod", identity.pod.clone()),
                KeyValue::new("namespace", identity.namespace.clone()),
            ],
        };
        // A series that starts at its first request hides that request from rate().
        metrics.requests.add(0, &metrics.identity);
        metrics
    }
}

/// The layer: counts on arrival, so that a request whose client gives up counts too, and times on completion.
pub(crate) async fn observe(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    metrics.requests.add(1, &metrics.identity);
    let method = method_label(request.method());
    let route = route_label(&request);
    let active = Active::enter(&metrics, method);
    let response = next.run(request).await;
    drop(active);
    let status = i64::from(response.status().as_u16());
    metrics.duration.record(
        started.elapsed().as_secs_f64(),
        &[
            KeyValue::new(METHOD, method),
            KeyValue::new(ROUTE, route),
            KeyValue::new(STATUS, status),
        ],
    );
    response
}

/// One request in progress; leaves on drop, also when the client goes away.
struct Active<'a> {
    active: &'a UpDownCounter<i64>,
    labels: [KeyValue; 2],
}

impl<'a> Active<'a> {
    fn enter(metrics: &'a Metrics, method: &'static str) -> Self {
        let labels = [KeyValue::new(METHOD, method), KeyValue::new(SCHEME, "http")];
        metrics.active.add(1, &labels);
        Self {
            active: &metrics.active,
            labels,
        }
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.active.add(-1, &self.labels);
    }
}

fn route_label(request: &Request) -> StringValue {
    match request.extensions().get::<MatchedPath>() {
        Some(path) => path.as_str().to_owned().into(),
        None => UNMATCHED.into(),
    }
}

/// Methods that the conventions know; clients may send any word, which must not become a label.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "CONNECT" => "CONNECT",
        "OPTIONS" => "OPTIONS",
        "TRACE" => "TRACE",
        "PATCH" => "PATCH",
        _ => "_OTHER",
    }
}
