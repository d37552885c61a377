//! Draws a [`Scene`]: moments in a cascade, below them the panels on the same time.

use super::colors::{GRID, GROUND, MUTED, RED, STRETCHED, TEXT};
use super::scale::{Height, Time};
use super::scene::{FAULT, Join, Moment, Panel, Scene, Series};
use super::svg::{Stroke, Svg, Type};

const WIDTH: f64 = 1200.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 1176.0;
/// The top of the moments.
const MOMENTS: f64 = 96.0;
/// Between two moments.
const ROW: f64 = 21.0;
/// What a panel's title takes, and what is between panels.
const HEAD: f64 = 40.0;
/// What the axis below takes.
const FOOT: f64 = 48.0;
/// Width of a character against its size, on average.
const CHARACTER: f64 = 0.52;

const PLAIN: Type = Type {
    size: 15.0,
    color: MUTED,
    anchor: "start",
    is_bold: false,
};

/// The line of what is aimed at.
const TARGET: Stroke = Stroke::dashed(RED, 1.5);

fn width(text: &str, size: f64) -> f64 {
    let characters: u32 = text.chars().count().try_into().unwrap_or_default();
    f64::from(characters) * size * CHARACTER
}

/// The drawing and its size.
pub(super) fn draw(scene: &Scene) -> (Svg, (f64, f64)) {
    #[expect(clippy::cast_precision_loss, reason = "a few moments")]
    let cascade = scene.moments.len() as f64 * ROW;
    let heights: f64 = scene.panels.iter().map(|panel| panel.height + HEAD).sum();
    let bottom = MOMENTS + cascade + heights;
    let size = (WIDTH, bottom + FOOT);
    let time = Time::new((scene.from, scene.to), scene.detail, (LEFT, RIGHT));
    let mut svg = Svg::default();
    svg.rect((0.0, 0.0), size, GROUND);
    head(&mut svg, scene);
    if let Some(bend) = time.bend {
        let (left, right) = (time.x(time.from), time.x(bend));
        svg.rect((left, MOMENTS - 8.0), (right - left, bottom - MOMENTS + 8.0), STRETCHED);
    }
    axis(&mut svg, &time, bottom);
    moments(&mut svg, &scene.moments, &time, bottom);
    let mut top = MOMENTS + cascade;
    for panel in &scene.panels {
        let room = (top + HEAD, top + HEAD + panel.height);
        self::panel(&mut svg, panel, &time, room);
        top = room.1;
    }
    (svg, size)
}

fn head(svg: &mut Svg, scene: &Scene) {
    let title = Type {
        size: 25.0,
        color: TEXT,
        is_bold: true,
        ..PLAIN
    };
    svg.text((24.0, 42.0), title, &scene.title);
    svg.text((24.0, 68.0), Type { size: 16.0, ..PLAIN }, &scene.subtitle);
}

fn axis(svg: &mut Svg, time: &Time, bottom: f64) {
    for at in time.ticks() {
        let middle = Type {
            anchor: "middle",
            ..PLAIN
        };
        svg.text((time.x(at), bottom + 21.0), middle, &number(at));
    }
    let end = Type { anchor: "end", ..PLAIN };
    svg.text((RIGHT, bottom + 41.0), end, "seconds from the first request");
    if let Some(bend) = time.bend {
        svg.text(
            (time.x(time.from), bottom + 41.0),
            PLAIN,
            &format!("stretched until {} s", number(bend.round())),
        );
    }
}

/// Each moment in a row of its own, so that texts never meet; a line leads down through the panels.
fn moments(svg: &mut Svg, moments: &[Moment], time: &Time, bottom: f64) {
    let mut y = MOMENTS + 8.0;
    for moment in moments {
        let x = time.x(moment.at);
        let faint = Stroke {
            dashes: "2 3",
            opacity: 0.5,
            ..Stroke::solid(moment.color, 1.0)
        };
        svg.line((x, y), (x, bottom), faint);
        svg.dot((x, y), 5.0, moment.color);
        let when = format!("{:.1} s", moment.at);
        let bold = Type {
            color: TEXT,
            is_bold: true,
            ..PLAIN
        };
        let what = Type { color: TEXT, ..PLAIN };
        let (gap, when_width) = (11.0, width(&when, PLAIN.size) + 8.0);
        if x + gap + when_width + width(&moment.text, PLAIN.size) < RIGHT {
            svg.text((x + gap, y + 5.0), bold, &when);
            svg.text((x + gap + when_width, y + 5.0), what, &moment.text);
        } else {
            let left = |kind: Type| Type { anchor: "end", ..kind };
            svg.text((x - gap, y + 5.0), left(bold), &when);
            svg.text((x - gap - when_width, y + 5.0), left(what), &moment.text);
        }
        y += ROW;
    }
}

