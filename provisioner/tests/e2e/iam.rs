//! The job with exactly the rights of docs/iam/bootstrap.json, and without each action that it calls itself.
//!
//! Actions are enforced here; resources and conditions are not, and what `CloudFormation` calls is not checked.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::job;
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
        job::account(sandbox);
        sandbox.configure(&json!({"enforce_iam": true}));
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

    /// The whole job, up to the first failure.
    fn does_the_job(&self) -> Result<BTreeSet<String>, String> {
        let keys = [
            ("AWS_ACCESS_KEY_ID", self.key.as_str()),
            ("AWS_SECRET_ACCESS_KEY", self.secret.as_str()),
        ];
        job::play(self.sandbox, &keys)
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
    // IAM takes no statement without actions.
    let statements = policy["Statement"].as_array_mut().expect("statements");
    statements.retain(|statement| statement["Action"] != json!([]));
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

/// Actions of the policy that no call of the job here bears the name of, with the reason.
fn is_used_elsewhere(action: &str) -> bool {
    let of_layers_and_manifests = ["Layer", "ecr:BatchGetImage", "ecr:PutImage"];
    let on_creation = ["TagResource", "iam:PassRole", "iam:CreateServiceLinkedRole"];
    // What a registry's HTTP calls need on ECR, and what creating calls need beside their own action.
    let unnamed = action != "ecr:PutImageTagMutability"
        && (of_layers_and_manifests.iter().any(|part| action.contains(part))
            || on_creation.iter().any(|end| action.ends_with(end)));
    unnamed || include_str!("../../../docs/iam/cloudformation.md").contains(&format!("| `{action}` |"))
}

#[test]
fn the_job_runs_with_the_shipped_policy_and_needs_all_of_it() {
    let sandbox = Sandbox::from_env();
    let all = called(&sandbox);
    println!("{} actions: {}", all.len(), all.join(" "));
    sandbox.reset();
    let allowed = policy();
    let statements = allowed["Statement"].as_array().expect("statements").iter();
    let actions = statements.flat_map(|statement| statement["Action"].as_array().expect("actions"));
    let unused: Vec<&str> = actions
        .filter_map(Value::as_str)
        .filter(|action| !all.iter().any(|one| one == action) && !is_used_elsewhere(action))
        .collect();
    assert!(unused.is_empty(), "nothing needs {unused:?}");
    let tagged = all
        .iter()
        .find(|action| action.contains(":Tag") || action.contains("Untag") || action.contains("AddTags"));
    assert_eq!(tagged, None, "tags go with what makes something, and with it alone");
}

#[test]
#[ignore = "minutes: `make test-full` runs it; `IAM_ACTION` names a single one"]
fn every_action_that_is_missing_is_named() {
    let sandbox = Sandbox::from_env();
    let all = match std::env::var("IAM_ACTION") {
        Ok(one) => vec![one],
        Err(_) => called(&sandbox),
    };
    println!("{} actions: {}", all.len(), all.join(" "));
    check(&sandbox, &all);
}
