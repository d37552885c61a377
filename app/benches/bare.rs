//! The peer of `make bench-app`: axum with one handler, `axum::serve`, and nothing else. With `--layer` it has the service's
//! own layer around that handler, so that the two differ in the layer alone. With `--series N` it has that many series to
//! be scraped.
//!
//! The layer's files are compiled in from `../src`: the service is a program, not a library, and has no switch for this.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::sync::Arc;

use axum::routing::get;
use axum::{Json, Router};
use clap::Parser;
use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::{Instrument, SdkMeterProvider, Stream};
use prometheus::{Registry, TextEncoder};
use tokio::net::TcpListener;

#[path = "../src/config.rs"]
mod config;
#[path = "../src/duration.rs"]
mod duration;
#[path = "../src/limits.rs"]
mod limits;
#[path = "../src/metrics.rs"]
mod metrics;
#[path = "../src/observe.rs"]
mod observe;
#[path = "../src/otel.rs"]
mod otel;
#[path = "../src/semconv.rs"]
mod semconv;
#[cfg_attr(feature = "otlp", path = "../src/spans.rs")]
#[cfg_attr(not(feature = "otlp"), path = "../src/no_spans.rs")]
mod spans;

#[derive(Parser)]
struct Args {
    /// With the service's layer
    #[arg(long)]
    layer: bool,
    /// Series to be scraped
    #[arg(long, default_value_t = 0)]
    series: usize,
    #[command(flatten)]
    serve: config::ServeArgs,
}

#[derive(serde::Serialize)]
struct Data {
    pod: &'static str,
    items: [Item; 3],
}

#[derive(serde::Serialize)]
struct Item {
    id: u32,
    name: &'static str,
    value: i64,
}

/// What the service answers, by the same means.
async fn data() -> Json<Data> {
    let item = |id, name, value| Item { id, name, value };
    Json(Data {
        pod: "bench",
        items: [item(1, "alpha", 10), item(2, "beta", 20), item(3, "gamma", 30)],
    })
}

/// A registry, and a provider whose instruments keep as many series as they are given.
fn provider() -> (Registry, SdkMeterProvider) {
    let registry = Registry::new();
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .scope_info_enabled(false)
        .build()
        .unwrap();
    let unlimited = |_: &Instrument| Stream::builder().with_cardinality_limit(100_000).build().ok();
    let provider = SdkMeterProvider::builder()
        .with_reader(exporter)
        .with_view(unlimited)
        .build();
    (registry, provider)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let Args { layer, series, serve } = Args::parse();
    let settings = serve.resolve().unwrap();
    let (registry, provider) = provider();
    let meter = provider.meter("bench");
    let counter = meter.u64_counter("bench").build();
    for n in 0..series {
        let labels = [
            KeyValue::new("http.request.method", "GET"),
            KeyValue::new("http.route", format!("/route/{n}")),
            KeyValue::new("http.response.status_code", 200),
        ];
        counter.add(1, &labels);
    }
    let mut router = Router::new().route("/api/data", get(data));
    if layer {
        let observed = observe::Observed {
            metrics: metrics::Metrics::new(&meter, &settings.identity, &settings.otel.methods),
            methods: settings.otel.methods.clone(),
            routes: &["/api/data"],
            limits: settings.limits,
            spans: spans::Spans::default(),
        };
        router = router.layer(observe::Observe(Arc::new(observed)));
    }
    let exposition = move || {
        let registry = registry.clone();
        async move {
            let text = tokio::task::spawn_blocking(move || TextEncoder::new().encode_to_string(&registry.gather()));
            text.await.unwrap().unwrap()
        }
    };
    let router = router
        .route("/metrics", get(exposition))
        .route("/readyz", get(|| async { "ok" }));
    let listener = TcpListener::bind(settings.addr).await.unwrap();
    axum::serve(listener, router).await.unwrap();
    drop(provider);
}
