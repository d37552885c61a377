//! The API server is killed and started again while the tool works: a short outage is waited out, a long one is an error that tells the
//! way on, and the next run goes on.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::crash::at_once;
use crate::story::{BARE, BOOTSTRAP, TEARDOWN};
use crate::support::Sandbox;

const API_SERVER: &str = "kube-apiserver";
/// Longer than the tool tries one request, and than its Lease lasts without a renewal.
const LONG: Duration = Duration::from_secs(45);
/// How long a run may take once the API server answers again.
const PATIENCE: Duration = Duration::from_mins(4);
/// What is applied and deleted late enough that a part of the stack is there, and early enough that a part is not.
const WORKLOAD: &str = "/apis/apps/v1/namespaces/[^/]+/deployments/[^/]+";

/// One story, since each part starts from what the one before left.
#[test]
#[ignore = "minutes: `make test-full` runs it"]
fn a_run_outlives_an_api_server_that_is_killed() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    sandbox.configure(&at_once());
    sandbox.json(&BARE);
    // Built and pushed before: no outage comes into that.
    sandbox.run(&["push", "--cluster", "demo"]);
    a_long_outage_is_an_error_that_tells_the_way_on(&sandbox);
    a_short_one_in_the_middle_of_applying_is_waited_out(&sandbox);
    a_short_one_in_the_middle_of_waiting_is_waited_out(&sandbox);
    a_short_one_in_the_middle_of_deleting_is_waited_out(&sandbox);
    sandbox.reset();
}

fn a_long_outage_is_an_error_that_tells_the_way_on(sandbox: &Sandbox) {
    let run = killed_at(sandbox, &BOOTSTRAP, ("PATCH", LONG));
    let (code, said) = run.end();
    assert_eq!(code, Some(1), "{said}");
    for part in [
        "error: ",
        "remains: ",
        "to resume:  provisioner bootstrap --cluster demo",
        "to remove:  provisioner teardown --cluster demo",
    ] {
        assert!(said.contains(part), "no `{part}` in: {said}");
    }
}

fn a_short_one_in_the_middle_of_applying_is_waited_out(sandbox: &Sandbox) {
    succeeds(killed_at(sandbox, &BOOTSTRAP, ("PATCH", Duration::ZERO)));
    nothing_is_left_to_do(sandbox);
}

fn a_short_one_in_the_middle_of_waiting_is_waited_out(sandbox: &Sandbox) {
    sandbox.kubectl(&["delete", "deployments", "--all", "-n", "monitoring", "--wait"]);
    let run = Run::start(sandbox, &BOOTSTRAP);
    sandbox.until("pods are waited for", || run.said().contains("waiting   Deployment"));
    sandbox.restart(API_SERVER, Duration::ZERO);
    succeeds(run);
    nothing_is_left_to_do(sandbox);
}

fn a_short_one_in_the_middle_of_deleting_is_waited_out(sandbox: &Sandbox) {
    succeeds(killed_at(sandbox, &TEARDOWN, ("DELETE", Duration::ZERO)));
    assert_eq!(sandbox.inventory(), json!({}));
    assert_eq!(sandbox.labelled(), "");
}

/// Runs the tool, and kills the API server while its first change to a Deployment is on its way.
fn killed_at(sandbox: &Sandbox, args: &[&str], (method, down): (&str, Duration)) -> Run {
    sandbox.forget_requests();
    sandbox.inject(&json!([{
        "service": "kubernetes", "operation": format!("{method} {WORKLOAD}"), "kind": "delay", "delay_s": 5
    }]));
    let run = Run::start(sandbox, args);
    sandbox.until(&format!("a Deployment meets its {method}"), || sandbox.met_fault());
    sandbox.restart(API_SERVER, down);
    sandbox.inject(&json!([]));
    run
}

#[track_caller]
fn succeeds(run: Run) {
    let (code, said) = run.end();
    assert_eq!(code, Some(0), "{said}");
}

#[track_caller]
fn nothing_is_left_to_do(sandbox: &Sandbox) {
    let summary = sandbox.json(&BOOTSTRAP);
    let changes = &summary["changes"];
    assert!(summary["chain"].is_object(), "{summary}");
    assert_eq!(
        (&changes["created"], &changes["updated"]),
        (&json!(0), &json!(0)),
        "{summary}"
    );
}

/// A run of the tool whose words can be read while it goes on.
struct Run {
    child: Child,
    errors: tempfile::NamedTempFile,
}

impl Run {
    fn start(sandbox: &Sandbox, args: &[&str]) -> Self {
        let errors = tempfile::NamedTempFile::new().expect("a file");
        let file = errors.reopen().expect("opened");
        let mut command = sandbox.command(args, &[]);
        let child = command.stdout(Stdio::null()).stderr(file).spawn();
        Self {
            child: child.expect("the tool starts"),
            errors,
        }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.errors.path()).expect("text")
    }

    /// Its exit code and all that it said.
    #[track_caller]
    fn end(mut self) -> (Option<i32>, String) {
        let give_up = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a status") {
                return (status.code(), self.said());
            }
            assert!(Instant::now() < give_up, "it does not end: {}", self.said());
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Run {
    /// A test that gave up leaves no run behind.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
