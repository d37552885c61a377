//! The placeholders that are the tool's own, and what each stands for.

/// Every name with what it stands for; the values come from `cluster::values`, those of the load Job from `cluster::load_job`.
pub(crate) const OWN: &[(&str, &str)] = &[
    ("stack", "name of the stack"),
    (
        "app_image",
        "image of the app, by digest (`image: build://web-app` is the same)",
    ),
    ("load_image", "image that makes load; has no value where none is known"),
    ("app_namespace", "namespace of the app"),
    (
        "monitoring_namespace",
        "namespace of Prometheus, kube-state-metrics and Grafana",
    ),
    ("metrics_namespace", "namespace of the custom metrics API"),
    ("app_port", "port of the app (`app.port`)"),
    ("metrics_path", "path of its metrics, in quotes (`app.metrics-path`)"),
    (
        "target_rate",
        "requests per second for each pod, a quantity in quotes (`app.target-rate`)",
    ),
    (
        "counter_relabelings",
        "how a ServiceMonitor renames the app's counter (`app.counter`), JSON or `null`",
    ),
    ("counter_relabel_configs", "the same for a scrape configuration, JSON"),
    ("scrape_interval", "between two scrapes of a pod"),
    ("scrape_timeout", "time for one scrape"),
    ("rate_query", "query of the rate that drives scaling, for the adapter"),
    ("discovery_interval", "until a new pod is scraped, at most"),
    ("relist_interval", "between two looks of the adapter for new series"),
    ("metrics_max_age", "how far back the adapter looks for series"),
    ("hpa_behavior", "`behavior` of the HPA, JSON or `null`"),
    ("prometheus_url", "where Prometheus answers, as pods see it"),
    (
        "prometheus_egress",
        "rule of a NetworkPolicy that leads to Prometheus, JSON",
    ),
    ("dashboard", "the dashboard, as a JSON text"),
    ("grafana_password", "password of Grafana's administrator, base64"),
    ("ca_certificate", "certificate of the stack's own CA, base64"),
    ("ca_key", "its key, base64"),
    ("ca_bundle", "CAs that clients of the metrics API trust, base64"),
    (
        "ca_injected_from",
        "certificate from which cert-manager injects the bundle",
    ),
    ("serving_secret", "Secret of the serving certificate"),
    ("serving_certificate", "certificate of the metrics API, base64"),
    ("serving_key", "its key, base64"),
    ("load_url", "load Job: where to"),
    ("load_rate", "load Job: requests per second"),
    ("load_duration", "load Job: how long"),
    ("load_deadline_s", "load Job: when it is given up, seconds"),
    ("evaluation_interval", "between two evaluations of rules"),
    ("alert_window", "window of the rates that rules look at"),
    ("alert_for", "how long a fault lasts before it is an alert"),
    (
        "maximum_for",
        "how long the HPA may be at its maximum before that is an alert",
    ),
    ("prometheus_retention", "how long Prometheus keeps samples"),
    ("prometheus_retention_size", "how many bytes of them"),
    ("prometheus_volume", "size of its volume"),
    ("prometheus_memory_request", "its memory, requested"),
    ("prometheus_memory_limit", "its memory, at most"),
    ("state_series", "series that kube-state-metrics exports"),
    ("state_targets", "where kube-state-metrics is scraped, JSON"),
    ("prometheus_rules", "rules and alerts as a rule file, a JSON text"),
    (
        "prometheus_rule_groups",
        "the same as the spec of a PrometheusRule, JSON",
    ),
    ("grafana_alerts", "the alerts as Grafana provisions them, a JSON text"),
];

/// Whether a placeholder of that name is the tool's own.
pub(crate) fn is_own(name: &str) -> bool {
    OWN.iter().any(|(own, _)| *own == name)
}
