//! Handlers and the router.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde_json::{Value, json};

use crate::config::Identity;
use crate::metrics::{self, Metrics};
use crate::process;
use crate::shutdown::Drain;
use crate::telemetry::{EXPOSITION_TYPE, Telemetry};

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) identity: Identity,
    pub(crate) drain: Drain,
    pub(crate) telemetry: Telemetry,
}

/// No handler reads a body, so none needs a limit: the server answers and closes on whoever keeps sending.
///
/// Everything added before the metrics layer counts, 404s and wrong methods too; scrapes and the kubelet's probes come
/// after it and do not.
pub(crate) fn router(app: Arc<App>) -> Router {
    let meter = app.telemetry.meter();
    let metrics = Arc::new(Metrics::new(&meter, &app.identity));
    process::observe(&meter);
    Router::new()
        .route("/", get(index))
        .route("/health", get(health))
        .route("/api/data", get(data))
        .fallback(not_found)
        .layer(middleware::from_fn_with_state(metrics, metrics::observe))
        .route("/metrics", get(exposition))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .with_state(app)
}

async fn index(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({
        "name": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "pod": app.identity.pod,
        "namespace": app.identity.namespace,
    }))
}

/// For people: unlike the probes it counts as a request.
async fn health(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({ "status": if app.drain.begun() { "draining" } else { "ok" } }))
}

async fn data(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({
        "pod": app.identity.pod,
        "items": [
            { "id": 1, "name": "alpha", "value": 10 },
            { "id": 2, "name": "beta", "value": 20 },
            { "id": 3, "name": "gamma", "value": 30 },
        ],
    }))
}

async fn not_found() -> impl IntoResponse {
    (StatusCode::NOT_FOUND, Json(json!({ "error": "not found" })))
}

/// Gathers on a thread of its own: a scrape must not hold up requests.
async fn exposition(State(app): State<Arc<App>>) -> Response {
    let text = tokio::task::spawn_blocking(move || app.telemetry.exposition()).await;
    match text {
        Ok(Ok(text)) => ([(CONTENT_TYPE, EXPOSITION_TYPE)], text).into_response(),
        Ok(Err(error)) => unavailable(&error),
        Err(error) => unavailable(&error),
    }
}

fn unavailable(error: &dyn std::error::Error) -> Response {
    tracing::error!(%error, "cannot gather metrics");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

async fn livez() -> &'static str {
    "ok\n"
}

async fn readyz(State(app): State<Arc<App>>) -> (StatusCode, &'static str) {
    if app.drain.begun() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}
