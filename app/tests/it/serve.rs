use std::collections::BTreeSet;

use crate::support::{Client, Service, wait_for};

fn count(value: u32) -> [String; 1] {
    [format!(
        r#"http_requests_total{{namespace="shop",pod="web-1"}} {value}"#
    )]
}

#[test]
fn the_counter_is_there_before_the_first_request() {
    let service = Service::start("");
    assert_eq!(service.requests_total(), count(0));
}

#[test]
fn every_request_counts_but_scrapes_and_probes() {
    let service = Service::start("");
    let mut expected = 0;
    for (method, path, status, counts) in [
        ("GET", "/", 200, true),
        ("GET", "/health", 200, true),
        ("GET", "/api/data", 200, true),
        ("GET", "/api/data?page=2", 200, true),
        ("GET", "/openapi.json", 200, true),
        ("HEAD", "/health", 200, true),
        ("GET", "/nope", 404, true),
        ("POST", "/nope", 404, true),
        ("POST", "/api/data", 405, true),
        ("BREW", "/", 405, true),
        ("GET", "/health/", 404, true),
        ("GET", "/metrics", 200, false),
        ("POST", "/metrics", 405, false),
        ("GET", "/livez", 200, false),
        ("HEAD", "/livez", 200, false),
        ("GET", "/readyz", 200, false),
    ] {
        let mut client = Client::connect(service.address);
        client.write(&format!("{method} {path} HTTP/1.1\r\nhost: test\r\n\r\n"));
        let status_line = if method == "HEAD" {
            client.head()
        } else {
            client.answer()
        };
        assert_eq!(status_line.status, status, "{method} {path}");
        expected += u32::from(counts);
        assert_eq!(service.requests_total(), count(expected), "after {method} {path}");
    }
}

#[test]
fn the_exposition_has_exactly_the_promised_series() {
    let service = Service::start("");
    service.get("/api/data");
    service.get("/private/42");
    Client::connect(service.address).request("BREW", "/");
    let answer = service.get("/metrics");
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let lines: Vec<_> = answer.body.lines().filter(|line| !is_timing(line)).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    # HELP app_build_info Always 1; the labels say what was built
    # TYPE app_build_info gauge
    # HELP app_connections Open connections, scrapes and probes included
    # TYPE app_connections gauge
    # HELP app_connections_refused_total Connections beyond the limit: answered 503, or closed at once
    # TYPE app_connections_refused_total counter
    app_connections_refused_total 0
    # HELP http_requests_total HTTP requests received, without scrapes and probes
    # TYPE http_requests_total counter
    http_requests_total{namespace="shop",pod="web-1"} 3
    # HELP http_server_active_requests Number of active HTTP server requests
    # TYPE http_server_active_requests gauge
    http_server_active_requests{http_request_method="GET",url_scheme="http"} 0
    http_server_active_requests{http_request_method="_OTHER",url_scheme="http"} 0
    # HELP http_server_request_duration_seconds Duration of HTTP server requests
    # TYPE http_server_request_duration_seconds histogram
    http_server_request_duration_seconds_bucket{http_request_method="GET",http_response_status_code="404",network_protocol_version="1.1",url_scheme="http",le="+Inf"} 1
    http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="404",network_protocol_version="1.1",url_scheme="http"} 1
    http_server_request_duration_seconds_bucket{http_request_method="GET",http_response_status_code="200",http_route="/api/data",network_protocol_version="1.1",url_scheme="http",le="+Inf"} 1
    http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="200",http_route="/api/data",network_protocol_version="1.1",url_scheme="http"} 1
    http_server_request_duration_seconds_bucket{http_request_method="_OTHER",http_response_status_code="405",http_route="/",network_protocol_version="1.1",url_scheme="http",le="+Inf"} 1
    http_server_request_duration_seconds_count{http_request_method="_OTHER",http_response_status_code="405",http_route="/",network_protocol_version="1.1",url_scheme="http"} 1
    # HELP process_cpu_seconds_total User and system CPU time of the process
    # TYPE process_cpu_seconds_total counter
    # HELP process_max_fds Most file descriptors that the process may open
    # TYPE process_max_fds gauge
    # HELP process_open_fds Open file descriptors of the process
    # TYPE process_open_fds gauge
    # HELP process_resident_memory_bytes Resident memory of the process
    # TYPE process_resident_memory_bytes gauge
    # HELP process_start_time_seconds When the process started, in seconds since 1970
    # TYPE process_start_time_seconds gauge
    # HELP process_threads Threads of the process
    # TYPE process_threads gauge
    # HELP process_virtual_memory_bytes Virtual memory of the process
    # TYPE process_virtual_memory_bytes gauge
    # HELP target_info Target metadata
    # TYPE target_info gauge
    # HELP tokio_alive_tasks Tasks of the event loop that have not ended
    # TYPE tokio_alive_tasks gauge
    # HELP tokio_global_queue_depth Tasks woken from other threads that wait for the event loop
    # TYPE tokio_global_queue_depth gauge
    # HELP tokio_worker_busy_seconds_total Time in which the event loop worked, without waiting for events
    # TYPE tokio_worker_busy_seconds_total counter
    "#);
    assert_eq!(
        names(&answer.body),
        listed("app"),
        "grafana/series.txt is not what the app exports"
    );
}

