use std::io::{BufReader, Write};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use nix::sys::signal::Signal::{SIGCONT, SIGINT, SIGSTOP, SIGTERM};
use serde_json::{Value, json};

use crate::peer::{ERROR, OK, Peer, TRUNCATED};
use crate::support::{Service, app, read_head, signal, stderr, wait_exit, wait_for};

/// The load with a timeout that a busy machine does not reach, unless `args` set another.
fn command(url: &str, args: &str) -> Command {
    let mut command = app(&format!("load --output json --url {url} {args}"));
    command.env("LOAD_TIMEOUT", "20s");
    command
}

fn load(url: &str, args: &str) -> Output {
    command(url, args).output().unwrap()
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn succeeded(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    report(output)
}

fn failed(output: &Output, message: &str) -> Value {
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(output).contains(message), "{}", stderr(output));
    report(output)
}

#[test]
fn the_service_counts_what_the_load_sent() {
    let service = Service::start("");
    let report = succeeded(&load(&service.url("/api/data"), "--rate 200 --duration 1500ms"));
    assert_eq!(
        service.requests_total(),
        [r#"http_requests_total{namespace="shop",pod="web-1"} 300"#]
    );
    assert_eq!(report["requests"], 300);
    assert_eq!(
        (&report["failed"], &report["dropped"], &report["resent"]),
        (&json!(0), &json!(0), &json!(0))
    );
    assert_eq!(report["closed_by_server"], 0, "{report}");
    assert_eq!(report["per_pod"], json!({ "web-1": 300 }));
    assert_eq!(report["status"], json!({ "200": 300 }));
    assert_eq!(report["errors"], json!({}));
    // Never faster than asked for; how much slower is the machine's affair.
    let (duration, rate) = (
        report["duration_s"].as_f64().unwrap(),
        report["achieved_rate"].as_f64().unwrap(),
    );
    assert!(duration >= 1.5 && rate <= 200.0 && rate > 20.0, "{report}");
}

#[test]
fn connections_are_replaced_by_count() {
    let peer = Peer::start(|_, _| (Some(OK), false));
    let args = "--rate 200 --duration 1s --max-requests-per-connection 5 --max-connection-age 1h";
    assert_eq!(succeeded(&load(&peer.url(), args))["requests"], 200);
    let counts = peer.per_connection();
    assert_eq!(counts.iter().sum::<usize>(), 200);
    assert_eq!(counts.iter().max(), Some(&5));
}

#[test]
fn connections_take_turns() {
    let peer = Peer::start(|_, _| (Some(OK), false));
    let args =
        "--rate 200 --duration 1s --users 8 --max-requests-per-connection 1000 --max-connection-age 1h --timeout 20s";
    assert_eq!(succeeded(&load(&peer.url(), args))["dropped"], 0);
    let counts = peer.per_connection();
    // More where requests overlapped, which then take their turns too.
    assert!(counts.len() >= 8 && counts.iter().max() <= Some(&50), "{counts:?}");
}

#[test]
fn connections_are_replaced_by_age() {
    let peer = Peer::start(|_, _| (Some(OK), false));
    let args = "--rate 100 --duration 500ms --max-connection-age 0";
    succeeded(&load(&peer.url(), args));
    assert_eq!(peer.per_connection(), [1; 50]);
}

#[test]
fn a_connection_is_used_again_until_then() {
    let peer = Peer::start(|_, _| (Some(OK), false));
    let args = "--rate 20 --duration 1s --max-connection-age 1h";
    succeeded(&load(&peer.url(), args));
    assert!(peer.per_connection().len() < 20, "{:?}", peer.per_connection());
}

#[test]
fn a_server_that_closes_idle_connections_unannounced_fails_no_request() {
    // Far enough apart that the close arrives before the next request is due.
    let peer = Peer::start(|_, _| (Some(OK), true));
    let args = "--rate 5 --duration 1s --max-connection-age 1h --max-failed 0";
    let report = succeeded(&load(&peer.url(), args));
    assert_eq!((&report["requests"], peer.requests()), (&json!(5), 5));
    // All but the last: nobody wanted that one again.
    assert_eq!(report["closed_by_server"], 4, "{report}");
    assert_eq!(peer.per_connection().len(), 5);
}

#[test]
fn a_request_that_the_server_took_and_lost_is_a_failure_and_not_sent_again() {
    let peer = Peer::start(|_, on_connection| match on_connection {
        1 => (Some(OK), false),
        _ => (None, true),
    });
    let args = "--rate 100 --duration 500ms --max-connection-age 1h";
    let report = succeeded(&load(&peer.url(), args));
    let broken = report["errors"]["broken"].as_u64().unwrap();
    assert!(broken > 0, "{report}");
    assert_eq!((&report["failed"], peer.requests()), (&json!(broken), 50), "{report}");
    let args = format!("{args} --max-failed 0");
    failed(&load(&peer.url(), &args), " of 50 requests, at most 0 allowed");
}

#[test]
fn a_broken_answer_is_a_failure_and_not_sent_again() {
    let peer = Peer::start(|_, on_connection| match on_connection {
        1 => (Some(OK), false),
        _ => (Some(TRUNCATED), true),
    });
    let report = succeeded(&load(
        &peer.url(),
        "--rate 100 --duration 500ms --max-connection-age 1h",
    ));
    assert!(report["errors"]["broken"].as_u64().unwrap() > 0, "{report}");
    assert_eq!((&report["resent"], peer.requests()), (&json!(0), 50));
    let peer = Peer::start(|_, _| (None, true));
    let report = failed(
        &load(&peer.url(), "--rate 20 --duration 500ms"),
        "connection lost before the answer",
    );
    assert_eq!((&report["errors"], peer.requests()), (&json!({ "broken": 10 }), 10));
}

#[test]
fn a_silent_server_does_not_slow_the_schedule() {
    let peer = Peer::start(|_, _| (None, false));
    let args = "--rate 50 --duration 500ms --timeout 1500ms --connections 3";
    let report = failed(
        &load(&peer.url(), args),
        "no request succeeded: 3 of 3 failed, the last: no answer within 1.5 s",
    );
    assert_eq!((&report["requests"], &report["dropped"]), (&json!(3), &json!(22)));
    assert_eq!(report["errors"], json!({ "timeout": 3 }));
    assert!(
        report["p50_s"].as_f64().unwrap() >= 1.49,
        "a timeout counts as latency: {report}"
    );
}

#[test]
fn a_slow_server_gets_every_request_when_it_is_due() {
    let peer = Peer::start(|_, _| {
        std::thread::sleep(std::time::Duration::from_millis(300));
        (Some(OK), false)
    });
    let report = succeeded(&load(&peer.url(), "--rate 50 --duration 1s --timeout 20s"));
    assert_eq!((&report["requests"], &report["dropped"]), (&json!(50), &json!(0)));
    assert!(report["p50_s"].as_f64().unwrap() >= 0.3, "{report}");
}

#[test]
fn a_stall_of_the_generator_is_made_up_for_and_shows_in_the_latency() {
    let peer = Peer::start(|_, _| (Some(OK), false));
    let child = command(&peer.url(), "--rate 100 --duration 1s")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("the load to begin", || (peer.requests() >= 10).then_some(()));
    signal(&child, SIGSTOP);
    std::thread::sleep(std::time::Duration::from_millis(500));
    signal(&child, SIGCONT);
    let report = succeeded(&child.wait_with_output().unwrap());
    assert_eq!(report["requests"], 100);
    // Half of the requests were due while it stood still, and waited up to 0.5 s.
    assert!(report["p90_s"].as_f64().unwrap() >= 0.3, "{report}");
    assert!(report["late"].as_u64().unwrap() >= 30, "{report}");
    assert!(report["max_lag_s"].as_f64().unwrap() >= 0.3, "{report}");
}

#[test]
fn a_stall_of_the_server_shows_in_each_request_that_was_due_meanwhile() {
    let service = Service::start("");
    let child = command(&service.url("/"), "--rate 100 --duration 1s")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("the load to begin", || {
        (!service.requests_total()[0].ends_with(" 0")).then_some(())
    });
    service.signal(SIGSTOP);
    std::thread::sleep(std::time::Duration::from_millis(500));
    service.signal(SIGCONT);
    let report = succeeded(&child.wait_with_output().unwrap());
    assert_eq!((&report["requests"], &report["dropped"]), (&json!(100), &json!(0)));
    // Where each request waits for the answer before, a single one would have been slow.
    assert!(report["p90_s"].as_f64().unwrap() >= 0.3, "{report}");
}

#[test]
fn stages_are_sent_one_after_the_other() {
    let peer = Peer::start(|_, _| (Some(OK), false));
    let started = std::time::Instant::now();
    let args = "--stages 0:200ms,100:0,100:300ms,0:400ms,0:100ms --max-failed 0";
    let report = succeeded(&load(&peer.url(), args));
    assert_eq!((&report["requests"], peer.requests()), (&json!(50), 50));
    assert_eq!(report["stages"][3], json!({ "rate": 0.0, "duration_s": 0.4 }));
    // To the end of the last stage, in which nothing is sent.
    let lasted = report["duration_s"].as_f64().unwrap();
    assert!(lasted >= 1.0 && started.elapsed().as_secs_f64() >= lasted, "{report}");
    assert!((report["rate"].as_f64().unwrap() - 50.0).abs() < 0.01, "{report}");
}

#[test]
fn random_arrivals_are_those_of_their_seed() {
    let peer = Peer::start(|_, _| (Some(OK), false));
    let sent = |seed| {
        let args = format!("--arrivals poisson --seed {seed} --rate 400 --duration 500ms");
        let report = succeeded(&load(&peer.url(), &args));
        assert_eq!(
            (&report["arrivals"], &report["seed"]),
            (&json!("poisson"), &json!(seed))
        );
        report["requests"].as_u64().unwrap()
    };
    let (once, again) = (sent(3), sent(3));
    assert_eq!(once, again);
    assert!((120..=280).contains(&once), "{once}");
}

#[test]
fn the_traffic_says_that_it_is_a_test_and_has_the_headers_that_were_asked_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let mut child = command(&url, "--rate 1 --duration 500ms")
        .args(["--header", "Host: shop.example", "--header", "x-tenant: red"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let (stream, _) = listener.accept().unwrap();
    let mut stream = BufReader::new(stream);
    let head = read_head(&mut stream).unwrap().join("\n").to_ascii_lowercase();
    assert!(head.contains("user-agent: app-load/"), "{head}");
    assert!(head.contains("(synthetic test)"), "{head}");
    assert!(head.contains("baggage: user_agent.synthetic.type=test"), "{head}");
    assert!(
        head.contains("host: shop.example") && head.contains("x-tenant: red"),
        "{head}"
    );
    assert_eq!(head.matches("host:").count(), 1, "{head}");
    stream.get_mut().write_all(OK.as_bytes()).unwrap();
    assert_eq!(wait_exit(&mut child).code(), Some(0));
}

#[test]
fn a_dead_server_is_a_failure_with_its_cause() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = load(&format!("http://{address}/"), "--rate 20 --duration 500ms");
    let message = format!(
        "error: no request succeeded: 10 of 10 failed, the last: cannot connect to `{address}`: Connection refused"
    );
    let report = failed(&output, &message);
    assert_eq!(report["errors"], json!({ "connect": 10 }));
    assert_eq!(report["p99_s"], Value::Null);
}

#[test]
fn an_unknown_name_is_a_failure_with_its_cause() {
    let output = load(
        "http://no.such.name.invalid/",
        "--rate 4 --duration 500ms --timeout 15s",
    );
    let report = failed(&output, "cannot resolve `no.such.name.invalid`");
    assert_eq!(report["errors"], json!({ "resolve": 2 }));
}

#[test]
fn thresholds_decide_the_exit_code() {
    let peer = Peer::start(|nth, _| (Some(if nth % 2 == 0 { OK } else { ERROR }), false));
    let args = |max| format!("--rate 100 --duration 1s --max-failed {max}");
    let report = succeeded(&load(&peer.url(), &args("50%")));
    assert_eq!(report["status"], json!({ "200": 50, "500": 50 }));
    failed(
        &load(&peer.url(), &args("49")),
        "missed: 50 failed and 0 dropped of 100 requests, at most 49 allowed",
    );
    let args = "--rate 20 --duration 500ms --max-p99 1us";
    failed(&load(&peer.url(), args), "ms, at most 0.0 ms allowed");
}

#[test]
fn a_signal_ends_the_load_early_with_a_report() {
    for name in [SIGTERM, SIGINT] {
        let peer = Peer::start(|_, _| (Some(OK), false));
        let mut child = command(&peer.url(), "--duration 1h")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        wait_for("the load to begin", || (peer.requests() >= 10).then_some(()));
        signal(&child, name);
        assert_eq!(wait_exit(&mut child).code(), Some(0));
        let report: Value = serde_json::from_reader(child.stdout.take().unwrap()).unwrap();
        assert_eq!(report["requests"], json!(peer.requests()));
        assert!(report["duration_s"].as_f64().unwrap() < 3600.0);
        assert_eq!(report["interrupted"], json!(name.as_str()));
    }
}

#[test]
fn a_second_signal_gives_up_what_is_in_flight() {
    let peer = Peer::start(|_, _| (None, false));
    let mut child = command(&peer.url(), "--timeout 1h")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for("the load to begin", || (peer.requests() >= 5).then_some(()));
    signal(&child, SIGTERM);
    signal(&child, SIGINT);
    assert_eq!(wait_exit(&mut child).code(), Some(1));
    let report: Value = serde_json::from_reader(child.stdout.take().unwrap()).unwrap();
    assert_eq!(report["errors"]["given_up"], report["requests"]);
}
