//! Fields that differ, as people read them: short values side by side, texts line by line, nothing long.

use std::fmt;
use std::time::Duration;

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use super::diff::{Field, How, KNOWN_AFTER_BUILD};
use crate::report::printable;

/// Characters of a value, or of a line, that are shown.
const WIDTH: usize = 120;
/// Lines of a text's differences that are shown.
const LINES: usize = 40;
/// How long the search for the smallest difference of two texts may take; then a larger one is as good.
const PATIENCE: Duration = Duration::from_millis(200);

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = printable(&self.path);
        if self.hidden {
            let how = match self.change {
                How::Added => "added",
                How::Removed => "removed",
                How::Changed => "changed",
            };
            return write!(f, "{path}: {how} (not shown)");
        }
        if let (Some(Value::String(old)), Some(Value::String(new))) = (&self.old, &self.new)
            && old.contains('\n')
            && new.contains('\n')
        {
            write!(f, "{path}:")?;
            return lines(old, new).iter().try_for_each(|line| write!(f, "\n  {line}"));
        }
        let side = |value: &Option<Value>| value.as_ref().map_or_else(|| "(none)".to_owned(), shown);
        write!(f, "{path}: {} -> {}", side(&self.old), side(&self.new))
    }
}

/// A value on one line, cut where it is long.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if text == KNOWN_AFTER_BUILD => text.clone(),
        value => cut(&value.to_string()),
    }
}

fn cut(text: &str) -> String {
    let text = printable(text);
    match text.char_indices().nth(WIDTH) {
        None => text,
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}

/// The lines that differ, each with one line around it.
fn lines(old: &str, new: &str) -> Vec<String> {
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(old, new);
    let mut lines = Vec::new();
    for (index, group) in diff.grouped_ops(1).iter().enumerate() {
        if index > 0 {
            lines.push("...".to_owned());
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            let text = cut(change.value().trim_end_matches(['\n', '\r']));
            lines.push(format!("{sign} {text}").trim_end().to_owned());
        }
    }
    if lines.len() > LINES {
        let more = lines.len() - LINES;
        lines.truncate(LINES);
        lines.push(format!("... and {more} more lines"));
    }
    lines
}
