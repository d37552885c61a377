//! Whom the page answers, and what it asks for them.

use std::sync::Mutex;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::super::Settings;
use super::*;
use crate::cluster::Cluster;

/// An API server behind which a Prometheus gives `answer`, and remembers what it was asked.
fn viewer(code: u16, answer: Value) -> (Arc<Viewer>, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        log.lock().unwrap().push(request.uri().to_string());
        let body = kube::client::Body::from(answer.to_string().into_bytes());
        std::future::ready(http::Response::builder().status(code).body(body))
    });
    let viewer = Viewer::new(Settings {
        cluster: Cluster::from_client(kube::Client::new(service, "default")),
        proxy: "/proxy".to_owned(),
        namespace: "web-app".to_owned(),
        subtitle: "stack demo on <demo>".to_owned(),
        scrape_s: 1,
        range: Range::Medium,
        zone: TimeZone::UTC,
    });
    (Arc::new(viewer.unwrap()), asked)
}

fn ten() -> Value {
    let now = jiff::Timestamp::now().as_second();
    let values: Vec<Value> = (now - 400..now).map(|at| json!([at, "10"])).collect();
    json!({"status": "success", "data": {"result": [{"metric": {"pod": "web-a"}, "values": values, "value": [now - 30, "10"]}]}})
}

fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

async fn answered(viewer: &Arc<Viewer>, request: Request<Body>) -> (u16, HeaderMap, String) {
    let response = router(Arc::clone(viewer)).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let text = String::from_utf8_lossy(&body).into_owned();
    (parts.status.as_u16(), parts.headers, text)
}

const HERE: (&str, &str) = ("host", "127.0.0.1:4000");

#[tokio::test]
async fn only_requests_that_name_this_machine_are_answered() {
    let (viewer, asked) = viewer(200, ten());
    for (host, code) in [
        ("127.0.0.1:4000", 200),
        ("localhost:9", 200),
        ("LOCALHOST", 200),
        ("[::1]:4000", 200),
        ("evil.example:4000", 403),
        ("127.0.0.1.evil.example", 403),
        ("a.localhost:4000", 403),
        ("me@localhost", 403),
        ("", 403),
    ] {
        let (got, headers, _) = answered(&viewer, request("GET", "/script.js", &[("host", host)])).await;
        assert_eq!(got, code, "{host}");
        assert_eq!(headers[CONTENT_SECURITY_POLICY], POLICY);
        assert!(!headers.contains_key("access-control-allow-origin"));
    }
    let twice = [HERE, ("host", "evil.example")];
    assert_eq!(answered(&viewer, request("GET", "/", &twice)).await.0, 403);
    assert_eq!(answered(&viewer, request("GET", "/", &[])).await.0, 403);
    assert_eq!(asked.lock().unwrap().len(), 0, "nobody was asked for them");
}

#[tokio::test]
async fn pages_of_others_may_lead_here_and_nothing_else() {
    let (viewer, _) = viewer(200, ten());
    for (path, site, code) in [
        ("/panels", "same-origin", 200),
        ("/panels", "none", 200),
        ("/panels", "cross-site", 403),
        ("/panels", "same-site", 403),
        ("/script.js", "cross-site", 403),
        ("/", "cross-site", 200),
    ] {
        let request = request("GET", path, &[HERE, ("sec-fetch-site", site)]);
        assert_eq!(answered(&viewer, request).await.0, code, "{path} {site}");
    }
}

#[tokio::test]
async fn nothing_is_changed_and_no_query_is_taken() {
    let (viewer, asked) = viewer(200, ten());
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        assert_eq!(
            answered(&viewer, request(method, "/panels", &[HERE])).await.0,
            405,
            "{method}"
        );
    }
    for path in [
        "/api/v1/query?query=up",
        "/panels/x",
        "/../etc/passwd",
        "/api/v1/admin/tsdb/delete_series",
    ] {
        assert_eq!(answered(&viewer, request("GET", path, &[HERE])).await.0, 404, "{path}");
    }
    assert_eq!(asked.lock().unwrap().len(), 0);
    let path = "/panels?range=5m&width=900&query=secret&expr=secret&start=1";
    assert_eq!(answered(&viewer, request("GET", path, &[HERE])).await.0, 200);
    let mut queries = asked.lock().unwrap().clone();
    assert!(
        queries
            .iter()
            .all(|query| query.starts_with("/proxy/api/v1/query") && !query.contains("secret"))
    );
    queries.sort_unstable();
    let all = queries.len();
    queries.dedup();
    assert_eq!(
        (all, queries.len()),
        (29, 29),
        "each query once, and the pauses between scrapes"
    );
}

