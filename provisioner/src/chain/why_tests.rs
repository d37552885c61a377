//! The formula of the HPA's controller, row by row.

use serde_json::json;

use super::*;

/// An HPA of 1 to 10 pods with 10 requests/s for each, at `current` of `desired` pods.
fn hpa(current: u64, desired: u64) -> Value {
    json!({
        "spec": {"minReplicas": 1, "maxReplicas": 10,
            "metrics": [{"type": "Pods", "pods": {"target": {"type": "AverageValue", "averageValue": "10"}}}],
            "behavior": {"scaleUp": {"stabilizationWindowSeconds": 0, "tolerance": "50m"},
                "scaleDown": {"stabilizationWindowSeconds": 30}}},
        "status": {"currentReplicas": current, "desiredReplicas": desired,
            "conditions": [{"type": "AbleToScale", "status": "True", "reason": "ReadyForNewScale"},
                {"type": "ScalingActive", "status": "True", "reason": "ValidMetricFound"},
                {"type": "ScalingLimited", "status": "False", "reason": "DesiredWithinRange"}]}})
}

/// So many pods with a value, of so many that are ready.
fn now(total: f64, measured: u64, ready: u64) -> Now {
    Now {
        total: Some(total),
        measured,
        ready,
    }
}

fn with(mut hpa: Value, name: &str, reason: &str, status: &str) -> Value {
    let conditions = hpa["status"]["conditions"].as_array_mut().expect("a list");
    conditions.retain(|condition| condition["type"] != name);
    conditions.push(json!({"type": name, "status": status, "reason": reason, "message": "m"}));
    hpa
}

#[test]
fn the_ratio_decides_and_each_direction_has_its_tolerance() {
    let tolerated = |pods: u64, total: f64| {
        matches!(
            why(&hpa(pods, pods), &now(total, pods, pods)),
            Why::WithinTolerance { .. }
        )
    };
    for (pods, total, stays) in [
        (9, 99.0, false),
        (9, 94.5, true),
        (9, 94.6, false),
        (10, 100.0, true),
        // The default of 10 %, since nothing is stated for fewer pods.
        (10, 90.0, true),
        (10, 89.9, false),
        (2, 20.9, true),
    ] {
        assert_eq!(tolerated(pods, total), stays, "{total} requests/s over {pods} pods");
    }
    assert_eq!(why(&hpa(9, 9), &now(99.0, 9, 9)), Why::NextLook { from: 9, to: 10 });
    assert_eq!(why(&hpa(1, 1), &now(100.0, 1, 1)), Why::NextLook { from: 1, to: 10 });
    assert_eq!(
        why(&hpa(1, 1), &now(500.0, 1, 1)),
        Why::NextLook { from: 1, to: 10 },
        "no more than the maximum"
    );
    assert_eq!(why(&hpa(5, 5), &now(22.0, 5, 5)), Why::NextLook { from: 5, to: 3 });
    assert_eq!(
        why(&hpa(5, 5), &now(30.0, 5, 5)),
        Why::NextLook { from: 5, to: 3 },
        "whole numbers stay whole"
    );
}

#[test]
fn the_ends_of_the_range_are_told() {
    assert_eq!(
        why(&hpa(10, 10), &now(150.0, 10, 10)),
        Why::AtMaximum { max: 10, asked: 15 }
    );
    assert_eq!(why(&hpa(1, 1), &now(0.0, 1, 1)), Why::AtMinimum { min: 1 });
    assert_eq!(why(&hpa(5, 5), &now(41.0, 5, 5)), Why::Enough { pods: 5 });
}

