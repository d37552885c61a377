//! Durations as people write them: `90s`, `2m`, `1m30s`, `500ms`.

use std::time::Duration;

/// A week: longer is a slip of the pen.
const LONGEST: Duration = Duration::from_hours(7 * 24);

/// Why a text is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDuration {
    /// It cannot be read.
    #[error("is not a duration: write it like `500ms`, `90s` or `1m30s`")]
    Syntax,
    /// It is zero, which no setting allows.
    #[error("must be longer than zero")]
    Zero,
    /// It is longer than any setting allows.
    #[error("is longer than a week")]
    TooLong,
}

/// Reads a duration longer than zero; units are `ms`, `s`, `m` and `h`, and a number without one is refused.
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, tail) = split_where(rest, |c| !is_numeric(c));
        let (unit, tail) = split_where(tail, is_numeric);
        let number: f64 = number.parse().map_err(|_| InvalidDuration::Syntax)?;
        seconds += number * unit_seconds(unit).ok_or(InvalidDuration::Syntax)?;
        rest = tail;
    }
    if text.is_empty() {
        return Err(InvalidDuration::Syntax);
    }
    match Duration::try_from_secs_f64(seconds) {
        Ok(Duration::ZERO) => Err(InvalidDuration::Zero),
        Ok(duration) if duration <= LONGEST => Ok(duration),
        _ => Err(InvalidDuration::TooLong),
    }
}

fn is_numeric(c: char) -> bool {
    c.is_ascii_digit() || c == '.'
}

fn split_where(text: &str, stop: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(stop).unwrap_or(text.len()))
}

fn unit_seconds(unit: &str) -> Option<f64> {
    match unit {
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
            ("500ms", 500),
            ("90s", 90_000),
            ("2m", 120_000),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
        ] {
            assert_eq!(parse(text).map(|d| d.as_millis()), Ok(millis), "{text}");
        }
    }

    #[test]
    fn refuses_what_it_cannot_mean() {
        for text in ["", "10", "s", "10 s", "-1s", "1d", "1.2.3s", "ten", "1e3s"] {
            assert_eq!(parse(text), Err(InvalidDuration::Syntax), "{text}");
        }
        assert_eq!(parse("0s"), Err(InvalidDuration::Zero));
        assert_eq!(parse("169h"), Err(InvalidDuration::TooLong));
        assert_eq!(parse(&format!("{}s", "9".repeat(400))), Err(InvalidDuration::TooLong));
    }
}
