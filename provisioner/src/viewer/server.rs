//! The page on loopback. It takes no query from anybody: what it shows is the dashboard, over one of three ranges.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderMap, HeaderName, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use url::Host;

use super::Viewer;
use super::page::{self, Head, Update};
use super::span::Range;
use crate::drawing::{MEDIUM, REGULAR};
use crate::loopback::is_loopback;

/// Nothing but what this program serves, and nothing of it inside another page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Width of a page that has not said its own.
const WIDTH: f64 = 1280.0;

/// Listens on loopback; port 0 is a free one.
///
/// # Errors
/// The port is taken, or needs rights.
pub async fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await
}

/// Serves the page until dropped.
///
/// # Errors
/// Connections cannot be accepted any more.
pub async fn serve(viewer: Arc<Viewer>, listener: TcpListener) -> io::Result<()> {
    axum::serve(listener, router(viewer)).await
}

pub(super) fn router(viewer: Arc<Viewer>) -> Router {
    let file = |kind: &'static str, bytes: &'static [u8]| get(async move || ([(CONTENT_TYPE, kind)], bytes));
    Router::new()
        .route("/", get(whole))
        .route("/panels", get(panels))
        .route(
            "/style.css",
            get(async || ([(CONTENT_TYPE, "text/css")], page::style())),
        )
        .route("/script.js", file("text/javascript", page::SCRIPT.as_bytes()))
        .route("/font/regular.ttf", file("font/ttf", REGULAR))
        .route("/font/medium.ttf", file("font/ttf", MEDIUM))
        .layer(middleware::from_fn(guard))
        .with_state(viewer)
}

/// What a page may ask for.
#[derive(Debug, Default)]
struct Asked {
    range: Range,
    width: f64,
}

/// What cannot be read is the default: an address may have been typed.
fn asked(uri: &Uri, default: Range) -> Asked {
    let mut asked = Asked {
        range: default,
        width: WIDTH,
    };
    for (name, value) in url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        match name.as_ref() {
            "range" => asked.range = value.parse().unwrap_or(default),
            "width" => asked.width = value.parse::<u16>().map_or(WIDTH, f64::from).clamp(240.0, 4000.0),
            _ => {}
        }
    }
    asked
}

async fn whole(State(viewer): State<Arc<Viewer>>, uri: Uri) -> Response {
    let asked = asked(&uri, viewer.range);
    let (code, update) = update(&viewer, &asked).await;
    let head = Head {
        title: &viewer.source.board.title,
        subtitle: &viewer.subtitle,
        range: asked.range,
    };
    (code, Html(page::html(&head, &update))).into_response()
}

async fn panels(State(viewer): State<Arc<Viewer>>, uri: Uri) -> Response {
    let (code, update) = update(&viewer, &asked(&uri, viewer.range)).await;
    (code, Json(update)).into_response()
}

async fn update(viewer: &Viewer, asked: &Asked) -> (StatusCode, Update) {
    match viewer.frame(asked.range).await {
        Ok(frame) => {
            let update = Update {
                at: Some(frame.at.to_zoned(viewer.zone.clone()).strftime("%H:%M:%S").to_string()),
                problem: None,
                panels: page::shown(&viewer.source.board, &frame, asked.width, &viewer.zone),
            };
            (StatusCode::OK, update)
        }
        Err(error) => {
            let update = Update {
                at: None,
                problem: Some(format!("{error}\n{}", error.hint())),
                panels: Vec::new(),
            };
            (StatusCode::BAD_GATEWAY, update)
        }
    }
}

/// Whom the page answers. Another site's page can send a browser here, by its own name (DNS rebinding) or by ours: the first is
/// told by `Host`, the second by what the browser says of the request.
async fn guard(request: Request, next: Next) -> Response {
    let refused = |why: &'static str| (StatusCode::FORBIDDEN, why).into_response();
    let headers = request.headers();
    let mut response = if !is_named_here(headers) {
        refused("this page answers to localhost and 127.0.0.1 only\n")
    } else if is_of_another_site(headers) && request.uri().path() != "/" {
        refused("this page answers to itself only\n")
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (RESOURCE_POLICY, "same-origin"),
        (CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether the request names this machine, on whatever port: it may come through a forwarded one.
fn is_named_here(headers: &HeaderMap) -> bool {
    let mut named = headers.get_all(HOST).iter();
    let (Some(host), None) = (named.next(), named.next()) else {
        return false;
    };
    let authority = host
        .to_str()
        .ok()
        .and_then(|text| text.parse::<http::uri::Authority>().ok());
    authority
        .is_some_and(|at| !at.as_str().contains('@') && Host::parse(at.host()).is_ok_and(|host| is_loopback(&host)))
}

fn is_of_another_site(headers: &HeaderMap) -> bool {
    let site = headers.get(FETCH_SITE);
    site.is_some_and(|site| site != "same-origin" && site != "none")
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
