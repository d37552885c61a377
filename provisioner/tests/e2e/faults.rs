//! What networks and busy services do to each AWS operation that the tool calls: it goes on by itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::job;
use crate::support::Sandbox;

/// Longer than the tool waits for the answer to one attempt, in seconds.
const TOO_LONG: u64 = 32;

/// When an operation meets its fault again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    /// In every act of the job.
    EachAct,
    /// Never.
    Never,
}

/// What a job met and left.
struct Played {
    /// How many operations met the fault.
    operations: usize,
    /// How much of everything there was after each act.
    left: Vec<BTreeMap<String, usize>>,
}

/// Plays the job, where the first call of each operation meets the fault.
fn every_operation_meets(sandbox: &Sandbox, fault: &Value, again: Again) -> Played {
    job::account(sandbox);
    let (mut called, mut met, mut left) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for act in job::acts() {
        act.prepare(sandbox);
        let spared: Vec<&str> = met
            .iter()
            .filter(|_| again == Again::Never)
            .map(String::as_str)
            .collect();
        sandbox.inject(&json!([on_each(fault, &spared)]));
        let ended = act.play(sandbox, &[]);
        sandbox.inject(&json!([]));
        ended.unwrap_or_else(|said| panic!("{fault}: {said}"));
        for call in sandbox.calls() {
            if call.met_fault {
                met.insert(call.operation.clone());
            }
            called.insert(call.operation);
        }
        left.push(counted(&sandbox.inventory()));
    }
    assert_eq!(met, called, "operations that met {fault}, and all that were called");
    assert_eq!(left.last(), Some(&BTreeMap::new()), "nothing is left after {fault}");
    sandbox.reset();
    Played {
        operations: met.len(),
        left,
    }
}

/// The same without faults.
fn undisturbed(sandbox: &Sandbox) -> Vec<BTreeMap<String, usize>> {
    job::account(sandbox);
    let mut left = Vec::new();
    for act in job::acts() {
        act.prepare(sandbox);
        act.play(sandbox, &[]).expect("it ends as it should");
        left.push(counted(&sandbox.inventory()));
    }
    sandbox.reset();
    left
}

/// How many there are of each kind.
fn counted(inventory: &Value) -> BTreeMap<String, usize> {
    let kinds = inventory.as_object().expect("an object").iter();
    let count = |(kind, all): (&String, &Value)| (kind.clone(), all.as_array().map_or(1, Vec::len));
    kinds.map(count).collect()
}

/// The fault on the first call of each operation but those.
fn on_each(fault: &Value, spared: &[&str]) -> Value {
    let mut fault = fault.clone();
    // The authenticator's question is none of the tool's calls.
    let others = [&["Presigned.*"], spared].concat().join("|");
    fault["operation"] = json!(format!("(?!({others})$).*"));
    fault["each"] = json!(true);
    fault
}

#[test]
fn every_operation_is_tried_again_when_throttled() {
    let played = every_operation_meets(&Sandbox::from_env(), &json!({"kind": "throttle"}), Again::EachAct);
    println!("{} operations", played.operations);
}

#[test]
fn every_operation_is_tried_again_when_the_service_fails() {
    let played = every_operation_meets(&Sandbox::from_env(), &json!({"kind": "error"}), Again::EachAct);
    println!("{} operations", played.operations);
}

#[test]
fn every_operation_is_tried_again_when_its_connection_is_lost() {
    let played = every_operation_meets(&Sandbox::from_env(), &json!({"kind": "reset"}), Again::EachAct);
    println!("{} operations", played.operations);
}

#[test]
fn work_whose_answer_was_lost_is_not_done_twice() {
    let sandbox = Sandbox::from_env();
    let lost = json!({"kind": "reset", "after": true});
    let played = every_operation_meets(&sandbox, &lost, Again::EachAct);
    println!("{} operations", played.operations);
    assert_eq!(
        played.left,
        undisturbed(&sandbox),
        "as much of everything as without the losses"
    );
}

#[test]
#[ignore = "half a minute per operation: `make test-full` runs it"]
fn every_operation_is_tried_again_when_nothing_answers() {
    let silence = json!({"kind": "timeout", "delay_s": TOO_LONG});
    let played = every_operation_meets(&Sandbox::from_env(), &silence, Again::Never);
    println!("{} operations", played.operations);
}
