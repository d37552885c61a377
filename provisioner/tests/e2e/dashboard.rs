//! The dashboard of a running stack: as a page, as a picture, and through forwarded ports, also when the pod behind one is replaced.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::story::{BOOTSTRAP, TEARDOWN};
use crate::support::{Sandbox, done};

/// `dashboard` under way, and where it serves.
struct Served {
    child: Child,
    url: String,
}

impl Served {
    fn start(sandbox: &Sandbox, flags: &[&str]) -> Self {
        let mut args = vec!["dashboard", "--cluster", "demo", "--output", "json"];
        args.extend(flags);
        let mut command = sandbox.command(&args, &[]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the tool starts");
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("its stdout");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let served: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let url = served["url"].as_str().expect("a URL").to_owned();
        Self { child, url }
    }

    /// What it answers, or what curl says of it.
    fn get(&self, path: &str) -> Result<String, String> {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--fail", "--max-time", "30"])
            .arg(format!("{}{path}", self.url));
        let output = curl.output().expect("curl starts");
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Ctrl-C is its good end.
    fn end(mut self) {
        done(Command::new("kill").args(["-INT", &self.child.id().to_string()]));
        let status = self.child.wait().expect("it ends");
        assert_eq!(status.code(), Some(0));
    }
}

#[test]
fn the_dashboard_of_a_running_stack_is_shown_drawn_and_forwarded() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    sandbox.json(&BOOTSTRAP);
    page_has_data(&sandbox);
    status_has_latency(&sandbox);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("board.png");
    let file = file.to_str().expect("UTF-8");
    let drawn = sandbox.json(&["dashboard", "--cluster", "demo", "--png", file, "--range", "5m"]);
    assert!(drawn["bytes"].as_u64() > Some(20_000), "{drawn}");
    port_survives_its_pod(&sandbox);
    sandbox.run(&TEARDOWN);
    sandbox.reset();
}

/// What needs no load has figures: pods, scrapes, what the HPA knows.
fn page_has_data(sandbox: &Sandbox) {
    let page = Served::start(sandbox, &[]);
    let give_up = Instant::now() + Duration::from_mins(1);
    let wanted = [
        "aria-label=\"Pods ready: 1\"",
        "aria-label=\"HPA: sees\"",
        "maximum 10",
        "up 1",
    ];
    loop {
        let html = page.get("/?range=5m").unwrap_or_else(|said| panic!("{said}"));
        let missing: Vec<&&str> = wanted.iter().filter(|text| !html.contains(**text)).collect();
        if missing.is_empty() {
            break;
        }
        assert!(Instant::now() < give_up, "{missing:?}: {html}");
        std::thread::sleep(Duration::from_secs(1));
    }
    page.end();
}

/// Prometheus answers the one question for p99 and errors, once there are requests.
fn status_has_latency(sandbox: &Sandbox) {
    sandbox.until("status tells p99 and errors", || {
        let service = "/api/v1/namespaces/web-app/services/web-app-service:8080/proxy/";
        sandbox.kubectl(&["get", "--raw", service]);
        let told = sandbox.json(&["status", "--cluster", "demo"]);
        told["p99_s"].as_f64() > Some(0.0) && told["error_ratio"] == 0.0
    });
}

/// A connection of its own leads to the pod that is ready then.
fn port_survives_its_pod(sandbox: &Sandbox) {
    let forward = Served::start(sandbox, &["--prometheus"]);
    assert!(forward.get("/-/ready").expect("an answer").contains("Ready"));
    let pods = ["-n", "monitoring", "get", "pods", "-l", "app=prometheus", "-o", "name"];
    let before = sandbox.kubectl(&pods);
    sandbox.kubectl(&["-n", "monitoring", "delete", before.trim(), "--wait=true"]);
    let give_up = Instant::now() + Duration::from_mins(2);
    while let Err(said) = forward.get("/-/ready") {
        assert!(Instant::now() < give_up, "the new pod is not reached: {said}");
        std::thread::sleep(Duration::from_millis(500));
    }
    assert_ne!(sandbox.kubectl(&pods), before);
    forward.end();
}
