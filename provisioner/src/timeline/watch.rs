//! Fills a [`Recording`] while a load runs. Nothing here fails the load: what cannot be watched is said once and missing.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ResourceExt as _;
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Api, runtime::WatchStreamExt as _};
use serde_json::Value;

use super::loader::{Clock, Line, Said};
use super::recording::{Hpa, Pods, Rates, Recording, Second};
use crate::chain::{self, HPA, quantity};
use crate::cluster::Cluster;
use crate::cluster::values::Namespaces;
use crate::names::APP;
use crate::report::Reporter;

/// Between two looks at the custom metrics API until the HPA has seen the load, and later.
const OFTEN: Duration = Duration::from_millis(250);
const SELDOM: Duration = Duration::from_secs(1);
/// How long that may take; what takes longer needs no finer times.
const RISING: f64 = 60.0;

/// Now, in seconds since the Unix epoch.
pub fn now() -> f64 {
    jiff::Timestamp::now().as_duration().as_secs_f64()
}

/// Where the watches put what they see.
#[derive(Debug, Default)]
pub struct Recorder {
    seen: Mutex<Recording>,
    clock: Mutex<Clock>,
}

impl Recorder {
    /// What was seen so far.
    pub fn seen(&self) -> MutexGuard<'_, Recording> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seconds to add to a moment of the cluster.
    pub fn clock_offset(&self) -> f64 {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner).offset()
    }

    /// Takes a line of the loader's log that arrives now; gives back the second that it tells of. A line that was seen
    /// already, because the log was read again, counts once.
    pub fn line(&self, line: &str) -> Option<Second> {
        let line = Line::parse(line);
        let mut seen = self.seen();
        let new = match &line.said {
            Some(Said::Second(second)) => seen.seconds.last().is_none_or(|last| last.t_s < second.t_s),
            Some(Said::Start { .. }) => seen.started.is_none(),
            Some(Said::FirstHit { pod, .. }) => !seen.first_hits.contains_key(pod),
            None => false,
        };
        if !new {
            return None;
        }
        if let Some(written) = line.written {
            self.clock
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(written, now());
        }
        match line.said? {
            Said::Second(second) => {
                seen.seconds.push(second.clone());
                Some(second)
            }
            Said::Start { unix_s } => {
                seen.started = unix_s;
                None
            }
            Said::FirstHit { pod, t_s } => {
                seen.first_hits.insert(pod, t_s);
                None
            }
        }
    }

    /// How long to wait for the next values after those of a moment.
    fn until_next_rates(&self, at: f64) -> Duration {
        let seen = self.seen();
        let wants_max = seen.hpa.last().is_some_and(|hpa| hpa.desired >= Some(hpa.max));
        let started = seen.started.unwrap_or(at);
        if wants_max || at - started > RISING {
            SELDOM
        } else {
            OFTEN
        }
    }

    /// Takes what is told of the HPA, none where it is there no more; `known` is the status that was told last. Only one that
    /// is told as it changes, so that it `is_news`, tells when the controller looked: a list is read at any time.
    fn hpa(&self, hpa: Option<&HorizontalPodAutoscaler>, known: &mut Option<Value>, is_news: bool) {
        let (mut seen, at) = (self.seen(), now());
        let state = if let Some(hpa) = hpa {
            let hpa = serde_json::to_value(hpa).unwrap_or_default();
            let status = hpa["status"].clone();
            // What a new HPA has before the controller looked is nobody's status.
            if is_news && known.as_ref().is_some_and(|known| *known != status) {
                seen.looks.push(at);
            }
            *known = Some(status);
            state_of(&hpa, at)
        } else {
            *known = None;
            let Some(last) = seen.hpa.last() else { return };
            Hpa {
                at,
                desired: None,
                gone: true,
                ..*last
            }
        };
        if seen.hpa.last().is_none_or(|last| Hpa { at, ..*last } != state) {
            seen.hpa.push(state);
        }
    }

    /// Takes what is known of the pods, where it differs from what was known.
    fn pods(&self, known: &BTreeMap<String, Pod>) {
        let living: Vec<&Pod> = known.values().filter(|pod| lives(pod)).collect();
        let ready = living.iter().filter(|pod| is_ready(pod)).count() as u64;
        let replicas = living.len() as u64;
        let mut seen = self.seen();
        let ended = known.iter().filter(|(_, pod)| !lives(pod)).map(|(name, _)| name);
        note_ended(&mut seen, ended);
        if seen
            .pods
            .last()
            .is_none_or(|last| (last.replicas, last.ready) != (replicas, ready))
        {
            seen.pods.push(Pods {
                at: now(),
                replicas,
                ready,
            });
        }
    }
}

