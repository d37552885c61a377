//! How much one client may ask for.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use http_body_util::Limited;
use serde::Serialize;

use crate::semconv::Fault;

/// Bounds of what is read and of how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Connections served at once; what comes on further ones is answered 503, but for scrapes and probes.
    pub(crate) connections: usize,
    /// Bytes of a request head; more is answered 431.
    pub(crate) head_bytes: usize,
    /// Lines of a request head; more is answered 431.
    pub(crate) headers: usize,
    /// Bytes of a request body; more is answered 413.
    pub(crate) body_bytes: u64,
    /// From head to answer; what takes longer is answered 503. None: no bound.
    pub(crate) request_time: Option<Duration>,
}

/// Extension of requests on a connection beyond [`Limits::connections`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crowded;

/// Body of every error that the service itself answers with.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorBody {
    pub(crate) error: &'static str,
}

impl Limits {
    /// The request as its handler gets it, or the answer where it gets none.
    pub(crate) fn admit(&self, request: Request) -> Result<Request, Box<Response>> {
        if request.extensions().get::<Crowded>().is_some() {
            return Err(Box::new(busy("too many connections", "crowded")));
        }
        // Requests without a body, nearly all, pass as they are.
        if request.body().is_end_stream() {
            return Ok(request);
        }
        if self.announces_too_much(&request) {
            let error = "request body too large";
            let refusal = (StatusCode::PAYLOAD_TOO_LARGE, Json(ErrorBody { error }));
            return Err(Box::new(refusal.into_response()));
        }
        // One of unknown length ends with an error where it exceeds the limit, which extractors answer with 413.
        let limit = usize::try_from(self.body_bytes).unwrap_or(usize::MAX);
        Ok(request.map(|body| Body::new(Limited::new(body, limit))))
    }

    /// An answer, as long as it takes no longer than it may.
    pub(crate) async fn bound(self, answer: impl Future<Output = Result<Response, Infallible>>) -> Response {
        let Some(limit) = self.request_time else {
            return answer.await.unwrap_or_else(|never| match never {});
        };
        match tokio::time::timeout(limit, answer).await {
            Ok(answer) => answer.unwrap_or_else(|never| match never {}),
            Err(_) => busy("request took too long", "timeout"),
        }
    }

    fn announces_too_much(&self, request: &Request) -> bool {
        let length = request.headers().get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        length.is_some_and(|length| length > self.body_bytes)
    }
}

fn busy(error: &'static str, fault: &'static str) -> Response {
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, Json(ErrorBody { error })).into_response();
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response.extensions_mut().insert(Fault(fault));
    response
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Bytes;
    use axum::middleware::{Next, from_fn};
    use axum::routing::{get, post};
    use tower::ServiceExt;

    use super::*;

    const LIMITS: Limits = Limits {
        connections: 1,
        head_bytes: 8192,
        headers: 10,
        body_bytes: 8,
        request_time: Some(Duration::from_millis(500)),
    };

    fn router() -> Router {
        Router::new()
            .route("/", post(|body: Bytes| async move { body.len().to_string() }))
            .route("/never", get(std::future::pending::<()>))
            .layer(from_fn(|request, next: Next| async {
                match LIMITS.admit(request) {
                    Ok(request) => LIMITS.bound(async { Ok(next.run(request).await) }).await,
                    Err(refusal) => *refusal,
                }
            }))
    }

    async fn status(request: Request) -> u16 {
        router().oneshot(request).await.unwrap().status().as_u16()
    }

    fn streamed(text: &'static str) -> Body {
        // Of unknown length, as a chunked body is.
        Body::from_stream(futures::stream::once(async move { Ok::<_, Infallible>(text) }))
    }

    #[tokio::test]
    async fn bodies_are_bounded_announced_or_not() {
        for (body, expected) in [("12345678", 200), ("123456789", 413)] {
            let announced = Request::post("/").header(CONTENT_LENGTH, body.len());
            assert_eq!(status(announced.body(Body::from(body)).unwrap()).await, expected);
            assert_eq!(status(Request::post("/").body(streamed(body)).unwrap()).await, expected);
        }
    }

    #[tokio::test]
    async fn a_handler_that_takes_too_long_is_given_up() {
        let request = Request::get("/never").body(Body::empty()).unwrap();
        let response = router().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[RETRY_AFTER], "1");
        assert_eq!(
            response.extensions().get::<Fault>().map(|fault| fault.0),
            Some("timeout")
        );
    }

    #[tokio::test]
    async fn a_crowded_connection_is_turned_away() {
        let mut request = Request::post("/").body(Body::empty()).unwrap();
        request.extensions_mut().insert(Crowded);
        assert_eq!(status(request).await, 503);
    }
}
