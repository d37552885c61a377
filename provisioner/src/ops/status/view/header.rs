//! The first lines: what is looked at, how old it is, and what is wrong with it, with the command that mends it.

use jiff::Timestamp;
use ratatui::text::{Line, Span};

use super::Sheet;
use super::text::{age, cells, entry, plain};
use crate::chain::Finding;

/// What the keys are that end it and that tell the others.
const HINT: &str = "? keys  q ends";
/// Lines for what an error or a hop says.
const MOST: usize = 3;

pub(super) fn lines(sheet: &Sheet<'_>, now: Timestamp, width: u16) -> Vec<Line<'static>> {
    let mut lines = vec![first(sheet, now, width)];
    if let Some(lost) = &sheet.state.lost {
        let (since, last) = (age(lost.since, sheet.now), age(lost.last, sheet.now));
        let says = format!("no figures for {since}, the last error {last} ago: {}", lost.says);
        lines.extend(entry("STALE", &says, sheet.ink.bad(), (width, MOST)));
    }
    if let Some(broken) = sheet.state.diagnosis.as_ref().and_then(|(_, found)| found.first()) {
        lines.extend(alarm(sheet, broken, width));
    }
    lines
}

fn first(sheet: &Sheet<'_>, now: Timestamp, width: u16) -> Line<'static> {
    let state = sheet.state;
    let cluster = plain(&state.cluster);
    let said = match (&state.paused, &state.figures) {
        (Some(since), _) => format!("  PAUSED for {}, p goes on", age(*since, now)),
        (None, Some((at, _))) => format!("  figures {} old", age(*at, now)),
        (None, None) => String::new(),
    };
    let used = cells(&cluster) + cells(&said) + cells(HINT);
    let style = if state.paused.is_some() {
        sheet.ink.bad()
    } else {
        sheet.ink.faint()
    };
    let mut spans = vec![Span::styled(cluster, sheet.ink.strong()), Span::styled(said, style)];
    // Where there is no room for both, what is looked at counts more.
    if let Some(gap) = usize::from(width).checked_sub(used).filter(|gap| *gap > 0) {
        spans.push(Span::raw(" ".repeat(gap)));
        spans.push(Span::styled(HINT, sheet.ink.faint()));
    }
    Line::from(spans)
}

/// The first broken hop, and all of the command that mends it: it is there to be copied.
fn alarm(sheet: &Sheet<'_>, broken: &Finding, width: u16) -> Vec<Line<'static>> {
    let says = format!("{} ({}): {}", broken.hop, broken.code, broken.says);
    let mut lines = entry("BROKEN", &says, sheet.ink.bad(), (width, MOST));
    if let Some(fix) = broken.fixes.first() {
        lines.extend(entry("fix", fix, sheet.ink.strong(), (width, 2 * MOST)));
    }
    lines
}
