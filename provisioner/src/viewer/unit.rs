//! Values with their units, as Grafana writes them.

/// The value in `unit`, one of Grafana's ids; without `decimals` as many as three digits need.
pub(super) fn written(value: f64, unit: &str, decimals: Option<usize>) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    let (scaled, suffix) = scaled(value, unit);
    format!("{}{suffix}", number(scaled, decimals))
}

/// The value of one step of an axis: as exact as the step.
pub(super) fn tick(value: f64, step: f64, unit: &str) -> String {
    let (number, suffix) = scaled(value, unit);
    if value == 0.0 {
        return format!("0{suffix}");
    }
    let step = step * number / value;
    let decimals = (0..6).find(|d| is_whole(step * 10_f64.powi(*d))).unwrap_or(6);
    let digits = usize::try_from(decimals).unwrap_or_default();
    format!("{number:.digits$}{suffix}")
}

fn is_whole(value: f64) -> bool {
    (value - value.round()).abs() < 1e-6 * value.abs().max(1.0)
}

/// The number in front of the unit, and the unit.
fn scaled(value: f64, unit: &str) -> (f64, String) {
    match unit {
        "percentunit" => (value * 100.0, "%".to_owned()),
        "percent" => (value, "%".to_owned()),
        "s" => seconds(value),
        "ms" => seconds(value / 1e3),
        "bytes" => stepped(value, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB"], ""),
        "reqps" => thousands(value, " req/s"),
        "ops" => thousands(value, " ops/s"),
        "short" => thousands(value, ""),
        _ => (value, String::new()),
    }
}

fn thousands(value: f64, unit: &str) -> (f64, String) {
    stepped(value, 1000.0, &["", "K", "Mil", "Bil", "Tri"], unit)
}

fn stepped(value: f64, base: f64, names: &[&str], unit: &str) -> (f64, String) {
    let (mut scaled, mut at) = (value, 0);
    while scaled.abs() >= base && at + 1 < names.len() {
        scaled /= base;
        at += 1;
    }
    let name = names[at];
    let space = if name.is_empty() { "" } else { " " };
    (scaled, format!("{space}{name}{unit}"))
}

fn seconds(value: f64) -> (f64, String) {
    let (factor, name) = match value.abs() {
        0.0 => (1.0, "s"),
        v if v < 1e-3 => (1e6, "µs"),
        v if v < 1.0 => (1e3, "ms"),
        v if v < 120.0 => (1.0, "s"),
        v if v < 7200.0 => (1.0 / 60.0, "min"),
        _ => (1.0 / 3600.0, "hours"),
    };
    (value * factor, format!(" {name}"))
}

fn number(value: f64, decimals: Option<usize>) -> String {
    if let Some(decimals) = decimals {
        return format!("{value:.decimals$}");
    }
    let decimals = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_with_their_unit() {
        for (value, unit, decimals, text) in [
            (99.96, "reqps", Some(1), "100.0 req/s"),
            (1234.0, "reqps", None, "1.23 K req/s"),
            (0.0, "reqps", None, "0 req/s"),
            (10.0, "short", None, "10"),
            (12_345.0, "short", Some(0), "12 K"),
            (0.987, "percentunit", Some(0), "99%"),
            (0.0005, "percentunit", Some(2), "0.05%"),
            (0.000_25, "s", None, "250 µs"),
            (0.012_34, "s", None, "12.3 ms"),
            (0.0, "s", None, "0 s"),
            (1.5, "s", None, "1.5 s"),
            (600.0, "s", None, "10 min"),
            (7_340_032.0, "bytes", None, "7 MiB"),
            (512.0, "bytes", None, "512 B"),
            (0.125, "", None, "0.125"),
            (f64::NAN, "s", None, "-"),
        ] {
            assert_eq!(written(value, unit, decimals), text);
        }
    }

    #[test]
    fn steps_of_an_axis_are_as_exact_as_the_step() {
        for (value, step, unit, text) in [
            (0.0, 2.0, "reqps", "0 req/s"),
            (10.0, 2.5, "reqps", "10.0 req/s"),
            (1500.0, 500.0, "short", "1.5 K"),
            (0.002, 0.0005, "s", "2.0 ms"),
            (0.25, 0.05, "percentunit", "25%"),
            (4_194_304.0, 2_097_152.0, "bytes", "4 MiB"),
            (0.0, 0.001, "s", "0 s"),
        ] {
            assert_eq!(tick(value, step, unit), text);
        }
    }
}
