//! When Prometheus first saw the load: its raw samples bear the time of their scrape.

use serde_json::Value;

use crate::chain::{COUNTER, Route};
use crate::cluster::Cluster;

/// How long after the first request the samples are looked at: two scrapes of the slowest profile.
const AFTER: f64 = 75.0;
/// How long before, so that there is a value to compare with.
const BEFORE: f64 = 45.0;

/// Asks Prometheus, if it can be asked, when it first scraped a counter that had risen since `first`, in seconds by the
/// cluster's clock; `end` is the present there.
pub async fn scraped(cluster: &Cluster, route: &Route, first: f64, end: f64) -> Option<f64> {
    let proxy = route.prometheus_proxy()?;
    let until = end.min(first + AFTER);
    let range = (until - first + BEFORE).ceil();
    let namespace = &route.namespaces.app;
    let asked = format!("{COUNTER}{{namespace=\"{namespace}\",pod!=\"\"}}[{range:.0}s]");
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("query", &asked)
        .append_pair("time", &format!("{until:.3}"))
        .finish();
    let answer = cluster.get_json(&format!("{proxy}/api/v1/query?{query}")).await;
    match answer {
        Ok(answer) => first_rise(&answer, first),
        Err(failure) => {
            tracing::debug!(%failure, "Prometheus has no samples of the load");
            None
        }
    }
}

/// The first sample of any series after `first` whose value is above the last one before. Pure.
fn first_rise(answer: &Value, first: f64) -> Option<f64> {
    let series = answer.pointer("/data/result").and_then(Value::as_array)?;
    series.iter().filter_map(|series| rise(series, first)).reduce(f64::min)
}

fn rise(series: &Value, first: f64) -> Option<f64> {
    let samples = series["values"].as_array()?;
    let samples = samples.iter().filter_map(|sample| {
        let value: f64 = sample[1].as_str()?.parse().ok()?;
        Some((sample[0].as_f64()?, value))
    });
    // A series that begins after `first` begins with what it counted.
    let mut before = 0.0;
    for (at, value) in samples {
        if at >= first && value > before {
            return Some(at);
        }
        before = value;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_scrape_that_counted_more_is_found() {
        let answer = json!({"data": {"result": [
            {"values": [[98.2, "4"], [99.2, "7"], [100.2, "7"], [101.2, "90"]]},
            {"values": [[100.7, "30"], [101.7, "70"]]},
            {"values": [[90.0, "1"], [105.0, "1"]]},
        ]}});
        assert_eq!(first_rise(&answer, 100.0), Some(100.7));
        assert_eq!(first_rise(&answer, 101.0), Some(101.2));
        assert_eq!(first_rise(&answer, 102.0), None);
        assert_eq!(first_rise(&json!({"status": "error"}), 0.0), None);
    }
}
