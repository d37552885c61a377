//! The HPA: what it asks for, what it counts, and what its controller says.

use serde_json::Value;

use super::super::code::Code;
use super::super::finding::Finding;
use super::super::hops::hpa_figures;
use super::super::readings::Part;
use super::super::{HPA, Hop, METRIC, pods};
use super::{Exam, by};
use crate::cluster::ready::{condition, sentence};
use crate::names::APP;

/// How long the controller may take to look at a new HPA: two of its rounds.
const LOOK_S: f64 = 35.0;

impl Exam<'_> {
    /// The HPA of the stack.
    pub(super) fn autoscaler(&self) -> Option<&Value> {
        pods::items(&self.readings.hpas)
            .iter()
            .find(|hpa| pods::name(hpa) == HPA)
    }

    pub(super) fn hpa(&self) -> Finding {
        let hop = Hop::Hpa;
        if let Err(failure) = &self.readings.hpas {
            return Self::unasked(hop, failure);
        }
        let namespace = &self.scene.namespaces.app;
        let Some(hpa) = self.autoscaler() else {
            let says = format!("there is no HPA `{namespace}/{HPA}`");
            return Finding::fail(hop, Code::NotFound, says).fix(self.bootstrap(""));
        };
        let wrong = self
            .wrong_target(hpa)
            .or_else(|| self.another(hpa))
            .or_else(|| self.foreign_pods())
            .or_else(|| self.wrong_metric(hpa));
        if let Some(wrong) = wrong {
            return wrong;
        }
        let Some(active) = condition(&hpa["status"], "ScalingActive") else {
            return self.not_looked_at(hpa);
        };
        if active["status"] == "False" {
            return self.inactive(active);
        }
        let age = pods::since(active, self.scene.now);
        match hpa_figures(hpa) {
            Ok((current, desired, average)) => {
                let says = format!("{average:.1} requests/s per pod, {current} of {desired} replicas");
                Finding::pass(hop, says).figure(average, "requests/s per pod").age(age)
            }
            // Another type of metric than the stack's own: its controller reads it, and that is what counts.
            Err(_) if !asks_for(hpa, "pods") => Finding::pass(hop, sentence(active)).age(age),
            Err(broken) => self.not_read(broken.0),
        }
    }

    fn wrong_target(&self, hpa: &Value) -> Option<Finding> {
        let target = &hpa["spec"]["scaleTargetRef"];
        if target["kind"] == "Deployment" && target["name"] == APP {
            return None;
        }
        let text = |field: &str| target[field].as_str().unwrap_or("-");
        let changed = pods::changed_by(hpa, &["spec", "scaleTargetRef"]);
        let says = format!(
            "it scales {} `{}`, not Deployment `{APP}`{}",
            text("kind"),
            text("name"),
            by(changed)
        );
        Some(Finding::fail(Hop::Hpa, Code::WrongTarget, says).fix(self.bootstrap("--force-conflicts")))
    }

    /// Two HPAs of one target undo what the other does.
    fn another(&self, ours: &Value) -> Option<Finding> {
        let target = |hpa: &Value| {
            let target = &hpa["spec"]["scaleTargetRef"];
            (target["kind"].clone(), target["name"].clone())
        };
        let mut others = pods::items(&self.readings.hpas).iter();
        let other = others.find(|hpa| pods::name(hpa) != HPA && target(hpa) == target(ours))?;
        let name = pods::name(other);
        let says = format!("HPA `{name}` scales Deployment `{APP}` too");
        let delete = format!("delete hpa {name}");
        let namespace = &self.scene.namespaces.app;
        Some(
            Finding::fail(Hop::Hpa, Code::TwoAutoscalers, says).fix(self.scene.commands.kubectl_in(namespace, &delete)),
        )
    }

    /// The controller counts every pod that the target's selector matches, whoever made it.
    fn foreign_pods(&self) -> Option<Finding> {
        let selector = self
            .readings
            .deployment
            .as_ref()
            .ok()?
            .pointer("/spec/selector/matchLabels")?;
        let selector = selector.as_object()?;
        let matches = |pod: &&Value| {
            let labels = &pod["metadata"]["labels"];
            selector.iter().all(|(key, value)| labels.get(key) == Some(value))
        };
        let all = pods::items(&self.readings.pods).iter().filter(matches);
        let runs = |pod: &&Value| !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
        let foreign = all
            .filter(|pod| !pods::is_of(pod, APP) && !pods::is_going(pod))
            .filter(runs);
        let names: Vec<&str> = foreign.map(pods::name).collect();
        let first = names.first()?;
        let label = selector.keys().next()?;
        let says = format!(
            "it counts pods that Deployment `{APP}` did not make: their labels are those of its selector: `{}`",
            names.join("`, `")
        );
        let unlabel = format!("label pod {first} {label}-");
        let namespace = &self.scene.namespaces.app;
        Some(
            Finding::fail(Hop::Hpa, Code::ForeignPods, says)
                .count(names.len(), "pods")
                .fix(self.scene.commands.kubectl_in(namespace, &unlabel)),
        )
    }

    fn wrong_metric(&self, hpa: &Value) -> Option<Finding> {
        let names = metric_names(hpa);
        let works = condition(&hpa["status"], "ScalingActive").is_some_and(|active| active["status"] == "True");
        // Somebody who scales by something else as well, or instead, may: as long as it can be read.
        if names.contains(&METRIC) || works && settled(hpa) {
            return None;
        }
        let changed = pods::changed_by(hpa, &["spec", "metrics"]);
        let says = format!(
            "it asks for `{}`, not for `{METRIC}`{}",
            names.join("`, `"),
            by(changed)
        );
        Some(Finding::fail(Hop::Hpa, Code::WrongMetric, says).fix(self.bootstrap("--force-conflicts")))
    }

    fn not_looked_at(&self, hpa: &Value) -> Finding {
        let age = pods::age(&hpa["metadata"]["creationTimestamp"], self.scene.now);
        let says = "the controller has not looked at it yet";
        if age.is_some_and(|age| age < LOOK_S) {
            return Finding::unknown(Hop::Hpa, Code::NotLookedAt, says).age(age);
        }
        let look = self
            .scene
            .commands
            .kubectl_in(&self.scene.namespaces.app, &format!("describe hpa {HPA}"));
        Finding::fail(Hop::Hpa, Code::NotLookedAt, says).age(age).fix(look)
    }

    fn inactive(&self, active: &Value) -> Finding {
        let says = sentence(active);
        let forbidden = self.lacks(Part::Autoscaler);
        let code = match active["reason"].as_str() {
            Some("ScalingDisabled") => Code::ScaledToZero,
            Some("AmbiguousSelector") => Code::TwoAutoscalers,
            _ if forbidden.is_some() => Code::Forbidden,
            _ => Code::of_text(&says).unwrap_or(Code::MetricUnread),
        };
        let says = forbidden
            .filter(|_| code == Code::Forbidden)
            .map_or(says.clone(), |lacks| format!("{lacks}; {says}"));
        let finding = Finding::fail(Hop::Hpa, code, says).age(pods::since(active, self.scene.now));
        let namespace = &self.scene.namespaces.app;
        let kubectl = |words: &str| self.scene.commands.kubectl_in(namespace, words);
        match code {
            Code::ScaledToZero => finding.fix(kubectl(&format!("scale deployment/{APP} --replicas=1"))),
            Code::TwoAutoscalers => finding.fix(kubectl("get hpa")),
            Code::Forbidden => finding.fix(self.bootstrap("")),
            _ => finding.fix(kubectl(&format!("describe hpa {HPA}"))),
        }
    }

    fn not_read(&self, says: String) -> Finding {
        let look = self
            .scene
            .commands
            .kubectl_in(&self.scene.namespaces.app, &format!("describe hpa {HPA}"));
        Finding::fail(Hop::Hpa, Code::MetricUnread, says).fix(look)
    }
}

fn metric_name(metric: &Value) -> Option<&str> {
    let kind = metric["type"].as_str()?;
    match kind {
        "Pods" | "Object" | "External" => metric[kind.to_lowercase()]["metric"]["name"].as_str(),
        "Resource" => metric["resource"]["name"].as_str(),
        "ContainerResource" => metric["containerResource"]["name"].as_str(),
        _ => None,
    }
}

fn metric_names(hpa: &Value) -> Vec<&str> {
    let metrics = hpa["spec"]["metrics"].as_array().into_iter().flatten();
    metrics.filter_map(metric_name).collect()
}

/// Whether what the controller says is of the HPA as it is now: what it read bears the names that are asked for.
fn settled(hpa: &Value) -> bool {
    let read = hpa["status"]["currentMetrics"].as_array().into_iter().flatten();
    let read: Vec<&str> = read.filter_map(metric_name).collect();
    metric_names(hpa).iter().all(|name| read.contains(name))
}

/// Whether the stack's metric is asked for in this form.
fn asks_for(hpa: &Value, form: &str) -> bool {
    let mut metrics = hpa["spec"]["metrics"].as_array().into_iter().flatten();
    metrics.any(|metric| metric[form]["metric"]["name"] == METRIC)
}
