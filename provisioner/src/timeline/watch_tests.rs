//! What watches record.

use super::*;
use serde_json::json;

#[test]
fn pods_that_go_or_have_ended_are_no_replicas() {
    let pod = |status: Value, deleted: Value| -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "a", "deletionTimestamp": deleted}, "status": status}))
            .expect("a pod")
    };
    let ready = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
    let not_yet = json!({"phase": "Pending", "conditions": [{"type": "Ready", "status": "False"}]});
    let known = BTreeMap::from([
        ("a".to_owned(), pod(ready.clone(), Value::Null)),
        ("b".to_owned(), pod(ready, "2026-01-01T00:00:00Z".into())),
        ("c".to_owned(), pod(not_yet, Value::Null)),
        ("d".to_owned(), pod(json!({"phase": "Failed"}), Value::Null)),
    ]);
    let recorder = Recorder::default();
    recorder.pods(&known);
    recorder.pods(&known);
    let seen: Vec<(u64, u64)> = recorder.seen().pods.iter().map(|p| (p.replicas, p.ready)).collect();
    assert_eq!(seen, [(2, 1)], "what does not change is no event");
    let ended: Vec<String> = recorder.seen().ended.keys().cloned().collect();
    assert_eq!(ended, ["b", "d"]);
}

#[test]
fn the_target_is_that_of_pods_or_of_the_service() {
    let hpa =
        |metrics: Value| json!({"spec": {"maxReplicas": 10, "metrics": metrics}, "status": {"desiredReplicas": 0}});
    let target = json!({"type": "AverageValue", "averageValue": "10500m"});
    for kind in ["pods", "object"] {
        let mut metric = json!({"type": kind});
        metric[kind] = json!({"target": target});
        let state = state_of(&hpa(json!([{"type": "Resource"}, metric])), 1.0);
        let want = Hpa {
            at: 1.0,
            desired: None,
            min: 1,
            max: 10,
            target: Some(10.5),
            gone: false,
        };
        assert_eq!(state, want, "{kind}");
    }
    assert_eq!(state_of(&hpa(Value::Null), 1.0).target, None);
}

/// What a watch tells of the HPA, and whether as it happens; then what is known of it, and how many looks.
fn told(events: &[(Option<Value>, bool)]) -> (Vec<(Option<u64>, u64, bool)>, usize) {
    let (recorder, mut known) = (Recorder::default(), None);
    for (hpa, is_news) in events {
        let hpa = hpa.clone().map(|hpa| serde_json::from_value(hpa).expect("an HPA"));
        recorder.hpa(hpa.as_ref(), &mut known, *is_news);
    }
    let seen = recorder.seen();
    let states = seen.hpa.iter().map(|hpa| (hpa.desired, hpa.max, hpa.gone)).collect();
    (states, seen.looks.len())
}

#[test]
fn an_hpa_that_is_edited_or_deleted_is_told_anew_and_only_its_controller_looks() {
    let hpa = |max: u64, status: Value| {
        let spec = json!({"maxReplicas": max, "scaleTargetRef": {"kind": "Deployment", "name": "web-app"}});
        Some(json!({"metadata": {"name": HPA}, "spec": spec, "status": status}))
    };
    let empty = || json!({"desiredReplicas": 0, "currentMetrics": null});
    let wants = |desired: u64, current: u64| json!({"desiredReplicas": desired, "currentReplicas": current});
    let (listed, news) = (false, true);
    for (events, states, looks) in [
        (vec![(None, listed)], vec![], 0),
        (vec![(hpa(10, wants(1, 1)), listed)], vec![(Some(1), 10, false)], 0),
        // The controller writes what does not change what is wanted.
        (
            vec![(hpa(10, wants(4, 1)), listed), (hpa(10, wants(4, 4)), news)],
            vec![(Some(4), 10, false)],
            1,
        ),
        (
            vec![(hpa(10, wants(4, 4)), listed), (hpa(5, wants(4, 4)), news)],
            vec![(Some(4), 10, false), (Some(4), 5, false)],
            0,
        ),
        // Deleted and made anew, while it was watched and while the connection was lost.
        (
            vec![
                (hpa(10, wants(4, 4)), listed),
                (None, news),
                (hpa(10, empty()), news),
                (hpa(10, wants(4, 4)), news),
            ],
            vec![
                (Some(4), 10, false),
                (None, 10, true),
                (None, 10, false),
                (Some(4), 10, false),
            ],
            1,
        ),
        (
            vec![
                (hpa(10, wants(4, 4)), listed),
                (None, listed),
                (None, listed),
                (hpa(10, wants(1, 1)), listed),
            ],
            vec![(Some(4), 10, false), (None, 10, true), (Some(1), 10, false)],
            0,
        ),
    ] {
        assert_eq!(told(&events), (states, looks), "{events:?}");
    }
}

#[test]
fn a_log_that_is_read_again_counts_once() {
    let recorder = Recorder::default();
    let second = r#"{"type":"second","t_s":1.0,"sent":100}"#;
    let hit = |t_s: &str| format!(r#"{{"type":"first_hit","pod":"a","t_s":{t_s}}}"#);
    assert_eq!(recorder.line(second).map(|second| second.sent), Some(100));
    assert_eq!(recorder.line(second), None);
    assert_eq!(recorder.line("5 s: 500 requests"), None);
    recorder.line(&hit("0.5"));
    recorder.line(&hit("0.7"));
    let seen = recorder.seen();
    assert_eq!(
        (seen.seconds.len(), seen.first_hits["a"].to_bits()),
        (1, 0.5_f64.to_bits())
    );
}
