//! How each hop is asked. Every answer is read by a pure function.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{COUNTER, Chain, HPA, Hop, JOB, METRIC, Route, quantity};
use crate::cluster::Cluster;
use crate::cluster::error::Failure;
use crate::cluster::monitoring::address::PrometheusUrl;
use crate::cluster::ready::{condition, sentence};
use crate::cluster::values::Namespaces;
use crate::names::APP;

/// Why a hop has no figure, as a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken(pub String);

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self(failure.to_string())
    }
}

/// What one look at a hop gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The figure, or why there is none.
    pub says: String,
    /// Whether the hop could be looked at.
    pub is_seen: bool,
}

impl Look {
    fn seen(says: String) -> Self {
        Self { says, is_seen: true }
    }

    fn unseen(url: &PrometheusUrl, why: &str) -> Self {
        let says = format!("the Prometheus at {url} cannot be asked from here: {why}");
        Self { says, is_seen: false }
    }
}

/// Asks one hop once: its figure in words, and in `chain` as numbers.
pub async fn probe(cluster: &Cluster, route: &Route, hop: Hop, chain: &mut Chain) -> Result<Look, Broken> {
    let at = &route.namespaces;
    match hop {
        Hop::Target => {
            let asked = format!("up{{job=\"{JOB}\",namespace=\"{}\"}}", at.app);
            let answer = match query(cluster, route, &asked).await? {
                Ok(answer) => answer,
                Err(unseen) => return Ok(unseen),
            };
            let up = targets(&answer)?;
            chain.targets_up = Some(up);
            Ok(Look::seen(format!("{up} up")))
        }
        Hop::Series => {
            let counted = format!("count({COUNTER}{{namespace=\"{}\",pod!=\"\"}})", at.app);
            let answer = match query(cluster, route, &counted).await? {
                Ok(answer) => answer,
                Err(unseen) => return Ok(unseen),
            };
            let series = count(scalar(&answer)?);
            chain.series = Some(series);
            Ok(Look::seen(format!("{series} series")))
        }
        Hop::Values => {
            chain.per_pod = per_pod(cluster, at).await?;
            let total: f64 = chain.per_pod.values().sum();
            let pods = chain.per_pod.len();
            Ok(Look::seen(format!("{total:.1} requests/s over {pods} pods")))
        }
        Hop::Hpa => {
            let hpa = cluster.get_json(&hpa_path(at)).await?;
            (chain.hpa_current, chain.hpa_desired, chain.hpa_value) = hpa_figures(&hpa)?;
            Ok(Look::seen(format!(
                "{:.1} requests/s per pod, {} of {} replicas",
                chain.hpa_value, chain.hpa_current, chain.hpa_desired
            )))
        }
        // They prove nothing that the four above do not.
        _ => Ok(Look::seen(String::new())),
    }
}

pub(super) fn hpa_path(at: &Namespaces) -> String {
    format!(
        "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers/{HPA}",
        at.app
    )
}

/// An instant query: the answer's result vector, or that nobody here may ask.
async fn query(cluster: &Cluster, route: &Route, promql: &str) -> Result<Result<Vec<Value>, Look>, Broken> {
    let answer = match (route.prometheus_proxy(), &route.prometheus) {
        (Some(proxy), url) => {
            let query: String = url::form_urlencoded::byte_serialize(promql.as_bytes()).collect();
            match (
                cluster.get_json(&format!("{proxy}/api/v1/query?query={query}")).await,
                url,
            ) {
                (Ok(answer), _) => answer,
                // It wants credentials that others have: no waiting changes that.
                (Err(refusal), Some(url)) if matches!(refusal.code, Some(401 | 403)) => {
                    return Ok(Err(Look::unseen(url, &refusal.to_string())));
                }
                (Err(failure), _) => return Err(failure.into()),
            }
        }
        (None, Some(url)) => return Ok(Err(Look::unseen(url, "it is no Service of this cluster"))),
        (None, None) => return Err(Broken("Prometheus has no address".to_owned())),
    };
    if answer["status"] != "success" {
        return Err(Broken(format!(
            "Prometheus says: {}",
            answer["error"].as_str().unwrap_or("no success")
        )));
    }
    let result = answer.pointer("/data/result").and_then(Value::as_array);
    let result = result.ok_or_else(|| Broken("Prometheus gave no result".to_owned()))?;
    Ok(Ok(result.clone()))
}

/// Values of the custom metrics API, by pod, in requests per second.
pub(super) async fn per_pod(cluster: &Cluster, at: &Namespaces) -> Result<BTreeMap<String, f64>, Broken> {
    pod_values(&cluster.get_json(&values_path(at)).await?)
}

/// The same, where no value is a figure too: that of an app without requests. An error is a request that failed, of which
/// nothing follows for the app.
pub(crate) async fn per_pod_or_none(cluster: &Cluster, at: &Namespaces) -> Result<BTreeMap<String, f64>, Failure> {
    values_or_none(cluster.get_json(&values_path(at)).await)
}

fn values_or_none(answer: Result<Value, Failure>) -> Result<BTreeMap<String, f64>, Failure> {
    match answer {
        Ok(answer) => Ok(values_of(&answer)),
        // So the adapter says that it has none.
        Err(failure) if failure.code == Some(404) => Ok(BTreeMap::new()),
        Err(failure) => Err(failure),
    }
}

