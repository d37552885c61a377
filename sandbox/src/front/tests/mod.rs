//! What the front does to the calls that go through it.

mod world;

use std::io::ErrorKind;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use world::{ask, ask_on, before, bound, read_until, request, world};

#[tokio::test]
async fn requests_and_answers_pass_byte_for_byte() {
    let behind = bound().await;
    let aws = before(&behind).await;
    let sent = "POST /a%2Fb//c?x=%20y&Z HTTP/1.1\r\nHost: signed.example\r\nX-Amz-Date: 1\r\nx-odd-Case: A  b\r\n\
                Content-Length: 4\r\n\r\nbody";
    let back = "HTTP/1.1 203 Non-Authoritative Information\r\nX-Odd-case: q\r\nContent-Length: 2\r\n\
                Date: today\r\n\r\nok";
    let client = tokio::spawn(async move {
        let mut stream = TcpStream::connect(aws).await.expect("connects");
        stream.write_all(sent.as_bytes()).await.expect("writes");
        read_until(&mut stream, "\r\n\r\nok").await
    });
    let (mut stream, _) = behind.accept().await.expect("a connection");
    assert_eq!(read_until(&mut stream, "\r\n\r\nbody").await, sent);
    stream.write_all(back.as_bytes()).await.expect("writes");
    assert_eq!(client.await.expect("an answer"), back);
}

#[tokio::test]
async fn an_answer_streams_while_it_is_made() {
    let world = world().await;
    let mut stream = world.tls().await;
    stream
        .write_all(request("GET", "/stream", "").as_bytes())
        .await
        .expect("writes");
    read_until(&mut stream, "first").await;
    world.go.send_replace(true);
    read_until(&mut stream, "second").await;
}

#[tokio::test]
async fn an_upgraded_connection_carries_both_directions() {
    let world = world().await;
    let mut stream = world.tls().await;
    let request = "POST /portforward HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("writes");
    assert!(read_until(&mut stream, "\r\n\r\n").await.starts_with("HTTP/1.1 101 "));
    stream.write_all(b"ping").await.expect("writes");
    assert_eq!(read_until(&mut stream, "ping").await, "ping");
}

#[tokio::test]
async fn calls_are_written_down_among_those_to_aws() {
    let world = world().await;
    let stream = world.tls().await;
    ask_on(stream, &request("PATCH", "/apis/x?dryRun=All&fieldManager=p", "{}"))
        .await
        .expect("an answer");
    ask(world.registry, &request("HEAD", "/v2/a/manifests/b", ""))
        .await
        .expect("an answer");
    let (_, entries) = world.control("GET", "requests", &Value::Null).await;
    let shown: Vec<String> = entries
        .as_array()
        .expect("an array")
        .iter()
        .map(|e| format!("{} {} {} {}", e["service"], e["operation"], e["status"], e["bytes"]).replace('"', ""))
        .collect();
    assert_eq!(
        shown,
        [
            "eks ListClusters null null",
            "kubernetes PATCH /apis/x dryRun 200 2",
            "registry HEAD /v2/a/manifests/b 200 0"
        ]
    );
    world.control("DELETE", "requests", &Value::Null).await;
    let (_, entries) = world.control("GET", "requests", &Value::Null).await;
    assert_eq!(
        entries.as_array().map(Vec::len),
        Some(1),
        "the other side forgets its own"
    );
}

#[tokio::test]
async fn a_fault_answers_in_place_of_the_service() {
    let world = world().await;
    world
        .faults(json!([{"service": "registry", "operation": "PUT .*"}]))
        .await;
    let answer = ask(world.registry, &request("PUT", "/v2/a", "body"))
        .await
        .expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    assert!(answer.contains("retry-after: 1\r\n"), "{answer}");
    assert!(!world.seen().contains(&"PUT /v2/a 4".to_owned()));
    ask(world.registry, &request("PUT", "/v2/a", "body"))
        .await
        .expect("once only");
    assert!(world.seen().contains(&"PUT /v2/a 4".to_owned()));
}

#[tokio::test]
async fn a_reset_after_the_work_loses_the_answer_only() {
    let world = world().await;
    world
        .faults(json!([{"service": "registry", "kind": "reset", "after": true}]))
        .await;
    let answer = ask(world.registry, &request("PUT", "/v2/a", "body")).await;
    assert_eq!(answer, Err(ErrorKind::ConnectionReset));
    assert!(world.seen().contains(&"PUT /v2/a 4".to_owned()), "{:?}", world.seen());
}

#[tokio::test]
async fn a_delay_and_a_timeout_do_what_they_say() {
    let world = world().await;
    world
        .faults(json!([
            {"service": "registry", "kind": "delay", "delay_s": 0.01},
            {"service": "registry", "kind": "timeout", "delay_s": 0.01},
        ]))
        .await;
    let answer = ask(world.registry, &request("GET", "/v2/", ""))
        .await
        .expect("an answer");
    assert!(answer.ends_with("0123456789"), "{answer}");
    assert_eq!(
        ask(world.registry, &request("GET", "/v2/", "")).await,
        Err(ErrorKind::ConnectionReset)
    );
}

