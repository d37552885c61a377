//! The values that manifests may name as `${name}`: the tool's own, and those of the settings' table `[values]`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::app::App;
use super::certificate::Certificates;
use super::embedded::DASHBOARDS;
use super::monitoring::{self, address::PrometheusUrl};
use super::reaction::Reaction;
use crate::names::{APP, LOAD, StackName};

/// The component that tells what state objects are in, and its Service.
const STATE: &str = "kube-state-metrics";
/// How an `image` names an image that the tool pushed: `build://web-app`.
pub(super) const BUILT: &str = "build://";
/// Where the parts of the stack live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespaces {
    /// The app, its HPA and the load job.
    pub app: String,
    /// Prometheus, kube-state-metrics, Grafana.
    pub monitoring: String,
    /// The custom metrics API server.
    pub metrics: String,
}

impl Default for Namespaces {
    fn default() -> Self {
        Self {
            app: crate::names::APP.to_owned(),
            monitoring: "monitoring".to_owned(),
            metrics: "custom-metrics".to_owned(),
        }
    }
}

/// What the manifests are rendered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Values {
    /// Whose objects these are.
    pub stack: StackName,
    /// The app's image, by digest; empty where it does not matter.
    pub app_image: String,
    /// The loader's image; empty where none is known.
    pub load_image: String,
    /// How the app is scraped and scaled.
    pub app: App,
    /// The intervals.
    pub reaction: Reaction,
    /// Whether the server keeps `tolerance` of an HPA's behaviour: see [`super::Cluster::keeps_tolerance`].
    pub tolerance: bool,
    /// Where the parts live.
    pub namespaces: Namespaces,
    /// A Prometheus that exists already; none for the stack's own.
    pub prometheus_url: Option<PrometheusUrl>,
    /// Whether kube-state-metrics is part of the stack: else it is not scraped, and not missed.
    pub state_metrics: bool,
    /// Where images of others are taken from, by what manifests write: `docker.io/grafana/grafana:1.2.3`.
    pub images: BTreeMap<String, String>,
    /// Grafana's admin password: see [`super::password`].
    pub grafana_password: String,
    /// Values of the user's own, by name: as they stand in YAML.
    pub own: BTreeMap<String, String>,
}

impl Values {
    /// The defaults for everything but names and images.
    pub fn new(stack: StackName, app_image: &str, load_image: &str) -> Self {
        Self {
            stack,
            app_image: app_image.to_owned(),
            load_image: load_image.to_owned(),
            app: App::default(),
            reaction: Reaction::default(),
            tolerance: true,
            namespaces: Namespaces::default(),
            prometheus_url: None,
            state_metrics: true,
            images: BTreeMap::new(),
            grafana_password: String::new(),
            own: BTreeMap::new(),
        }
    }

    /// What depends on which components are left out.
    #[must_use]
    pub fn without(mut self, components: &[String]) -> Self {
        self.state_metrics = !components.iter().any(|component| component == STATE);
        self
    }

    /// Where Prometheus scrapes kube-state-metrics.
    fn state_targets(&self) -> serde_json::Value {
        let there = self.state_metrics;
        let address = || format!("{STATE}.{}.svc:8080", self.namespaces.monitoring);
        there.then(address).into_iter().collect()
    }

    /// Where Prometheus answers, seen from a pod.
    pub fn prometheus_url(&self) -> String {
        self.prometheus_url.as_ref().map_or_else(
            || format!("http://prometheus.{}.svc:9090", self.namespaces.monitoring),
            ToString::to_string,
        )
    }

