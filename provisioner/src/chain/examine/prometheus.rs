//! Prometheus: whether it answers, scrapes the app, and has samples that are young enough.

use serde_json::Value;

use super::super::code::Code;
use super::super::finding::{Finding, State, pace};
use super::super::hops::value;
use super::super::pods;
use super::super::readings::{Answer, PROMETHEUS, Part, Series};
use super::super::rules::{seconds, window_s};
use super::super::{COUNTER, Hop, JOB};
use super::Exam;
use super::workload::Workload;
use crate::cluster::monitoring::address::PrometheusUrl;

impl Exam<'_> {
    pub(super) fn prometheus(&self) -> Finding {
        let hop = Hop::Prometheus;
        let Some(series) = &self.readings.series else {
            let url = self.readings.foreign.as_ref().map(ToString::to_string);
            let says = format!(
                "the Prometheus at {} is no Service of this cluster: it cannot be asked from here",
                url.unwrap_or_default()
            );
            return Finding::unknown(hop, Code::NotAsked, says);
        };
        let found = match &self.readings.foreign {
            Some(url) => Finding::pass(hop, format!("{url}, which others run")),
            None => self.own_prometheus(),
        };
        if found.state == State::Fail {
            return found;
        }
        match &series.answers {
            Ok(answer) if answer["status"] == "success" => found,
            Ok(answer) => Finding::fail(hop, Code::HttpError, said(answer)).fix(self.prometheus_log()),
            Err(failure) => self.no_answer(failure),
        }
    }

    fn own_prometheus(&self) -> Finding {
        self.workload(&Workload {
            hop: Hop::Prometheus,
            namespace: &self.scene.namespaces.monitoring,
            name: PROMETHEUS,
            deployment: &self.readings.prometheus,
            pods: &self.readings.prometheus_pods,
        })
    }

    fn no_answer(&self, failure: &crate::cluster::error::Failure) -> Finding {
        let hop = Hop::Prometheus;
        let code = Code::of_proxied(failure);
        let says = format!("it does not answer: {failure}");
        if code == Code::Forbidden {
            // Our own asks for no credentials, so it is the API server that refuses; a foreign one may want some.
            return Finding::unknown(hop, Code::NotAllowed, says);
        }
        let says_of = failure.code == Some(404);
        let finding = Finding::fail(hop, if says_of { Code::NotFound } else { code }, says);
        match &self.readings.foreign {
            None => finding.fix(self.bootstrap("")).fix(self.prometheus_log()),
            Some(_) => finding.fix(
                self.scene
                    .commands
                    .kubectl("get services,endpointslices --all-namespaces"),
            ),
        }
    }

    fn prometheus_log(&self) -> String {
        let namespace = &self.scene.namespaces.monitoring;
        self.scene
            .commands
            .kubectl_in(namespace, &format!("logs deployment/{PROMETHEUS} --tail=50"))
    }

    /// The answers of a Prometheus that answers.
    fn asked(&self, hop: Hop) -> Result<&Series, Finding> {
        let unasked = || Finding::unknown(hop, Code::NotAsked, "Prometheus does not answer");
        let series = self.readings.series.as_ref().ok_or_else(unasked)?;
        let answers = series
            .answers
            .as_ref()
            .is_ok_and(|answer| answer["status"] == "success");
        if answers { Ok(series) } else { Err(unasked()) }
    }

    /// Whether Prometheus scrapes a pod of the app.
    pub(super) fn is_scraped(&self) -> bool {
        self.asked(Hop::Target)
            .is_ok_and(|series| ups(&series.up).into_iter().any(is_up))
    }

    pub(super) fn target(&self) -> Finding {
        let hop = Hop::Target;
        let series = match self.asked(hop) {
            Ok(series) => series,
            Err(unasked) => return self.no_discovery().unwrap_or(unasked),
        };
        if let Some(forbidden) = self.no_discovery() {
            return forbidden;
        }
        let targets = Targets::of(&series.targets);
        let ups = ups(&series.up);
        let up = ups.iter().filter(|up| is_up(**up)).count();
        if let Some(down) = targets.down().filter(|_| up == 0) {
            return self.target_down(down);
        }
        if up > 0 {
            let all = ups.len();
            let age = targets.youngest(self.scene.now);
            let finding = Finding::pass(hop, format!("{up} of {all} up")).count(up, "targets");
            return finding.age(age);
        }
        if let Some(failure) = series.up.as_ref().err() {
            return Self::unasked(hop, failure);
        }
        if !targets.active.is_empty() && ups.is_empty() {
            return Finding::unknown(hop, Code::NotLookedAt, "it has not scraped its targets yet");
        }
        if !ups.is_empty() {
            return Finding::fail(
                hop,
                Code::TargetDown,
                format!("none of {} targets of job `{JOB}` is up", ups.len()),
            )
            .fix(self.prometheus_log());
        }
        self.no_target(&targets)
    }

    /// The stack's own Prometheus finds pods through the API server; it may go on with what it knew until its watch ends.
    fn no_discovery(&self) -> Option<Finding> {
        if self.readings.foreign.is_some() || self.readings.prometheus.is_err() {
            return None;
        }
        let says = self.lacks(Part::Prometheus)?;
        Some(Finding::fail(Hop::Target, Code::Forbidden, says).fix(self.bootstrap("")))
    }

    fn target_down(&self, target: &Value) -> Finding {
        let said = target["lastError"].as_str().unwrap_or_default();
        let url = target["scrapeUrl"].as_str().unwrap_or("the pod");
        let code = Code::of_text(said).unwrap_or(Code::TargetDown);
        let finding = Finding::fail(Hop::Target, code, format!("cannot scrape {url}: {said}"))
            .age(pods::age(&target["lastScrape"], self.scene.now));
        let namespace = &self.scene.namespaces.app;
        let policies = self.scene.commands.kubectl_in(namespace, "describe networkpolicies");
        match code {
            Code::Timeout => finding.fix(policies).fix(self.bootstrap("")),
            // A wrong path or port stands in its configuration, or in the pods.
            _ => self.configured(finding),
        }
    }

    /// With what sets the configuration right, and makes Prometheus read it: a file that is as it was before starts no pod, and
    /// a bootstrap waits for the chain. So the pod goes first.
    fn configured(&self, finding: Finding) -> Finding {
        let bootstrap = self.bootstrap("--force-conflicts");
        if self.readings.foreign.is_some() {
            return finding.fix(bootstrap);
        }
        let delete = format!("delete deployment/{PROMETHEUS}");
        let delete = self
            .scene
            .commands
            .kubectl_in(&self.scene.namespaces.monitoring, &delete);
        finding.fix(delete).fix(bootstrap)
    }

    fn no_target(&self, targets: &Targets<'_>) -> Finding {
        let hop = Hop::Target;
        if targets.dropped > 0 {
            let says = format!(
                "job `{JOB}` finds {} containers and keeps none: it wants a port named `http` of a running pod",
                targets.dropped
            );
            return Finding::fail(hop, Code::PortName, says).fix(self.bootstrap("--force-conflicts"));
        }
        let finding = Finding::fail(hop, Code::NoTarget, format!("job `{JOB}` has no target"));
        match &self.readings.foreign {
            None => finding
                .fix(self.bootstrap("--force-conflicts"))
                .fix(self.prometheus_log()),
            // Which jobs it has to have, bootstrap says.
            Some(_) => finding.fix(self.bootstrap("")),
        }
    }

    pub(super) fn series(&self) -> Finding {
        let hop = Hop::Series;
        let series = match self.asked(hop) {
            Ok(series) => series,
            Err(unasked) => return unasked,
        };
        let ages: Vec<f64> = match &series.ages {
            Ok(answer) => result(answer).iter().filter_map(value).collect(),
            Err(failure) => return Self::unasked(hop, failure),
        };
        let Some(youngest) = ages.iter().copied().reduce(f64::min) else {
            return self.no_series(series);
        };
        let window = self.window();
        let scrape = Targets::of(&series.targets).interval_s();
        if let (Some(window), Some(scrape)) = (window, scrape)
            && window < 2.0 * scrape
        {
            let says = format!(
                "scraped every {}, but the adapter's rate looks at the last {}: two samples have to fit",
                pace(scrape),
                pace(window)
            );
            return self.configured(Finding::fail(hop, Code::SlowScrape, says).age(Some(youngest)));
        }
        // A rate needs two samples in its window; without one that is told, what Prometheus itself calls stale.
        let limit = window.unwrap_or(300.0).max(2.0 * scrape.unwrap_or_default());
        if youngest > limit {
            return self.stale(youngest);
        }
        Finding::pass(hop, format!("`{COUNTER}` of {} pods", ages.len()))
            .count(ages.len(), "pods")
            .age(Some(youngest))
    }

    fn no_series(&self, series: &Series) -> Finding {
        let last = series
            .last
            .as_ref()
            .ok()
            .and_then(|answer| result(answer).iter().find_map(value));
        if let Some(last) = last {
            return self.stale(last);
        }
        let own = &self.scene.app.counter;
        let kept = if own == COUNTER {
            String::new()
        } else {
            format!(", as which `{own}` is kept,")
        };
        let says = format!("there is no series of `{COUNTER}`{kept} with a pod");
        Finding::fail(Hop::Series, Code::NoSeries, says).fix(self.query())
    }

    fn stale(&self, age: f64) -> Finding {
        let says = format!("the newest sample of `{COUNTER}` is {} old", pace(age));
        Finding::fail(Hop::Series, Code::Stale, says)
            .age(Some(age))
            .fix(self.query())
    }

    /// Shows the targets with what they said last.
    fn query(&self) -> String {
        let proxy = self.readings.foreign.as_ref().and_then(PrometheusUrl::service_proxy);
        let own = format!(
            "/api/v1/namespaces/{}/services/http:{PROMETHEUS}:9090/proxy",
            self.scene.namespaces.monitoring
        );
        let path = format!("{}/api/v1/targets", proxy.unwrap_or(own));
        self.scene.commands.kubectl(&format!("get --raw '{path}'"))
    }

    fn window(&self) -> Option<f64> {
        window_s(self.readings.adapter_rules.as_ref().ok()?)
    }
}

