//! Every cause, from answers as clusters give them: the hop that is named first, its code, and what mends it.

use serde_json::{Value, json};

use super::super::code::Code;
use super::super::finding::State;
use super::super::readings::{Part, Readings};
use super::super::{Diagnosis, Hop};
use super::recorded::{
    broken, condition, diagnosed, healthy, list, not_found, of, pod, scene, series, silence, status, target, targets,
    unready, vector,
};
use crate::cluster::authority::Authority;

mod api;
mod causes;
mod figures;
mod scaling;

/// Asserts which hop is the first that is broken, why, and that the first command says this.
#[track_caller]
fn first(readings: &Readings, hop: Hop, code: Code, fix: &str) -> Diagnosis {
    let diagnosis = diagnosed(readings);
    let found = diagnosis
        .first()
        .unwrap_or_else(|| panic!("nothing is broken:\n{diagnosis}"));
    assert_eq!((found.hop, found.code), (hop, code), "\n{diagnosis}");
    let told = found.fixes.first().map_or("", String::as_str);
    assert!(told.contains(fix), "`{told}` does not say `{fix}`\n{diagnosis}");
    assert!(!diagnosis.healthy);
    diagnosis
}

/// Who changed a field last, as the server remembers it.
fn changed(object: &mut Value, manager: &str, fields: &Value) {
    object["metadata"]["managedFields"] = json!([
        {"manager": "provisioner", "operation": "Apply", "fieldsV1": {"f:spec": {}}},
        {"manager": manager, "operation": "Update", "fieldsV1": fields}]);
}

#[test]
fn what_is_broken_is_told_with_what_mends_it_and_nothing_that_a_terminal_obeys() {
    let readings = broken(|r| {
        r.metrics = Ok(json!({"resources": []}));
        r.adapter_log = Ok("E1127 x] lost \u{1b}[31m".to_owned());
        of(&mut r.adapter_rules)["data"]["config.yaml"] = "rules: []".into();
    });
    let text = diagnosed(&readings).to_string();
    let end = text.split_once("\n\n").expect("an end").1;
    insta::assert_snapshot!(end, @r"
    first broken: metric in the API (no_rule)
    fix:  kubectl --namespace custom-metrics delete deployment/custom-metrics-apiserver
    also: provisioner bootstrap --cluster demo --force-conflicts
          with the flags that the stack is made with, where they are not in provisioner.toml
    ");
    let said = broken(|r| {
        r.metrics = Ok(json!({"resources": []}));
        r.adapter_log = Ok("E1127 x] lost \u{1b}[31m".to_owned());
    });
    assert!(!diagnosed(&said).to_string().contains('\u{1b}'));
}

#[test]
fn a_stack_that_works_has_no_broken_hop_and_a_figure_at_each() {
    let diagnosis = diagnosed(&healthy());
    assert!(
        diagnosis.healthy && diagnosis.broken.is_none() && diagnosis.unknown == 0,
        "{diagnosis}"
    );
    insta::assert_snapshot!(diagnosis, @r"
    ok       app pods              1 of 1 ready (for 60 s)
    ok       app /metrics          1 of 1 pods asked have `http_requests_total`
    ok       Prometheus            1 of 1 ready (for 60 s)
    ok       Prometheus target     1 of 1 up (0.6 s ago)
    ok       series in Prometheus  `http_requests_total` of 1 pods (0.6 s ago)
    ok       adapter               1 of 1 ready (for 60 s)
    ok       certificate           signed by the stack's own authority, ends in 365 days
    ok       APIService            available (for 60 s)
    ok       metric in the API     pods/http_requests_per_second
    ok       custom metrics API    5.0 requests/s over 1 pods (1.0 s ago)
    ok       HPA                   5.0 requests/s per pod, 1 of 1 replicas (for 60 s)
    ok       scale                 1 ready, 1 asked for, 1 wanted, at most 10
    ok       endpoints             1 ready behind Service `web-app-service`

    every hop works
    ");
}
