//! What AWS refuses or cannot do, and what somebody protects: said with its cause and the way on, and nothing is lost.

use serde_json::{Value, json};

use crate::crash::at_once;
use crate::story::{BARE, TEARDOWN};
use crate::support::Sandbox;

#[test]
fn what_aws_refuses_or_cannot_do_is_said_with_its_cause_and_the_way_on() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    sandbox.configure(&at_once());
    a_call_that_is_never_allowed_is_made_once(&sandbox);
    a_network_that_cannot_be_made_is_explained_and_made_again(&sandbox);
    a_cluster_that_failed_is_explained_and_removed(&sandbox);
    sandbox.reset();
}

fn a_call_that_is_never_allowed_is_made_once(sandbox: &Sandbox) {
    sandbox.inject(&json!([{
        "service": "eks", "operation": "CreateCluster", "kind": "error", "status": 403, "times": null,
        "code": "AccessDeniedException",
        "message": "User: arn:aws:iam::123456789012:user/sandbox-admin is not authorized to perform: eks:CreateCluster",
    }]));
    sandbox.forget_requests();
    let said = sandbox.refused(&BARE, 1, "eks:CreateCluster");
    says(
        &said,
        &["docs/iam/bootstrap.json", "remains:    foundation provisioner-demo"],
    );
    let asked = sandbox.operations();
    assert_eq!(
        asked.iter().filter(|name| *name == "CreateCluster").count(),
        1,
        "{asked:?}"
    );
    sandbox.inject(&json!([]));
    sandbox.run(&TEARDOWN);
    assert_eq!(sandbox.inventory(), json!({}));
}

fn a_network_that_cannot_be_made_is_explained_and_made_again(sandbox: &Sandbox) {
    sandbox.configure(&json!({"cfn_create_fail": "^RouteTable$"}));
    let said = sandbox.refused(&BARE, 1, "foundation stack `provisioner-demo` is ROLLBACK_COMPLETE");
    says(&said, &["RouteTable"]);
    sandbox.configure(&json!({"cfn_create_fail": ""}));
    let summary = sandbox.json(&BARE);
    assert_eq!(summary["cluster"], "demo", "{summary}");
    sandbox.run(&TEARDOWN);
}

fn a_cluster_that_failed_is_explained_and_removed(sandbox: &Sandbox) {
    sandbox.configure(&json!({"eks_create_fail": "^demo$"}));
    let said = sandbox.refused(&BARE, 1, "cluster `demo` is FAILED");
    says(&said, &["to remove:  provisioner teardown --cluster demo"]);
    // It is still FAILED: the next run says the same and changes nothing.
    sandbox.forget_requests();
    sandbox.refused(&BARE, 1, "cluster `demo` is FAILED");
    assert_eq!(sandbox.mutating_requests(), Vec::<String>::new());
    sandbox.run(&TEARDOWN);
    assert_eq!(sandbox.inventory(), json!({}));
    sandbox.configure(&json!({"eks_create_fail": ""}));
}

#[test]
fn what_is_protected_stays_until_the_protection_is_lifted() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    sandbox.configure(&at_once());
    sandbox.json(&BARE);
    let protect = |on: &str| format!("update_cluster_config(name='demo', deletionProtection={on})");
    sandbox.aws("eks", &protect("True"));
    let receipt = sandbox.failed_json(&TEARDOWN);
    let left = &receipt["left"][0];
    assert_eq!(
        (&left["kind"], &left["name"]),
        (&json!("cluster"), &json!("demo")),
        "{receipt}"
    );
    says(
        text(left, "reason"),
        &["is protected from deletion", "aws eks update-cluster-config"],
    );
    assert_eq!(sandbox.inventory()["eks"], json!(["demo"]));
    sandbox.aws("eks", &protect("False"));
    let protect = |on: &str| {
        format!("update_termination_protection(StackName='provisioner-demo', EnableTerminationProtection={on})")
    };
    sandbox.aws("cloudformation", &protect("True"));
    let receipt = sandbox.failed_json(&TEARDOWN);
    let left = &receipt["left"][0];
    assert_eq!(left["kind"], "foundation", "{receipt}");
    says(
        text(left, "reason"),
        &[
            "is protected from deletion",
            "aws cloudformation update-termination-protection",
        ],
    );
    assert_eq!(sandbox.inventory()["eks"], Value::Null, "the cluster went");
    sandbox.aws("cloudformation", &protect("False"));
    sandbox.run(&TEARDOWN);
    assert_eq!(sandbox.inventory(), json!({}));
    sandbox.reset();
}

#[test]
fn a_teardown_beside_a_bootstrap_ends_both_clearly_and_leaves_nothing_after_itself() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    sandbox.configure(&at_once());
    sandbox.configure(&json!({"eks_create_s": 6}));
    let bootstrap = sandbox.started(&BARE);
    sandbox.until("the cluster is being created", || {
        sandbox.inventory()["eks"] == json!(["demo"])
    });
    sandbox.run(&TEARDOWN);
    let ended = bootstrap.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    says(
        &said,
        &[
            "error: ",
            "to resume:  provisioner bootstrap",
            "to remove:  provisioner teardown",
        ],
    );
    sandbox.run(&TEARDOWN);
    assert_eq!(sandbox.inventory(), json!({}));
    sandbox.reset();
}

#[track_caller]
fn says(said: &str, words: &[&str]) {
    for one in words {
        assert!(said.contains(one), "no `{one}` in: {said}");
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}
