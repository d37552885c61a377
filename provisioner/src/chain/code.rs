//! Why a hop is as it is: stable codes, for people who script and for those who read.

use std::fmt;

use crate::cluster::error::Failure;

/// A class of causes. The names in JSON are a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// It works.
    Ok,
    /// It works, and nobody sends requests.
    NoTraffic,
    /// The HPA has made as many pods as it may.
    AtMaximum,
    /// It works, and the certificate should have been renewed.
    Due,
    /// The object does not exist.
    NotFound,
    /// It is told to have no pods.
    ScaledToZero,
    /// Pods run, and do not get ready.
    NotReady,
    /// A container ends again and again.
    CrashLoop,
    /// An image cannot be pulled.
    ImagePull,
    /// A container lacks a `ConfigMap` or Secret.
    Configuration,
    /// No node takes a pod.
    Unschedulable,
    /// The API server does not take pods: quota, Pod Security, a webhook.
    Refused,
    /// Labels of pods are not those that others look for.
    LabelMismatch,
    /// No port has the name that others look for.
    PortName,
    /// `/metrics` does not have the counter.
    NoMetric,
    /// Nothing listens there.
    ConnectionRefused,
    /// No answer in time: a security group, a network policy, or something that hangs.
    Timeout,
    /// A host name does not resolve.
    Dns,
    /// An answer of another kind than was asked for.
    HttpError,
    /// What is asked refuses who asks: RBAC.
    Forbidden,
    /// A Service has no pods that are ready.
    NoEndpoints,
    /// Prometheus knows no pod to scrape.
    NoTarget,
    /// Prometheus cannot scrape, for another reason.
    TargetDown,
    /// Prometheus has no sample.
    NoSeries,
    /// The newest sample is too old.
    Stale,
    /// Scrapes are further apart than the window of the rate allows.
    SlowScrape,
    /// The certificate has ended, or has not begun.
    X509Expired,
    /// Nobody who is trusted signed the certificate.
    X509Untrusted,
    /// The certificate is for another name.
    X509Name,
    /// The certificate cannot be read.
    X509Unreadable,
    /// Another product has the object.
    TakenOver,
    /// The API server does not get an answer from the API.
    ApiUnavailable,
    /// The adapter does not list the metric.
    NotListed,
    /// No rule of the adapter makes the metric.
    NoRule,
    /// The metric has no value for any pod.
    NoValue,
    /// Some pods have no value.
    MissingPods,
    /// The HPA asks for another metric.
    WrongMetric,
    /// The HPA scales something else, or something that does not exist.
    WrongTarget,
    /// The HPA counts pods that are not the app's.
    ForeignPods,
    /// Two HPAs scale the same.
    TwoAutoscalers,
    /// The HPA's controller has not looked at it.
    NotLookedAt,
    /// The HPA cannot read its metric.
    MetricUnread,
    /// The number of pods cannot be read or changed.
    ScaleFailed,
    /// Fewer pods are ready than the HPA wants.
    Behind,
    /// The one who asks here may not look at it.
    NotAllowed,
    /// It cannot be asked from here, or not without what comes before it.
    NotAsked,
    /// The question was not answered in time.
    Unanswered,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The one list of names is serde's.
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(name)) => f.pad(&name),
            _ => f.pad("unknown"),
        }
    }
}

/// What Go's network and TLS layers write, and for what. There is no code beside these texts: an `APIService`'s condition, a
/// target's last error and an HPA's message are sentences. In order: a later text may stand in an earlier one's error.
const TEXTS: [(&str, Code); 22] = [
    ("certificate has expired", Code::X509Expired),
    ("not yet valid", Code::X509Expired),
    ("certificate is valid for", Code::X509Name),
    ("doesn't contain any IP SANs", Code::X509Name),
    ("unknown authority", Code::X509Untrusted),
    ("x509:", Code::X509Untrusted),
    ("no endpoints available", Code::NoEndpoints),
    ("is forbidden", Code::Forbidden),
    ("HTTP status 403", Code::Forbidden),
    ("HTTP status 401", Code::Forbidden),
    (": 403", Code::Forbidden),
    (": 401", Code::Forbidden),
    ("connection refused", Code::ConnectionRefused),
    ("i/o timeout", Code::Timeout),
    ("deadline exceeded", Code::Timeout),
    ("Client.Timeout", Code::Timeout),
    ("no route to host", Code::Timeout),
    ("network is unreachable", Code::Timeout),
    ("no such host", Code::Dns),
    ("server misbehaving", Code::Dns),
    ("HTTP status", Code::HttpError),
    ("connection reset", Code::ConnectionRefused),
];

