//! What the adapter's rules say: whether one makes the metric, and over which window.

use serde_json::Value;

use super::COUNTER;

/// The adapter's rules as text.
fn text(config_map: &Value) -> Option<&str> {
    config_map.pointer("/data/config.yaml")?.as_str()
}

/// Whether a rule reads the counter.
pub(super) fn reads_counter(config_map: &Value) -> bool {
    text(config_map).is_some_and(|text| text.contains(COUNTER))
}

/// The longest window of a rate in the rules, in seconds: where shorter ones have no value, it still does.
pub(super) fn window_s(config_map: &Value) -> Option<f64> {
    let queries = text(config_map)?.lines().filter(|line| line.contains("metricsQuery"));
    let windows = queries
        .flat_map(|line| line.split('[').skip(1))
        .filter_map(|rest| seconds(rest.split(']').next()?));
    windows.reduce(f64::max)
}

/// A duration of Prometheus (`3s`, `1m30s`, `500ms`) in seconds.
pub(super) fn seconds(text: &str) -> Option<f64> {
    let mut rest = text.trim();
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, next) = tail.split_at(unit);
        let factor = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            "w" => 604_800.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * factor;
        rest = next;
    }
    (total > 0.0).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn durations_of_prometheus_are_read() {
        for (text, want) in [
            ("3s", Some(3.0)),
            ("1m30s", Some(90.0)),
            ("500ms", Some(0.5)),
            ("", None),
            ("s", None),
            ("3", None),
            ("3y", None),
        ] {
            assert_eq!(seconds(text), want, "{text}");
        }
    }

    #[test]
    fn the_longest_window_of_the_rules_counts() {
        let rules = |query: &str| json!({"data": {"config.yaml": format!("rules:\n- seriesQuery: 'http_requests_total[x]'\n  metricsQuery: {query}\n")}});
        assert_eq!(
            window_s(&rules("sum(rate(<<.Series>>{<<.LabelMatchers>>}[3s])) by (x)")),
            Some(3.0)
        );
        assert_eq!(window_s(&rules("max(rate(a[1m]), rate(a[20s]))")), Some(60.0));
        assert_eq!(window_s(&rules("a")), None);
        assert!(reads_counter(&rules("a")) && !reads_counter(&json!({})));
    }
}
