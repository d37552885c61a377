//! What watches the stack, beside its manifests: rules and alerts from one text, and how large Prometheus has to be.
//!
//! ```text
//! grafana/rules.yaml --rules::render(profile)--> rule file | PrometheusRule | Grafana's alerts
//! profile            --capacity::of-----------> memory, retention, volume
//! grafana/series.txt --series::of-------------> allowlist of kube-state-metrics
//! 20-prometheus      --scrape::jobs-----------> what a Prometheus of others (address::PrometheusUrl) has to scrape
//! ```

pub mod address;
pub mod capacity;
pub(super) mod rules;
pub mod scrape;
pub(super) mod series;

#[cfg(test)]
mod promtool_tests;
#[cfg(test)]
mod tests;
