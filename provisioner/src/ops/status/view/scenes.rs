//! Moments of a stack, for tests of the view.

use jiff::{SignedDuration, Timestamp};

use super::super::gather::{Figures, News};
use super::super::state::State;
use crate::chain::{
    Autoscaler, Board, Code, Condition, Diagnosis, Finding, Hop, Pod, PodState, Recent, Rescale, Sample,
    State as Health, Usage, Why,
};
use crate::cluster::authority::Authority;
use crate::cluster::certificate::Serving;

pub(super) fn now() -> Timestamp {
    "2026-11-28T10:00:00Z".parse().unwrap()
}

pub(super) fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

fn condition(kind: &str, status: &str, reason: &str) -> Condition {
    Condition {
        kind: kind.into(),
        status: status.into(),
        reason: reason.into(),
    }
}

/// The names of the pods.
fn name(index: usize) -> String {
    format!("web-app-5d4f8c7b9d-{index:05}")
}

/// Ten pods at 100 requests/s, and nothing to do.
pub(super) fn figures() -> Figures {
    let pods: Vec<Pod> = (0..10)
        .map(|index| Pod {
            name: name(index),
            state: PodState::Ready,
            restarts: u64::from(index == 3),
            created: Some(ago(if index == 0 { 9000 } else { 95 })),
        })
        .collect();
    let sample = Sample {
        replicas: 10,
        ready: 10,
        desired: Some(10),
        max: Some(10),
        rate_total: Some(99.96),
        per_pod: pods.iter().map(|pod| (pod.name.clone(), 9.996)).collect(),
        problem: None,
    };
    let hpa = Autoscaler {
        min: 1,
        max: 10,
        current: 10,
        desired: 10,
        target: Some(10.0),
        average: Some(9.996),
        conditions: vec![
            condition("AbleToScale", "True", "ReadyForNewScale"),
            condition("ScalingActive", "True", "ValidMetricFound"),
            condition("ScalingLimited", "False", "DesiredWithinRange"),
        ],
    };
    let board = Board {
        sample,
        why: Some(Why::WithinTolerance {
            ratio: 0.9996,
            tolerance: 0.05,
        }),
        hpa: Some(hpa),
        p99_s: Some(0.0123),
        error_ratio: Some(0.0),
        usage: [].into(),
    };
    Figures { board, pods: Ok(pods) }
}

/// What every scene knows: five minutes of load that came in a step.
fn base() -> State {
    let mut state = State::new("demo", false);
    let points = |low: f64, high: f64| {
        let value = move |second: i64| if second > 95 { low } else { high };
        (0..60)
            .rev()
            .map(move |index| (ago(index * 5), value(index * 5)))
            .collect()
    };
    let used = Usage {
        cpu: 0.004,
        memory_bytes: 3_145_728.0,
    };
    let rescale = |seconds, size, above: &str| Rescale {
        at: ago(seconds),
        says: format!("New size: {size}; reason: pods metric http_requests_per_second {above} target"),
        is_trouble: false,
    };
    let serving = Serving {
        ends_at: "2027-11-20T10:00:00Z".parse().unwrap(),
        is_due: false,
        authority: Authority::Own,
    };
    for news in [
        News::Recent(Recent {
            rate: points(5.0, 99.9),
            p99_s: points(0.003, 0.0123),
        }),
        News::Usage(Ok((0..10).map(|index| (name(index), used)).collect())),
        News::Rescales(Ok(vec![rescale(93, 10, "above"), rescale(3000, 1, "below")])),
        News::Certificate(Ok(Some(serving))),
        News::Diagnosis(Box::new(healthy())),
    ] {
        state.take(news, ago(4));
    }
    state
}

fn healthy() -> Diagnosis {
    Diagnosis {
        healthy: true,
        broken: None,
        code: None,
        unknown: 0,
        hops: Vec::new(),
    }
}

fn with(figures: Figures) -> State {
    at(ago(1), figures)
}

fn at(moment: Timestamp, figures: Figures) -> State {
    let mut state = base();
    state.take(News::Figures(Ok(Box::new(figures))), moment);
    state
}

pub(super) fn calm() -> State {
    with(figures())
}

/// Ten are wanted, seven are there: one is stuck, two start.
pub(super) fn scaling() -> State {
    let mut figures = figures();
    let board = &mut figures.board;
    board.sample.ready = 7;
    board.why = Some(Why::Following { ready: 7, wanted: 10 });
    board.error_ratio = Some(0.0123);
    for index in 7..10 {
        board.sample.per_pod.remove(&name(index));
    }
    let pods = figures.pods.as_mut().unwrap();
    for pod in &mut pods[7..] {
        pod.state = PodState::Starting;
        pod.created = Some(ago(3));
    }
    pods[9].state = PodState::Stuck("CreateContainerConfigError".into());
    pods.rotate_right(3);
    pods.swap(0, 2);
    with(figures)
}

/// Prometheus is gone: no values, and a hop that says so.
pub(super) fn broken() -> State {
    let mut figures = figures();
    let board = &mut figures.board;
    let says = "FailedGetPodsMetric: the HPA was unable to compute the replica count: unable to get metric http_requests_per_second";
    board.sample.rate_total = None;
    board.sample.per_pod.clear();
    board.sample.problem = Some(says.into());
    board.why = Some(Why::NoMetric { says: says.into() });
    (board.p99_s, board.error_ratio) = (None, None);
    if let Some(hpa) = &mut board.hpa {
        hpa.conditions[1] = condition("ScalingActive", "False", "FailedGetPodsMetric");
    }
    let mut state = with(figures);
    let finding = Finding {
        hop: Hop::Prometheus,
        state: Health::Fail,
        code: Code::ScaledToZero,
        says: "Deployment `monitoring/prometheus` is scaled to 0".into(),
        figure: None,
        age_s: None,
        fixes: vec!["kubectl --namespace monitoring scale deployment/prometheus --replicas=1".into()],
    };
    let found = Diagnosis {
        healthy: false,
        broken: Some(Hop::Prometheus),
        code: Some(Code::ScaledToZero),
        unknown: 2,
        hops: vec![finding],
    };
    state.take(News::Diagnosis(Box::new(found)), ago(2));
    state
}

/// The API server has not answered for a while.
pub(super) fn lost() -> State {
    let mut state = at(ago(15), figures());
    for seconds in [14, 3] {
        let says = "cannot read Deployment `web-app/web-app`: client error (Connect): tcp connect error: Connection refused (os error 111)";
        state.take(News::Figures(Err(says.into())), ago(seconds));
    }
    state
}
