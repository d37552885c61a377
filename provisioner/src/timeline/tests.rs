//! Timelines of recorded loads.

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
        hpa: vec![hpa(90.0, 1), hpa(104.0, 10), hpa(119.0, 10), hpa(193.0, 1)],
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
fn what_held_before_the_load_holds_at_its_start() {
    let seen = Recording {
        pods: vec![pods(90.0, 10, 10)],
        hpa: vec![hpa(90.0, 10)],
        seconds: vec![second(1.0, 0, 0.01)],
        ..Recording::default()
    };
    let times = Timeline::of(&seen, SPAN, 0.05);
    assert_eq!(
        (times.desired_s, times.ready_s, times.back_s),
        (Some(0.0), Some(0.0), None)
    );
    assert_eq!(times.recovered_s, Some(0.0), "it was never bad");
    assert_eq!(syncs(&seen, 100.0), Some(0));
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
