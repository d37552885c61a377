//! Killed after any outgoing call, to AWS, registry or cluster, and run again: converged.
//!
//! The front counts the calls and holds the answer of the k-th: its work is done, and the tool, killed then, never
//! learns of it.

use std::collections::BTreeSet;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::story::{BOOTSTRAP, TEARDOWN};
use crate::support::Sandbox;

/// How long a run may take to come to its call.
const PATIENCE: Duration = Duration::from_mins(3);
/// Points of the short run, per command.
const SAMPLE: u64 = 3;
/// What chooses them where `CRASH_SEED` does not: the same in every run, so that a change is to blame for a failure.
const SEED: u64 = 219_725;

/// What a command left, to compare with what an undisturbed one leaves.
#[derive(Debug, PartialEq)]
struct World {
    inventory: Value,
    objects: BTreeSet<String>,
}

fn world(sandbox: &Sandbox) -> World {
    let objects = sandbox.labelled();
    // Pods and replica sets have names of their own in every run.
    let lasting = objects
        .lines()
        .filter(|name| !name.starts_with("pod/") && !name.contains("replicaset"));
    World {
        inventory: sandbox.inventory()["ecr"].clone(),
        objects: lasting.map(str::to_owned).collect(),
    }
}

/// The configuration of an account where nothing takes time.
pub(crate) fn at_once() -> Value {
    json!({
        "eks_create_s": 0, "eks_delete_s": 0, "eks_update_s": 0, "addon_create_s": 0, "addon_delete_s": 0,
        "nodegroup_create_s": 0, "nodegroup_delete_s": 0, "cfn_create_s": 0, "cfn_update_s": 0, "cfn_delete_s": 0
    })
}

fn prepare(sandbox: &Sandbox) {
    sandbox.reset();
    sandbox.configure(&at_once());
}

/// How many calls an undisturbed run makes.
fn calls(sandbox: &Sandbox, args: &[&str]) -> u64 {
    sandbox.hold(&json!({"after": null}));
    sandbox.run(args);
    let seen = sandbox.held()["seen"].as_u64().expect("a count");
    sandbox.let_go();
    seen
}

/// Kills a run when its k-th call was done; false where it came to its end before.
fn killed_after(sandbox: &Sandbox, args: &[&str], k: u64) -> bool {
    sandbox.hold(&json!({"after": k}));
    let mut child = sandbox
        .command(args, &[])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tool starts");
    let reached = is_held(sandbox, &mut child);
    if reached {
        child.kill().expect("it is killed");
    }
    let output = child.wait_with_output().expect("it ends");
    sandbox.let_go();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(reached || output.status.success(), "before call {k}: {said}");
    reached
}

/// Whether the run is held at its call; false where it ended.
fn is_held(sandbox: &Sandbox, child: &mut Child) -> bool {
    let give_up = Instant::now() + PATIENCE;
    while child.try_wait().expect("a status").is_none() {
        if sandbox.held()["holding"] == true {
            return true;
        }
        assert!(
            Instant::now() < give_up,
            "neither held nor at its end: {}",
            sandbox.held()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

/// Bootstrap once more makes all of it, and then nothing is left to do.
fn converges(sandbox: &Sandbox, expected: &World) {
    sandbox.run(&BOOTSTRAP);
    assert_eq!(world(sandbox), *expected);
    sandbox.forget_requests();
    let summary = sandbox.json(&BOOTSTRAP);
    assert_eq!(
        (&summary["changes"]["created"], &summary["changes"]["updated"]),
        (&json!(0), &json!(0)),
        "{summary}"
    );
    assert_eq!(sandbox.mutating_requests(), Vec::<String>::new());
}

fn is_gone(sandbox: &Sandbox) {
    sandbox.run(&TEARDOWN);
    assert_eq!(sandbox.inventory(), json!({}));
    assert_eq!(sandbox.labelled(), "");
}

/// Kills at every point, each run starting from what the killed ones before left. Answers the number of points.
fn every_point(sandbox: &Sandbox, args: &[&str]) -> u64 {
    let mut k = 1;
    while killed_after(sandbox, args, k) {
        k += 1;
    }
    k - 1
}

#[test]
fn a_run_killed_at_sampled_calls_is_finished_by_the_next() {
    let sandbox = Sandbox::from_env();
    prepare(&sandbox);
    let bootstrap = calls(&sandbox, &BOOTSTRAP);
    let expected = world(&sandbox);
    let teardown = calls(&sandbox, &TEARDOWN);
    let mut chance = Chance::from_env();
    println!(
        "bootstrap makes {bootstrap} calls, teardown {teardown}; CRASH_SEED={}",
        chance.0
    );
    for k in chance.points(bootstrap) {
        println!("bootstrap is killed after call {k}");
        killed_after(&sandbox, &BOOTSTRAP, k);
    }
    converges(&sandbox, &expected);
    for k in chance.points(teardown) {
        println!("teardown is killed after call {k}");
        killed_after(&sandbox, &TEARDOWN, k);
    }
    is_gone(&sandbox);
    sandbox.reset();
}

#[test]
#[ignore = "an hour: `make test-full` runs it"]
fn a_run_killed_after_any_call_is_finished_by_the_next() {
    let sandbox = Sandbox::from_env();
    prepare(&sandbox);
    sandbox.run(&BOOTSTRAP);
    let expected = world(&sandbox);
    sandbox.run(&TEARDOWN);
    let points = every_point(&sandbox, &BOOTSTRAP);
    converges(&sandbox, &expected);
    println!("bootstrap: killed after each of {points} calls");
    let points = every_point(&sandbox, &TEARDOWN);
    is_gone(&sandbox);
    println!("teardown: killed after each of {points} calls");
    sandbox.reset();
}

/// A small generator: the points have to be chosen again from a printed seed, nothing more.
struct Chance(u64);

impl Chance {
    fn from_env() -> Self {
        let given = std::env::var("CRASH_SEED").ok().and_then(|seed| seed.parse().ok());
        Self(given.unwrap_or(SEED))
    }

    /// Calls among `1..=calls`, in order: each run begins where the one before was killed.
    fn points(&mut self, calls: u64) -> BTreeSet<u64> {
        (0..SAMPLE).map(|_| 1 + self.next() % calls).collect()
    }

    /// Knuth's linear congruential generator, of which the upper bits are good.
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
}
