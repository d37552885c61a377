//! The sandbox's control: what the tool called, what is left, how the endpoints behave.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::support::{Sandbox, done};

impl Sandbox {
    pub(crate) fn control(&self, method: &str, what: &str) -> Value {
        self.control_with(method, what, "")
    }

    fn control_with(&self, method: &str, what: &str, body: &str) -> Value {
        let url = format!("{}/_sandbox/{what}", self.endpoint);
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--fail-with-body", "--max-time", "60", "-X", method, &url]);
        if !body.is_empty() {
            curl.args(["--data", body]);
        }
        serde_json::from_str(&done(&mut curl)).unwrap_or(Value::Null)
    }

    /// Changes how the AWS endpoint behaves; a reset ends it.
    pub(crate) fn configure(&self, change: &Value) {
        self.control_with("POST", "config", &change.to_string());
    }

    /// Makes AWS answer with faults.
    pub(crate) fn inject(&self, faults: &Value) {
        self.control_with("POST", "faults", &faults.to_string());
    }

    /// What the tool asked of AWS, in the order of the alphabet. What the cluster asks itself is left out.
    pub(crate) fn operations(&self) -> Vec<String> {
        let journal = self.control("GET", "requests");
        let entries = journal.as_array().expect("an array").iter();
        let on_aws = entries.filter(|r| r["service"] != "kubernetes" && r["service"] != "registry");
        let mut operations: Vec<String> = on_aws
            .filter_map(|r| r["operation"].as_str())
            .filter(|operation| !operation.starts_with("Presigned"))
            .map(str::to_owned)
            .collect();
        operations.sort();
        operations
    }

    /// Counts calls of the tool, and holds them as told.
    pub(crate) fn hold(&self, how: &Value) {
        self.control_with("POST", "hold", &how.to_string());
    }

    /// What was counted and is held.
    pub(crate) fn held(&self) -> Value {
        self.control("GET", "hold")
    }

    /// Resets the connections that are held.
    pub(crate) fn let_go(&self) {
        self.control("DELETE", "hold");
    }

    /// What is left on AWS; `{}` when nothing is.
    pub(crate) fn inventory(&self) -> Value {
        self.control("GET", "inventory")
    }

    /// Empties the journal of requests.
    pub(crate) fn forget_requests(&self) {
        self.control("DELETE", "requests");
    }

    /// The IAM actions of the AWS calls in the journal.
    pub(crate) fn called_actions(&self) -> BTreeSet<String> {
        let journal = self.control("GET", "requests");
        let entries = journal.as_array().expect("an array").iter();
        let actions = entries.filter_map(|entry| {
            let service = match entry["service"].as_str()? {
                "kubernetes" | "registry" | "sandbox" => return None,
                "elbv2" => "elasticloadbalancing",
                service => service,
            };
            Some(format!("{service}:{}", entry["operation"].as_str()?))
        });
        actions
            .filter(|action| !action.ends_with(":PresignedGetCallerIdentity"))
            .collect()
    }

    /// Requests to AWS in the journal that change something. (What is applied to Kubernetes and is the same there is sent
    /// all the same; see [`Self::resource_versions`].)
    pub(crate) fn mutating_requests(&self) -> Vec<String> {
        let journal = self.control("GET", "requests");
        let operations = journal
            .as_array()
            .expect("an array")
            .iter()
            .filter(|r| r["service"] != "kubernetes" && r["service"] != "registry")
            .filter_map(|r| r["operation"].as_str());
        operations.filter(|o| is_mutating(o)).map(str::to_owned).collect()
    }

    /// Every request to AWS since they were forgotten.
    pub(crate) fn requests(&self) -> Value {
        self.control("GET", "requests")
    }
}

/// Whether an AWS operation changes something, by its verb.
fn is_mutating(operation: &str) -> bool {
    !["Describe", "Get", "List", "BatchGet", "BatchCheck", "Presigned"]
        .iter()
        .any(|verb| operation.starts_with(verb))
}

#[test]
fn reads_are_not_mutating() {
    for (operation, mutating) in [
        ("DescribeCluster", false),
        ("GetCallerIdentity", false),
        ("CreateCluster", true),
    ] {
        assert_eq!(is_mutating(operation), mutating, "{operation}");
    }
}
