//! One pod goes, another stays, a load runs: what a rollout or a scale-down does to clients.

use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::thread;

use nix::sys::signal::Signal::SIGTERM;
use serde_json::{Value, json};

use crate::support::{Service, app, wait_exit, wait_for};

/// A Service in miniature: each new connection goes to the first pod that says it is ready, and stays there. So all of the load
/// is on one pod until that leaves, however many connections it takes.
fn forward_to_ready(pods: Vec<SocketAddr>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let ready = pods.iter().find(|pod| is_ready(**pod)).unwrap();
            let pod = TcpStream::connect(ready);
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
    let service = forward_to_ready(vec![leaving.address, staying.address]);
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
