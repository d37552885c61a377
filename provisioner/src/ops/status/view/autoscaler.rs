//! What the HPA says and why it does not scale now, the certificate, the chain, and what happened of late.

use jiff::Timestamp;
use ratatui::style::Style;
use ratatui::text::Line;

use super::super::renewal;
use super::Sheet;
use super::text::{age, entry, plain, rule};
use crate::chain::{Board, Condition, Diagnosis, Why};
use crate::cluster::certificate::Serving;

/// Lines for a reason.
const MOST: usize = 4;

/// Everything below or beside the pods.
pub(super) fn lines(sheet: &Sheet<'_>, width: u16, events: usize) -> Vec<Line<'static>> {
    let Some(board) = sheet.state.board() else {
        return Vec::new();
    };
    let mut lines = vec![rule("autoscaler", width, sheet.ink)];
    lines.extend(why(sheet, board, width));
    lines.extend(conditions(board, width));
    lines.extend(certificate(sheet, width));
    lines.extend(chain(sheet, width));
    lines.push(rule("scaling events", width, sheet.ink));
    lines.extend(happened(sheet, width, events));
    lines
}

fn why(sheet: &Sheet<'_>, board: &Board, width: u16) -> Vec<Line<'static>> {
    let says = sheet.state.why(sheet.now);
    let style = match &board.why {
        Some(Why::NoMetric { .. } | Why::Unable { .. }) => sheet.ink.bad(),
        Some(Why::AtMaximum { .. } | Why::PolicyCap { .. } | Why::MissingSamples { .. } | Why::Disabled) | None => {
            sheet.ink.fair()
        }
        Some(_) => sheet.ink.strong(),
    };
    let says = says.unwrap_or_else(|| "there is no HPA".to_owned());
    let mut lines = entry("why", &says, style, (width, MOST));
    // Often it is the same sentence.
    if let Some(problem) = board.sample.problem.as_ref().filter(|problem| !says.contains(*problem)) {
        lines.extend(entry("problem", problem, sheet.ink.bad(), (width, MOST)));
    }
    lines
}

fn conditions(board: &Board, width: u16) -> Vec<Line<'static>> {
    let conditions = board.hpa.as_ref().map_or(&[][..], |hpa| &hpa.conditions);
    let text = |one: &Condition| format!("{} {} ({})", one.kind, one.status, one.reason);
    let texts: Vec<String> = conditions.iter().map(text).collect();
    let said = if texts.is_empty() {
        "no conditions yet".to_owned()
    } else {
        texts.join(", ")
    };
    entry("HPA", &said, Style::new(), (width, MOST))
}

fn certificate(sheet: &Sheet<'_>, width: u16) -> Vec<Line<'static>> {
    let (said, style) = match &sheet.state.certificate {
        None => return Vec::new(),
        Some(Ok(None)) => ("not the stack's own".to_owned(), sheet.ink.faint()),
        Some(Ok(Some(serving))) => (
            ends(serving, sheet.now),
            if serving.is_due { sheet.ink.bad() } else { Style::new() },
        ),
        Some(Err(why)) => (format!("cannot be read: {why}"), sheet.ink.fair()),
    };
    entry("TLS", &said, style, (width, 2))
}

fn ends(serving: &Serving, now: Timestamp) -> String {
    let day = serving.ends_at.strftime("%Y-%m-%d");
    let left = age(now, serving.ends_at);
    if serving.ends_at <= now {
        return format!(
            "the metrics API's certificate ended on {day}: {}",
            renewal(serving.authority)
        );
    }
    let due = if serving.is_due {
        format!(": {}", renewal(serving.authority))
    } else {
        String::new()
    };
    format!("the metrics API's certificate ends in {left}, on {day}{due}")
}

fn chain(sheet: &Sheet<'_>, width: u16) -> Vec<Line<'static>> {
    let Some((at, found)) = &sheet.state.diagnosis else {
        return Vec::new();
    };
    let (said, style) = verdict(sheet, found);
    let said = format!("{said} (looked {} ago)", age(*at, sheet.now));
    entry("chain", &said, style, (width, 2))
}

fn verdict(sheet: &Sheet<'_>, found: &Diagnosis) -> (String, Style) {
    match (found.broken, found.unknown) {
        (Some(hop), _) => (format!("broken at {hop}: see above"), sheet.ink.bad()),
        (None, 0) => ("every hop works".to_owned(), sheet.ink.good()),
        (None, unknown) if found.healthy => (
            format!("no hop is broken; {unknown} could not be looked at"),
            sheet.ink.good(),
        ),
        (None, unknown) => (
            format!("whether it works is not known: {unknown} hops could not be looked at"),
            sheet.ink.fair(),
        ),
    }
}

fn happened(sheet: &Sheet<'_>, width: u16, most: usize) -> Vec<Line<'static>> {
    // Where there is room for many, each may have a second line.
    let lines = if most > 2 { 2 } else { 1 };
    match &sheet.state.rescales {
        None => Vec::new(),
        Some(Err(why)) => entry("", &format!("cannot be read: {why}"), sheet.ink.fair(), (width, 1)),
        Some(Ok(events)) if events.is_empty() => {
            vec![Line::styled("none in the last hour", sheet.ink.faint())]
        }
        Some(Ok(events)) => events
            .iter()
            .take(most)
            .flat_map(|event| {
                let style = if event.is_trouble {
                    sheet.ink.bad()
                } else {
                    Style::new()
                };
                entry(&age(event.at, sheet.now), &plain(&event.says), style, (width, lines))
            })
            .collect(),
    }
}
