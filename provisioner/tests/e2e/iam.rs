//! The job with exactly the rights of docs/iam/bootstrap.json, and without each action that it calls itself.
//!
//! Actions are enforced here; resources and conditions are not, and what `CloudFormation` calls is not checked.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::leftovers::leave_things_behind;
use crate::story::{BARE, TEARDOWN};
use crate::support::Sandbox;

/// Always allowed, whatever policies say.
const FREE: &str = "sts:GetCallerIdentity";

/// A user of the account whose policy is what the test says.
struct Operator<'a> {
    sandbox: &'a Sandbox,
    key: String,
    secret: String,
}

impl<'a> Operator<'a> {
    /// In an empty account that enforces IAM.
    fn hired(sandbox: &'a Sandbox, policy: &Value) -> Self {
        sandbox.reset();
        sandbox.configure(
            &json!({"enforce_iam": true, "eks_leak_security_group": true, "eks_leak_network_interfaces": true}),
        );
        sandbox.aws("iam", "create_user(UserName='operator')");
        let document = policy.to_string();
        let put = format!("put_user_policy(UserName='operator', PolicyName='job', PolicyDocument='{document}')");
        sandbox.aws("iam", &put);
        let made = sandbox.aws("iam", "create_access_key(UserName='operator')");
        let text = |name: &str| made["AccessKey"][name].as_str().expect("a key").to_owned();
        Self {
            sandbox,
            key: text("AccessKeyId"),
            secret: text("SecretAccessKey"),
        }
    }

    /// Runs a command; what it said where it failed.
    fn runs(&self, args: &[&str]) -> Result<(), String> {
        let keys = [
            ("AWS_ACCESS_KEY_ID", self.key.as_str()),
            ("AWS_SECRET_ACCESS_KEY", self.secret.as_str()),
        ];
        self.sandbox.try_with(args, &keys).map(drop)
    }

    /// The whole job, up to the first failure.
    fn does_the_job(&self) -> Result<BTreeSet<String>, String> {
        let mut called = BTreeSet::new();
        for (args, prepare) in [
            (BARE.as_slice(), false),
            (BARE.as_slice(), false),
            (TEARDOWN.as_slice(), true),
        ] {
            if prepare {
                leave_things_behind(self.sandbox);
            }
            self.sandbox.forget_requests();
            self.runs(args)?;
            called.extend(self.sandbox.called_actions());
        }
        Ok(called)
    }
}

/// The shipped policy's actions. The endpoint compares resources and conditions with nothing that a request has.
fn policy() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/iam/bootstrap.json");
    let mut policy: Value = serde_json::from_str(&std::fs::read_to_string(path).expect("the policy")).expect("JSON");
    for statement in policy["Statement"].as_array_mut().expect("statements") {
        let statement = statement.as_object_mut().expect("an object");
        statement.remove("Condition");
        statement.insert("Resource".to_owned(), json!("*"));
    }
    policy
}

/// The policy with one action taken out.
fn without(action: &str) -> Value {
    let mut policy = policy();
    for statement in policy["Statement"].as_array_mut().expect("statements") {
        let actions = statement["Action"].as_array_mut().expect("actions");
        actions.retain(|one| one != action);
    }
    policy
}

/// What the job calls when it may do everything that the shipped policy allows.
fn called(sandbox: &Sandbox) -> Vec<String> {
    let called = Operator::hired(sandbox, &policy()).does_the_job();
    let mut called = called.unwrap_or_else(|said| panic!("the shipped policy does not suffice: {said}"));
    called.remove(FREE);
    called.into_iter().collect()
}

/// The job fails and names the action that is missing.
fn is_named(sandbox: &Sandbox, action: &str) -> Result<(), String> {
    match Operator::hired(sandbox, &without(action)).does_the_job() {
        Ok(_) => Err("the job succeeded without it".to_owned()),
        Err(said) if said.contains(action) => Ok(()),
        Err(said) => Err(format!("not named: {said}")),
    }
}

fn check(sandbox: &Sandbox, actions: &[String]) {
    let verdicts = actions.iter().map(|action| (action, is_named(sandbox, action)));
    let wrong: BTreeMap<_, _> = verdicts
        .filter_map(|(action, verdict)| Some((action, verdict.err()?)))
        .collect();
    sandbox.reset();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_job_runs_with_the_shipped_policy() {
    let sandbox = Sandbox::from_env();
    let all = called(&sandbox);
    println!("{} actions: {}", all.len(), all.join(" "));
    sandbox.reset();
}

#[test]
#[ignore = "minutes: `make test-full` runs it"]
fn every_action_that_is_missing_is_named() {
    let sandbox = Sandbox::from_env();
    let all = called(&sandbox);
    println!("{} actions: {}", all.len(), all.join(" "));
    check(&sandbox, &all);
}
