//! The last minutes, from Prometheus: so that a view that has just begun shows what came before it.

use http::Request;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::COUNTER;
use super::board::{FIGURE, named, served_promql};
use super::examine::samples;
use super::readings::WITHIN;
use super::route::Route;
use crate::cluster::Cluster;

/// Seconds between two points.
const STEP_S: u32 = 5;

/// Points in time, the oldest first.
pub type Points = Vec<(Timestamp, f64)>;

/// What was.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recent {
    /// Requests per second of all pods.
    pub rate: Points,
    /// p99 in seconds.
    pub p99_s: Points,
}

/// What was in the time before `now`; nothing where Prometheus cannot be asked from here.
pub(crate) async fn recent(cluster: &Cluster, route: &Route, now: Timestamp, span: SignedDuration) -> Recent {
    let Some(proxy) = route.prometheus_proxy() else {
        return Recent::default();
    };
    let namespace = &route.namespaces.app;
    let rate = format!("sum(rate({COUNTER}{{namespace=\"{namespace}\",pod!=\"\"}}[1m]))");
    let promql = format!("{} or {}", named("rate", &rate), served_promql(namespace));
    let query: String = url::form_urlencoded::byte_serialize(promql.as_bytes()).collect();
    let (from, to) = ((now - span).as_second(), now.as_second());
    let path = format!("{proxy}/api/v1/query_range?query={query}&start={from}&end={to}&step={STEP_S}");
    let answer = cluster.ask(Request::get(path).body(Vec::new()), WITHIN).await;
    answer
        .as_ref()
        .map_or_else(|_| Recent::default(), |answer| of_answer(samples(answer)))
}

fn of_answer(series: &[Value]) -> Recent {
    let points = |name: &str| {
        let found = series.iter().find(|one| one["metric"][FIGURE] == name);
        let values = found.and_then(|one| one["values"].as_array());
        values.into_iter().flatten().filter_map(point).collect()
    };
    Recent {
        rate: points("rate"),
        p99_s: points("p99"),
    }
}

/// `[time, "value"]`.
fn point(pair: &Value) -> Option<(Timestamp, f64)> {
    let at = SignedDuration::try_from_secs_f64(pair[0].as_f64()?).ok()?;
    let value: f64 = pair[1].as_str()?.parse().ok()?;
    Some((Timestamp::from_duration(at).ok()?, value)).filter(|_| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn series_are_told_apart_and_what_is_no_number_is_a_gap() {
        let series = [
            json!({"metric": {"figure": "rate"}, "values": [[1000, "1.5"], [1005.5, "2"]]}),
            json!({"metric": {"figure": "p99"}, "values": [[1000, "NaN"], [1005, "0.01"]]}),
        ];
        let found = of_answer(&series);
        let at = |ms: i64| Timestamp::from_millisecond(ms).unwrap();
        assert_eq!(found.rate, [(at(1_000_000), 1.5), (at(1_005_500), 2.0)]);
        assert_eq!(found.p99_s, [(at(1_005_000), 0.01)]);
    }
}