#[test]
fn windows_and_policies_are_told_with_what_they_hold_back() {
    let waiting = with(hpa(10, 10), "AbleToScale", "ScaleDownStabilized", "True");
    assert_eq!(
        why(&waiting, &now(0.0, 10, 10)),
        Why::DownStabilised {
            asked: 1,
            window_s: 30.0
        }
    );
    let mut by_default = waiting;
    by_default["spec"]
        .as_object_mut()
        .expect("an object")
        .remove("behavior");
    assert_eq!(
        why(&by_default, &now(0.0, 10, 10)),
        Why::DownStabilised {
            asked: 1,
            window_s: 300.0
        }
    );
    let mut slow = with(hpa(2, 2), "AbleToScale", "ScaleUpStabilized", "True");
    slow["spec"]["behavior"]["scaleUp"]["stabilizationWindowSeconds"] = 60.into();
    assert_eq!(
        why(&slow, &now(90.0, 2, 2)),
        Why::UpStabilised {
            asked: 9,
            window_s: 60.0
        }
    );
    let capped = with(hpa(5, 5), "ScalingLimited", "ScaleUpLimit", "True");
    let says = "ScaleUpLimit: m".to_owned();
    assert_eq!(why(&capped, &now(100.0, 5, 5)), Why::PolicyCap { asked: 10, says });
    let capped = with(hpa(9, 9), "ScalingLimited", "ScaleDownLimit", "True");
    assert!(matches!(
        why(&capped, &now(10.0, 9, 9)),
        Why::PolicyCap { asked: 1, .. }
    ));
}

#[test]
fn pods_without_a_value_are_idle_on_the_way_up_and_at_their_target_on_the_way_down() {
    // Five pods with 12 each are over their target; with five idle ones they are not.
    assert_eq!(why(&hpa(10, 10), &now(60.0, 5, 10)), Why::MissingSamples { pods: 5 });
    // 30 for the one that is measured: with the other one idle still 1.5 times the target.
    assert_eq!(why(&hpa(2, 2), &now(30.0, 1, 2)), Why::NextLook { from: 2, to: 3 });
    // Nine idle ones and one without a value: that one is taken to be at its target.
    assert_eq!(why(&hpa(10, 10), &now(0.0, 9, 10)), Why::NextLook { from: 10, to: 1 });
    assert_eq!(why(&hpa(2, 2), &now(0.5, 1, 2)), Why::Enough { pods: 2 });
}

#[test]
fn what_keeps_the_controller_from_computing_comes_first() {
    assert_eq!(why(&json!({"status": {}}), &Now::default()), Why::NotLookedAt);
    let off = with(hpa(0, 0), "ScalingActive", "ScalingDisabled", "False");
    assert_eq!(why(&off, &Now::default()), Why::Disabled);
    let blind = with(hpa(1, 1), "ScalingActive", "FailedGetPodsMetric", "False");
    let says = "FailedGetPodsMetric: m".to_owned();
    assert_eq!(why(&blind, &Now::default()), Why::NoMetric { says });
    let unable = with(hpa(1, 1), "AbleToScale", "FailedGetScale", "False");
    assert!(matches!(why(&unable, &Now::default()), Why::Unable { .. }));
    let starting = why(&hpa(10, 10), &now(99.0, 3, 3));
    assert_eq!(starting, Why::Following { ready: 3, wanted: 10 });
}

#[test]
fn without_a_value_of_the_moment_what_the_controller_read_last_counts() {
    let mut read = hpa(1, 1);
    read["status"]["currentMetrics"] = json!([{"type": "Pods", "pods": {"current": {"averageValue": "25500m"}}}]);
    let blind = Now {
        total: None,
        measured: 0,
        ready: 1,
    };
    assert_eq!(why(&read, &blind), Why::NextLook { from: 1, to: 3 });
    assert!(matches!(why(&hpa(1, 1), &blind), Why::NoMetric { .. }));
}

#[test]
fn other_metrics_are_said_to_be_others() {
    let mut cpu = hpa(1, 1);
    cpu["spec"]["metrics"] = json!([{"type": "Resource", "resource": {"name": "cpu"}}]);
    assert!(matches!(why(&cpu, &Now::default()), Why::OtherMetric { .. }));
}

#[test]
fn sentences_name_the_figures() {
    for (why, says) in [
        (
            Why::WithinTolerance {
                ratio: 0.96,
                tolerance: 0.1,
            },
            "within tolerance: 96 % of the target, 10 % off changes nothing",
        ),
        (
            Why::AtMaximum { max: 10, asked: 15 },
            "at the maximum of 10 pods; the load asks for 15",
        ),
        (
            Why::NextLook { from: 1, to: 10 },
            "1 to 10 pods at the controller's next look (every 15 s)",
        ),
    ] {
        assert_eq!(why.to_string(), says);
    }
    let json = serde_json::to_value(Why::AtMinimum { min: 1 }).expect("it serializes");
    assert_eq!(json, json!({"code": "at_minimum", "min": 1}));
}