fn panel(svg: &mut Svg, panel: &Panel, time: &Time, (top, bottom): (f64, f64)) {
    let values = panel.series.iter().flat_map(|series| &series.points);
    let values = values.filter(|(at, _)| *at >= time.from).map(|(_, value)| *value);
    let target = panel.target.iter().map(|(target, _)| *target);
    let highest = values.chain(target).fold(0.0, f64::max);
    let height = Height::new((top, bottom), highest, (panel.height / 40.0, panel.least));
    let end = Type { anchor: "end", ..PLAIN };
    for tick in height.ticks() {
        let y = height.y(tick);
        svg.line((LEFT, y), (RIGHT, y), Stroke::solid(GRID, 1.0));
        svg.text((LEFT - 10.0, y + 5.0), end, &number(tick));
    }
    title(svg, panel, top);
    for series in &panel.series {
        draw_series(svg, series, time, &height);
    }
    if let Some((target, _)) = &panel.target {
        let y = height.y(*target);
        svg.line((LEFT, y), (RIGHT, y), TARGET);
    }
    for fault in &panel.faults {
        svg.dot((time.x(*fault), bottom), 4.0, FAULT);
    }
}

/// What the panel is of, and which line is what.
fn title(svg: &mut Svg, panel: &Panel, top: f64) {
    let y = top - 13.0;
    let bold = Type {
        color: TEXT,
        is_bold: true,
        ..PLAIN
    };
    svg.text((LEFT, y), bold, panel.title);
    let mut x = LEFT + width(panel.title, PLAIN.size) + 26.0;
    let drawn = panel.series.iter().filter(|series| !series.points.is_empty());
    for series in drawn {
        svg.line((x, y - 5.0), (x + 24.0, y - 5.0), stroke(series));
        svg.text((x + 31.0, y), PLAIN, series.name);
        x += 31.0 + width(series.name, PLAIN.size) + 24.0;
    }
    if let Some((_, name)) = &panel.target {
        svg.line((x, y - 5.0), (x + 24.0, y - 5.0), TARGET);
        svg.text((x + 31.0, y), PLAIN, name);
        x += 31.0 + width(name, PLAIN.size) + 24.0;
    }
    if !panel.faults.is_empty() {
        svg.dot((x + 6.0, y - 5.0), 4.0, FAULT);
        svg.text((x + 18.0, y), PLAIN, "failed or dropped requests");
    }
}

fn stroke(series: &Series) -> Stroke {
    match series.join {
        Join::Area | Join::Line => Stroke::solid(series.color, 2.5),
        Join::Step => Stroke::solid(series.color, 1.5),
        Join::Dashed => Stroke::dashed(series.color, 2.0),
    }
}

fn draw_series(svg: &mut Svg, series: &Series, time: &Time, height: &Height) {
    let mut points: Vec<(f64, f64)> = Vec::new();
    // What held before the picture begins holds at its left end.
    let before = series.points.iter().rev().find(|(at, _)| *at < time.from);
    let within = series
        .points
        .iter()
        .filter(|(at, _)| *at >= time.from && *at <= time.to);
    for (at, value) in before.into_iter().chain(within) {
        let (x, y) = (time.x(*at), height.y(*value));
        if let Some((_, last)) = points.last().filter(|_| series.join != Join::Line) {
            points.push((x, *last));
        }
        points.push((x, y));
    }
    if let Some((_, last)) = points.last().filter(|_| series.join != Join::Line) {
        points.push((time.x(time.to), *last));
    }
    if series.join == Join::Area {
        svg.area(&points, height.bottom, series.color);
    }
    svg.path(&points, stroke(series));
}

/// A tick as people write it.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
