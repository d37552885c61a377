//! The app: its pods, and what they answer to a scrape.

use serde_json::Value;

use super::super::Hop;
use super::super::code::Code;
use super::super::exposition::{Counted, Wanted};
use super::super::finding::{Finding, State};
use super::super::pods;
use super::Exam;
use super::workload::Workload;
use crate::names::APP;

impl Exam<'_> {
    pub(super) fn pods(&self) -> Finding {
        let readings = self.readings;
        let found = self.workload(&Workload {
            hop: Hop::Pods,
            namespace: &self.scene.namespaces.app,
            name: APP,
            deployment: &readings.deployment,
            pods: &readings.pods,
        });
        match &readings.deployment {
            Ok(deployment) if found.state != State::Unknown => self.labelled(deployment).unwrap_or(found),
            _ => found,
        }
    }

    /// Prometheus, the Service and the HPA's query look for one label.
    fn labelled(&self, deployment: &Value) -> Option<Finding> {
        let labels = deployment.pointer("/spec/template/metadata/labels")?;
        if labels["app"] == APP {
            return None;
        }
        let has = labels["app"]
            .as_str()
            .map_or_else(|| "no such label".to_owned(), |app| format!("`app: {app}`"));
        let says = format!("the pods have {has}, but Prometheus, Service and adapter look for `app: {APP}`");
        // A selector cannot be changed in place.
        Some(Finding::fail(Hop::Pods, Code::LabelMismatch, says).fix(self.bootstrap("--recreate --force-conflicts")))
    }

    pub(super) fn exposition(&self) -> Finding {
        let hop = Hop::Exposition;
        let ready: Vec<&Value> = pods::of_app(&self.readings.pods)
            .into_iter()
            .filter(|pod| pods::is_ready(pod))
            .collect();
        let Some(first) = ready.first() else {
            return Finding::unknown(hop, Code::NotAsked, "no pod is ready to be asked");
        };
        if ready.iter().all(|pod| pods::port(pod).is_none()) {
            let says = format!("no container of pod `{}` has a port named `http`", pods::name(first));
            return Finding::fail(hop, Code::PortName, says).fix(self.bootstrap("--force-conflicts"));
        }
        let (counter, path) = (&self.scene.app.counter, &self.scene.app.metrics_path);
        let wanted = Wanted {
            counter,
            namespace: &self.scene.namespaces.app,
        };
        let answers = &self.readings.expositions;
        let shown = answers
            .iter()
            .map(|(pod, answer)| (pod, answer.as_ref().map(|text| wanted.of(pod, text))));
        let bad: Vec<_> = shown.filter(|(_, found)| !matches!(found, Ok(Counted::Own))).collect();
        let good = answers.len() - bad.len();
        match bad.first() {
            None if good == 0 => Finding::unknown(hop, Code::NotAsked, "no pod was asked"),
            None => Finding::pass(hop, format!("{good} of {} pods asked have `{counter}`", answers.len()))
                .count(good, "pods"),
            Some((pod, Ok(found))) => self.no_counter(pod, found),
            Some((pod, Err(failure))) => {
                let code = Code::of_proxied(failure);
                let says = format!("pod `{pod}` does not answer {path}: {failure}");
                // Whoever may not, or whose control plane reaches no pod, sees in Prometheus whether the pods answer.
                if code == Code::Forbidden || self.is_scraped() {
                    let code = if code == Code::Forbidden {
                        Code::NotAllowed
                    } else {
                        code
                    };
                    return Finding::unknown(hop, code, says);
                }
                let logs = self
                    .scene
                    .commands
                    .kubectl_in(&self.scene.namespaces.app, &format!("logs {pod} --tail=50"));
                Finding::fail(hop, code, says).fix(logs)
            }
        }
    }

    /// Of a pod without the counter; its port is that of the name, as the pods were asked.
    fn no_counter(&self, pod: &str, counted: &Counted) -> Finding {
        let app = &self.scene.app;
        let (code, says) = match counted {
            Counted::Elsewhere { label, value } => (
                Code::LabelMismatch,
                format!(
                    "pod `{pod}` gives `{}` the label {label}=\"{value}\", which counts before the pod's own {label}",
                    app.counter
                ),
            ),
            Counted::Own | Counted::Missing => (
                Code::NoMetric,
                format!(
                    "pod `{pod}` answers {} without a sample of the counter `{}`",
                    app.metrics_path, app.counter
                ),
            ),
        };
        let namespace = &self.scene.namespaces.app;
        let asked = pods::of_app(&self.readings.pods)
            .into_iter()
            .find(|one| pods::name(one) == pod);
        let port = asked.and_then(pods::port).unwrap_or(app.port.into());
        let look = format!(
            "get --raw /api/v1/namespaces/{namespace}/pods/http:{pod}:{port}/proxy{}",
            app.metrics_path
        );
        Finding::fail(Hop::Exposition, code, says).fix(self.scene.commands.kubectl(&look))
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorded;
    use super::*;

    #[test]
    fn pods_are_looked_at_for_the_apps_own_counter() {
        let mut scene = recorded::scene();
        scene.app.counter = "orders_total".to_owned();
        scene.app.metrics_path = "/internal/metrics".to_owned();
        let look = |text: &str| {
            let readings = recorded::broken(|readings| {
                recorded::of(&mut readings.pods)["items"][0]["spec"]["containers"][0]["ports"][0]["containerPort"] =
                    9000.into();
                let pod = pods::name(pods::of_app(&readings.pods)[0]).to_owned();
                readings.expositions = vec![(pod, Ok(text.to_owned()))];
            });
            let exam = Exam {
                readings: &readings,
                scene: &scene,
            };
            exam.exposition()
        };
        assert_eq!(look("orders_total 2").state, State::Pass);
        let found = look("http_requests_total 2");
        assert_eq!((found.state, found.code), (State::Fail, Code::NoMetric));
        assert!(
            found.says.contains("/internal/metrics") && found.says.contains("`orders_total`"),
            "{}",
            found.says
        );
        assert!(
            found.fixes[0].ends_with(":9000/proxy/internal/metrics"),
            "{:?}",
            found.fixes
        );
        let found = look("orders_total{namespace=\"default\"} 2");
        assert_eq!((found.state, found.code), (State::Fail, Code::LabelMismatch));
        assert!(found.says.contains("namespace=\"default\""), "{}", found.says);
    }
}
