//! What follows from the HPA's wish: the number of pods, and the Service that leads to them.

use serde_json::Value;

use super::super::code::Code;
use super::super::finding::{Finding, pace};
use super::super::quantity;
use super::super::readings::APP_SERVICE;
use super::super::{HPA, Hop, pods};
use super::Exam;
use crate::cluster::ready::{condition, sentence};
use crate::names::APP;

/// How far above its target a full set of pods is when more of them would help: the controller's own tolerance.
const TOLERANCE: f64 = 0.1;
/// How long pods may take to follow.
const FOLLOW_S: f64 = 60.0;

impl Exam<'_> {
    pub(super) fn scale(&self) -> Finding {
        let hop = Hop::Scale;
        let scale = match &self.readings.scale {
            Ok(scale) => scale,
            Err(failure) if failure.code == Some(404) => {
                let says = format!("there is no Deployment `{}/{APP}` to scale", self.scene.namespaces.app);
                return Finding::fail(hop, Code::NotFound, says).fix(self.bootstrap(""));
            }
            Err(failure) => return Self::unasked(hop, failure),
        };
        let Some(hpa) = self.autoscaler() else {
            return Finding::unknown(hop, Code::NotAsked, "there is no HPA that wants a number of pods");
        };
        let able = condition(&hpa["status"], "AbleToScale").filter(|able| able["status"] == "False");
        if let Some(able) = able {
            let look = format!("describe hpa {HPA}");
            return Finding::fail(hop, Code::ScaleFailed, sentence(able))
                .age(pods::since(able, self.scene.now))
                .fix(self.scene.commands.kubectl_in(&self.scene.namespaces.app, &look));
        }
        let count = |value: &Value| value.as_u64().unwrap_or(0);
        let ready = count(self.deployment_status("readyReplicas"));
        let (wanted, max) = (
            count(&hpa["status"]["desiredReplicas"]),
            count(&hpa["spec"]["maxReplicas"]),
        );
        let age = pods::age(&hpa["status"]["lastScaleTime"], self.scene.now);
        let says = format!(
            "{ready} ready, {} asked for, {wanted} wanted, at most {max}",
            count(&scale["spec"]["replicas"])
        );
        let figures = |finding: Finding| {
            #[expect(clippy::cast_precision_loss, reason = "counts of pods are small")]
            finding.figure(ready as f64, "pods").age(age)
        };
        if ready < wanted && age.is_some_and(|age| age > FOLLOW_S) {
            let says = format!(
                "{says}: for {} fewer pods are ready than are wanted",
                pace(age.unwrap_or_default())
            );
            let look = self
                .scene
                .commands
                .kubectl_in(&self.scene.namespaces.app, "get pods,events");
            return figures(Finding::fail(hop, Code::Behind, says)).fix(look);
        }
        if wanted >= max && is_limited(hpa) {
            return figures(self.at_maximum(hpa, (max, &says)));
        }
        figures(Finding::pass(hop, says))
    }

    fn deployment_status(&self, field: &str) -> &Value {
        match &self.readings.deployment {
            Ok(deployment) => &deployment["status"][field],
            Err(_) => &Value::Null,
        }
    }

    /// More pods are wanted than there may be: broken where each has more to do than its target, and good to know else.
    fn at_maximum(&self, hpa: &Value, (max, says): (u64, &str)) -> Finding {
        let over = load(hpa);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a number of pods is small and above zero"
        )]
        let enough = (over.unwrap_or(1.0) * max as f64).ceil().clamp(1.0, 10_000.0) as u64;
        let raise = format!(
            "patch hpa {HPA} --type merge --patch '{{\"spec\":{{\"maxReplicas\":{}}}}}'",
            enough.max(max + 1)
        );
        let fix = self.scene.commands.kubectl_in(&self.scene.namespaces.app, &raise);
        match over {
            Some(over) if over > 1.0 + TOLERANCE => {
                let says = format!("{says}: each pod has {over:.1} times its target");
                Finding::fail(Hop::Scale, Code::AtMaximum, says).fix(fix)
            }
            _ => Finding::pass(Hop::Scale, says).but(Code::AtMaximum),
        }
    }

    pub(super) fn endpoints(&self) -> Finding {
        let hop = Hop::Endpoints;
        let namespace = &self.scene.namespaces.app;
        let service = match &self.readings.service {
            Ok(service) => service,
            Err(failure) if failure.code == Some(404) => {
                let says = format!("there is no Service `{namespace}/{APP_SERVICE}`");
                return Finding::fail(hop, Code::NotFound, says).fix(self.bootstrap(""));
            }
            Err(failure) => return Self::unasked(hop, failure),
        };
        if let Err(failure) = &self.readings.slices {
            return Self::unasked(hop, failure);
        }
        let slices = pods::items(&self.readings.slices);
        let endpoints = slices
            .iter()
            .filter_map(|slice| slice["endpoints"].as_array())
            .flatten();
        let ready = endpoints
            .filter(|endpoint| endpoint["conditions"]["ready"] == true)
            .count();
        let has_port = slices
            .iter()
            .any(|slice| slice["ports"].as_array().is_some_and(|ports| !ports.is_empty()));
        if ready > 0 && has_port {
            return Finding::pass(hop, format!("{ready} ready behind Service `{APP_SERVICE}`"))
                .count(ready, "endpoints");
        }
        self.no_endpoints(service, ready > 0)
    }

    fn no_endpoints(&self, service: &Value, without_port: bool) -> Finding {
        let hop = Hop::Endpoints;
        let made = pods::of_app(&self.readings.pods);
        let selector = service["spec"]["selector"].as_object();
        let selects = |pod: &&&Value| {
            let labels = &pod["metadata"]["labels"];
            selector.is_some_and(|all| all.iter().all(|(key, value)| labels.get(key) == Some(value)))
        };
        if !made.is_empty() && made.iter().find(selects).is_none() {
            let changed = pods::changed_by(service, &["spec", "selector"]);
            let says = format!(
                "the selector of Service `{APP_SERVICE}` matches no pod of the app{}",
                super::by(changed)
            );
            return Finding::fail(hop, Code::LabelMismatch, says).fix(self.bootstrap("--force-conflicts"));
        }
        if without_port || made.iter().any(|pod| pods::is_ready(pod)) {
            let says = format!("no pod has the port that Service `{APP_SERVICE}` leads to");
            return Finding::fail(hop, Code::PortName, says).fix(self.bootstrap("--force-conflicts"));
        }
        let says = format!("no pod behind Service `{APP_SERVICE}` is ready");
        let look = self
            .scene
            .commands
            .kubectl_in(&self.scene.namespaces.app, "describe pods --selector app=web-app");
        Finding::fail(hop, Code::NoEndpoints, says).fix(look)
    }
}

/// Whether the HPA would make more pods than it may.
fn is_limited(hpa: &Value) -> bool {
    let limited = condition(&hpa["status"], "ScalingLimited");
    limited.is_some_and(|limited| limited["status"] == "True" && limited["reason"] == "TooManyReplicas")
}

/// What each pod has to do, as a multiple of its target.
fn load(hpa: &Value) -> Option<f64> {
    let mut read = hpa["status"]["currentMetrics"].as_array()?.iter();
    let mut asked = hpa["spec"]["metrics"].as_array()?.iter();
    let number = |value: &Value, path: &str| quantity::parse(value.pointer(path)?.as_str()?);
    let current = read.find_map(|metric| number(metric, "/pods/current/averageValue"))?;
    let target = asked.find_map(|metric| number(metric, "/pods/target/averageValue"))?;
    (target > 0.0).then(|| current / target)
}
