use std::net::TcpStream;

use nix::sys::signal::Signal::{SIGINT, SIGTERM};

use crate::support::{Client, Service, wait_exit, wait_for};

fn refuses_connections(service: &Service) {
    wait_for("the listener to close", || TcpStream::connect(service.address).err());
}

/// A connection whose request has begun to arrive. The server is one thread: when a later request has been answered, the
/// earlier bytes have been read.
fn begun(service: &Service) -> Client {
    let mut client = Client::connect(service.address);
    client.write("GET /api/data HTTP/1.1\r\nho");
    service.get("/livez");
    client
}

#[test]
fn while_draining_it_is_not_ready_but_serves_and_closes() {
    for signal in [SIGTERM, SIGINT] {
        let service = Service::start("--drain-delay 1h");
        let mut open = Client::connect(service.address);
        assert_eq!(open.request("GET", "/readyz").status, 200);
        service.signal(signal);
        wait_for("readiness to go off", || {
            (service.get("/readyz").status == 503).then_some(())
        });
        assert_eq!(
            service.get("/livez").status,
            200,
            "a draining pod must not be restarted"
        );
        assert_eq!(service.get("/health").json()["status"], "draining");
        let answer = open.request("GET", "/api/data");
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
        assert!(open.is_at_end());
    }
}

#[test]
fn a_request_in_flight_is_answered_after_the_listener_closed() {
    let mut service = Service::start("--drain-delay 0 --drain-timeout 1h");
    let mut client = begun(&service);
    let mut idle = Client::connect(service.address);
    idle.request("GET", "/");
    service.signal(SIGTERM);
    refuses_connections(&service);
    assert!(idle.is_at_end(), "idle connections do not hold up the drain");
    client.write("st: test\r\n\r\n");
    let answer = client.answer();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert_eq!(wait_exit(&mut service.child).code(), Some(0));
    service.logged("drained");
}

#[test]
fn what_does_not_finish_in_time_is_cut_off() {
    let mut service = Service::start("--drain-delay 0 --drain-timeout 50ms");
    let mut client = begun(&service);
    service.signal(SIGTERM);
    assert_eq!(wait_exit(&mut service.child).code(), Some(0));
    service.logged("drain timeout");
    assert!(client.is_at_end());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for delay in ["1h", "0"] {
        let mut service = Service::start(&format!("--drain-delay {delay} --drain-timeout 1h"));
        let _client = begun(&service);
        service.signal(SIGTERM);
        service.logged(if delay == "0" { "listener closed" } else { "draining" });
        service.signal(SIGINT);
        assert_eq!(wait_exit(&mut service.child).code(), Some(1));
    }
}
