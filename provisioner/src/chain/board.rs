//! All that is worth watching of a running stack at one moment: what moves, what holds it, and what it costs the pods.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Request;
use serde::Serialize;
use serde_json::Value;

use super::examine::samples;
use super::hops::value;
use super::route::Route;
use super::sample::{Sample, read};
use super::why::{Now, Why, why};
use super::{pods, quantity};
use crate::cluster::error::Failure;
use crate::cluster::{Cluster, ClusterError};
use crate::names::APP;

/// How long what is only nice to know may take.
const WITHIN: Duration = if cfg!(test) {
    Duration::from_millis(50)
} else {
    Duration::from_secs(2)
};

/// What an HPA has and wants.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Autoscaler {
    /// Least pods.
    pub min: u64,
    /// Most pods.
    pub max: u64,
    /// Pods that there are.
    pub current: u64,
    /// Pods that are wanted.
    pub desired: u64,
    /// The average per pod that it is to have; none where it scales by something else.
    pub target: Option<f64>,
    /// The average that its controller read last.
    pub average: Option<f64>,
    /// What its controller says.
    pub conditions: Vec<Condition>,
}

/// One thing that a controller says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// Of what.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Why, as a word.
    pub reason: String,
}

/// What a pod uses, as metrics-server says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Usage {
    /// Cores.
    pub cpu: f64,
    /// Bytes.
    pub memory_bytes: f64,
}

/// Figures at one moment. What cannot be read is none.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Board {
    /// Pods and rates.
    #[serde(flatten)]
    pub sample: Sample,
    /// Why the number of pods is what it is; none without an HPA.
    pub why: Option<Why>,
    /// The HPA.
    pub hpa: Option<Autoscaler>,
    /// 99 of 100 requests were answered within that many seconds, over the last minute.
    pub p99_s: Option<f64>,
    /// Requests of the last minute that the app answered with a status of 500 or more, as a part of all.
    pub error_ratio: Option<f64>,
    /// What pods use.
    pub usage: BTreeMap<String, Usage>,
}

/// Looks once. Fails only where the Deployment cannot be read.
pub async fn board(cluster: &Cluster, route: &Route) -> Result<Board, ClusterError> {
    let (figures, usage) = futures::join!(
        Box::pin(figures(cluster, route)),
        Box::pin(usage(cluster, &route.namespaces.app))
    );
    Ok(Board {
        usage: usage.unwrap_or_default(),
        ..figures?
    })
}

/// The same without what pods use, which metrics-server reads anew every 15 s only.
pub async fn figures(cluster: &Cluster, route: &Route) -> Result<Board, ClusterError> {
    let (read, (p99_s, error_ratio)) = futures::join!(
        Box::pin(read(cluster, &route.namespaces)),
        Box::pin(served(cluster, route))
    );
    let (sample, hpa) = read?;
    Ok(Board {
        why: hpa.as_ref().map(|hpa| why(hpa, &now(&sample))),
        hpa: hpa.as_ref().map(autoscaler),
        p99_s,
        error_ratio,
        usage: BTreeMap::new(),
        sample,
    })
}

fn now(sample: &Sample) -> Now {
    Now {
        total: sample.rate_total,
        measured: sample.per_pod.len() as u64,
        ready: sample.ready,
    }
}

fn autoscaler(hpa: &Value) -> Autoscaler {
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    let number = |value: &Value, path: &str| quantity::parse(value.pointer(path)?.as_str()?);
    let conditions = hpa["status"]["conditions"].as_array().into_iter().flatten();
    let text = |condition: &Value, field: &str| condition[field].as_str().unwrap_or_default().to_owned();
    Autoscaler {
        min: hpa["spec"]["minReplicas"].as_u64().unwrap_or(1),
        max: count(&hpa["spec"]["maxReplicas"]),
        current: count(&hpa["status"]["currentReplicas"]),
        desired: count(&hpa["status"]["desiredReplicas"]),
        target: number(&hpa["spec"], "/metrics/0/pods/target/averageValue"),
        average: number(&hpa["status"], "/currentMetrics/0/pods/current/averageValue"),
        conditions: conditions
            .map(|condition| Condition {
                kind: text(condition, "type"),
                status: text(condition, "status"),
                reason: text(condition, "reason"),
            })
            .collect(),
    }
}

