//! `dashboard` as a program: the page on loopback, the picture, and what keeps it from either.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::run::{Ended, Run};
use crate::support::kubernetes::Kubernetes;

const PROMETHEUS: &str = "/api/v1/namespaces/monitoring/services/http:prometheus:9090/proxy/api/v1";
const GRAFANA: &str = "/api/v1/namespaces/monitoring/services/grafana";

/// A cluster whose Prometheus has one pod that gets 10 requests/s.
async fn cluster() -> Kubernetes {
    let kubernetes = Kubernetes::start().await;
    let now = jiff::Timestamp::now().as_second();
    let values: Vec<Value> = (now - 600..now).step_by(5).map(|at| json!([at, "10"])).collect();
    for (what, samples) in [
        ("query_range", json!({"metric": {"pod": "web-a"}, "values": values})),
        ("query", json!({"metric": {}, "value": [now, "10"]})),
    ] {
        let answer = json!({"status": "success", "data": {"result": [samples]}});
        kubernetes.put(&format!("{PROMETHEUS}/{what}"), answer);
    }
    kubernetes
}

fn dashboard(kubernetes: &Kubernetes, flags: &str) -> Run {
    let line = format!("dashboard --kube-context test --name demo {flags}");
    Run::of(&line).file(".kube/config", &kubernetes.kubeconfig())
}

async fn ended(run: Run) -> Ended {
    tokio::task::spawn_blocking(|| run.end()).await.unwrap()
}

/// What `address` answers to a GET that names `host`.
fn got(address: &str, path: &str, host: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test]
async fn the_page_answers_on_loopback_until_it_is_interrupted() {
    let kubernetes = cluster().await;
    for (signal, code) in [("INT", 0), ("TERM", 143)] {
        let run = dashboard(&kubernetes, "--output json");
        let done = tokio::task::spawn_blocking(move || {
            let mut started = run.start();
            let served: Value = serde_json::from_str(&started.line()).unwrap();
            assert_eq!(served["schema"], 1);
            let address = served["url"]
                .as_str()
                .unwrap()
                .strip_prefix("http://")
                .unwrap()
                .to_owned();
            assert!(address.starts_with("127.0.0.1:"), "{address}");
            let page = got(&address, "/", &address);
            assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
            assert!(
                page.contains("stack demo on test") && page.contains("Requests/s: 10.0 req/s"),
                "{page}"
            );
            let refused = got(&address, "/panels", "evil.example");
            assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");
            started.signal(signal);
            started.end()
        });
        let ended = done.await.unwrap();
        assert_eq!(ended.code(), code, "{}", ended.stderr());
    }
    assert_eq!(kubernetes.changes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_picture_is_written_and_named() {
    let kubernetes = cluster().await;
    let ended = ended(dashboard(
        &kubernetes,
        "--png board.png --range 5m --dark --output json",
    ))
    .await;
    assert_eq!(ended.code(), 0, "{}", ended.stderr());
    let picture = ended.written("board.png");
    assert!(picture.starts_with(b"\x89PNG"));
    let said: Value = serde_json::from_str(&ended.stdout()).unwrap();
    assert_eq!(said, json!({"schema": 1, "png": "board.png", "bytes": picture.len()}));
}

#[tokio::test]
async fn what_keeps_it_from_showing_anything_is_said() {
    let kubernetes = Kubernetes::start().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for (flags, code, says) in [
        ("--png none/board.png", 2, "cannot write file `none/board.png`"),
        ("--png board.png", 1, "cannot ask Prometheus: "),
        (
            &format!("--port {port}"),
            1,
            &format!("cannot listen on port `{port}` of 127.0.0.1"),
        ),
        (
            "--grafana",
            1,
            "cannot forward to Service `monitoring/grafana`: it is not installed",
        ),
        (
            "--prometheus",
            1,
            "cannot forward to Service `monitoring/prometheus`: it is not installed",
        ),
        ("--show-password", 2, "--grafana"),
        ("--range 2h", 2, "it is none of 5m, 15m, 1h"),
    ] {
        let stderr = ended(dashboard(&kubernetes, flags)).await.refused(code);
        assert!(
            stderr.contains(says) && !stderr.contains("to resume"),
            "{flags}: {stderr}"
        );
        assert!(stderr.contains("hint: ") || code == 2, "{flags}: {stderr}");
    }
    let elsewhere = dashboard(&kubernetes, "").env("PROVISIONER_PROMETHEUS_URL", "https://prom.example.org");
    let stderr = ended(elsewhere).await.refused(2);
    assert!(
        stderr.contains("cannot reach the Prometheus at https://prom.example.org from here"),
        "{stderr}"
    );
}

#[tokio::test]
async fn grafanas_password_is_told_only_where_it_is_asked_for() {
    let kubernetes = Kubernetes::start().await;
    let ports = json!([{"port": 3000, "targetPort": "http"}]);
    kubernetes.put(
        GRAFANA,
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "grafana"},
        "spec": {"selector": {"app": "grafana"}, "ports": ports}}),
    );
    kubernetes.put(
        "/api/v1/namespaces/monitoring/secrets/grafana-admin",
        json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "grafana-admin"}, "data": {"password": "czNjcmV0"}}),
    );
    for (flags, password) in [("--grafana", None), ("--grafana --show-password", Some("s3cret"))] {
        let run = dashboard(&kubernetes, &format!("{flags} --output json"));
        let done = tokio::task::spawn_blocking(move || {
            let mut started = run.start();
            let served: Value = serde_json::from_str(&started.line()).unwrap();
            started.signal("INT");
            (served, started.end())
        });
        let (served, ended) = done.await.unwrap();
        assert_eq!(ended.code(), 0, "{}", ended.stderr());
        assert_eq!(served["user"], "admin");
        assert_eq!(served["password"].as_str(), password);
        assert!(!ended.stderr().contains("s3cret"), "{}", ended.stderr());
        let how = served["password_command"].as_str().unwrap();
        assert!(
            how.starts_with("kubectl -n monitoring get secret grafana-admin "),
            "{how}"
        );
    }
}
