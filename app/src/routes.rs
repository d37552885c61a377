//! Handlers and the router.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::Serialize;

use crate::config::Identity;
use crate::limits::ErrorBody;
use crate::observe::{Observe, Observed};
use crate::shutdown::Drain;
use crate::telemetry::{EXPOSITION_TYPE, Telemetry};

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) identity: Identity,
    pub(crate) drain: Drain,
    pub(crate) telemetry: Telemetry,
}

/// The routes that count, which are the labels of their requests.
pub(crate) const ROUTES: [&str; 4] = ["/", "/api/data", "/health", "/openapi.json"];

/// What the service says of itself, for people and for generators of clients. A test holds it against the answers.
const OPENAPI: &str = include_str!("openapi.json");

/// Everything added before the layer counts, 404s and wrong methods too; scrapes and the kubelet's probes come after it and
/// do not.
pub(crate) fn router(app: Arc<App>, observed: Arc<Observed>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/health", get(health))
        .route("/api/data", get(data))
        .route("/openapi.json", get(openapi))
        .method_not_allowed_fallback(not_allowed)
        .fallback(not_found)
        .layer(Observe(observed))
        .route("/metrics", get(exposition))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .with_state(app)
}

/// Answer of `/`.
#[derive(Debug, Serialize)]
struct Index<'a> {
    name: &'static str,
    version: &'static str,
    pod: &'a str,
    namespace: &'a str,
}

async fn index(State(app): State<Arc<App>>) -> Response {
    Json(Index {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        pod: &app.identity.pod,
        namespace: &app.identity.namespace,
    })
    .into_response()
}

/// Answer of `/health`.
#[derive(Debug, Serialize)]
struct Health {
    status: &'static str,
}

/// For people: unlike the probes it counts as a request.
async fn health(State(app): State<Arc<App>>) -> Json<Health> {
    let status = if app.drain.begun() { "draining" } else { "ok" };
    Json(Health { status })
}

/// Answer of `/api/data`.
#[derive(Debug, Serialize)]
struct Data<'a> {
    pod: &'a str,
    items: [Item; 3],
}

#[derive(Debug, Serialize)]
struct Item {
    id: u32,
    name: &'static str,
    value: i64,
}

async fn data(State(app): State<Arc<App>>) -> Response {
    let item = |id, name, value| Item { id, name, value };
    Json(Data {
        pod: &app.identity.pod,
        items: [item(1, "alpha", 10), item(2, "beta", 20), item(3, "gamma", 30)],
    })
    .into_response()
}

async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], OPENAPI)
}

async fn not_found() -> impl IntoResponse {
    (StatusCode::NOT_FOUND, Json(ErrorBody { error: "not found" }))
}

/// The router adds which methods are allowed.
async fn not_allowed() -> impl IntoResponse {
    let error = "method not allowed";
    (StatusCode::METHOD_NOT_ALLOWED, Json(ErrorBody { error }))
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;
    use crate::config::Settings;
    use crate::serve::observed;
    use crate::spans::Spans;
    use crate::telemetry::resource;

    fn service() -> (Arc<App>, Router) {
        let settings = Settings::for_tests();
        let app = Arc::new(App {
            identity: settings.identity.clone(),
            drain: Drain::default(),
            telemetry: Telemetry::new(resource(&settings.identity, None)).unwrap(),
        });
        let observed = observed(&settings, &app, Spans::default());
        (Arc::clone(&app), router(app, observed))
    }

    async fn status(router: &Router, path: &str) -> u16 {
        let request = Request::get(path).body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap().status().as_u16()
    }

    /// The runtime has one thread, as the service has: a scrape that waits for anything must not hold it up.
    #[tokio::test]
    async fn a_scrape_that_takes_long_holds_up_no_request() {
        let (app, router) = service();
        let (started, scraping) = channel();
        let (release, released) = channel::<()>();
        let held = Mutex::new(Some((started, released)));
        app.telemetry
            .meter()
            .u64_observable_gauge("slow")
            .with_callback(move |_| {
                if let Some((started, released)) = held.lock().unwrap().take() {
                    started.send(()).unwrap();
                    released.recv().unwrap();
                }
            })
            .build();
        let scrape = tokio::spawn({
            let router = router.clone();
            async move { status(&router, "/metrics").await }
        });
        while scraping.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        for path in ["/", "/api/data", "/nope", "/readyz"] {
            status(&router, path).await;
        }
        assert!(!scrape.is_finished(), "the scrape was to be going on all the time");
        release.send(()).unwrap();
        assert_eq!(scrape.await.unwrap(), 200);
    }
}