fn values_path(at: &Namespaces) -> String {
    format!(
        "/apis/custom.metrics.k8s.io/v1beta1/namespaces/{}/pods/*/{METRIC}?labelSelector=app%3D{APP}",
        at.app
    )
}

fn values_of(answer: &Value) -> BTreeMap<String, f64> {
    let items = answer["items"].as_array().into_iter().flatten();
    items
        .filter_map(|item| {
            let pod = item.pointer("/describedObject/name")?.as_str()?;
            Some((pod.to_owned(), quantity::parse(item["value"].as_str()?)?))
        })
        .collect()
}

pub(super) fn pod_values(answer: &Value) -> Result<BTreeMap<String, f64>, Broken> {
    let values = values_of(answer);
    if values.is_empty() {
        return Err(Broken(format!("metric `{METRIC}` has no value for any pod")));
    }
    Ok(values)
}

fn targets(result: &[Value]) -> Result<u64, Broken> {
    let up = result.iter().filter(|s| value(s) == Some(1.0)).count();
    if up > 0 {
        return Ok(up as u64);
    }
    Err(Broken(match result.len() {
        0 => format!("job `{JOB}` has no target"),
        n => format!("none of {n} targets of job `{JOB}` is up"),
    }))
}

fn scalar(result: &[Value]) -> Result<f64, Broken> {
    result
        .first()
        .and_then(value)
        .ok_or_else(|| Broken("there is no series of the app's counter with a pod".to_owned()))
}

/// The value of one sample: `[time, "text"]`.
pub(super) fn value(sample: &Value) -> Option<f64> {
    sample["value"][1].as_str()?.parse().ok()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of series is a small whole number"
)]
fn count(value: f64) -> u64 {
    value.max(0.0) as u64
}

/// Current and desired replicas and the average that the HPA read, or what keeps it from scaling.
pub(super) fn hpa_figures(hpa: &Value) -> Result<(u64, u64, f64), Broken> {
    let status = &hpa["status"];
    match condition(status, "ScalingActive") {
        Some(active) if active["status"] == "True" => {}
        Some(active) => return Err(Broken(sentence(active))),
        None => return Err(Broken("the controller has not looked at it yet".to_owned())),
    }
    let metrics = status["currentMetrics"].as_array().cloned().unwrap_or_default();
    let read = metrics
        .iter()
        .find_map(|m| quantity::parse(m.pointer("/pods/current/averageValue")?.as_str()?));
    let average = read.ok_or_else(|| Broken("it has read no value of its metric yet".to_owned()))?;
    let replicas = |field: &str| status[field].as_u64().unwrap_or(0);
    Ok((replicas("currentReplicas"), replicas("desiredReplicas"), average))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn targets_are_counted_or_missed() {
        let up = |v: &str| json!({"metric": {}, "value": [1.5, v]});
        assert_eq!(targets(&[up("1"), up("0"), up("1")]), Ok(2));
        let broken = |text: &str| Err(Broken(text.to_owned()));
        assert_eq!(targets(&[]), broken("job `web-app-service` has no target"));
        assert_eq!(
            targets(&[up("0")]),
            broken("none of 1 targets of job `web-app-service` is up")
        );
    }

    #[test]
    fn values_by_pod_are_in_requests_per_second() {
        let item = |pod: &str, value: &str| json!({"describedObject": {"kind": "Pod", "name": pod}, "value": value});
        let answer = json!({"items": [item("a", "9900m"), item("b", "10")]});
        let want = BTreeMap::from([("a".to_owned(), 9.9), ("b".to_owned(), 10.0)]);
        assert_eq!(pod_values(&answer), Ok(want));
        assert!(pod_values(&json!({"items": []})).is_err());
    }

    #[test]
    fn no_value_is_a_figure_and_a_request_that_failed_is_none() {
        let refused = |code: Option<u16>| {
            let failure = Failure {
                code,
                reason: String::new(),
                message: "no".to_owned(),
                causes: Vec::new(),
                transient: false,
            };
            values_or_none(Err(failure))
        };
        let none = BTreeMap::new();
        assert_eq!(refused(Some(404)).ok(), Some(none.clone()));
        assert_eq!(values_or_none(Ok(json!({"items": []}))).ok(), Some(none));
        assert!(
            [Some(503), Some(403), None]
                .into_iter()
                .all(|code| refused(code).is_err())
        );
    }

    #[test]
    fn an_hpa_that_cannot_read_its_metric_says_why() {
        let inactive = json!({"status": {"conditions": [{"type": "ScalingActive", "status": "False",
            "reason": "FailedGetPodsMetric", "message": "no such metric"}]}});
        assert_eq!(
            hpa_figures(&inactive),
            Err(Broken("FailedGetPodsMetric: no such metric".to_owned()))
        );
        assert!(hpa_figures(&json!({})).is_err());
        let active = json!({"status": {"currentReplicas": 2, "desiredReplicas": 3,
            "conditions": [{"type": "ScalingActive", "status": "True"}],
            "currentMetrics": [{"type": "Pods", "pods": {"current": {"averageValue": "12500m"}}}]}});
        assert_eq!(hpa_figures(&active), Ok((2, 3, 12.5)));
    }
}
