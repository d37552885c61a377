//! What Prometheus said for one panel, ready to be drawn.

use std::collections::BTreeMap;

use super::board::{Panel, Style, Target};
use super::span::Span;
use super::theme;

/// One series of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pub(super) labels: BTreeMap<String, String>,
    /// A value for each point in time; none where there is no sample.
    pub(super) values: Vec<Option<f64>>,
}

/// One line of a panel.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) name: String,
    /// The class of its colour.
    pub(super) color: &'static str,
    pub(super) is_dashed: bool,
    /// Opacity of the area below it.
    pub(super) fill: f64,
    pub(super) values: Vec<Option<f64>>,
}

/// A panel's answer: its lines, or why there are none.
pub(super) type Lines = Result<Vec<Line>, String>;

/// The lines of one query after the `count` lines of those before it: colours are by turns, as in Grafana.
pub(super) fn lines(panel: &Panel, target: &Target, series: &[Series], count: usize) -> Vec<Line> {
    let Style { color, is_dashed, fill } = panel.style_of(target);
    let fixed = color.as_deref().map(theme::class_of);
    let each = series.iter().enumerate().map(|(index, series)| Line {
        name: target.name_of(&series.labels),
        color: fixed.unwrap_or_else(|| theme::class_at(count + index)),
        is_dashed,
        fill,
        values: series.values.clone(),
    });
    each.collect()
}

impl Line {
    /// The last value that there is.
    pub(super) fn last(&self) -> Option<f64> {
        self.values.iter().rev().find_map(|value| *value)
    }
}

/// Puts samples (Unix time and value) at their points in time; what is no number is no sample.
pub(super) fn aligned(samples: impl Iterator<Item = (f64, f64)>, span: &Span) -> Vec<Option<f64>> {
    let mut values = vec![None; span.times().count()];
    for (at, value) in samples {
        let index = nearest(at, span);
        if let Some(slot) = index.and_then(|index| values.get_mut(index)) {
            *slot = Some(value).filter(|value| value.is_finite());
        }
    }
    values
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a Unix time in seconds, rounded, and below zero told before"
)]
fn nearest(at: f64, span: &Span) -> Option<usize> {
    let index = ((at - span.from as f64) / f64::from(span.step)).round();
    (index >= 0.0).then_some(index as usize)
}

#[cfg(test)]
mod tests {
    use super::super::span::Range;
    use super::*;

    #[test]
    fn samples_stand_at_their_points_and_gaps_stay_gaps() {
        let span = Span::new(Range::Short, 300, 100);
        let samples = [(0.0, 1.0), (200.0, f64::NAN), (300.0, 4.0), (900.0, 9.0), (-500.0, 9.0)];
        assert_eq!(aligned(samples.into_iter(), &span), [Some(1.0), None, None, Some(4.0)]);
    }
}
