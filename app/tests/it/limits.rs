//! What a client may not do, and that it keeps nobody else from being served.

use std::io::Write;
use std::net::TcpStream;

use crate::support::{Client, Service, wait_for};

fn refused(service: &Service, request: &str) -> (u16, bool) {
    let mut client = Client::connect(service.address);
    client.write(request);
    let answer = client.answer();
    (answer.status, client.is_at_end())
}

#[test]
fn heads_are_bounded_in_size_and_number() {
    let service = Service::start("--max-head-size 2048 --max-headers 8");
    let long = format!("GET / HTTP/1.1\r\nhost: test\r\nx-long: {}\r\n\r\n", "a".repeat(2048));
    assert_eq!(refused(&service, &long), (431, true));
    let path = format!("GET /{} HTTP/1.1\r\nhost: test\r\n\r\n", "a".repeat(2048));
    assert!([414, 431].contains(&refused(&service, &path).0));
    let many = |count| {
        let lines = vec!["x-more: 1\r\n"; count].concat();
        format!("GET / HTTP/1.1\r\nhost: test\r\n{lines}\r\n")
    };
    assert_eq!(refused(&service, &many(8)), (431, true));
    let mut client = Client::connect(service.address);
    client.write(&many(7));
    assert_eq!(client.answer().status, 200);
}

#[test]
fn bodies_are_bounded_and_the_refusal_is_counted() {
    let service = Service::start("--max-body-size 8");
    let mut client = Client::connect(service.address);
    client.write("POST /api/data HTTP/1.1\r\nhost: test\r\ncontent-length: 9\r\n\r\n");
    let answer = client.answer();
    assert_eq!(answer.status, 413);
    assert_eq!(answer.json(), serde_json::json!({ "error": "request body too large" }));
    let mut client = Client::connect(service.address);
    client.write("POST /api/data HTTP/1.1\r\nhost: test\r\ncontent-length: 8\r\n\r\n12345678");
    assert_eq!(client.answer().status, 405);
    let text = service.get("/metrics").body;
    assert!(
        text.contains(r#"http_response_status_code="413",http_route="/api/data""#),
        "{text}"
    );
}

#[test]
fn a_body_without_end_is_not_read_to_its_end() {
    let service = Service::start("");
    let mut client = Client::connect(service.address);
    client.write("POST /api/data HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n");
    assert_eq!(client.answer().status, 405);
    let mut stream = client.into_stream();
    let chunk = [b"10000\r\n".as_slice(), &vec![b'a'; 0x10000], b"\r\n"].concat();
    wait_for("the server to hang up", || stream.write_all(&chunk).err());
}

#[test]
fn one_connection_too_many_is_told_so_and_probes_are_not() {
    let service = Service::start("--max-connections 2");
    // Idle ones: a request that never comes takes a place all the same.
    let mut holders: Vec<_> = (0..2).map(|_| Client::connect(service.address)).collect();
    for holder in &mut holders {
        assert_eq!(holder.request("GET", "/").status, 200);
    }
    let mut client = Client::connect(service.address);
    let answer = client.request("GET", "/");
    assert_eq!(
        (answer.status, answer.header("connection"), answer.header("retry-after")),
        (503, Some("close"), Some("1"))
    );
    assert!(client.is_at_end());
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(service.get(path).status, 200, "{path}");
    }
    let text = service.get("/metrics").body;
    let counted = r#"http_requests_total{namespace="shop",pod="web-1"} 3"#;
    assert!(
        text.lines().any(|line| line == counted),
        "what is turned away is load, too: {text}"
    );
    assert!(text.contains(r#"error_type="crowded""#), "{text}");
    drop(holders);
    wait_for("room", || (service.get("/").status == 200).then_some(()));
}

#[test]
fn connections_that_say_nothing_do_not_take_the_service_down() {
    let service = Service::start("--max-connections 4");
    let slow: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = TcpStream::connect(service.address).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nho").ok();
            stream
        })
        .collect();
    drop(slow);
    wait_for("the service to answer", || {
        let mut client = Client::connect(service.address);
        client.try_request("GET", "/").filter(|answer| answer.status == 200)
    });
}