#[tokio::test]
async fn pages_that_ask_at_once_ask_prometheus_once() {
    let (viewer, asked) = viewer(200, ten());
    let panels = || answered(&viewer, request("GET", "/panels", &[HERE]));
    let (one, other) = tokio::join!(panels(), panels());
    assert_eq!((one.0, one.2), (other.0, other.2));
    assert_eq!(asked.lock().unwrap().len(), 29);
}

#[tokio::test]
async fn the_page_holds_its_panels_and_says_whose_they_are() {
    let (viewer, _) = viewer(200, ten());
    let (_, _, page) = answered(&viewer, request("GET", "/?range=5m", &[HERE])).await;
    assert_eq!(page.matches("<section ").count(), 20);
    assert!(page.contains("<p>stack demo on &lt;demo&gt;</p>"), "{page}");
    assert!(page.contains(r#"<a href="/?range=5m" aria-label="last 5 minutes" aria-current="true">5m</a>"#));
    assert!(page.contains(r#"aria-label="Requests/s: 10.0 req/s""#), "{page}");
    assert!(!page.contains(" style="), "the policy would refuse it");
    let (_, _, json) = answered(&viewer, request("GET", "/panels?range=5m&width=390", &[HERE])).await;
    let update: Value = serde_json::from_str(&json).unwrap();
    let panels = update["panels"].as_array().unwrap();
    assert_eq!(panels.len(), 20);
    assert_eq!(panels.iter().filter(|panel| panel["columns"] == 12).count(), 8);
    let chart = &panels[9]["readings"];
    assert_eq!(chart["rows"][0]["name"], "web-a");
    assert_eq!(chart["step"], 2);
    assert_eq!(chart["clock"].as_array().unwrap().len(), 151);
    assert!(
        chart["rows"][0]["texts"]
            .as_array()
            .unwrap()
            .iter()
            .any(|text| text == "10 req/s")
    );
}

#[tokio::test]
async fn a_prometheus_that_does_not_answer_is_named_with_what_to_try() {
    let status =
        json!({"kind": "Status", "status": "Failure", "code": 503, "message": "no endpoints available", "reason": "x"});
    let (viewer, _) = viewer(503, status);
    let (code, _, json) = answered(&viewer, request("GET", "/panels", &[HERE])).await;
    let update: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &update["at"]), (502, &Value::Null));
    let problem = update["problem"].as_str().unwrap();
    assert!(
        problem.starts_with("cannot ask Prometheus: no endpoints available (HTTP 503)\nsee whether"),
        "{problem}"
    );
    let (code, _, page) = answered(&viewer, request("GET", "/", &[HERE])).await;
    assert_eq!(code, 502);
    assert!(
        page.contains(r#"<p id="problem" role="alert">cannot ask Prometheus"#),
        "{page}"
    );
}

#[tokio::test]
async fn a_query_that_is_refused_is_told_in_its_panel() {
    let refusal = json!({"status": "error", "errorType": "bad_data", "error": "parse <error>"});
    let (viewer, _) = viewer(400, refusal);
    let (code, _, page) = answered(&viewer, request("GET", "/", &[HERE])).await;
    assert_eq!(code, 200);
    assert_eq!(page.matches(r#": Prometheus says: parse &lt;error&gt;""#).count(), 20);
}

#[tokio::test]
async fn a_picture_is_a_png_in_either_theme() {
    let (viewer, _) = viewer(200, ten());
    let light = viewer.picture(crate::viewer::Theme::Light).await.unwrap();
    let dark = viewer.picture(crate::viewer::Theme::Dark).await.unwrap();
    for picture in [&light, &dark] {
        assert_eq!(&picture[..8], b"\x89PNG\r\n\x1a\n");
        let width = u32::from_be_bytes(picture[16..20].try_into().unwrap());
        assert_eq!(width, 2560);
    }
    assert_ne!(light, dark);
}

#[tokio::test]
async fn steps_and_rates_follow_the_scrapes_that_there_are() {
    let now = jiff::Timestamp::now().as_second();
    let values: Vec<Value> = (0..6).map(|n| json!([now - 180 + n * 30, "1"])).collect();
    let answer = json!({"status": "success", "data": {"result": [{"metric": {}, "values": values}]}});
    let (viewer, asked) = viewer(200, answer);
    let (_, _, json) = answered(&viewer, request("GET", "/panels", &[HERE])).await;
    let update: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(update["panels"][8]["readings"]["step"], 30);
    let asked = asked.lock().unwrap().join("\n");
    assert!(
        asked.contains("%5B120s%5D") && asked.contains("&step=30") && asked.contains("%5B900s%5D"),
        "{asked}"
    );
    assert!(!asked.contains("%24"), "{asked}");
}