/// Watches pods, HPA and the custom metrics API until it is dropped.
pub async fn everything(cluster: &Cluster, at: &Namespaces, recorder: &Recorder, report: &dyn Reporter) {
    tokio::join!(
        pods(cluster, &at.app, recorder, report),
        hpa(cluster, &at.app, recorder, report),
        rates(cluster, at, recorder, report),
    );
}

async fn pods(cluster: &Cluster, namespace: &str, recorder: &Recorder, report: &dyn Reporter) {
    let api: Api<Pod> = Api::namespaced(cluster.client(), namespace);
    let config = Config::default().labels(&format!("app={APP}"));
    let mut events = watcher(api, config).default_backoff().boxed();
    let (mut known, mut listed, mut told) = (BTreeMap::new(), BTreeMap::new(), false);
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed = BTreeMap::new(),
            Ok(Event::InitApply(pod)) => drop(listed.insert(pod.name_any(), pod)),
            Ok(event) => {
                match event {
                    Event::Apply(pod) => drop(known.insert(pod.name_any(), pod)),
                    Event::Delete(pod) => {
                        note_ended(&mut recorder.seen(), [&pod.name_any()]);
                        drop(known.remove(&pod.name_any()));
                    }
                    _ => {
                        let before = std::mem::replace(&mut known, std::mem::take(&mut listed));
                        let gone = before.keys().filter(|name| !known.contains_key(*name));
                        note_ended(&mut recorder.seen(), gone);
                    }
                }
                recorder.pods(&known);
            }
            Err(error) => say_once(&mut told, report, "the pods", &error),
        }
    }
}

async fn hpa(cluster: &Cluster, namespace: &str, recorder: &Recorder, report: &dyn Reporter) {
    let api: Api<HorizontalPodAutoscaler> = Api::namespaced(cluster.client(), namespace);
    let config = Config::default().fields(&format!("metadata.name={HPA}"));
    let mut events = watcher(api, config).default_backoff().boxed();
    let (mut known, mut listed, mut told) = (None, None, false);
    let is_it = |hpa: &HorizontalPodAutoscaler| hpa.name_any() == HPA;
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed = None,
            Ok(Event::InitApply(hpa)) if is_it(&hpa) => listed = Some(hpa),
            Ok(Event::InitDone) => recorder.hpa(listed.take().as_ref(), &mut known, false),
            Ok(Event::Apply(hpa)) if is_it(&hpa) => recorder.hpa(Some(&hpa), &mut known, true),
            Ok(Event::Delete(hpa)) if is_it(&hpa) => recorder.hpa(None, &mut known, true),
            Ok(_) => {}
            Err(error) => say_once(&mut told, report, "the HPA", &error),
        }
    }
}

async fn rates(cluster: &Cluster, at: &Namespaces, recorder: &Recorder, report: &dyn Reporter) {
    let mut told = false;
    loop {
        // No value is what an app without requests has; a request that fails says nothing about the app.
        let answer = chain::per_pod_or_none(cluster, at).await;
        let now = now();
        match answer {
            Ok(per_pod) => recorder.seen().rates.push(Rates {
                at: now,
                total: per_pod.values().sum(),
                pods: per_pod.len() as u64,
            }),
            Err(error) => say_once(&mut told, report, "the custom metrics API", &error),
        }
        tokio::time::sleep(recorder.until_next_rates(now)).await;
    }
}

/// Notes pods that are there no more, each once: a name that comes again is another pod's.
fn note_ended<'a>(seen: &mut Recording, names: impl IntoIterator<Item = &'a String>) {
    for name in names {
        seen.ended.entry(name.clone()).or_insert_with(now);
    }
}

fn say_once(told: &mut bool, report: &dyn Reporter, what: &str, error: &dyn Display) {
    if !std::mem::replace(told, true) {
        report.warning(&format!("cannot watch {what}, times will be late or missing: {error}"));
    }
}

fn lives(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_none() && !matches!(phase, Some("Failed" | "Succeeded"))
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"))
}

/// What an HPA says.
fn state_of(hpa: &Value, at: f64) -> Hpa {
    let metrics = hpa.pointer("/spec/metrics").and_then(Value::as_array);
    let target = metrics.into_iter().flatten().find_map(|metric| {
        let of = |kind: &str| metric[kind]["target"]["averageValue"].as_str();
        quantity::parse(of("pods").or_else(|| of("object"))?)
    });
    Hpa {
        at,
        desired: hpa["status"]["desiredReplicas"].as_u64().filter(|desired| *desired > 0),
        min: hpa["spec"]["minReplicas"].as_u64().unwrap_or(1),
        max: hpa["spec"]["maxReplicas"].as_u64().unwrap_or(1),
        target,
        gone: false,
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
