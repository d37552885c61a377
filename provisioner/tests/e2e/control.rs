//! The sandbox's control: what the tool called, what is left, how the endpoints behave.

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

    /// The tool's calls to AWS since they were forgotten: the cluster's own and the endpoint's entries are left out.
    pub(crate) fn calls(&self) -> Vec<Call> {
        let journal = self.requests();
        let entries = journal.as_array().expect("an array").iter();
        let calls = entries.map(|entry| Call {
            service: entry["service"].as_str().expect("a service").to_owned(),
            operation: entry["operation"].as_str().expect("an operation").to_owned(),
            met_fault: entry["fault"].is_string(),
        });
        let others = ["kubernetes", "registry", "sandbox"];
        calls
            .filter(|call| !others.contains(&call.service.as_str()) && !call.operation.starts_with("Presigned"))
            .collect()
    }

    /// What the tool asked of AWS, in the order of the alphabet.
    pub(crate) fn operations(&self) -> Vec<String> {
        let mut operations: Vec<String> = self.calls().into_iter().map(|call| call.operation).collect();
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

    /// Calls to AWS that change something. (What is applied to Kubernetes and is the same there is sent all the same; see
    /// [`Self::resource_versions`].)
    pub(crate) fn mutating_requests(&self) -> Vec<String> {
        let operations = self.calls().into_iter().map(|call| call.operation);
        operations.filter(|operation| is_mutating(operation)).collect()
    }

    /// How many calls were made since they were forgotten, in all and by service.
    pub(crate) fn counted_calls(&self) -> String {
        let journal = self.requests();
        let entries = journal.as_array().expect("an array");
        let count = |service: &str| entries.iter().filter(|entry| entry["service"] == service).count();
        let (kubernetes, registry, aws) = (count("kubernetes"), count("registry"), self.calls().len());
        let all = aws + kubernetes + registry;
        format!("{all} calls: {aws} to AWS, {registry} to the registry, {kubernetes} to Kubernetes")
    }

    /// Every request since they were forgotten, as the journal has it.
    pub(crate) fn requests(&self) -> Value {
        self.control("GET", "requests")
    }
}

/// A call to AWS.
pub(crate) struct Call {
    pub(crate) service: String,
    pub(crate) operation: String,
    /// Whether a fault was injected into it.
    pub(crate) met_fault: bool,
}

impl Call {
    /// The IAM action that allows it.
    pub(crate) fn action(&self) -> String {
        let service = match self.service.as_str() {
            "elbv2" => "elasticloadbalancing",
            service => service,
        };
        format!("{service}:{}", self.operation)
    }
}

/// Whether an AWS operation changes something, by its verb.
pub(crate) fn is_mutating(operation: &str) -> bool {
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
