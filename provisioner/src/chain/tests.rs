//! The walk along the chain, over the wire.

use std::sync::{Arc, Mutex};

use kube::client::Body;
use serde_json::{Value, json};

use super::*;
use crate::cluster::values::Namespaces;
use crate::names::APP;
use crate::report::{Event, Record};

/// An API server that answers each path with a status and a body, and remembers what it was asked.
struct Server {
    prometheus: (u16, Value),
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new(code: u16, body: Value) -> Self {
        Self {
            prometheus: (code, body),
            asked: Arc::default(),
        }
    }

    fn cluster(&self) -> Cluster {
        let (prometheus, asked) = (self.prometheus.clone(), self.asked.clone());
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let path = request.uri().path().to_owned();
            let (code, body) = match path.as_str() {
                _ if path.contains("/proxy/") => prometheus.clone(),
                _ if path.contains("custom.metrics.k8s.io") => (200, rates()),
                _ => (200, hpa()),
            };
            asked.lock().expect("not poisoned").push(path);
            let answer = http::Response::builder()
                .status(code)
                .body(Body::from(body.to_string().into_bytes()));
            std::future::ready(answer)
        });
        Cluster::from_client(kube::Client::new(service, "default"))
    }

    /// Where Prometheus was asked.
    fn proxies(&self) -> Vec<String> {
        let asked = self.asked.lock().expect("not poisoned").clone();
        asked.into_iter().filter(|path| path.contains("/proxy/")).collect()
    }
}

fn one() -> Value {
    json!({"status": "success", "data": {"result": [{"metric": {}, "value": [1, "1"]}]}})
}

fn rates() -> Value {
    json!({"items": [{"describedObject": {"name": "a"}, "value": "5"}]})
}

fn hpa() -> Value {
    json!({"status": {"currentReplicas": 1, "desiredReplicas": 1, "conditions": [{"type": "ScalingActive", "status": "True"}],
        "currentMetrics": [{"type": "Pods", "pods": {"current": {"averageValue": "5"}}}]}})
}

fn route(url: Option<&str>) -> Route {
    Route {
        namespaces: Namespaces::default(),
        prometheus: url.map(|url| url.parse().expect("a URL")),
    }
}

/// What one server cannot answer is unknown or broken; nothing of it is an error, and nothing is waited for long.
#[tokio::test]
async fn a_diagnosis_ends_also_where_nothing_answers() {
    let hangs = tower::service_fn(|_: http::Request<Body>| {
        std::future::pending::<Result<http::Response<Body>, std::convert::Infallible>>()
    });
    let cluster = Cluster::from_client(kube::Client::new(hangs, "default"));
    let scene = Scene {
        namespaces: Namespaces::default(),
        app: crate::cluster::app::App::default(),
        commands: Commands {
            kubectl: "kubectl".to_owned(),
            bootstrap: "provisioner bootstrap".to_owned(),
            load: "provisioner load".to_owned(),
        },
        now: "2026-11-27T10:00:00Z".parse().expect("a time"),
    };
    let diagnosis = diagnose(&cluster, &scene).await;
    assert_eq!(diagnosis.hops.len(), Hop::ALL.len());
    assert!(
        diagnosis
            .at(Hop::Pods)
            .is_some_and(|pods| pods.code == Code::Unanswered),
        "{diagnosis}"
    );
    assert!(
        diagnosis
            .at(Hop::Metric)
            .is_some_and(|metric| metric.code == Code::Timeout),
        "{diagnosis}"
    );
}

async fn walked(server: &Server, url: Option<&str>) -> (Result<Chain, ChainError>, Vec<(String, Outcome, String)>) {
    let report = Record::default();
    let chain = verify(
        &server.cluster(),
        (&route(url), &App::default()),
        Duration::ZERO,
        &report,
    )
    .await;
    let events = report.0.into_inner().expect("not poisoned");
    let hops = events.into_iter().filter_map(|event| match event {
        Event::Done {
            name, outcome, detail, ..
        } => Some((name, outcome, detail)),
        _ => None,
    });
    (chain, hops.collect())
}

