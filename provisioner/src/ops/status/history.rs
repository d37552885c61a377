//! What a figure was in the last minutes, as columns of a curve. Pure.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

/// Most points that are kept: one each second, and those from before the view began.
const MOST: usize = 1000;

/// Points in time, the oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct History(VecDeque<(Timestamp, f64)>);

impl History {
    /// Remembers a figure.
    pub(super) fn add(&mut self, at: Timestamp, value: f64) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((at, value));
    }

    /// Puts what was before the first point before it.
    pub(super) fn add_past(&mut self, past: Vec<(Timestamp, f64)>) {
        let first = self.0.front().map(|(at, _)| *at);
        let before = past.into_iter().filter(|(at, _)| first.is_none_or(|first| *at < first));
        let before: Vec<_> = before.collect();
        for point in before.into_iter().rev() {
            self.0.push_front(point);
        }
    }

    /// The time before `now` in equal columns, the newest last: the highest figure of each, so that no peak is lost. A
    /// column without a point repeats the one before it where points are that far apart; before the first it is none.
    pub(super) fn columns(&self, now: Timestamp, span: SignedDuration, columns: u16) -> Vec<Option<f64>> {
        let mut found = vec![None; usize::from(columns)];
        let width_ms = (span.as_millis() / i128::from(columns.max(1))).max(1);
        // Columns begin at whole multiples of their width: a point stays in its column while that moves to the left.
        let newest = i128::from(now.as_millisecond()) / width_ms;
        for (at, value) in &self.0 {
            let back = newest - i128::from(at.as_millisecond()) / width_ms;
            let Some(column) = usize::try_from(back)
                .ok()
                .and_then(|back| found.len().checked_sub(back + 1))
            else {
                continue;
            };
            let highest: &mut Option<f64> = &mut found[column];
            *highest = Some(highest.map_or(*value, |most| most.max(*value)));
        }
        bridge(&mut found);
        found
    }
}

/// How many columns in a row may lack a point between two that have one.
const GAP: usize = 3;

fn bridge(columns: &mut [Option<f64>]) {
    let mut last: Option<usize> = None;
    for index in 0..columns.len() {
        if columns[index].is_none() {
            continue;
        }
        if let Some(last) = last.filter(|last| index - last <= GAP + 1) {
            let value = columns[last];
            columns[last + 1..index].fill(value);
        }
        last = Some(index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    const MINUTE: SignedDuration = SignedDuration::from_mins(1);

    #[test]
    fn a_column_has_the_highest_of_its_time() {
        let mut history = History::default();
        for (second, value) in [(0, 1.0), (49, 2.0), (50, 2.0), (51, 9.0), (59, 3.0)] {
            history.add(at(second), value);
        }
        // Ten seconds each.
        let columns = history.columns(at(59), MINUTE, 6);
        assert_eq!(
            columns,
            [Some(1.0), Some(1.0), Some(1.0), Some(1.0), Some(2.0), Some(9.0)]
        );
        assert!(history.columns(at(59), MINUTE, 0).is_empty());
    }

    #[test]
    fn short_gaps_are_bridged_and_long_ones_show() {
        let mut history = History::default();
        for (second, value) in [(0, 1.0), (4, 2.0), (20, 3.0)] {
            history.add(at(second), value);
        }
        let columns = history.columns(at(20), SignedDuration::from_secs(21), 21);
        let seen: Vec<f64> = columns.iter().map(|c| c.unwrap_or(-1.0)).collect();
        assert_eq!(seen[..6], [1.0, 1.0, 1.0, 1.0, 2.0, -1.0]);
        assert_eq!((seen[19], seen[20]), (-1.0, 3.0));
    }

    #[test]
    fn the_past_stands_before_what_was_seen_and_nothing_grows_without_end() {
        let mut history = History::default();
        history.add(at(10), 5.0);
        history.add_past(vec![(at(0), 1.0), (at(5), 2.0), (at(12), 7.0)]);
        let values: Vec<f64> = history.0.iter().map(|(_, value)| *value).collect();
        assert_eq!(values, [1.0, 2.0, 5.0]);
        for second in 0..5000 {
            history.add(at(second), 0.0);
        }
        assert_eq!(history.0.len(), MOST);
    }
}
