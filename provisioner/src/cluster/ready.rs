//! Whether one object is in the state that was asked for: generic rules first, then by kind. Pure.

use kube::core::DynamicObject;
use serde_json::Value;

use super::authority;
use super::object::ObjectRef;

/// The state of an object, with a sentence where it is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// As asked for.
    Ready,
    /// On its way.
    Progressing(String),
    /// Waiting does not help.
    Failed(String),
}

use Readiness::{Failed, Progressing, Ready};

/// What an object of cert-manager says that its controller has not looked at.
pub(super) const NO_CERT_MANAGER: &str = "no controller has looked at it: are the pods of cert-manager running?";
/// Whom to look for where the metrics API is there and not trusted.
const NO_INJECTOR: &str = "cert-manager's cainjector writes whom the API server trusts: does its pod run?";

/// Reads the state from the object alone.
pub fn readiness(object: &DynamicObject) -> Readiness {
    if object.metadata.deletion_timestamp.is_some() {
        return Progressing("is being deleted".to_owned());
    }
    let status = &object.data["status"];
    if let (Some(wanted), Some(seen)) = (object.metadata.generation, int(&status["observedGeneration"]))
        && seen < wanted
    {
        return Progressing(format!("change {wanted} is not seen yet, only {seen}"));
    }
    let kind = ObjectRef::of(object);
    match (kind.group(), kind.kind.as_str()) {
        ("apps", "Deployment") => deployment(object),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps", "DaemonSet") => daemon_set(status),
        ("batch", "Job") => job(status),
        ("", "Pod") => pod(status),
        ("", "Namespace") => phase(status, "Active"),
        ("", "PersistentVolumeClaim") => phase(status, "Bound"),
        ("", "Service") => service(object),
        ("apiregistration.k8s.io", "APIService") => api_service(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => required(status, "Established"),
        (authority::GROUP, _) => issued(status),
        // What an HPA says about its metrics is the chain's business: it needs pods that are ready first.
        ("autoscaling", "HorizontalPodAutoscaler") => Ready,
        _ => other(status),
    }
}

fn deployment(object: &DynamicObject) -> Readiness {
    let status = &object.data["status"];
    if let Some(condition) = condition(status, "Progressing")
        && condition["reason"] == "ProgressDeadlineExceeded"
    {
        return Failed(sentence(condition));
    }
    if int(&status["observedGeneration"]).is_none() {
        return Progressing("is not seen by its controller yet".to_owned());
    }
    let wanted = int(&object.data["spec"]["replicas"]).unwrap_or(1);
    let count = |field: &str| int(&status[field]).unwrap_or(0);
    let (all, updated, available) = (count("replicas"), count("updatedReplicas"), count("availableReplicas"));
    if updated < wanted {
        return Progressing(format!("{updated} of {wanted} pods updated"));
    }
    if all > updated {
        return Progressing(format!("{} old pods still run", all - updated));
    }
    if available < updated {
        return Progressing(format!("{available} of {updated} pods available"));
    }
    Ready
}

fn stateful_set(object: &DynamicObject) -> Readiness {
    let status = &object.data["status"];
    if int(&status["observedGeneration"]).is_none() {
        return Progressing("is not seen by its controller yet".to_owned());
    }
    let wanted = int(&object.data["spec"]["replicas"]).unwrap_or(1);
    let ready = int(&status["readyReplicas"]).unwrap_or(0);
    if ready < wanted {
        return Progressing(format!("{ready} of {wanted} pods ready"));
    }
    if status["currentRevision"] != status["updateRevision"] {
        return Progressing("pods of the former revision still run".to_owned());
    }
    Ready
}

fn daemon_set(status: &Value) -> Readiness {
    let Some(wanted) = int(&status["desiredNumberScheduled"]) else {
        return Progressing("is not seen by its controller yet".to_owned());
    };
    let count = |field: &str| int(&status[field]).unwrap_or(0);
    let least = count("updatedNumberScheduled").min(count("numberAvailable"));
    if least < wanted {
        return Progressing(format!("{least} of {wanted} pods updated and available"));
    }
    Ready
}

fn job(status: &Value) -> Readiness {
    if let Some(failed) = condition(status, "Failed").filter(|c| c["status"] == "True") {
        return Failed(sentence(failed));
    }
    if condition(status, "Complete").is_some_and(|c| c["status"] == "True") {
        return Ready;
    }
    match int(&status["active"]) {
        Some(active) if active > 0 => Progressing("runs".to_owned()),
        _ => Progressing("has not started".to_owned()),
    }
}

fn pod(status: &Value) -> Readiness {
    if status["phase"] == "Succeeded" {
        return Ready;
    }
    if status["phase"] == "Failed" {
        let message = status["message"].as_str().or(status["reason"].as_str());
        return Failed(message.unwrap_or("has failed").to_owned());
    }
    required(status, "Ready")
}

fn service(object: &DynamicObject) -> Readiness {
    let balanced = object.data["spec"]["type"] == "LoadBalancer";
    let address = object.data.pointer("/status/loadBalancer/ingress/0");
    if balanced && address.is_none() {
        return Progressing("has no load balancer yet".to_owned());
    }
    Ready
}

/// cert-manager says of each object of its kinds whether it is ready, once it has looked.
fn issued(status: &Value) -> Readiness {
    match condition(status, "Ready") {
        None => Progressing(NO_CERT_MANAGER.to_owned()),
        Some(_) => required(status, "Ready"),
    }
}

/// An API whose bundle somebody else has to write is not trusted before.
fn api_service(object: &DynamicObject) -> Readiness {
    let status = &object.data["status"];
    let is_refused = condition(status, "Available").is_some_and(|c| c["reason"] == "FailedDiscoveryCheck");
    match required(status, "Available") {
        Progressing(said) if is_refused && authority::is_injected(object) => {
            Progressing(format!("{said}; {NO_INJECTOR}"))
        }
        state => state,
    }
}

fn phase(status: &Value, wanted: &str) -> Readiness {
    match status["phase"].as_str() {
        Some(phase) if phase == wanted => Ready,
        Some(phase) => Progressing(format!("is {phase}")),
        None => Progressing("has no state yet".to_owned()),
    }
}

/// Ready only where the condition is there and true: an empty status says nothing.
fn required(status: &Value, name: &str) -> Readiness {
    match condition(status, name) {
        Some(condition) if condition["status"] == "True" => Ready,
        Some(condition) => Progressing(sentence(condition)),
        None => Progressing(format!("does not say yet whether it is {name}")),
    }
}

/// Kinds without a rule of their own: the conditions that most controllers set, else there is nothing to wait for.
fn other(status: &Value) -> Readiness {
    if let Some(stalled) = condition(status, "Stalled").filter(|c| c["status"] == "True") {
        return Failed(sentence(stalled));
    }
    match condition(status, "Ready") {
        Some(condition) if condition["status"] != "True" => Progressing(sentence(condition)),
        _ => Ready,
    }
}

pub(crate) fn condition<'a>(status: &'a Value, name: &str) -> Option<&'a Value> {
    status["conditions"].as_array()?.iter().find(|c| c["type"] == name)
}

/// What a condition says, with its reason.
pub(crate) fn sentence(condition: &Value) -> String {
    let text = |field: &str| condition[field].as_str().unwrap_or_default();
    match (text("reason"), text("message")) {
        ("", "") => format!("{} is {}", text("type"), text("status")),
        (reason, "") => reason.to_owned(),
        ("", message) => message.to_owned(),
        (reason, message) => format!("{reason}: {message}"),
    }
}

fn int(value: &Value) -> Option<i64> {
    value.as_i64()
}

#[cfg(test)]
#[path = "ready_tests.rs"]
mod tests;
