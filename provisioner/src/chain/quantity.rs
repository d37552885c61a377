//! Kubernetes quantities (`10`, `9900m`, `1k`, `64Mi`) as numbers.

/// The value; none where the text is no quantity. Source: `apimachinery/pkg/api/resource`.
pub fn parse(text: &str) -> Option<f64> {
    if let Ok(plain) = text.parse::<f64>() {
        return plain.is_finite().then_some(plain);
    }
    let split = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+')))?;
    let (digits, suffix) = text.split_at(split);
    let factor = match suffix {
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let number: f64 = digits.parse().ok()?;
    Some(number * factor)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn quantities_are_read() {
        let cases = [
            ("0", Some(0.0)),
            ("10", Some(10.0)),
            ("9900m", Some(9.9)),
            ("1500u", Some(0.0015)),
            ("1k", Some(1000.0)),
            ("1e3", Some(1000.0)),
            ("2Ki", Some(2048.0)),
            ("", None),
            ("m", None),
            ("1x", None),
            ("NaN", None),
        ];
        for (text, want) in cases {
            match (parse(text), want) {
                (Some(got), Some(want)) => assert!((got - want).abs() < 1e-12, "{text}: {got}"),
                (got, want) => assert_eq!(got, want, "{text}"),
            }
        }
    }
}