/// What a query that failed says.
fn said(answer: &Value) -> String {
    format!("it says: {}", answer["error"].as_str().unwrap_or("no success"))
}

/// The samples of an instant query; a scalar is none of them.
pub(in crate::chain) fn result(answer: &Value) -> &[Value] {
    let result = answer.pointer("/data/result").and_then(Value::as_array);
    result.map_or(&[], Vec::as_slice)
}

/// `up` is 0 or 1.
fn is_up(up: f64) -> bool {
    up > 0.5
}

fn ups(answer: &Answer) -> Vec<f64> {
    answer.as_ref().map_or_else(
        |_| Vec::new(),
        |answer| result(answer).iter().filter_map(value).collect(),
    )
}

/// The targets of the app's job, where Prometheus tells them.
struct Targets<'a> {
    active: &'a [Value],
    dropped: u64,
}

impl<'a> Targets<'a> {
    fn of(answer: &'a Answer) -> Self {
        let data = answer.as_ref().ok().map(|answer| &answer["data"]);
        let active = data.and_then(|data| data["activeTargets"].as_array());
        let counted = data.and_then(|data| data["droppedTargetCounts"][JOB].as_u64());
        let listed = data.and_then(|data| data["droppedTargets"].as_array());
        Self {
            active: active.map_or(&[], Vec::as_slice),
            dropped: counted.unwrap_or_else(|| listed.map_or(0, |all| all.len() as u64)),
        }
    }

    /// A target that cannot be scraped.
    fn down(&self) -> Option<&'a Value> {
        self.active.iter().find(|target| target["health"] == "down")
    }

    /// Seconds since the last scrape.
    fn youngest(&self, now: jiff::Timestamp) -> Option<f64> {
        let ages = self
            .active
            .iter()
            .filter_map(|target| pods::age(&target["lastScrape"], now));
        ages.reduce(f64::min)
    }

    /// Seconds between two scrapes.
    fn interval_s(&self) -> Option<f64> {
        self.active
            .iter()
            .find_map(|target| seconds(target["scrapeInterval"].as_str()?))
    }
}
