//! Traces and logs, as a collector gets them.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal::SIGTERM;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use crate::collector::{Collector, attribute};
use crate::support::{Client, Service, wait_exit};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A service that sends to the collector at once, with more variables.
fn service(collector: &Collector, args: &str, variables: &[(&str, &str)]) -> Service {
    let url = collector.url();
    let mut all = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "50"),
    ];
    all.extend_from_slice(variables);
    Service::start_with(args, &all)
}

fn ask(service: &Service, request: &str, headers: &str) -> u16 {
    let mut client = Client::connect(service.address);
    client.write(&format!("{request} HTTP/1.1\r\nhost: shop.test:8080\r\n{headers}\r\n"));
    client.answer().status
}

fn traceparent(flags: &str) -> String {
    format!("traceparent: 00-{TRACE}-{PARENT}-{flags}\r\n")
}

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

fn value(span: &Span, key: &str) -> Option<String> {
    attribute(&span.attributes, key)
}

#[test]
fn a_span_says_what_was_asked_and_what_became_of_it() {
    let collector = Collector::start();
    let service = service(&collector, "", &[("OTEL_SERVICE_NAME", "shop-web")]);
    let agent = "user-agent: app-load/0.1.0\r\n";
    ask(
        &service,
        "GET /api/data?page=2&sig=secret",
        &(traceparent("01") + agent),
    );
    let sent = collector.span();
    let span = sent.item;
    assert_eq!(span.name, "GET /api/data");
    assert_eq!(span.kind, SpanKind::Server as i32);
    assert_eq!(
        (hex(&span.trace_id), hex(&span.parent_span_id)),
        (TRACE.to_owned(), PARENT.to_owned())
    );
    for (key, expected) in [
        ("http.request.method", "GET"),
        ("http.route", "/api/data"),
        ("http.response.status_code", "200"),
        ("url.scheme", "http"),
        ("url.path", "/api/data"),
        ("url.query", "page=2&sig=REDACTED"),
        ("network.protocol.version", "1.1"),
        ("server.address", "shop.test"),
        ("server.port", "8080"),
        ("client.address", "127.0.0.1"),
        ("network.peer.address", "127.0.0.1"),
        ("user_agent.original", "app-load/0.1.0"),
        ("user_agent.synthetic.type", "test"),
    ] {
        assert_eq!(value(&span, key).as_deref(), Some(expected), "{key}");
    }
    assert_eq!(value(&span, "error.type"), None);
    assert_eq!(span.status.map_or(0, |status| status.code), StatusCode::Unset as i32);
    assert!(span.end_time_unix_nano > span.start_time_unix_nano);
    let resource = |key| attribute(&sent.resource.attributes, key);
    assert_eq!(resource("service.name").as_deref(), Some("shop-web"));
    assert_eq!(resource("service.instance.id").as_deref(), Some("web-1"));
}

#[test]
fn errors_of_clients_leave_the_status_unset_and_our_own_do_not() {
    let collector = Collector::start();
    let service = service(&collector, "--max-connections 1", &[]);
    let mut holder = Client::connect(service.address);
    holder.write("BREW /nope HTTP/1.1\r\nhost: test\r\n\r\n");
    assert_eq!(holder.answer().status, 404);
    let span = collector.span().item;
    assert_eq!(span.name, "HTTP");
    assert_eq!(value(&span, "http.request.method").as_deref(), Some("_OTHER"));
    assert_eq!(value(&span, "http.request.method_original").as_deref(), Some("BREW"));
    assert_eq!((value(&span, "http.route"), value(&span, "error.type")), (None, None));
    assert_eq!(span.status.map_or(0, |status| status.code), StatusCode::Unset as i32);
    assert_eq!(ask(&service, "GET /", ""), 503);
    let span = collector.span().item;
    assert_eq!(value(&span, "error.type").as_deref(), Some("crowded"));
    assert_eq!(span.status.map_or(0, |status| status.code), StatusCode::Error as i32);
}

