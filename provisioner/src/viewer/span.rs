//! Which time is shown, and what Grafana's variables stand for then.

use std::fmt;
use std::str::FromStr;

/// How far back the page looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Range {
    /// 5 minutes.
    Short,
    /// 15 minutes, as Grafana shows at first.
    #[default]
    Medium,
    /// 1 hour.
    Long,
}

impl Range {
    /// All, shortest first.
    pub const ALL: [Self; 3] = [Self::Short, Self::Medium, Self::Long];

    /// Its length.
    pub const fn seconds(self) -> u32 {
        match self {
            Self::Short => 300,
            Self::Medium => 900,
            Self::Long => 3600,
        }
    }

    /// Between two points: at most 240 a line, which is as fine as can be seen.
    const fn step(self) -> u32 {
        match self {
            Self::Short => 2,
            Self::Medium => 5,
            Self::Long => 15,
        }
    }

    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Short => "last 5 minutes",
            Self::Medium => "last 15 minutes",
            Self::Long => "last hour",
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "5m",
            Self::Medium => "15m",
            Self::Long => "1h",
        })
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|range| range.to_string() == text);
        named.ok_or_else(|| "it is none of 5m, 15m, 1h".to_owned())
    }
}

/// The points in time of one answer: multiples of the step, so that a point stays where it was in the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// First point, Unix time in seconds.
    pub(super) from: i64,
    /// Last point.
    pub(super) to: i64,
    /// Between two points.
    pub(super) step: u32,
    /// Between two scrapes.
    scrape: u32,
    range: Range,
}

impl Span {
    /// The points up to `now` of a Prometheus that scrapes every `scrape` seconds: none lies closer, as in Grafana.
    pub(super) fn new(range: Range, now: i64, scrape: u32) -> Self {
        let step = range.step().max(scrape).max(1);
        let whole = i64::from(step);
        let to = now.div_euclid(whole) * whole;
        let length = i64::from(range.seconds()).div_euclid(whole) * whole;
        Self {
            from: to - length,
            to,
            step,
            scrape,
            range,
        }
    }

    /// Every point in time.
    pub(super) fn times(&self) -> impl Iterator<Item = i64> + use<> {
        (self.from..=self.to).step_by(self.step as usize)
    }

    /// A query with Grafana's variables replaced; what is none of them stays. A rate covers four scrapes, or a step and a
    /// scrape more, so that it always has the samples that it needs (Grafana: "Using `$__rate_interval`").
    pub(super) fn expand(&self, expr: &str, namespace: &str) -> String {
        let rate = (self.step + self.scrape).max(4 * self.scrape);
        let value = |name: &str| match name {
            "namespace" => Some(namespace.to_owned()),
            "__rate_interval" => Some(format!("{rate}s")),
            "__interval" => Some(format!("{}s", self.step)),
            "__range" => Some(format!("{}s", self.range.seconds())),
            _ => None,
        };
        let (mut whole, mut rest) = (String::new(), expr);
        while let Some((before, after)) = rest.split_once('$') {
            whole.push_str(before);
            let (name, tail) = variable(after);
            match value(name) {
                Some(value) => whole.push_str(&value),
                None => whole.extend(["$", &after[..after.len() - tail.len()]]),
            }
            rest = tail;
        }
        whole + rest
    }
}

/// The name of a variable at the start, `name` or `{name}`, and what follows it.
fn variable(text: &str) -> (&str, &str) {
    if let Some((name, tail)) = text.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
        return (name, tail);
    }
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    text.split_at(end.unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::super::board::Board;
    use super::*;
    use crate::cluster::values::dashboard;

    #[test]
    fn points_are_multiples_of_the_step_and_no_closer_than_scrapes() {
        for (range, scrape, (from, to, step), points) in [
            (Range::Short, 1, (1000 - 300, 1000, 2), 151),
            (Range::Medium, 1, (1000 - 900, 1000, 5), 181),
            (Range::Long, 1, (990 - 3600, 990, 15), 241),
            (Range::Medium, 30, (990 - 900, 990, 30), 31),
        ] {
            let span = Span::new(range, 1001, scrape);
            assert_eq!((span.from, span.to, span.step), (from, to, step), "{range}");
            assert_eq!(span.times().count(), points, "{range}");
            assert_eq!(span.times().last(), Some(to));
        }
    }

    #[test]
    fn variables_are_replaced_as_grafana_does() {
        for (scrape, expr, want) in [
            (
                1,
                r#"rate(a{n=~"$namespace"}[$__rate_interval])"#,
                r#"rate(a{n=~"web-app"}[6s])"#,
            ),
            (30, "rate(a[$__rate_interval])", "rate(a[120s])"),
            (2, "rate(a[${__rate_interval}])", "rate(a[8s])"),
            (1, "increase(a[$__range]) + b[$__interval]", "increase(a[900s]) + b[5s]"),
            (1, "a{b=\"$other\"} $", "a{b=\"$other\"} $"),
            (1, "a{b=\"${other}x\"}", "a{b=\"${other}x\"}"),
        ] {
            assert_eq!(Span::new(Range::Medium, 0, scrape).expand(expr, "web-app"), want);
        }
    }

    #[test]
    fn no_query_of_our_dashboard_keeps_a_variable() {
        let board = Board::parse(dashboard()).unwrap();
        let span = Span::new(Range::Medium, 0, 1);
        for target in board.panels.iter().flat_map(|panel| &panel.targets) {
            let query = span.expand(&target.expr, "web-app");
            assert!(!query.contains('$'), "{query}");
        }
    }

    #[test]
    fn ranges_are_named_as_they_are_written() {
        for range in Range::ALL {
            assert_eq!(range.to_string().parse(), Ok(range));
        }
        assert!("2h".parse::<Range>().is_err());
    }
}
