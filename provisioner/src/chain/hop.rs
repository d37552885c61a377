//! The hops of the chain, in the order in which values flow: what a later one lacks, the first broken one explains.

use std::fmt;

/// A hop of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Hop {
    /// The app's pods run and are ready.
    Pods,
    /// The app answers `/metrics` with the counter.
    Exposition,
    /// Prometheus runs and answers.
    Prometheus,
    /// Prometheus scrapes the app's pods.
    Target,
    /// Prometheus has the app's series, young enough for the rate.
    Series,
    /// The adapter's pods run, with the rights that they need.
    Adapter,
    /// The adapter's certificate is one that the API server accepts.
    Certificate,
    /// The API server has the custom metrics API, and reaches it.
    ApiService,
    /// The adapter lists the metric.
    Metric,
    /// The custom metrics API has a value for each pod.
    Values,
    /// The HPA has read the value.
    Hpa,
    /// The number of pods follows what the HPA wants.
    Scale,
    /// The app's Service leads to the pods.
    Endpoints,
}

impl Hop {
    /// All, in the order in which values flow.
    pub const ALL: [Self; 13] = [
        Self::Pods,
        Self::Exposition,
        Self::Prometheus,
        Self::Target,
        Self::Series,
        Self::Adapter,
        Self::Certificate,
        Self::ApiService,
        Self::Metric,
        Self::Values,
        Self::Hpa,
        Self::Scale,
        Self::Endpoints,
    ];
    /// Those with a figure that proves all the others: a bootstrap waits for them.
    pub const PROOF: [Self; 4] = [Self::Target, Self::Series, Self::Values, Self::Hpa];

    /// Whether what is told of it lasts, so that its age is how long so far.
    pub(super) const fn has_state(self) -> bool {
        !matches!(self, Self::Target | Self::Series | Self::Values | Self::Scale)
    }

    /// What to look at where it is broken, of an app with this counter.
    pub fn hint(self, counter: &str) -> String {
        let hint = match self {
            Self::Pods | Self::Exposition | Self::Prometheus | Self::Target | Self::Scale | Self::Endpoints => {
                "check that the app's pods are ready, answer /metrics on the port named `http`, and that Prometheus runs"
            }
            Self::Series => {
                return format!(
                    "check that the app exports the counter `{counter}` from its start on, even at 0: in most libraries one with labels has no sample before it first counts"
                );
            }
            Self::Adapter | Self::Certificate | Self::ApiService | Self::Metric | Self::Values => {
                "check the APIService v1beta1.custom.metrics.k8s.io, the log of custom-metrics-apiserver, and that it reaches Prometheus"
            }
            Self::Hpa => "look at the conditions with `kubectl describe hpa`; the controller looks every 15 s",
        };
        hint.to_owned()
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pods => "app pods",
            Self::Exposition => "app /metrics",
            Self::Prometheus => "Prometheus",
            Self::Target => "Prometheus target",
            Self::Series => "series in Prometheus",
            Self::Adapter => "adapter",
            Self::Certificate => "certificate",
            Self::ApiService => "APIService",
            Self::Metric => "metric in the API",
            Self::Values => "custom metrics API",
            Self::Hpa => "HPA",
            Self::Scale => "scale",
            Self::Endpoints => "endpoints",
        })
    }
}
