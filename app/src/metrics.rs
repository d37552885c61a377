//! The instruments of the service.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};

use crate::config::Identity;
use crate::semconv::{ERROR_TYPE, Labels, METHOD, Methods, PROTOCOL_VERSION, ROUTE, SCHEME, STATUS};

/// Advice of the semantic conventions for `http.server.request.duration`.
/// <https://opentelemetry.io/docs/specs/semconv/http/http-metrics/>
const BOUNDARIES: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// What is measured per request. What only counts is counted here and read at a scrape: an instrument of the SDK hashes its
/// labels at every call.
#[derive(Debug)]
pub(crate) struct Metrics {
    duration: Histogram<f64>,
    tallies: Arc<[Tally]>,
}

/// Requests of one method.
#[derive(Debug)]
struct Tally {
    method: &'static str,
    arrived: AtomicU64,
    ended: AtomicU64,
}

impl Metrics {
    pub(crate) fn new(meter: &Meter, identity: &Identity, methods: &Methods) -> Self {
        let tallies: Arc<[Tally]> = methods.labels().map(Tally::new).collect();
        register_requests(meter, identity, Arc::clone(&tallies));
        register_active(meter, Arc::clone(&tallies));
        let duration = meter
            .f64_histogram("http.server.request.duration")
            .with_unit("s")
            .with_description("Duration of HTTP server requests")
            .with_boundaries(BOUNDARIES.to_vec())
            .build();
        Self { duration, tallies }
    }

    /// A request has arrived.
    pub(crate) fn arrived(&self, labels: &Labels) {
        if let Some(tally) = self.tally(labels) {
            tally.arrived.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A request that [`arrived`](Self::arrived) is over: answered with a status, or not at all.
    pub(crate) fn ended(&self, labels: &Labels, took: Duration, status: Option<u16>, error: Option<&'static str>) {
        if let Some(tally) = self.tally(labels) {
            tally.ended.fetch_add(1, Ordering::Release);
        }
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

    /// There is one for every label of a method.
    fn tally(&self, labels: &Labels) -> Option<&Tally> {
        self.tallies.iter().find(|tally| tally.method == labels.method)
    }
}

impl Tally {
    fn new(method: &'static str) -> Self {
        Self {
            method,
            arrived: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        }
    }
}

/// `http_requests_total{pod,namespace}`: the custom metric that the autoscaler follows. It is there from the start, at 0: a series
/// that starts at its first request hides that request from `rate`. A histogram cannot do so.
fn register_requests(meter: &Meter, identity: &Identity, tallies: Arc<[Tally]>) {
    let labels = [
        KeyValue::new("pod", identity.pod.clone()),
        KeyValue::new("namespace", identity.namespace.clone()),
    ];
    // The exporter appends `_total`.
    meter
        .u64_observable_counter("http.requests")
        .with_unit("{request}")
        .with_description("HTTP requests received, without scrapes and probes")
        .with_callback(move |requests| {
            let arrived = tallies.iter().map(|tally| tally.arrived.load(Ordering::Relaxed));
            requests.observe(arrived.sum(), &labels);
        })
        .build();
}

/// Methods that were never seen have no series, but for the usual one.
fn register_active(meter: &Meter, tallies: Arc<[Tally]>) {
    meter
        .i64_observable_up_down_counter("http.server.active_requests")
        .with_unit("{request}")
        .with_description("Number of active HTTP server requests")
        .with_callback(move |active| {
            for tally in &*tallies {
                // In this order, so that no request has ended that has not arrived.
                let ended = tally.ended.load(Ordering::Acquire);
                let arrived = tally.arrived.load(Ordering::Relaxed);
                if arrived > 0 || tally.method == "GET" {
                    let now = i64::try_from(arrived.saturating_sub(ended)).unwrap_or(i64::MAX);
                    active.observe(
                        now,
                        &[KeyValue::new(METHOD, tally.method), KeyValue::new(SCHEME, "http")],
                    );
                }
            }
        })
        .build();
}