#[tokio::test]
async fn prometheus_is_asked_where_it_is_through_the_api_server() {
    for (url, service) in [
        (None, "monitoring/services/http:prometheus:9090"),
        (Some("http://prom.obs.svc:9091/x"), "obs/services/http:prom:9091"),
    ] {
        let server = Server::new(200, one());
        let (chain, hops) = walked(&server, url).await;
        let chain = chain.expect("it works");
        assert_eq!((chain.targets_up, chain.series), (Some(1), Some(1)));
        assert!(
            hops.iter().all(|(_, outcome, _)| *outcome == Outcome::Ready),
            "{hops:?}"
        );
        let asked = server.proxies();
        let start = format!("/api/v1/namespaces/{service}/proxy/");
        assert!(
            asked.len() == 2 && asked.iter().all(|path| path.starts_with(&start)),
            "{asked:?}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_asked_is_said_and_the_rest_is_verified() {
    for (url, code, why) in [
        ("https://prom.example.org", 200, "no Service of this cluster"),
        ("http://prom.obs.svc:9090", 401, "HTTP 401"),
        ("http://prom.obs.svc:9090", 403, "HTTP 403"),
    ] {
        let server = Server::new(
            code,
            json!({"kind": "Status", "status": "Failure", "code": code, "message": "no"}),
        );
        let (chain, hops) = walked(&server, Some(url)).await;
        let chain = chain.expect("it works");
        assert_eq!((chain.targets_up, chain.series), (None, None));
        assert_eq!(chain.per_pod.len(), 1);
        let outcomes: Vec<Outcome> = hops.iter().map(|(_, outcome, _)| *outcome).collect();
        assert_eq!(
            outcomes,
            [Outcome::Skipped, Outcome::Skipped, Outcome::Ready, Outcome::Ready]
        );
        assert!(hops[0].2.contains(url) && hops[0].2.contains(why), "{hops:?}");
        assert_eq!(server.proxies().is_empty(), code == 200, "nobody outside is asked for");
    }
}

#[tokio::test]
async fn a_broken_hop_names_the_prometheus_that_is_used() {
    let missing = json!({"kind": "Status", "status": "Failure", "code": 404, "message": "services \"prom\" not found"});
    let server = Server::new(404, missing);
    let (chain, _) = walked(&server, Some("http://prom.obs.svc:9090")).await;
    let error = chain.expect_err("no such Service");
    assert_eq!(error.hop, Hop::Target);
    assert!(error.to_string().contains("not found"), "{error}");
    assert!(error.hint().contains("http://prom.obs.svc:9090"), "{}", error.hint());
    let (chain, _) = walked(&Server::new(404, json!({})), None).await;
    let hint = chain.expect_err("none").hint();
    assert!(
        hint.starts_with(&Hop::Target.hint(COUNTER)) && hint.ends_with("`provisioner doctor` looks at every hop"),
        "{hint}"
    );
}

/// A stack that is scraped, with one pod that answers `exposition`.
async fn waited_for(exposition: &'static str) -> (ChainError, Duration) {
    let mut pod = examine::pod(APP, "a");
    pod["spec"]["containers"][0]["ports"][0]["containerPort"] = 9000.into();
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let path = request.uri().to_string();
        let none = json!({"status": "success", "data": {"result": []}});
        let body = match path.as_str() {
            _ if path.ends_with(":9000/proxy/metrics") => exposition.to_owned(),
            _ if path.contains("query=up") => one().to_string(),
            _ if path.contains("query=") => none.to_string(),
            _ => json!({"kind": "PodList", "items": [pod]}).to_string(),
        };
        std::future::ready(http::Response::builder().body(Body::from(body.into_bytes())))
    });
    let cluster = Cluster::from_client(kube::Client::new(service, "default"));
    let app = App {
        counter: "orders_total".to_owned(),
        ..App::default()
    };
    let timeout = Duration::from_secs(3);
    let chain = verify(&cluster, (&route(None), &app), timeout, &Record::default()).await;
    let error = chain.expect_err("no series");
    (error, timeout)
}

#[tokio::test]
async fn pods_that_never_count_are_not_waited_for_to_the_end() {
    for exposition in ["http_requests_total 1\n", "orders_total{namespace=\"default\"} 1\n", ""] {
        let (error, timeout) = waited_for(exposition).await;
        assert_eq!(error.hop, Hop::Series);
        assert!(error.after < timeout, "{exposition}: {error}");
        assert!(
            error.hint().contains("the counter `orders_total` from its start on"),
            "{}",
            error.hint()
        );
    }
    // Where they have it, Prometheus is what is waited for.
    let (error, timeout) = waited_for("orders_total 0\n").await;
    assert!(error.after >= timeout, "{error}");
}
