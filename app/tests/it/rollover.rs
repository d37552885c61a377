//! One pod goes, another stays, a load runs: what a rollout or a scale-down does to clients.

use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use nix::sys::signal::Signal::SIGTERM;
use serde_json::{Value, json};

use crate::support::{Service, app, stderr, wait_exit, wait_for};

/// A Service in miniature: each new connection goes to the next pod that says it is ready, and stays there. Pods may be added
/// later.
fn forward_to_ready(pods: Arc<Mutex<Vec<SocketAddr>>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let turn = AtomicUsize::new(0);
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let pods = pods.lock().unwrap().clone();
            let ready: Vec<_> = pods.into_iter().filter(|pod| is_ready(*pod)).collect();
            let pod = TcpStream::connect(ready[turn.fetch_add(1, Ordering::Relaxed) % ready.len()]);
            let (client, pod) = (client, pod.unwrap());
            pipe(client.try_clone().unwrap(), pod.try_clone().unwrap());
            pipe(pod, client);
        }
    });
    address
}

fn is_ready(pod: SocketAddr) -> bool {
    let ask = || -> io::Result<String> {
        let mut stream = TcpStream::connect(pod)?;
        stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
        io::read_to_string(stream)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.0 200 "))
}

fn pipe(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        io::copy(&mut from, &mut to).ok();
        to.shutdown(Shutdown::Write).ok();
    });
}

#[test]
fn a_pod_that_drains_fails_no_request_of_clients_that_never_let_go() {
    let mut leaving = Service::start("--drain-delay 2s");
    let staying = Service::start("--pod web-2");
    // All of the load is on one pod until that leaves, however many connections it takes.
    let pods = Arc::new(Mutex::new(vec![leaving.address]));
    let service = forward_to_ready(Arc::clone(&pods));
    // Connections as long as the run: only the pods can end them.
    let load = app(&format!(
        "load --output json --url http://{service}/api/data --rate 100 --duration 5s"
    ))
    .args(["--max-requests-per-connection", "1000000", "--max-connection-age", "1h"])
    .args(["--timeout", "20s", "--max-failed", "0", "--max-resent", "0"])
    .stdout(Stdio::piped())
    .stderr(Stdio::null())
    .spawn()
    .unwrap();
    wait_for("the load to reach the pod that leaves", || {
        let total = leaving.requests_total();
        let count: u32 = total[0].rsplit_once(' ')?.1.parse().ok()?;
        (count >= 20).then_some(())
    });
    pods.lock().unwrap().push(staying.address);
    leaving.signal(SIGTERM);
    // Who has not heard of it yet is answered, and told not to come again.
    wait_for("readiness to go off", || {
        (leaving.get("/readyz").status == 503).then_some(())
    });
    let late = leaving.get("/api/data");
    assert_eq!((late.status, late.header("connection")), (200, Some("close")));
    assert_eq!(wait_exit(&mut leaving.child).code(), Some(0));
    let output = load.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{report}");
    assert_eq!(
        (&report["requests"], &report["failed"], &report["resent"]),
        (&json!(500), &json!(0), &json!(0)),
        "{report}"
    );
    let answered = |pod| report["per_pod"][pod].as_u64().unwrap();
    assert!(answered("web-1") >= 20 && answered("web-2") > 0, "{report}");
    assert_eq!(answered("web-1") + answered("web-2"), 500, "{report}");
}

#[test]
fn a_pod_that_comes_later_gets_its_share_and_its_first_answer_is_told() {
    let first = Service::start("");
    let pods = Arc::new(Mutex::new(vec![first.address]));
    let service = forward_to_ready(Arc::clone(&pods));
    let load = app(&format!(
        "load --output json --progress json --url http://{service}/ --rate 100 --duration 4s"
    ))
    .args(["--timeout", "20s", "--max-failed", "0"])
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    wait_for("the load to reach the first pod", || {
        (!first.requests_total()[0].ends_with(" 0")).then_some(())
    });
    let second = Service::start("--pod web-2");
    pods.lock().unwrap().push(second.address);
    let output = load.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{report}");
    let lines: Vec<Value> = stderr(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |kind: &'static str| lines.iter().filter(move |line| line["type"] == kind);
    // Who was first, and when: the same on the way and at the end.
    let hits: Vec<_> = of("first_hit").map(|line| &line["pod"]).collect();
    assert_eq!(hits, ["web-1", "web-2"]);
    let first_hit = |pod| report["first_hit_s"][pod].as_f64().unwrap();
    assert!(first_hit("web-1") < first_hit("web-2"), "{report}");
    // The seconds add up to the whole, and so does the last one's total.
    let sum = |count: fn(&Value) -> &Value| of("second").filter_map(|line| count(line).as_u64()).sum::<u64>();
    assert_eq!((sum(|line| &line["sent"]), sum(|line| &line["done"])), (400, 400));
    assert_eq!(of("second").next_back().unwrap()["total"]["done"], 400);
    assert_eq!(sum(|line| &line["per_pod"]["web-2"]), report["per_pod"]["web-2"]);
    assert!(of("second").count() >= 4, "{lines:?}");
    assert!(report["per_pod"]["web-2"].as_u64().unwrap() > 50, "{report}");
    assert_eq!(report["imbalance"]["pods"], 2, "{report}");
}
