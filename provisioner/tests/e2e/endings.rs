//! Runs that end before their end: what they say about what exists and costs, and that the next run goes on.

use serde_json::json;

use crate::story::{BOOTSTRAP, TEARDOWN};
use crate::support::Sandbox;

#[test]
fn a_bootstrap_that_ends_early_says_what_exists_and_costs_and_goes_on() {
    let sandbox = Sandbox::from_env();
    sandbox.reset();
    a_session_that_ends_on_the_way_is_told_with_the_way_on(&sandbox);
    an_interrupted_creation_tells_its_cost(&sandbox);
    let removed = sandbox.json(&TEARDOWN);
    assert!(removed["cost"]["total"].is_number(), "{removed}");
    assert_eq!(sandbox.inventory(), json!({}));
    sandbox.reset();
}

fn a_session_that_ends_on_the_way_is_told_with_the_way_on(sandbox: &Sandbox) {
    let over = json!([{
        "service": "eks", "operation": "CreateCluster", "kind": "error", "status": 403, "code": "ExpiredTokenException",
        "message": "The security token included in the request is expired",
    }]);
    sandbox.inject(&over);
    let said = sandbox.refused(
        &BOOTSTRAP,
        1,
        "the AWS session ended on the way: cannot create cluster `demo`",
    );
    for line in [
        "remains:    foundation provisioner-demo",
        "to resume:  provisioner bootstrap --cluster demo",
        "hint: sign in again",
    ] {
        assert!(said.contains(line), "no `{line}` in: {said}");
    }
}

fn an_interrupted_creation_tells_its_cost(sandbox: &Sandbox) {
    sandbox.configure(&json!({"eks_create_s": 10}));
    sandbox.forget_requests();
    // Asked for, and looked at since.
    let creating = || {
        let operations = sandbox.operations();
        let count = |name: &str| operations.iter().filter(|operation| *operation == name).count();
        count("CreateCluster") == 1 && count("DescribeCluster") >= 3
    };
    let said = sandbox.interrupted(&BOOTSTRAP, creating);
    for line in [
        "error: interrupted",
        "may exist:  cluster `demo`",
        "costs:      about $0.28 an hour",
        "to resume:  provisioner bootstrap --cluster demo",
        "to remove:  provisioner teardown --cluster demo",
    ] {
        assert!(said.contains(line), "no `{line}` in: {said}");
    }
}
