//! Which line is which: names below a chart, in as many rows as they need, three at most.

use super::answer::Line;
use super::svg::{Hold, Svg, fitted, width};

const SIZE: f64 = 12.0;
const ROW: f64 = 18.0;
const ROWS: usize = 3;
/// The stroke before a name, and the space behind it.
const MARK: f64 = 18.0;
const SPACE: f64 = 16.0;

/// A name and where it stands.
struct Entry<'a> {
    line: &'a Line,
    name: String,
    row: usize,
    x: f64,
}

/// A legend that was laid out for a width.
pub(super) struct Legend<'a> {
    entries: Vec<Entry<'a>>,
    /// Names that found no room.
    left: usize,
    end: (usize, f64),
}

impl<'a> Legend<'a> {
    pub(super) fn new(lines: &'a [Line], room: f64) -> Self {
        let names = shortened(lines);
        let mut legend = Self {
            entries: Vec::new(),
            left: 0,
            end: (0, 0.0),
        };
        // The last row keeps room for the number of those that are left out.
        let more = width("+99 more", SIZE);
        for (line, name) in lines.iter().zip(names) {
            let name = fitted(&name, SIZE, room - MARK);
            let needs = MARK + width(&name, SIZE);
            let (mut row, mut x) = legend.end;
            let is_tight = row + 1 == ROWS && lines.len() > legend.entries.len() + 1;
            if x > 0.0 && x + needs > room - if is_tight { more } else { 0.0 } {
                (row, x) = (row + 1, 0.0);
            }
            if legend.left > 0 || row >= ROWS {
                legend.left += 1;
                continue;
            }
            legend.entries.push(Entry { line, name, row, x });
            legend.end = (row, x + needs + SPACE);
        }
        legend
    }

    pub(super) fn height(&self) -> f64 {
        let rows = self.entries.last().map_or(0, |entry| entry.row + 1);
        (0..rows).map(|_| ROW).sum()
    }

    pub(super) fn draw(&self, svg: &mut Svg, x: f64, y: f64) {
        let base = |row: usize| y + (0..row).map(|_| ROW).sum::<f64>() + 13.0;
        for entry in &self.entries {
            let (left, base) = (x + entry.x, base(entry.row));
            let kind = if entry.line.is_dashed { "dash" } else { "line" };
            let class = format!("{kind} s-{}", entry.line.color);
            svg.line(&class, (left, base - 4.0), (left + 12.0, base - 4.0));
            svg.text("legend f-text", (left + MARK, base), Hold::Start, &entry.name);
        }
        if self.left > 0 {
            let text = format!("+{} more", self.left);
            let at = (x + self.end.1, base(self.end.0));
            svg.text("legend f-muted", at, Hold::Start, &text);
        }
    }
}

/// Names without what all pods of a Deployment begin with.
fn shortened(lines: &[Line]) -> Vec<String> {
    let plain: Vec<&Line> = lines.iter().filter(|line| !line.is_dashed).collect();
    let first = plain.first().map_or("", |line| line.name.as_str());
    let common = plain.iter().skip(1).fold(first.len(), |most, line| {
        let same = first.bytes().zip(line.name.bytes()).take_while(|(a, b)| a == b).count();
        most.min(same)
    });
    let prefix = first
        .get(..common)
        .and_then(|same| same.rfind('-'))
        .map_or(0, |at| at + 1);
    let is_worth_it = plain.len() > 1 && prefix >= 6;
    let name = |line: &Line| match line.name.get(prefix..) {
        Some(rest) if is_worth_it && !line.is_dashed => format!("…{rest}"),
        _ => line.name.clone(),
    };
    lines.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Vec<Line> {
        let line = |name: &&str| Line {
            name: (*name).to_owned(),
            color: "c0",
            is_dashed: *name == "target",
            fill: 0.0,
            values: Vec::new(),
        };
        names.iter().map(line).collect()
    }

    #[test]
    fn what_all_pods_begin_with_is_left_out() {
        let pods = named(&["web-app-6d5f9-ab", "web-app-6d5f9-xy", "target"]);
        assert_eq!(shortened(&pods), ["…ab", "…xy", "target"]);
        for names in [
            &["web-app-6d5f9-ab"][..],
            &["200", "204"],
            &["p50", "p90", "mean"],
            &["a-1", "a-2"],
        ] {
            assert_eq!(shortened(&named(names)), names);
        }
    }

    #[test]
    fn names_that_find_no_room_are_counted() {
        let names: Vec<String> = (0..40).map(|n| format!("a long name of number {n}")).collect();
        let lines = named(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let legend = Legend::new(&lines, 400.0);
        let rows = legend.entries.iter().map(|entry| entry.row).max();
        assert_eq!((rows, legend.height()), (Some(2), 54.0));
        assert_eq!(legend.left, 40 - legend.entries.len());
        let mut svg = Svg::default();
        legend.draw(&mut svg, 0.0, 0.0);
        assert!(svg.inner().contains(&format!("+{} more", legend.left)));
        let heights = (
            Legend::new(&named(&["a", "b"]), 400.0).height(),
            Legend::new(&[], 400.0).height(),
        );
        assert_eq!(heights, (18.0, 0.0));
    }
}
