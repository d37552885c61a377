//! The page: HTML around the drawings, and what its script asks for every few seconds.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use serde::Serialize;

use super::board::Board;
use super::chart::Readings;
use super::frame::Frame;
use super::layout;
use super::panel;
use super::span::Range;
use crate::drawing::escaped;

pub(super) const STYLE: &str = include_str!("style.css");
pub(super) const SCRIPT: &str = include_str!("script.js");

/// Everything that changes on the page.
#[derive(Debug, Serialize)]
pub(super) struct Update {
    /// Clock time of the answers.
    pub(super) at: Option<String>,
    /// Why there are no newer ones.
    pub(super) problem: Option<String>,
    pub(super) panels: Vec<Shown>,
}

/// One panel on the page.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    id: u32,
    title: String,
    columns: u32,
    svg: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    readings: Option<Readings>,
}

/// The panels of a frame for a page of that width.
pub(super) fn shown(board: &Board, frame: &Frame, width: f64, zone: &TimeZone) -> Vec<Shown> {
    let (places, _) = layout::place(&board.panels, width);
    let panels = board.panels.iter().zip(&frame.panels).zip(places);
    let shown = panels.map(|((panel, lines), place)| {
        let (w, h) = (place.w, place.h);
        let drawn = panel::draw(panel, lines, &frame.span, (w, h), zone);
        let (words, inner) = (escaped(&drawn.words), drawn.svg.inner());
        Shown {
            id: panel.id,
            title: panel.title.clone(),
            columns: place.columns,
            svg: format!(r#"<svg viewBox="0 0 {w} {h}" role="img" aria-label="{words}">{inner}</svg>"#),
            readings: drawn.readings,
        }
    });
    shown.collect()
}

/// What the page says of itself.
pub(super) struct Head<'a> {
    pub(super) title: &'a str,
    pub(super) subtitle: &'a str,
    pub(super) range: Range,
}

/// The whole page. Without scripts it loads itself again.
pub(super) fn html(head: &Head, update: &Update) -> String {
    let (title, subtitle) = (escaped(head.title), escaped(head.subtitle));
    let mut ranges = String::new();
    for range in Range::ALL {
        let current = if range == head.range {
            r#" aria-current="true""#
        } else {
            ""
        };
        let words = range.words();
        let _ = write!(
            ranges,
            r#"<a href="/?range={range}" aria-label="{words}"{current}>{range}</a>"#
        );
    }
    let mut panels = String::new();
    for shown in &update.panels {
        let Shown { id, columns, svg, .. } = shown;
        let title = escaped(&shown.title);
        let _ = write!(
            panels,
            r#"<section id="panel-{id}" class="span-{columns}" tabindex="0" aria-label="{title}">{svg}</section>"#
        );
    }
    let hidden = if update.problem.is_some() { "" } else { " hidden" };
    let problem = escaped(update.problem.as_deref().unwrap_or_default());
    let at = update.at.as_deref().unwrap_or("no data yet");
    let range = head.range;
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}, {subtitle}</title>
<link rel="stylesheet" href="/style.css">
<script src="/script.js" defer></script>
<noscript><meta http-equiv="refresh" content="5"></noscript>
</head>
<body>
<header>
<div><h1>{title}</h1><p>{subtitle}</p></div>
<p id="at" title="Time of the figures">{at}</p>
<nav aria-label="Time range">{ranges}</nav>
<button id="theme" type="button" hidden>Theme</button>
</header>
<p id="problem" role="alert"{hidden}>{problem}</p>
<main id="panels" data-range="{range}">{panels}</main>
<p id="reading" role="status" hidden></p>
</body>
</html>
"#
    )
}

/// The style sheet: that of the page, and the classes of the grid.
pub(super) fn style() -> String {
    let mut css = STYLE.to_owned() + &super::theme::sheet();
    for columns in 1..=24 {
        let _ = write!(css, ".span-{columns}{{grid-column:span {columns}}}");
    }
    css
}
