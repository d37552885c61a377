//! Timelines of recorded loads.

use std::collections::BTreeMap;

use super::*;

fn pods(at: f64, replicas: u64, ready: u64) -> Pods {
    Pods { at, replicas, ready }
}

fn hpa(at: f64, desired: u64) -> Hpa {
    Hpa {
        at,
        desired: Some(desired),
        min: 1,
        max: 10,
        target: Some(10.0),
        gone: false,
    }
}

fn rates(at: f64, total: f64) -> Rates {
    Rates { at, total, pods: 1 }
}

fn second(t_s: f64, failed: u64, p99_s: f64) -> Second {
    Second {
        t_s,
        failed,
        p99_s: Some(p99_s),
        ..Second::default()
    }
}

const SPAN: Span = Span {
    first: 100.0,
    last: 160.0,
};

/// One pod, ten from the second 107 on, one again at 195.
fn recording() -> Recording {
    let hit = |pod: usize| (format!("web-app-{pod}"), 0.01 + pod_seconds(pod));
    Recording {
        pods: vec![
            pods(90.0, 1, 1),
            pods(104.5, 4, 1),
            pods(105.0, 10, 1),
            pods(106.0, 10, 7),
            pods(107.0, 10, 10),
            pods(194.0, 3, 3),
            pods(195.0, 1, 1),
        ],
        hpa: vec![hpa(90.0, 1), hpa(104.0, 10), hpa(193.0, 1)],
        looks: vec![104.0, 119.0, 193.0],
        rates: vec![
            rates(99.0, 0.2),
            rates(100.5, 0.2),
            rates(101.0, 33.0),
            rates(102.0, 99.4),
            rates(165.0, 0.0),
        ],
        seconds: vec![
            second(1.0, 0, 0.001),
            second(2.0, 0, 0.3),
            second(3.0, 1, 0.001),
            second(4.0, 0, 0.049),
        ],
        first_hits: (0..10).map(hit).collect(),
        ended: BTreeMap::new(),
        started: Some(100.0),
        scraped: Some(100.75),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few pods")]
fn pod_seconds(pod: usize) -> f64 {
    pod as f64 * 0.75
}

#[test]
fn each_time_is_the_first_at_which_it_held() {
    let expected = Timeline {
        first_sample_s: Some(0.01),
        scraped_s: Some(0.75),
        api_value_s: Some(1.0),
        asked_s: Some(2.0),
        desired_s: Some(4.0),
        created_s: Some(5.0),
        ready_s: Some(7.0),
        spread_s: Some(6.76),
        recovered_s: Some(3.0),
        back_s: Some(35.0),
    };
    assert_eq!(Timeline::of(&recording(), SPAN, 0.05), expected);
}

#[test]
fn the_same_times_on_another_clock_are_the_same() {
    let text = serde_json::to_string(&recording()).expect("JSON");
    let mut later: Recording = serde_json::from_str(&text).expect("a recording");
    assert_eq!(later, recording());
    let move_by = 1000.0;
    later.pods.iter_mut().for_each(|pods| pods.at += move_by);
    later.hpa.iter_mut().for_each(|hpa| hpa.at += move_by);
    later.rates.iter_mut().for_each(|rates| rates.at += move_by);
    later.scraped = later.scraped.map(|at| at + move_by);
    let span = Span {
        first: SPAN.first + move_by,
        last: SPAN.last + move_by,
    };
    assert_eq!(Timeline::of(&later, span, 0.05), Timeline::of(&recording(), SPAN, 0.05));
}

#[test]
fn a_schedule_that_begins_with_nothing_has_the_same_times() {
    let lead = 30.0;
    let mut seen = recording();
    // The loader counts from its start; everything else has the first request's moment.
    seen.started = Some(SPAN.first - lead);
    seen.seconds.iter_mut().for_each(|second| second.t_s += lead);
    seen.first_hits.values_mut().for_each(|at| *at += lead);
    seen.seconds.insert(0, second(lead, 0, 0.0));
    seen.count_from_first_request(lead);
    let (late, plain) = (Timeline::of(&seen, SPAN, 0.05), Timeline::of(&recording(), SPAN, 0.05));
    for (late, plain) in [
        (late.first_sample_s, plain.first_sample_s),
        (late.spread_s, plain.spread_s),
        (late.recovered_s, plain.recovered_s),
    ] {
        let (late, plain) = (late.expect("a time"), plain.expect("a time"));
        assert!((late - plain).abs() < 1e-9, "{late} {plain}");
    }
    assert_eq!((late.ready_s, late.back_s), (plain.ready_s, plain.back_s));
}

#[test]
fn what_did_not_happen_has_no_time() {
    let seen = Recording {
        pods: vec![pods(101.0, 4, 4)],
        hpa: vec![hpa(90.0, 1), hpa(101.0, 4)],
        seconds: vec![second(1.0, 0, 0.2)],
        ..Recording::default()
    };
    assert_eq!(Timeline::of(&seen, SPAN, 0.05), Timeline::default());
    assert_eq!(Timeline::of(&Recording::default(), SPAN, 0.05), Timeline::default());
    assert_eq!((syncs(&seen, 100.0), replica_changes(&seen, 100.0)), (None, 1));
}

#[test]
fn what_was_there_before_the_load_has_no_time() {
    let seen = Recording {
        pods: vec![pods(90.0, 10, 10), pods(120.0, 10, 9), pods(121.0, 10, 10)],
        hpa: vec![hpa(90.0, 10)],
        rates: vec![rates(99.0, 99.0), rates(101.0, 98.0), rates(102.0, 99.5)],
        seconds: vec![second(1.0, 0, 0.01)],
        ..Recording::default()
    };
    let times = Timeline::of(&seen, SPAN, 0.05);
    let only = Timeline {
        recovered_s: Some(0.0),
        ..Timeline::default()
    };
    assert_eq!(times, only, "a pod that was replaced is no scaling; it was never bad");
    assert_eq!(syncs(&seen, 100.0), None);
    let begun = seen.at_start(100.0).expect("seen");
    assert!(begun.is_at_max());
    assert_eq!(begun.to_string(), "10 of 10 pods, 10 ready, the HPA wants 10");
    assert_eq!(seen.at_start(80.0), None);
}

/// The HPA has just begun to remove ten pods when the load starts, which brings them back.
#[test]
fn a_load_that_meets_a_scale_down_is_told_from_there() {
    // The former pods have all answered when they go.
    let old = |pod: usize| (format!("old-{pod}"), 0.01 + pod_seconds(pod) / 10.0);
    let new = |pod: usize| (format!("new-{pod}"), 0.01 + pod_seconds(pod));
    let seen = Recording {
        pods: vec![
            pods(90.0, 10, 10),
            pods(101.0, 1, 1),
            pods(120.0, 10, 1),
            pods(122.0, 10, 10),
            pods(400.0, 1, 1),
        ],
        hpa: vec![hpa(90.0, 10), hpa(100.5, 1), hpa(119.0, 10), hpa(399.0, 1)],
        rates: vec![rates(95.0, 99.0), rates(100.25, 60.0), rates(103.0, 99.0)],
        first_hits: (0..10).map(old).chain((30..39).map(new)).collect(),
        ended: (1..10)
            .map(|pod| (format!("old-{pod}"), 101.0))
            // As of a StatefulSet, whose pods get their names again.
            .chain([("new-35".to_owned(), 101.0)])
            .collect(),
        ..Recording::default()
    };
    let expected = Timeline {
        first_sample_s: Some(0.01),
        api_value_s: Some(3.0),
        asked_s: Some(3.0),
        desired_s: Some(19.0),
        created_s: Some(20.0),
        ready_s: Some(22.0),
        spread_s: Some(28.51),
        back_s: Some(240.0),
        ..Timeline::default()
    };
    assert_eq!(Timeline::of(&seen, SPAN, 0.05), expected);
    assert_eq!((syncs(&seen, 100.0), replica_changes(&seen, 100.0)), (Some(1), 3));
}

#[test]
fn lost_lines_do_not_lose_who_answered() {
    let mut seen = recording();
    let report = serde_json::json!({"web-app-9": 6.76, "web-app-0": 9.0});
    seen.first_hits.remove("web-app-9");
    assert_eq!(Timeline::of(&seen, SPAN, 0.05).spread_s, None);
    seen.complete_hits(&serde_json::Value::Null);
    seen.complete_hits(&report);
    assert_eq!(seen.first_hits, recording().first_hits);
}

#[test]
fn only_pods_that_came_go_back() {
    let back = |all: &[Pods]| {
        let seen = Recording {
            pods: all.to_vec(),
            hpa: vec![hpa(90.0, 1)],
            ..Recording::default()
        };
        Timeline::of(&seen, SPAN, 0.05).back_s
    };
    assert_eq!(back(&[pods(90.0, 1, 1)]), None, "there were never more");
    assert_eq!(
        back(&[pods(90.0, 1, 1), pods(120.0, 3, 3), pods(150.0, 1, 1)]),
        Some(0.0)
    );
    assert_eq!(
        back(&[pods(90.0, 1, 1), pods(170.0, 3, 3), pods(180.0, 1, 1)]),
        Some(20.0),
        "they came late"
    );
    assert_eq!(
        back(&[pods(90.0, 3, 3), pods(180.0, 1, 0), pods(181.0, 1, 1)]),
        Some(21.0)
    );
}

#[test]
fn steps_up_and_changes_are_those_of_the_hpa_not_of_single_pods() {
    let seen = recording();
    assert_eq!((syncs(&seen, 100.0), replica_changes(&seen, 100.0)), (Some(1), 2));
    let stairs = Recording {
        hpa: vec![
            hpa(99.0, 1),
            hpa(101.0, 4),
            hpa(116.0, 8),
            hpa(131.0, 8),
            hpa(146.0, 10),
            hpa(300.0, 9),
        ],
        ..Recording::default()
    };
    assert_eq!((syncs(&stairs, 100.0), replica_changes(&stairs, 100.0)), (Some(3), 4));
    assert_eq!(replica_changes(&stairs, 120.0), 2, "after settling");
}

#[test]
fn the_phase_is_how_long_ago_the_controller_looked() {
    let of = |moment: f64| phase(&recording(), moment, 15.0);
    assert_eq!(of(100.0), Some(11.0), "the next look was 4 s later");
    assert_eq!(of(105.0), Some(1.0));
    let blind = Recording {
        hpa: vec![hpa(90.0, 1)],
        ..Recording::default()
    };
    assert_eq!(phase(&blind, 100.0, 15.0), None);
}

#[test]
fn an_hpa_that_first_looks_during_the_load_scales_the_pods_that_were_there() {
    let not_yet = Hpa {
        desired: None,
        ..hpa(90.0, 0)
    };
    let seen = Recording {
        pods: vec![pods(90.0, 1, 1)],
        hpa: vec![not_yet, hpa(104.0, 10)],
        ..Recording::default()
    };
    assert_eq!((syncs(&seen, 100.0), replica_changes(&seen, 100.0)), (Some(1), 1));
}

#[test]
fn an_hpa_that_is_gone_is_nothing_to_begin_with_and_what_it_did_before_stays() {
    let mut seen = recording();
    seen.hpa.pop();
    let gone = Hpa {
        at: 150.0,
        desired: None,
        gone: true,
        ..hpa(0.0, 0)
    };
    seen.hpa.push(gone);
    assert_eq!(seen.at_start(150.0), None);
    assert!(seen.at_start(149.0).is_some());
    let times = Timeline::of(&seen, SPAN, 0.05);
    assert_eq!((times.desired_s, times.ready_s), (Some(4.0), Some(7.0)));
    assert_eq!((syncs(&seen, 100.0), replica_changes(&seen, 100.0)), (Some(1), 1));
}