#[tokio::test]
async fn an_upload_and_a_download_break_off_on_the_way() {
    let world = world().await;
    let cut = json!({"service": "registry", "kind": "reset", "cut_percent": 50});
    world.faults(json!([cut])).await;
    let upload = ask(world.registry, &request("PATCH", "/v2/upload", "0123456789")).await;
    assert_eq!(upload, Err(ErrorKind::ConnectionReset));
    let arrived = async {
        while !world.seen().contains(&"PATCH /v2/upload broken".to_owned()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), arrived)
        .await
        .expect("the broken upload arrives");

    let mut cut = cut;
    cut["after"] = true.into();
    world.faults(json!([cut])).await;
    let mut stream = TcpStream::connect(world.registry).await.expect("connects");
    stream
        .write_all(request("GET", "/v2/download", "").as_bytes())
        .await
        .expect("writes");
    let mut answer = Vec::new();
    let end = stream
        .read_to_end(&mut answer)
        .await
        .expect_err("the answer breaks off");
    assert_eq!(end.kind(), ErrorKind::ConnectionReset);
    assert!(String::from_utf8_lossy(&answer).ends_with("\r\n\r\n01234"));
}

#[tokio::test]
async fn a_bad_fault_on_either_side_changes_neither() {
    let world = world().await;
    world.faults(json!([{"service": "kubernetes"}])).await;
    for faults in [
        json!([{"service": "registry", "kind": "explode"}]),
        json!([{"service": "registry"}, {"service": "eks", "kind": "bad"}]),
        json!({}),
    ] {
        assert_eq!(world.control("POST", "faults", &faults).await.0, 400, "{faults}");
        let (_, listed) = world.control("GET", "faults", &Value::Null).await;
        assert_eq!(listed[0]["service"], "kubernetes", "{listed}");
        assert_eq!(listed.as_array().map(Vec::len), Some(1));
    }
}

#[tokio::test]
async fn the_kth_answer_and_all_later_calls_are_held_until_they_are_reset() {
    let world = world().await;
    world.control("POST", "hold", &json!({"after": 2})).await;
    ask(world.aws, &request("POST", "/first", ""))
        .await
        .expect("the first passes");
    let call =
        |to: SocketAddr, path: &'static str| tokio::spawn(async move { ask(to, &request("GET", path, "")).await });
    let second = call(world.registry, "/slow");
    world.hold_shows("seen", 2.into()).await;
    let third = call(world.aws, "/third");
    world.hold_shows("seen", 3.into()).await;
    world.hold_shows("holding", false.into()).await;
    world.go.send_replace(true);
    world.hold_shows("holding", true.into()).await;
    assert!(!second.is_finished() && !third.is_finished());
    assert!(world.seen().contains(&"GET /slow 0".to_owned()), "its work is done");
    assert!(
        !world.seen().contains(&"GET /third 0".to_owned()),
        "later calls do not get through"
    );
    world.control("DELETE", "hold", &Value::Null).await;
    for held in [second, third] {
        assert_eq!(held.await.expect("ends"), Err(ErrorKind::ConnectionReset));
    }
    ask(world.aws, &request("GET", "/after", ""))
        .await
        .expect("nothing is held any more");
}

#[tokio::test]
async fn with_before_the_kth_call_never_reaches_the_service() {
    let world = world().await;
    world
        .control("POST", "hold", &json!({"after": 1, "before": true}))
        .await;
    let to = world.registry;
    let held = tokio::spawn(async move { ask(to, &request("PUT", "/v2/a", "")).await });
    world.hold_shows("holding", true.into()).await;
    // A reset of everything lets go, too.
    world.control("POST", "reset", &Value::Null).await;
    assert_eq!(held.await.expect("ends"), Err(ErrorKind::ConnectionReset));
    assert!(!world.seen().iter().any(|s| s.starts_with("PUT")));
}

#[tokio::test]
async fn what_is_no_hold_is_refused_with_its_reason() {
    let world = world().await;
    let (status, body) = world.control("POST", "hold", &json!({"after": 0})).await;
    assert_eq!((status, body["error"].as_str()), (400, Some("`after` counts from 1")));
    assert_eq!(world.control("PATCH", "hold", &Value::Null).await.0, 405);
}

#[tokio::test]
async fn what_the_service_does_to_a_connection_is_done_to_the_clients() {
    let behind = bound().await;
    let aws = before(&behind).await;
    let call = tokio::spawn(async move { ask(aws, &request("GET", "/", "")).await });
    let (stream, _) = behind.accept().await.expect("a connection");
    stream.set_zero_linger().expect("linger");
    drop(stream);
    assert_eq!(call.await.expect("ends"), Err(ErrorKind::ConnectionReset));
    drop(behind);
    let refused = ask(aws, &request("GET", "/", "")).await;
    assert_eq!(refused, Err(ErrorKind::ConnectionReset), "nobody listens");
}