/// What tells the answers of one question apart.
pub(super) const FIGURE: &str = "figure";

/// p99 and the part of requests that failed, by [`FIGURE`] in one question.
pub(super) fn served_promql(namespace: &str) -> String {
    let rate = |name: &str, more: &str| {
        format!("rate(http_server_request_duration_seconds_{name}{{namespace=\"{namespace}\"{more}}}[1m])")
    };
    let (buckets, all) = (rate("bucket", ""), rate("count", ""));
    let failed = rate("count", ",http_response_status_code=~\"5..\"");
    format!(
        "{} or {}",
        named("p99", &format!("histogram_quantile(0.99, sum by (le) ({buckets}))")),
        named("errors", &format!("(sum({failed}) or vector(0)) / sum({all})"))
    )
}

/// An expression whose answer is told from others by [`FIGURE`].
pub(super) fn named(name: &str, promql: &str) -> String {
    format!("label_replace({promql}, \"{FIGURE}\", \"{name}\", \"\", \"\")")
}

/// From Prometheus, where it can be asked from here.
async fn served(cluster: &Cluster, route: &Route) -> (Option<f64>, Option<f64>) {
    let Some(proxy) = route.prometheus_proxy() else {
        return (None, None);
    };
    let promql = served_promql(&route.namespaces.app);
    let query: String = url::form_urlencoded::byte_serialize(promql.as_bytes()).collect();
    let path = format!("{proxy}/api/v1/query?query={query}");
    let answer = cluster.ask(Request::get(path).body(Vec::new()), WITHIN).await;
    let samples = answer.as_ref().map_or(&[][..], samples);
    let figure = |name: &str| {
        let of_name = |sample: &&Value| sample["metric"][FIGURE] == name;
        let found = samples.iter().find(of_name).and_then(value);
        // A rate of nothing by nothing is no figure.
        found.filter(|value| value.is_finite())
    };
    (figure("p99"), figure("errors"))
}

/// From metrics-server, where there is one.
pub(crate) async fn usage(cluster: &Cluster, namespace: &str) -> Result<BTreeMap<String, Usage>, Failure> {
    let path = format!("/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods?labelSelector=app%3D{APP}");
    let answer = cluster.ask(Request::get(path).body(Vec::new()), WITHIN).await;
    let usage = pods::items(&answer)
        .iter()
        .map(|pod| (pods::name(pod).to_owned(), used(pod)))
        .collect();
    answer.map(|_| usage)
}

fn used(pod: &Value) -> Usage {
    let containers = pod["containers"].as_array().into_iter().flatten();
    let number = |value: &Value| value.as_str().and_then(quantity::parse).unwrap_or_default();
    containers.fold(Usage::default(), |sum, container| Usage {
        cpu: sum.cpu + number(&container["usage"]["cpu"]),
        memory_bytes: sum.memory_bytes + number(&container["usage"]["memory"]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn usage_is_that_of_all_containers() {
        let pod = json!({"containers": [
            {"usage": {"cpu": "1500000n", "memory": "2048Ki"}}, {"usage": {"cpu": "2m", "memory": "1Mi"}}]});
        let used = used(&pod);
        assert!((used.cpu - 0.0035).abs() < 1e-9, "{used:?}");
        assert!((used.memory_bytes - 3_145_728.0).abs() < 0.5, "{used:?}");
    }

    #[test]
    fn an_hpa_is_read_as_far_as_it_says_something() {
        let hpa = json!({"spec": {"maxReplicas": 10, "metrics": [{"pods": {"target": {"averageValue": "10"}}}]},
            "status": {"currentReplicas": 2, "desiredReplicas": 3,
                "conditions": [{"type": "ScalingActive", "status": "True", "reason": "ValidMetricFound"}]}});
        let read = autoscaler(&hpa);
        assert_eq!((read.min, read.max, read.current, read.desired), (1, 10, 2, 3));
        assert_eq!((read.target, read.average), (Some(10.0), None));
        let said = &read.conditions[0];
        let said = [&said.kind, &said.status, &said.reason];
        assert_eq!(said, ["ScalingActive", "True", "ValidMetricFound"]);
    }
}
