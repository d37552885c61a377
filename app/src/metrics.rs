//! The instruments of the service.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, UpDownCounter};

use crate::config::Identity;
use crate::semconv::{ERROR_TYPE, Labels, METHOD, PROTOCOL_VERSION, ROUTE, SCHEME, STATUS};

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
        // A series that starts at its first request hides that request from rate(). A histogram cannot start at zero.
        metrics.requests.add(0, &metrics.identity);
        metrics.active.add(0, &in_progress("GET"));
        metrics
    }

    /// A request has arrived.
    pub(crate) fn arrived(&self, labels: &Labels) {
        self.requests.add(1, &self.identity);
        self.active.add(1, &in_progress(labels.method));
    }

    /// A request that [`arrived`](Self::arrived) is over: answered with a status, or not at all.
    pub(crate) fn ended(&self, labels: &Labels, took: Duration, status: Option<u16>, error: Option<&'static str>) {
        self.active.add(-1, &in_progress(labels.method));
        // On the stack and always in the same order, in which the SDK then finds the series at once.
        let none = || KeyValue::new("", false);
        let mut attributes = [
            KeyValue::new(METHOD, labels.method),
            KeyValue::new(SCHEME, "http"),
            KeyValue::new(PROTOCOL_VERSION, labels.version),
            none(),
            none(),
            none(),
        ];
        let mut count = 3;
        let optional = [
            status.map(|status| KeyValue::new(STATUS, i64::from(status))),
            labels.route.map(|route| KeyValue::new(ROUTE, route)),
            error.map(|error| KeyValue::new(ERROR_TYPE, error)),
        ];
        for attribute in optional.into_iter().flatten() {
            attributes[count] = attribute;
            count += 1;
        }
        self.duration.record(took.as_secs_f64(), &attributes[..count]);
    }
}

fn in_progress(method: &'static str) -> [KeyValue; 2] {
    [KeyValue::new(METHOD, method), KeyValue::new(SCHEME, "http")]
}
