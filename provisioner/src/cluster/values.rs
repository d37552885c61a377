//! The closed set of values that manifests may name as `${name}`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::certificate::Certificates;
use super::embedded::DASHBOARDS;
use super::reaction::Reaction;
use crate::names::StackName;

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
    /// The app's image, by digest.
    pub app_image: String,
    /// The loader's image; used by the load job only.
    pub load_image: String,
    /// The intervals.
    pub reaction: Reaction,
    /// Whether the server keeps `tolerance` of an HPA's behaviour: see [`super::Cluster::keeps_tolerance`].
    pub tolerance: bool,
    /// Where the parts live.
    pub namespaces: Namespaces,
    /// A Prometheus that exists already; none for the stack's own.
    pub prometheus_url: Option<String>,
    /// Other references for third-party images, by repository (e.g. `docker.io/grafana/grafana`).
    pub images: BTreeMap<String, String>,
    /// Grafana's admin password: see [`super::password`].
    pub grafana_password: String,
}

impl Values {
    /// The defaults for everything but names and images.
    pub fn new(stack: StackName, app_image: &str, load_image: &str) -> Self {
        Self {
            stack,
            app_image: app_image.to_owned(),
            load_image: load_image.to_owned(),
            reaction: Reaction::default(),
            tolerance: true,
            namespaces: Namespaces::default(),
            prometheus_url: None,
            images: BTreeMap::new(),
            grafana_password: String::new(),
        }
    }

    /// Where Prometheus answers, seen from a pod.
    pub fn prometheus_url(&self) -> String {
        self.prometheus_url
            .clone()
            .unwrap_or_else(|| format!("http://prometheus.{}.svc:9090", self.namespaces.monitoring))
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

    /// Every placeholder with its text: as it stands in YAML, so values with special characters are JSON strings.
    pub(super) fn placeholders(&self, certificates: &Certificates) -> BTreeMap<&'static str, String> {
        let intervals = self.reaction.intervals();
        let seconds = |s: u32| format!("{s}s");
        BTreeMap::from([
            ("stack", self.stack.to_string()),
            ("app_image", self.app_image.clone()),
            ("load_image", self.load_image.clone()),
            ("app_namespace", self.namespaces.app.clone()),
            ("monitoring_namespace", self.namespaces.monitoring.clone()),
            ("metrics_namespace", self.namespaces.metrics.clone()),
            ("scrape_interval", seconds(intervals.scrape_s)),
            ("scrape_timeout", seconds(intervals.scrape_timeout_s)),
            ("rate_window", seconds(intervals.rate_window_s)),
            ("discovery_interval", seconds(intervals.discovery_s)),
            ("relist_interval", seconds(intervals.relist_s)),
            ("metrics_max_age", seconds(intervals.max_age_s)),
            ("hpa_behavior", self.reaction.hpa_behavior(self.tolerance).to_string()),
            ("prometheus_url", self.prometheus_url()),
            ("prometheus_egress", self.prometheus_egress().to_string()),
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
        ])
    }
}

fn dashboard() -> &'static str {
    DASHBOARDS
        .iter()
        .find(|(name, _)| *name == "web-app.json")
        .map_or("{}", |(_, text)| *text)
}
