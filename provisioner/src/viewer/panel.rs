//! One panel as a drawing: frame, title, and what is in it.

use jiff::tz::TimeZone;

use super::answer::{Line, Lines};
use super::axis::{Axis, Wanted};
use super::board::{Kind, Panel};
use super::chart::{self, Readings};
use super::span::Span;
use super::svg::{Area, Hold, Svg, fitted, width};
use super::theme;
use super::unit;

/// Between a panel's edge and what is in it.
const INSET: f64 = 12.0;

/// A panel that was drawn.
#[derive(Debug, Clone)]
pub(super) struct Drawn {
    pub(super) svg: Svg,
    /// What it shows, in words.
    pub(super) words: String,
    /// For a pointer; lines over time have them.
    pub(super) readings: Option<Readings>,
}

/// Draws a panel `size` wide and high.
pub(super) fn draw(panel: &Panel, lines: &Lines, span: &Span, size: (f64, f64), zone: &TimeZone) -> Drawn {
    let mut svg = Svg::default();
    let frame = Area {
        x: 0.5,
        y: 0.5,
        w: size.0 - 1.0,
        h: size.1 - 1.0,
    };
    svg.rect("f-panel s-grid rule", frame, 6.0);
    draw_title(&mut svg, panel, size.0);
    let inside = Area {
        x: INSET,
        y: 38.0,
        w: size.0 - 2.0 * INSET,
        h: size.1 - 38.0 - INSET,
    };
    let says = match (panel.kind, lines) {
        (Kind::Other, _) => Some("This panel is drawn by Grafana only".to_owned()),
        (_, Err(why)) => Some(format!("Prometheus says: {why}")),
        (_, Ok(lines)) if lines.iter().all(|line| line.last().is_none()) => Some("No data".to_owned()),
        _ => None,
    };
    if let Some(says) = says {
        let middle = (size.0 / 2.0, inside.y + inside.h / 2.0);
        svg.text("legend f-muted", middle, Hold::Middle, &fitted(&says, 12.0, inside.w));
        return Drawn {
            svg,
            words: format!("{}: {says}", panel.title),
            readings: None,
        };
    }
    let lines = lines.as_deref().unwrap_or_default();
    let readings = if panel.kind == Kind::Timeseries {
        Some(chart::draw(&mut svg, panel, lines, span, (inside, zone)))
    } else {
        draw_figure(&mut svg, panel, lines, size);
        None
    };
    Drawn {
        svg,
        words: words(panel, lines),
        readings,
    }
}

fn draw_title(svg: &mut Svg, panel: &Panel, wide: f64) {
    let room = wide - 2.0 * INSET;
    let title = fitted(&panel.title, 13.5, room);
    svg.text("title f-text", (INSET, 23.0), Hold::Start, &title);
    let taken = width(&title, 13.5) + 10.0;
    if panel.kind == Kind::Timeseries && taken + width(&panel.description, 11.0) <= room {
        svg.text("note f-muted", (INSET + taken, 23.0), Hold::Start, &panel.description);
    }
}

/// The last value, large, above its course.
fn draw_figure(svg: &mut Svg, panel: &Panel, lines: &[Line], size: (f64, f64)) {
    let Some((line, value)) = lines.iter().find_map(|line| Some((line, line.last()?))) else {
        return;
    };
    let color = theme::class_of(panel.color_of(value));
    if panel.has_course() {
        let plot = Area {
            x: 1.0,
            y: size.1 * 0.64,
            w: size.0 - 2.0,
            h: size.1 * 0.36 - 5.0,
        };
        let wanted = Wanted {
            min: panel.fields.defaults.min,
            ..Wanted::default()
        };
        let axis = Axis::around(line.values.iter().flatten().copied(), wanted, 4.0);
        let course = Line {
            color,
            is_dashed: false,
            fill: 0.18,
            ..line.clone()
        };
        chart::draw_line(svg, &course, &axis, plot, panel.is_stepped());
    }
    let text = said(panel, value);
    let room = size.0 - 2.0 * INSET;
    let size_of_text = (34.0 * room / width(&text, 34.0)).min(34.0);
    svg.sized(&format!("big f-{color}"), (INSET, 66.0), size_of_text, &text);
}

/// A value as the panel says it.
fn said(panel: &Panel, value: f64) -> String {
    let field = &panel.fields.defaults;
    let word = panel.word_for(value).map(str::to_owned);
    word.unwrap_or_else(|| unit::written(value, &field.unit, field.decimals))
}

/// For those who do not see the drawing: the last value of each line.
fn words(panel: &Panel, lines: &[Line]) -> String {
    let values = lines.iter().map(|line| {
        let value = line
            .last()
            .map_or_else(|| "no data".to_owned(), |value| said(panel, value));
        if panel.kind == Kind::Stat {
            value
        } else {
            format!("{} {value}", line.name)
        }
    });
    format!("{}: {}", panel.title, values.collect::<Vec<_>>().join(", "))
}
