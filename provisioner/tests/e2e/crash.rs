//! Killed after any outgoing call, to AWS, registry or cluster, and run again: converged.
//!
//! The front counts the calls and holds the answer of the k-th: its work is done, and the tool, killed then, never
//! learns of it.

use std::collections::BTreeSet;
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kills::Kind;
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

/// How many calls an undisturbed run makes, and what kinds of them change something.
fn calls(sandbox: &Sandbox, args: &[&str]) -> (u64, BTreeSet<Kind>) {
    sandbox.forget_requests();
    sandbox.hold(&json!({"after": null}));
    sandbox.run(args);
    let seen = sandbox.held()["seen"].as_u64().expect("a count");
    sandbox.let_go();
    (seen, sandbox.changes())
}

/// Kills a run when its k-th call was done; false where it came to its end before.
fn killed_after(sandbox: &Sandbox, args: &[&str], k: u64) -> bool {
    sandbox.forget_requests();
    sandbox.hold(&json!({"after": k}));
    let reached = killed_when(sandbox, args, || sandbox.held()["holding"] == true);
    sandbox.let_go();
    reached
}

/// Kills a run as soon as `reached`; false where it came to its end before.
fn killed_when(sandbox: &Sandbox, args: &[&str], reached: impl Fn() -> bool) -> bool {
    let mut child = sandbox.started(args);
    let killed = comes_to(&mut child, reached);
    if killed {
        child.kill().expect("it is killed");
    }
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(killed || output.status.success(), "before its point: {said}");
    killed
}

/// Whether a run comes to a point; false where it ended before.
fn comes_to(child: &mut Child, reached: impl Fn() -> bool) -> bool {
    let give_up = Instant::now() + PATIENCE;
    while child.try_wait().expect("a status").is_none() {
        if reached() {
            return true;
        }
        assert!(Instant::now() < give_up, "neither at its point nor at its end");
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

/// Kills at every point, each run starting from what the killed ones before left. Answers the number of points, and the
/// kinds of changing calls that were the last of a run.
fn every_point(sandbox: &Sandbox, args: &[&str]) -> (u64, BTreeSet<Kind>) {
    let (mut k, mut last) = (1, BTreeSet::new());
    while killed_after(sandbox, args, k) {
        last.extend(sandbox.last_change());
        k += 1;
    }
    (k - 1, last)
}

/// Kills a run when its first call of a kind was done.
fn killed_at(sandbox: &Sandbox, args: &[&str], kind: &Kind) {
    sandbox.forget_requests();
    sandbox.inject(&json!([kind.held()]));
    let reached = killed_when(sandbox, args, || sandbox.met_fault());
    sandbox.inject(&json!([]));
    assert!(reached, "{kind:?} was never called");
}

#[test]
fn a_run_killed_at_sampled_calls_is_finished_by_the_next() {
    let sandbox = Sandbox::from_env();
    prepare(&sandbox);
    let (bootstrap, _) = calls(&sandbox, &BOOTSTRAP);
    let expected = world(&sandbox);
    let (teardown, _) = calls(&sandbox, &TEARDOWN);
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
#[ignore = "minutes: `make test-full` runs it"]
fn a_run_killed_after_any_call_is_finished_by_the_next() {
    let sandbox = Sandbox::from_env();
    prepare(&sandbox);
    let (_, mut making) = calls(&sandbox, &BOOTSTRAP);
    let expected = world(&sandbox);
    let (_, mut removing) = calls(&sandbox, &TEARDOWN);
    let (points, last) = every_point(&sandbox, &BOOTSTRAP);
    converges(&sandbox, &expected);
    making.retain(|kind| !last.contains(kind));
    println!(
        "bootstrap: killed after each of {points} calls, {} kinds of changes among them",
        last.len()
    );
    let (points, last) = every_point(&sandbox, &TEARDOWN);
    is_gone(&sandbox);
    removing.retain(|kind| !last.contains(kind));
    println!(
        "teardown: killed after each of {points} calls, {} kinds of changes among them",
        last.len()
    );
    println!(
        "from nothing: bootstrap killed at {} kinds more, teardown at {}",
        making.len(),
        removing.len()
    );
    for kind in &making {
        println!("bootstrap is killed at {kind:?}");
        killed_at(&sandbox, &BOOTSTRAP, kind);
        converges(&sandbox, &expected);
        is_gone(&sandbox);
    }
    for kind in &removing {
        println!("teardown is killed at {kind:?}");
        sandbox.run(&BOOTSTRAP);
        killed_at(&sandbox, &TEARDOWN, kind);
        is_gone(&sandbox);
    }
    sandbox.reset();
}

#[test]
#[ignore = "minutes: `make test-full` runs it"]
fn a_run_killed_while_it_removes_a_component_is_finished_by_the_next() {
    let sandbox = Sandbox::from_env();
    prepare(&sandbox);
    sandbox.run(&BOOTSTRAP);
    let without = [&BOOTSTRAP[..], &["--without", "kube-state-metrics"]].concat();
    let (_, kinds) = calls(&sandbox, &without);
    let expected = world(&sandbox);
    assert!(kinds.iter().any(Kind::is_deletion), "{kinds:?}");
    for kind in kinds.iter().filter(|kind| kind.is_deletion()) {
        println!("it is killed at {kind:?}");
        sandbox.run(&BOOTSTRAP);
        killed_at(&sandbox, &without, kind);
        sandbox.run(&without);
        assert_eq!(world(&sandbox), expected);
        let summary = sandbox.json(&without);
        for outcome in ["created", "updated", "deleted"] {
            assert_eq!(summary["changes"][outcome], 0, "{summary}");
        }
    }
    is_gone(&sandbox);
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
