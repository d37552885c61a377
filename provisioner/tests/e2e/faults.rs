//! What networks and busy services do to each AWS operation that the tool calls: it goes on by itself.

use std::collections::BTreeSet;

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

/// Plays the job, where the first call of each operation meets the fault; answers the number of operations.
fn every_operation_meets(sandbox: &Sandbox, fault: &Value, again: Again) -> usize {
    job::account(sandbox);
    let (mut called, mut met) = (BTreeSet::new(), BTreeSet::new());
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
    }
    assert_eq!(met, called, "operations that met {fault}, and all that were called");
    assert_eq!(sandbox.inventory(), json!({}));
    sandbox.reset();
    met.len()
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
    let operations = every_operation_meets(&Sandbox::from_env(), &json!({"kind": "throttle"}), Again::EachAct);
    println!("{operations} operations");
}

#[test]
fn every_operation_is_tried_again_when_the_service_fails() {
    let operations = every_operation_meets(&Sandbox::from_env(), &json!({"kind": "error"}), Again::EachAct);
    println!("{operations} operations");
}

#[test]
fn every_operation_is_tried_again_when_its_connection_is_lost() {
    let operations = every_operation_meets(&Sandbox::from_env(), &json!({"kind": "reset"}), Again::EachAct);
    println!("{operations} operations");
}

#[test]
fn work_whose_answer_was_lost_is_not_done_twice() {
    let lost = json!({"kind": "reset", "after": true});
    let operations = every_operation_meets(&Sandbox::from_env(), &lost, Again::EachAct);
    println!("{operations} operations");
}

#[test]
#[ignore = "half a minute per operation: `make test-full` runs it"]
fn every_operation_is_tried_again_when_nothing_answers() {
    let silence = json!({"kind": "timeout", "delay_s": TOO_LONG});
    let operations = every_operation_meets(&Sandbox::from_env(), &silence, Again::Never);
    println!("{operations} operations");
}