impl Code {
    /// The class of what a program in Go says of a connection; none where the text is of another kind.
    pub fn of_text(text: &str) -> Option<Self> {
        TEXTS
            .iter()
            .find_map(|(part, code)| text.contains(part).then_some(*code))
    }

    /// The class of what the API server says of a question that it passed on to a pod or Service.
    pub fn of_proxied(failure: &Failure) -> Self {
        match failure.code {
            None => Self::Timeout,
            Some(401 | 403) => Self::Forbidden,
            Some(502..=504) => Self::of_text(&failure.message).unwrap_or(Self::HttpError),
            Some(_) => Self::HttpError,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_json() {
        assert_eq!(format!("{:>15}|", Code::X509Expired), "   x509_expired|");
        assert_eq!(Code::AtMaximum.to_string(), "at_maximum");
    }

    #[test]
    fn sentences_of_go_programs_are_told_apart() {
        for (text, code) in [
            (
                "failing or missing response from https://10.96.7.1:443/apis/custom.metrics.k8s.io/v1beta1: Get \"https://10.96.7.1:443/apis/custom.metrics.k8s.io/v1beta1\": tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-11-27T10:00:00Z is after 2026-11-26T00:00:00Z",
                Code::X509Expired,
            ),
            (
                "Get \"https://10.96.7.1:443/apis\": tls: failed to verify certificate: x509: certificate signed by unknown authority (possibly because of \"x509: ECDSA verification failure\" while trying to verify candidate authority certificate \"provisioner custom metrics CA\")",
                Code::X509Untrusted,
            ),
            (
                "x509: certificate is valid for a.b.svc, not custom-metrics-apiserver.custom-metrics.svc",
                Code::X509Name,
            ),
            (
                "Get \"https://10.0.1.9:6443/apis\": dial tcp 10.0.1.9:6443: i/o timeout",
                Code::Timeout,
            ),
            (
                "Get \"https://10.0.1.9:6443/apis\": net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)",
                Code::Timeout,
            ),
            (
                "dial tcp 10.0.1.9:8080: connect: connection refused",
                Code::ConnectionRefused,
            ),
            (
                "bad status from https://10.0.1.9:6443/apis/custom.metrics.k8s.io/v1beta1: 403",
                Code::Forbidden,
            ),
            ("server returned HTTP status 404 Not Found", Code::HttpError),
            ("server returned HTTP status 403 Forbidden", Code::Forbidden),
            (
                "dial tcp: lookup prometheus.monitoring.svc on 10.96.0.10:53: no such host",
                Code::Dns,
            ),
            (
                "no endpoints available for service \"http:prometheus:9090\"",
                Code::NoEndpoints,
            ),
        ] {
            assert_eq!(Code::of_text(text), Some(code), "{text}");
        }
        assert_eq!(Code::of_text("the server could not find the metric"), None);
    }

    #[test]
    fn what_the_api_server_passes_on_is_told_by_its_status_first() {
        let failure = |code, message: &str| Failure {
            code,
            reason: String::new(),
            message: message.to_owned(),
            causes: Vec::new(),
            transient: false,
        };
        for (code, message, class) in [
            (None, "no answer within 5 s", Code::Timeout),
            (
                Some(503),
                "error trying to reach service: dial tcp 10.0.0.9:9090: connect: connection refused",
                Code::ConnectionRefused,
            ),
            (
                Some(503),
                "no endpoints available for service \"prometheus\"",
                Code::NoEndpoints,
            ),
            (
                Some(503),
                "the server is currently unable to handle the request",
                Code::HttpError,
            ),
            (Some(403), "pods \"a\" is forbidden", Code::Forbidden),
            (Some(404), "404 page not found", Code::HttpError),
        ] {
            assert_eq!(Code::of_proxied(&failure(code, message)), class, "{message}");
        }
    }
}
