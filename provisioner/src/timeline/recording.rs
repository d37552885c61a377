//! What was seen of one load, each thing with the moment at which it was seen.
//!
//! All moments are seconds since the Unix epoch by the clock of this machine, but those that the loader gives, which count
//! from its start, and from its first request once [`Recording::count_from_first_request`] was told of that.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How old a rate may be and still be that of the app: several questions that failed or hang are none.
const FRESH: f64 = 15.0;

/// Everything that was seen.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recording {
    /// The app's pods, each time that their number or readiness changed.
    pub pods: Vec<Pods>,
    /// The HPA, each time that what it wants or aims at changed, and where it was deleted.
    pub hpa: Vec<Hpa>,
    /// When its controller looked: a status that changed while it was watched, for the controller writes one only in a sync.
    pub looks: Vec<f64>,
    /// What the custom metrics API gave.
    pub rates: Vec<Rates>,
    /// The loader's seconds, where it tells of them.
    pub seconds: Vec<Second>,
    /// When each pod first answered, in seconds.
    pub first_hits: BTreeMap<String, f64>,
    /// When each pod was first seen to be deleted, or to have ended.
    pub ended: BTreeMap<String, f64>,
    /// When the load began, by the clock of the cluster, where the loader tells.
    pub started: Option<f64>,
    /// When Prometheus first scraped a counter that had risen, by the clock of the cluster.
    pub scraped: Option<f64>,
}

/// The app's pods from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pods {
    /// When it was seen.
    pub at: f64,
    /// Pods that are not being deleted.
    pub replicas: u64,
    /// Of those, ready ones.
    pub ready: u64,
}

/// The HPA from a moment on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hpa {
    /// When it was seen.
    pub at: f64,
    /// Pods that it wants; none before it has looked.
    pub desired: Option<u64>,
    /// Fewest pods.
    pub min: u64,
    /// Most pods.
    pub max: u64,
    /// Requests per second and pod that it aims at; none where it scales by something else.
    pub target: Option<f64>,
    /// Whether it was deleted: then its bounds and its aim are what they last were.
    pub gone: bool,
}

/// Values of the custom metrics API at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// When they were given.
    pub at: f64,
    /// Requests per second of all pods.
    pub total: f64,
    /// Pods that have a value.
    pub pods: u64,
}

/// One second of the load, as the loader saw it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Second {
    /// Its end, in seconds.
    pub t_s: f64,
    /// Requests sent in it.
    pub sent: u64,
    /// Answers that came in it.
    pub done: u64,
    /// Requests that failed in it.
    pub failed: u64,
    /// Requests that were due in it and never sent.
    pub dropped: u64,
    /// Median latency of its answers; none where there were none.
    pub p50_s: Option<f64>,
    /// 99th percentile of the same.
    pub p99_s: Option<f64>,
    /// Its answers by pod.
    pub per_pod: BTreeMap<String, u64>,
}

/// What has a moment.
pub(super) trait Seen {
    /// When it was seen.
    fn at(&self) -> f64;
}

impl Seen for Pods {
    fn at(&self) -> f64 {
        self.at
    }
}

impl Seen for Hpa {
    fn at(&self) -> f64 {
        self.at
    }
}

impl Seen for Rates {
    fn at(&self) -> f64 {
        self.at
    }
}

/// How long after `since` something first held. What was seen last before `since` still holds then.
pub(super) fn first<T: Seen>(states: &[T], since: f64, holds: impl Fn(&T) -> bool) -> Option<f64> {
    let ends = states.iter().skip(1).map(Seen::at).chain([f64::INFINITY]);
    let seen = states.iter().zip(ends).filter(|(_, end)| *end > since);
    seen.map(|(state, _)| state)
        .find(|state| holds(state))
        .map(|state| (state.at() - since).max(0.0))
}

/// The same for what a load is to bring about: where it held at `since` already, it counts once it was seen `gone` after
/// that, and never where it stayed.
pub(super) fn reached<T: Seen>(
    states: &[T],
    since: f64,
    holds: impl Fn(&T) -> bool,
    gone: impl Fn(&T) -> bool,
) -> Option<f64> {
    let from = if at(states, since).is_some_and(&holds) {
        states.iter().find(|state| state.at() > since && gone(state))?.at()
    } else {
        since
    };
    first(states, from, holds).map(|after| after + (from - since))
}

/// What was seen last at a moment.
pub(super) fn at<T: Seen>(states: &[T], moment: f64) -> Option<&T> {
    states.iter().rev().find(|state| state.at() <= moment)
}

/// What a load begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AtStart {
    /// Pods that are there.
    pub pods: u64,
    /// Of those, ready ones.
    pub ready: u64,
    /// Pods that the HPA wants; none before it has looked.
    pub wanted: Option<u64>,
    /// The most that it may want.
    pub max: u64,
}

impl AtStart {
    /// Whether there is nothing to scale up: all pods are there, or come already.
    pub fn is_at_max(&self) -> bool {
        self.pods.max(self.wanted.unwrap_or(0)) >= self.max
    }
}

impl fmt::Display for AtStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pods, ready, max, .. } = self;
        write!(f, "{pods} of {max} pods, {ready} ready")?;
        match self.wanted {
            Some(wanted) => write!(f, ", the HPA wants {wanted}"),
            None => Ok(()),
        }
    }
}

impl Recording {
    /// What was seen last at a moment, as the beginning of a load; none where that was not seen.
    pub fn at_start(&self, moment: f64) -> Option<AtStart> {
        let pods = at(&self.pods, moment)?;
        let hpa = at(&self.hpa, moment).filter(|hpa| !hpa.gone)?;
        Some(AtStart {
            pods: pods.replicas,
            ready: pods.ready,
            wanted: hpa.desired,
            max: hpa.max,
        })
    }

    /// Requests per second that the custom metrics API gives at a moment; none where it has not answered for long.
    pub fn rate(&self, moment: f64) -> Option<f64> {
        let last = self.rates.last().filter(|last| moment - last.at <= FRESH)?;
        Some(last.total)
    }

    /// Counts what the loader timed from its start on from the first request on, which came `lead` later: a schedule may begin
    /// with a time of nothing.
    pub fn count_from_first_request(&mut self, lead: f64) {
        let lead = lead.max(0.0);
        self.seconds.iter_mut().for_each(|second| second.t_s -= lead);
        self.first_hits.values_mut().for_each(|at| *at = (*at - lead).max(0.0));
    }

    /// Takes the first answers of pods of which no line arrived from what the loader's report has of them.
    pub fn complete_hits(&mut self, first_hit_s: &Value) {
        for (pod, at) in first_hit_s.as_object().into_iter().flatten() {
            if let Some(at) = at.as_f64() {
                self.first_hits.entry(pod.clone()).or_insert(at);
            }
        }
    }

    /// The number of pods that the HPA may make at most; none where there is no HPA.
    pub fn max(&self) -> Option<u64> {
        self.hpa.last().map(|hpa| hpa.max)
    }

    /// The number of pods that stays without load.
    pub fn min(&self) -> u64 {
        self.hpa.last().map_or(1, |hpa| hpa.min)
    }

    /// Whether no more pods are there than stay without load.
    pub fn is_back(&self) -> bool {
        self.pods
            .last()
            .is_some_and(|pods| pods.replicas <= self.min() && pods.ready >= pods.replicas)
    }
}