/// Sums and buckets are the machine's affair, only the last bucket is exact; so are CPU time and memory.
fn is_timing(line: &str) -> bool {
    let machine = [
        "process_",
        "tokio_",
        "app_connections ",
        "app_build_info{",
        "target_info{",
    ];
    line.contains("_sum{")
        || line.contains("le=") && !line.contains(r#"le="+Inf""#)
        || machine.iter().any(|name| line.starts_with(name))
}

/// The names of the series in an exposition.
fn names(exposition: &str) -> BTreeSet<&str> {
    let series = exposition.lines().filter(|line| !line.starts_with('#'));
    series.filter_map(|line| line.split(['{', ' ']).next()).collect()
}

/// The series that the dashboards expect of an exporter.
fn listed(exporter: &str) -> BTreeSet<&'static str> {
    let lines = include_str!("../../../grafana/series.txt").lines();
    let pairs = lines.filter_map(|line| line.split_once(' '));
    pairs.filter(|(by, _)| *by == exporter).map(|(_, name)| name).collect()
}

/// The value of a series without labels.
fn value(service: &Service, name: &str) -> f64 {
    let text = service.get("/metrics").body;
    let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[test]
fn the_process_and_its_event_loop_are_exported() {
    let service = Service::start("");
    assert!(value(&service, "process_resident_memory_bytes") > 1e6);
    assert!(value(&service, "process_virtual_memory_bytes") > 1e6);
    assert!(value(&service, "process_max_fds") >= value(&service, "process_open_fds"));
    assert!(value(&service, "process_threads") >= 1.0);
    let age = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64() - value(&service, "process_start_time_seconds");
    assert!((-1.0..3600.0).contains(&age), "{age}");
    for name in ["process_cpu_seconds_total", "tokio_worker_busy_seconds_total"] {
        let before = value(&service, name);
        wait_for(name, || (value(&service, name) > before).then_some(()));
    }
}

#[test]
fn open_descriptors_and_connections_follow_the_clients() {
    let service = Service::start("");
    let series = ["process_open_fds", "app_connections", "tokio_alive_tasks"];
    let before = series.map(|name| value(&service, name));
    let clients: Vec<_> = (0..10).map(|_| Client::connect(service.address)).collect();
    for (name, before) in series.into_iter().zip(before) {
        wait_for(name, || (value(&service, name) >= before + 10.0).then_some(()));
    }
    drop(clients);
    wait_for("connections to end", || {
        (value(&service, "app_connections") <= before[1]).then_some(())
    });
}

#[test]
fn the_build_and_the_service_are_named() {
    let variables = [
        ("OTEL_SERVICE_NAME", "shop-web"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "service.name=ignored,deployment.environment.name=test",
        ),
    ];
    let text = Service::start_with("", &variables).get("/metrics").body;
    let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    let version = format!(r#"version="{}""#, env!("CARGO_PKG_VERSION"));
    assert!(line("app_build_info{").contains(&version) && line("app_build_info{").ends_with(" 1"));
    let target = line("target_info{");
    for label in [
        r#"service_name="shop-web""#,
        r#"service_instance_id="web-1""#,
        r#"service_namespace="shop""#,
        r#"deployment_environment_name="test""#,
        r#"telemetry_sdk_language="rust""#,
    ] {
        assert!(target.contains(label), "{target}");
    }
}

#[test]
fn the_buckets_are_those_of_the_conventions() {
    let service = Service::start("");
    service.get("/");
    let text = service.get("/metrics").body;
    let bounds: Vec<_> = text
        .lines()
        .filter_map(|line| line.split_once("le=\"")?.1.split_once('"'))
        .map(|(bound, _)| bound)
        .collect();
    assert_eq!(
        bounds.join(" "),
        "0.005 0.01 0.025 0.05 0.075 0.1 0.25 0.5 0.75 1 2.5 5 7.5 10 +Inf"
    );
}

#[test]
fn answers_say_who_gave_them() {
    let service = Service::start("");
    let index = service.get("/");
    assert_eq!(index.header("x-pod"), Some("web-1"));
    assert_eq!(index.header("content-type"), Some("application/json"));
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        index.json(),
        serde_json::json!({ "name": "app", "version": version, "pod": "web-1", "namespace": "shop" })
    );
    assert_eq!(service.get("/health").json(), serde_json::json!({ "status": "ok" }));
    let data = service.get("/api/data").json();
    assert_eq!(data["pod"], "web-1");
    assert_eq!(data["items"].as_array().unwrap().len(), 3);
    assert_eq!(service.get("/nope").json(), serde_json::json!({ "error": "not found" }));
}

#[test]
fn no_answered_request_stays_active() {
    let service = Service::start("");
    let mut client = Client::connect(service.address);
    for _ in 0..3 {
        client.request("GET", "/");
    }
    let text = service.get("/metrics").body;
    let active = r#"http_server_active_requests{http_request_method="GET",url_scheme="http"} 0"#;
    assert!(text.lines().any(|line| line == active), "{text}");
}

#[test]
fn an_aged_connection_closes_with_an_answer() {
    let service = Service::start("--max-connection-age 50ms");
    let mut client = Client::connect(service.address);
    let last = wait_for("the connection to age", || {
        let answer = client.request("GET", "/");
        answer.header("connection").is_some().then_some(answer)
    });
    assert_eq!((last.status, last.header("connection")), (200, Some("close")));
    assert!(client.is_at_end());
}

#[test]
fn without_an_age_a_connection_stays() {
    let service = Service::start("--max-connection-age 0");
    let mut client = Client::connect(service.address);
    for _ in 0..100 {
        assert_eq!(client.request("GET", "/").header("connection"), None);
    }
}

#[test]
fn no_request_is_logged_at_the_default_level() {
    let service = Service::start("--drain-delay 0");
    service.get("/");
    service.get("/nope");
    service.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(service.next_logged()["message"], "draining: not ready, still serving");
}