#[test]
fn the_callers_decision_and_the_sampler_are_followed() {
    let collector = Collector::start();
    let by_caller = service(&collector, "", &[]);
    ask(&by_caller, "GET /health", &traceparent("00"));
    ask(&by_caller, "GET /", &traceparent("01"));
    assert_eq!(
        collector.span().item.name,
        "GET /",
        "the caller did not sample the first"
    );
    let none = service(&collector, "--drain-delay 0", &[("OTEL_TRACES_SAMPLER", "always_off")]);
    ask(&none, "GET /health", &traceparent("01"));
    let alone = service(&collector, "--drain-delay 0", &[("OTEL_PROPAGATORS", "none")]);
    ask(&alone, "GET /api/data", &traceparent("01"));
    let span = collector.span().item;
    assert_eq!(span.name, "GET /api/data");
    assert_ne!(hex(&span.trace_id), TRACE);
    assert!(span.parent_span_id.is_empty());
}

#[test]
fn scrapes_and_probes_make_no_spans() {
    let collector = Collector::start();
    let service = service(&collector, "", &[]);
    for path in ["/metrics", "/livez", "/readyz", "/"] {
        service.get(path);
    }
    assert_eq!(collector.span().item.name, "GET /");
    assert!(collector.spans().is_empty());
}

#[test]
fn what_waits_is_sent_before_the_service_ends() {
    let collector = Collector::start();
    let long = [
        ("OTEL_BSP_SCHEDULE_DELAY", "3600000"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "3600000"),
    ];
    let mut service = service(&collector, "--drain-delay 0", &long);
    service.get("/");
    service.signal(SIGTERM);
    assert_eq!(wait_exit(&mut service.child).code(), Some(0));
    assert_eq!(collector.span().item.name, "GET /");
    let drained = collector.log("drained");
    assert_eq!(drained.item.severity_text, "INFO");
    assert_eq!(
        attribute(&drained.resource.attributes, "service.namespace").as_deref(),
        Some("shop")
    );
}

#[test]
fn a_second_signal_waits_for_no_telemetry() {
    let collector = Collector::start();
    let waits = ("OTEL_BSP_SCHEDULE_DELAY", "3600000");
    let mut service = service(&collector, "--drain-delay 1h", &[waits]);
    assert_eq!(service.get("/").status, 200);
    service.signal(SIGTERM);
    service.logged("draining");
    let signalled = Instant::now();
    service.signal(SIGTERM);
    assert_eq!(wait_exit(&mut service.child).code(), Some(1));
    // The SDK gives its senders 5 s.
    assert!(
        signalled.elapsed() < Duration::from_secs(4),
        "{:?}",
        signalled.elapsed()
    );
}

#[test]
fn headers_are_sent_along() {
    let collector = Collector::start();
    let service = service(&collector, "", &[("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=blue")]);
    service.get("/");
    let head = collector.head();
    assert!(
        head.iter().any(|line| line.eq_ignore_ascii_case("x-tenant: blue")),
        "{head:?}"
    );
    assert!(
        head.iter()
            .any(|line| line.eq_ignore_ascii_case("content-type: application/x-protobuf")),
        "{head:?}"
    );
}

#[test]
fn a_collector_that_refuses_or_is_away_is_told_once_and_holds_up_nobody() {
    let refusing = Collector::answering("400 Bad Request");
    let mut service = service(&refusing, "--drain-delay 0", &[("OTEL_LOGS_EXPORTER", "none")]);
    for _ in 0..3 {
        assert_eq!(service.get("/").status, 200);
        refusing.span();
    }
    let warning = service.logged("cannot send telemetry");
    assert_eq!(
        (&warning["signal"], &warning["error"]),
        (&"traces".into(), &"answered 400 Bad Request".into())
    );
    service.signal(SIGTERM);
    assert_eq!(wait_exit(&mut service.child).code(), Some(0));
    assert_eq!(service.next_logged()["message"], "draining: not ready, still serving");

    let nowhere = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let endpoint = format!("http://{nowhere}");
    let mut service = Service::start_with("--drain-delay 0", &[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())]);
    assert_eq!(service.get("/").status, 200);
    service.signal(SIGTERM);
    assert_eq!(wait_exit(&mut service.child).code(), Some(0));
}