    /// The egress rule of a `NetworkPolicy` that leads to Prometheus. Policies see the port of a pod, not that of the
    /// Service before it, so nothing of a foreign URL narrows it down.
    fn prometheus_egress(&self) -> serde_json::Value {
        if self.prometheus_url.is_some() {
            return serde_json::json!({"ports": [{"protocol": "TCP"}]});
        }
        serde_json::json!({
            "to": [{
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.namespaces.monitoring}},
                "podSelector": {"matchLabels": {"app": "prometheus"}},
            }],
            "ports": [{"protocol": "TCP", "port": 9090}],
        })
    }

    /// The images that the tool pushed, by name; an empty reference where there is none.
    pub(super) fn built(&self) -> BTreeMap<&'static str, &str> {
        BTreeMap::from([(APP, self.app_image.as_str()), (LOAD, self.load_image.as_str())])
    }

    /// Every placeholder with its text: as it stands in YAML, so values with special characters are JSON strings.
    pub(super) fn placeholders(&self, certificates: &Certificates) -> BTreeMap<&str, String> {
        let mut all = self.own_placeholders(certificates);
        all.extend(self.own.iter().map(|(name, value)| (name.as_str(), value.clone())));
        if self.load_image.is_empty() {
            all.remove("load_image");
        }
        all
    }

    fn own_placeholders(&self, certificates: &Certificates) -> BTreeMap<&str, String> {
        let intervals = self.reaction.intervals();
        let seconds = |s: u32| format!("{s}s");
        let mut placeholders = BTreeMap::from([
            ("stack", self.stack.to_string()),
            ("app_image", self.app_image.clone()),
            ("load_image", self.load_image.clone()),
            ("app_namespace", self.namespaces.app.clone()),
            ("monitoring_namespace", self.namespaces.monitoring.clone()),
            ("metrics_namespace", self.namespaces.metrics.clone()),
            ("scrape_interval", seconds(intervals.scrape_s)),
            ("scrape_timeout", seconds(intervals.scrape_timeout_s)),
            ("rate_query", monitoring::rate::query(intervals)),
            ("discovery_interval", seconds(intervals.discovery_s)),
            ("relist_interval", seconds(intervals.relist_s)),
            ("metrics_max_age", seconds(intervals.max_age_s)),
            ("hpa_behavior", self.reaction.hpa_behavior(self.tolerance).to_string()),
            ("prometheus_url", self.prometheus_url()),
            ("prometheus_egress", self.prometheus_egress().to_string()),
            ("state_targets", self.state_targets().to_string()),
            ("dashboard", serde_json::Value::from(dashboard()).to_string()),
            ("grafana_password", STANDARD.encode(&self.grafana_password)),
            ("serving_secret", certificates.authority.serving_secret().to_owned()),
            (
                "ca_injected_from",
                certificates.authority.injected_from(&self.namespaces.metrics),
            ),
            ("ca_certificate", STANDARD.encode(&certificates.ca_certificate)),
            ("ca_key", STANDARD.encode(&certificates.ca_key)),
            ("ca_bundle", STANDARD.encode(&certificates.ca_bundle)),
            (
                "serving_certificate",
                STANDARD.encode(&certificates.serving_certificate),
            ),
            ("serving_key", STANDARD.encode(&certificates.serving_key)),
        ]);
        placeholders.extend(self.app.placeholders());
        placeholders.extend(monitoring::sizes_and_times(intervals));
        placeholders.extend(monitoring::rules(&placeholders, intervals, self.state_metrics));
        placeholders
    }
}

/// The dashboard, as Grafana reads it.
pub(crate) fn dashboard() -> &'static str {
    DASHBOARDS
        .iter()
        .find(|(name, _)| *name == "web-app.json")
        .map_or("{}", |(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::placeholders::{OWN, is_own};

    #[test]
    fn every_placeholder_of_the_tool_is_known_as_its_own() {
        let values = Values::new("demo".parse().expect("valid"), "a", "l");
        let placeholders = values.placeholders(&Certificates::default());
        let unknown: Vec<&&str> = placeholders.keys().filter(|name| !is_own(name)).collect();
        assert_eq!(unknown, Vec::<&&str>::new());
        assert_eq!(placeholders.len() + 4, OWN.len(), "beside those of the load job");
    }
}
