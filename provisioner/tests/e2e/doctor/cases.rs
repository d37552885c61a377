//! What kubectl alone can break.

/// A set-up that is broken by kubectl alone.
pub(super) struct Case {
    pub(super) what: &'static str,
    /// What breaks it, words of kubectl.
    pub(super) breaks: &'static [&'static [&'static str]],
    pub(super) hop: &'static str,
    pub(super) code: &'static str,
    /// Which of the told commands mend it.
    pub(super) mends: &'static [usize],
}

const ADAPTER: &str = "deployment/custom-metrics-apiserver";
pub(super) const METRICS_API: &str = "apiservice/v1beta1.custom.metrics.k8s.io";

pub(super) const CASES: [Case; 13] = [
    Case {
        what: "the adapter has no pods",
        breaks: &[&["scale", ADAPTER, "-n", "custom-metrics", "--replicas=0"]],
        hop: "adapter",
        code: "scaled_to_zero",
        mends: &[0],
    },
    Case {
        what: "Prometheus has no pods",
        breaks: &[&["scale", "deployment/prometheus", "-n", "monitoring", "--replicas=0"]],
        hop: "prometheus",
        code: "scaled_to_zero",
        mends: &[0],
    },
    Case {
        what: "the app has no pods",
        breaks: &[&["scale", "deployment/web-app", "-n", "web-app", "--replicas=0"]],
        hop: "pods",
        code: "scaled_to_zero",
        mends: &[0],
    },
    Case {
        what: "the app's pods do not get ready",
        breaks: &[&[
            "patch",
            "deployment/web-app",
            "-n",
            "web-app",
            "--type=json",
            "-p",
            r#"[{"op": "replace", "path": "/spec/template/spec/containers/0/readinessProbe/httpGet/path", "value": "/nope"}]"#,
        ]],
        hop: "pods",
        code: "not_ready",
        mends: &[1],
    },
    Case {
        what: "the container's port has another name",
        breaks: &[&[
            "patch",
            "deployment/web-app",
            "-n",
            "web-app",
            "--type=json",
            "-p",
            r#"[{"op": "replace", "path": "/spec/template/spec/containers/0/ports/0/name", "value": "web"},
                {"op": "replace", "path": "/spec/template/spec/containers/0/readinessProbe/httpGet/port", "value": 8080},
                {"op": "replace", "path": "/spec/template/spec/containers/0/livenessProbe/httpGet/port", "value": 8080}]"#,
        ]],
        hop: "exposition",
        code: "port_name",
        mends: &[0],
    },
    Case {
        what: "the Service selects other pods",
        breaks: &[&[
            "patch",
            "service/web-app-service",
            "-n",
            "web-app",
            "-p",
            r#"{"spec": {"selector": {"app": "other"}}}"#,
        ]],
        hop: "endpoints",
        code: "label_mismatch",
        mends: &[0],
    },
    Case {
        what: "Prometheus may not find pods",
        breaks: &[&["delete", "rolebinding", "demo-prometheus-discovery", "-n", "web-app"]],
        hop: "target",
        code: "forbidden",
        mends: &[0],
    },
    Case {
        what: "the adapter may not ask who calls it",
        breaks: &[&[
            "delete",
            "clusterrolebinding",
            "provisioner-custom-metrics-auth-delegator",
        ]],
        hop: "adapter",
        code: "forbidden",
        mends: &[0],
    },
    Case {
        what: "another product has the API",
        breaks: &[&[
            "patch",
            METRICS_API,
            "--type=merge",
            "-p",
            r#"{"spec": {"service": {"name": "theirs", "namespace": "default"}}}"#,
        ]],
        hop: "api_service",
        code: "taken_over",
        mends: &[0],
    },
    Case {
        what: "there is no API",
        breaks: &[&["delete", METRICS_API]],
        hop: "api_service",
        code: "not_found",
        mends: &[0],
    },
    Case {
        what: "the HPA asks for another metric",
        breaks: &[&[
            "patch",
            "hpa/web-app-hpa",
            "-n",
            "web-app",
            "--type=json",
            "-p",
            r#"[{"op": "replace", "path": "/spec/metrics/0/pods/metric/name", "value": "requests"}]"#,
        ]],
        hop: "hpa",
        code: "wrong_metric",
        mends: &[0],
    },
    Case {
        what: "there is no HPA",
        breaks: &[&["delete", "hpa/web-app-hpa", "-n", "web-app"]],
        hop: "hpa",
        code: "not_found",
        mends: &[0],
    },
    Case {
        what: "the adapter has no rule for the metric",
        breaks: &[
            &[
                "patch",
                "configmap/custom-metrics-apiserver",
                "-n",
                "custom-metrics",
                "-p",
                r#"{"data": {"config.yaml": "rules:\n- seriesQuery: 'up'\n  resources: {template: '<<.Resource>>'}\n  metricsQuery: sum(<<.Series>>)\n"}}"#,
            ],
            &["rollout", "restart", ADAPTER, "-n", "custom-metrics"],
        ],
        hop: "metric",
        code: "no_rule",
        mends: &[0, 1],
    },
];
