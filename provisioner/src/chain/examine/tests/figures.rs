//! What is not broken is as it should be: what cannot be asked stops nothing, JSON keeps its form.

use super::*;

#[test]
fn a_cluster_that_answers_nothing_is_unknown_at_every_hop_and_broken_at_none() {
    let mut readings = healthy();
    let all = [
        &mut readings.deployment,
        &mut readings.pods,
        &mut readings.hpas,
        &mut readings.scale,
        &mut readings.service,
        &mut readings.slices,
        &mut readings.prometheus,
        &mut readings.prometheus_pods,
        &mut readings.adapter,
        &mut readings.adapter_pods,
        &mut readings.adapter_rules,
        &mut readings.api_service,
        &mut readings.metrics,
        &mut readings.values,
        &mut readings.serving.1,
    ];
    for answer in all {
        *answer = Err(status(403, "Forbidden", "is forbidden"));
    }
    readings.expositions.clear();
    series(&mut readings).answers = Err(status(403, "Forbidden", "is forbidden"));
    let diagnosis = diagnosed(&readings);
    // What is not known is not healthy.
    assert!(!diagnosis.healthy && diagnosis.broken.is_none(), "{diagnosis}");
    assert_eq!(diagnosis.unknown, Hop::ALL.len(), "{diagnosis}");
    assert!(
        diagnosis
            .to_string()
            .contains("no hop is seen to be broken, but 13 could not be looked at")
    );
}

#[test]
fn one_silent_part_does_not_hide_the_others() {
    let readings = broken(|r| {
        r.hpas = Err(silence());
        r.serving.1 = Err(silence());
    });
    let diagnosis = diagnosed(&readings);
    let at = |hop| diagnosis.at(hop).expect("it is there");
    assert_eq!(
        (at(Hop::Hpa).state, at(Hop::Hpa).code),
        (State::Unknown, Code::Unanswered)
    );
    assert_eq!(at(Hop::Certificate).state, State::Unknown);
    assert_eq!(at(Hop::Values).state, State::Pass);
    assert_eq!(at(Hop::Endpoints).state, State::Pass);
}

#[test]
fn the_json_names_the_first_broken_hop_its_code_and_the_fix() {
    let readings = broken(|r| of(&mut r.adapter)["spec"]["replicas"] = 0.into());
    let json = serde_json::to_value(diagnosed(&readings)).expect("it serializes");
    assert_eq!(
        (&json["healthy"], &json["broken"], &json["code"]),
        (&json!(false), &json!("adapter"), &json!("scaled_to_zero"))
    );
    let keys: Vec<&String> = json["hops"][3].as_object().expect("a hop").keys().collect();
    assert_eq!(keys, ["hop", "state", "code", "says", "figure", "age_s", "fixes"]);
    assert_eq!(json["hops"][3]["hop"], "target");
    assert_eq!(json["hops"][3]["figure"], json!({"value": 1.0, "unit": "targets"}));
    assert!(
        json["hops"][3]["age_s"]
            .as_f64()
            .is_some_and(|age| (age - 0.6).abs() < 1e-6),
        "{json}"
    );
}
