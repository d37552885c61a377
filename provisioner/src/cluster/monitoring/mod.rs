//! What watches the stack, beside its manifests: rules and alerts from one text, and how large Prometheus has to be.
//!
//! ```text
//! grafana/rules.yaml --rules::render(profile)--> rule file | PrometheusRule | Grafana's alerts
//! profile            --rate::query------------> what the adapter asks
//! profile            --capacity::of-----------> memory, retention, volume
//! grafana/series.txt --series::of-------------> allowlist of kube-state-metrics
//! 20-prometheus      --scrape::jobs-----------> what a Prometheus of others (address::PrometheusUrl) has to scrape
//! ```

pub mod address;
pub mod capacity;
pub(super) mod rate;
pub(super) mod rules;
pub mod scrape;
pub(super) mod series;

use std::collections::BTreeMap;

use serde_json::Value;

use super::reaction::Intervals;

/// The alert that fires where kube-state-metrics is not scraped.
const STATE_UNKNOWN: &str = "WebAppStateUnknown";

/// Values of manifests and rules that follow from the profile alone.
pub(super) fn sizes_and_times(intervals: Intervals) -> [(&'static str, String); 10] {
    let capacity = capacity::of(intervals, capacity::MAX_PODS);
    let seconds = |s: u32| format!("{s}s");
    let mebibytes = |unit: &str, amount: u64| format!("{amount}{unit}");
    [
        ("evaluation_interval", seconds(intervals.evaluation_s)),
        ("alert_window", seconds(intervals.alert_window_s)),
        ("alert_for", seconds(intervals.alert_for_s)),
        ("maximum_for", seconds(intervals.maximum_for_s)),
        ("prometheus_retention", format!("{}h", intervals.retention_h)),
        ("prometheus_retention_size", mebibytes("MB", capacity.retention_mi)),
        ("prometheus_volume", mebibytes("Mi", capacity.volume_mi)),
        ("prometheus_memory_request", mebibytes("Mi", capacity.request_mi)),
        ("prometheus_memory_limit", mebibytes("Mi", capacity.limit_mi)),
        ("state_series", series::of("kube-state-metrics").join(",")),
    ]
}

/// The rules in the forms that their readers want; `placeholders` are what the text of the rules may name. Where there is
/// no kube-state-metrics, it is not missed.
pub(super) fn rules(
    placeholders: &BTreeMap<&str, String>,
    intervals: Intervals,
    state_metrics: bool,
) -> [(&'static str, String); 3] {
    let mut rules = rules::render(placeholders);
    if !state_metrics {
        rules = rules.without_alert(STATE_UNKNOWN);
    }
    let alerts = rules::for_grafana(&rules.groups, intervals.evaluation_s);
    let as_text = |text: String| Value::from(text).to_string();
    [
        ("prometheus_rules", as_text(rules.text)),
        ("prometheus_rule_groups", rules.groups.to_string()),
        ("grafana_alerts", as_text(alerts.to_string())),
    ]
}

#[cfg(test)]
mod promtool_tests;
#[cfg(test)]
mod rate_tests;
#[cfg(test)]
mod tests;
