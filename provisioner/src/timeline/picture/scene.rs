//! What there is to draw of a load, in seconds from its first request.

use super::colors::{BLUE, GRAY, GREEN, ORANGE, PURPLE, RED, TEAL};
use crate::timeline::{Rates, Recording, Second, Span, Timeline};

/// How the points of a series are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Join {
    /// A value holds until the next one, drawn with the area below.
    Area,
    /// A value holds until the next one.
    Step,
    /// The same, dashed.
    Dashed,
    /// Straight from value to value.
    Line,
}

/// Values over time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pub(super) name: &'static str,
    pub(super) color: &'static str,
    pub(super) join: Join,
    /// Moment and value.
    pub(super) points: Vec<(f64, f64)>,
}

/// Series on one scale.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Panel {
    pub(super) title: &'static str,
    pub(super) height: f64,
    pub(super) series: Vec<Series>,
    /// A value to be at, and what it is called.
    pub(super) target: Option<(f64, String)>,
    /// Moments at which something went wrong.
    pub(super) faults: Vec<f64>,
    /// The least step of its scale.
    pub(super) least: f64,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Moment {
    pub(super) at: f64,
    pub(super) text: String,
    pub(super) color: &'static str,
}

/// The whole picture.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scene {
    pub(super) title: String,
    pub(super) subtitle: String,
    pub(super) moments: Vec<Moment>,
    pub(super) panels: Vec<Panel>,
    pub(super) from: f64,
    pub(super) to: f64,
    /// Until when it is worth looking closely.
    pub(super) detail: Option<f64>,
}

/// What is shown before the first request and after the last event, in seconds.
const BEFORE: f64 = 3.0;
const AFTER: f64 = 6.0;

impl Scene {
    /// Arranges what was seen. Pure.
    pub(super) fn of(seen: &Recording, span: Span, times: &Timeline, (title, subtitle): (String, String)) -> Self {
        let last = span.last - span.first;
        let end = times.back_s.map_or(last, |back| last + back);
        let reached = [times.ready_s, times.spread_s, times.desired_s];
        let reached = reached.into_iter().flatten().reduce(f64::max);
        let all = [pods(seen, span), per_pod(seen, span), total(seen, span), latency(seen)];
        Self {
            title,
            subtitle,
            moments: moments(seen, span, times),
            panels: all
                .into_iter()
                .filter(|panel| panel.series.iter().any(|s| !s.points.is_empty()))
                .collect(),
            from: -BEFORE,
            to: end + AFTER,
            detail: reached.map(|reached| reached + 2.0),
        }
    }
}

fn moments(seen: &Recording, span: Span, times: &Timeline) -> Vec<Moment> {
    let max = seen.max().unwrap_or_default();
    let last = span.last - span.first;
    let from_last = |back: f64| last + back;
    let all = [
        (Some(0.0), "first request".to_owned(), GREEN),
        (times.scraped_s, "counted by Prometheus".to_owned(), PURPLE),
        (times.api_value_s, "seen by the metrics API".to_owned(), PURPLE),
        (times.desired_s, format!("the HPA wants {max} pods"), ORANGE),
        (times.created_s, format!("{max} pods created"), BLUE),
        (times.ready_s, format!("{max} pods ready"), BLUE),
        (times.spread_s, "each has answered".to_owned(), GREEN),
        (Some(last), "last request".to_owned(), GREEN),
        (times.back_s.map(from_last), "back to the minimum".to_owned(), BLUE),
    ];
    let happened = all
        .into_iter()
        .filter_map(|(at, text, color)| Some(Moment { at: at?, text, color }));
    let mut moments: Vec<Moment> = happened.collect();
    moments.sort_by(|a, b| a.at.total_cmp(&b.at));
    moments
}

#[expect(clippy::cast_precision_loss, reason = "numbers of pods and requests")]
fn float(count: u64) -> f64 {
    count as f64
}

fn pods(seen: &Recording, span: Span) -> Panel {
    let ready = seen.pods.iter().map(|pods| (pods.at - span.first, float(pods.ready)));
    let created = seen
        .pods
        .iter()
        .map(|pods| (pods.at - span.first, float(pods.replicas)));
    let wanted = seen
        .hpa
        .iter()
        .filter_map(|hpa| Some((hpa.at - span.first, float(hpa.desired.or(hpa.gone.then_some(0))?))));
    Panel {
        title: "Pods",
        height: 190.0,
        series: vec![
            series("ready", BLUE, Join::Area, ready),
            series("created", GRAY, Join::Step, created),
            series("wanted by the HPA", ORANGE, Join::Dashed, wanted),
        ],
        target: None,
        faults: Vec::new(),
        least: 1.0,
    }
}

fn per_pod(seen: &Recording, span: Span) -> Panel {
    let average = |rates: &Rates| (rates.at - span.first, rates.total / float(rates.pods.max(1)));
    let target = seen.hpa.last().and_then(|hpa| hpa.target);
    Panel {
        title: "Requests/s per pod",
        height: 120.0,
        series: vec![series(
            "as the HPA reads it",
            PURPLE,
            Join::Line,
            seen.rates.iter().map(average),
        )],
        target: target.map(|target| (target, format!("target {target}"))),
        faults: Vec::new(),
        least: 1.0,
    }
}

fn total(seen: &Recording, span: Span) -> Panel {
    let whole = whole(&seen.seconds);
    let sent = whole.map(|(began, second)| (began, float(second.sent) / (second.t_s - began)));
    let read = seen.rates.iter().map(|rates| (rates.at - span.first, rates.total));
    let mut sent: Vec<(f64, f64)> = sent.collect();
    if let Some(end) = seen.seconds.last().map(|second| second.t_s) {
        sent.insert(0, (-BEFORE, 0.0));
        sent.push((end, 0.0));
    }
    Panel {
        title: "Requests/s in total",
        height: 100.0,
        series: vec![
            series("sent", GREEN, Join::Area, sent.into_iter()),
            series("as the metrics API gives it", PURPLE, Join::Line, read),
        ],
        target: None,
        faults: Vec::new(),
        least: 1.0,
    }
}

fn latency(seen: &Recording) -> Panel {
    let p99 = whole(&seen.seconds)
        .filter_map(|(began, second)| Some((f64::midpoint(began, second.t_s), second.p99_s? * 1e3)));
    let is_fault = |second: &&Second| second.failed + second.dropped > 0;
    Panel {
        title: "Latency, ms",
        height: 100.0,
        series: vec![series("p99 of each second", TEAL, Join::Line, p99)],
        target: None,
        faults: seen.seconds.iter().filter(is_fault).map(|second| second.t_s).collect(),
        least: 0.1,
    }
}

/// Seconds with their beginning, without the rest of one that ends a load: too few requests for a rate.
fn whole(seconds: &[Second]) -> impl Iterator<Item = (f64, &Second)> {
    let begins = std::iter::once(0.0).chain(seconds.iter().map(|second| second.t_s));
    begins.zip(seconds).filter(|(began, second)| second.t_s - began > 0.5)
}

fn series(name: &'static str, color: &'static str, join: Join, points: impl Iterator<Item = (f64, f64)>) -> Series {
    Series {
        name,
        color,
        join,
        points: points.collect(),
    }
}

/// The colour of faults.
pub(super) const FAULT: &str = RED;
