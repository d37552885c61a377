//! Durations as people write them, for every flag of both commands.

use std::time::Duration;

/// A year: longer is a slip of the pen, and deadlines stay representable.
const LONGEST: Duration = Duration::from_hours(365 * 24);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DurationError {
    #[error("not a duration, write it like `500ms`, `10s` or `1m30s`")]
    Syntax,
    #[error("longer than a year")]
    TooLong,
}

/// Reads `500ms`, `2.5s`, `1m30s`, `1h`, `0`. Units: `us`, `ms`, `s`, `m`, `h`; a number without a unit is refused,
/// except zero.
pub(crate) fn parse(text: &str) -> Result<Duration, DurationError> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if text.is_empty() {
        return Err(DurationError::Syntax);
    }
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, tail) = split_where(rest, |c| !is_numeric(c));
        let (unit, tail) = split_where(tail, is_numeric);
        let number: f64 = number.parse().map_err(|_| DurationError::Syntax)?;
        seconds += number * unit_seconds(unit).ok_or(DurationError::Syntax)?;
        rest = tail;
    }
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| *duration <= LONGEST)
        .ok_or(DurationError::TooLong)
}

fn is_numeric(c: char) -> bool {
    c.is_ascii_digit() || c == '.'
}

fn split_where(text: &str, stop: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(stop).unwrap_or(text.len()))
}

fn unit_seconds(unit: &str) -> Option<f64> {
    match unit {
        "us" => Some(1e-6),
        "ms" => Some(1e-3),
        "s" => Some(1.0),
        "m" => Some(60.0),
        "h" => Some(3600.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("500ms", 500),
            ("2.5s", 2500),
            ("10s", 10_000),
            ("2m", 120_000),
            ("1m30s", 90_000),
            ("1h", 3_600_000),
            ("1500us", 1),
        ] {
            assert_eq!(parse(text).unwrap().as_millis(), millis, "{text}");
        }
    }

    #[test]
    fn refuses_what_it_cannot_mean() {
        for text in [
            "", "10", "s", "10 s", "-1s", "1d", "1.2.3s", "s10", "1e3s", "1sm", "ten",
        ] {
            assert_eq!(parse(text), Err(DurationError::Syntax), "{text}");
        }
        assert_eq!(parse("9999999999h"), Err(DurationError::TooLong));
        assert_eq!(parse(&format!("{}s", "9".repeat(400))), Err(DurationError::TooLong));
    }
}
