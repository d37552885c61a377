//! Lines over time.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use serde::Serialize;

use super::answer::Line;
use super::axis::{Axis, Wanted, clock};
use super::board::Panel;
use super::legend::Legend;
use super::span::Span;
use super::svg::{Area, Hold, Svg, width};
use super::theme;
use super::unit;

/// Below the plot: the clock.
const CLOCK: f64 = 20.0;
/// Between two lines of the grid, at least.
const APART: f64 = 28.0;

/// What a pointer over a chart needs: where the plot is, and what is said of each point in time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Readings {
    /// The plot's left end and width, top and height.
    plot: [f64; 4],
    /// Unix time of the first point, and the seconds between two.
    from: i64,
    step: u32,
    /// Clock time of each point.
    clock: Vec<String>,
    rows: Vec<Row>,
}

/// One line: its name, the class of its colour, its values as text.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Row {
    name: String,
    color: &'static str,
    texts: Vec<Option<String>>,
}

/// Draws lines into a place of their own.
pub(super) fn draw(svg: &mut Svg, panel: &Panel, lines: &[Line], span: &Span, at: (Area, &TimeZone)) -> Readings {
    let (room, zone) = at;
    let field = &panel.fields.defaults;
    let legend = Legend::new(lines, room.w);
    let height = room.h - CLOCK - legend.height() - 4.0;
    let axis = axis_of(panel, lines, (height / APART).floor().clamp(2.0, 6.0));
    let ticks: Vec<(f64, String)> = axis
        .ticks()
        .into_iter()
        .map(|tick| (tick, unit::tick(tick, axis.step, &field.unit)))
        .collect();
    let widest = ticks.iter().map(|(_, text)| width(text, 11.0)).fold(0.0, f64::max);
    let plot = Area {
        x: room.x + widest + 8.0,
        w: room.w - widest - 8.0,
        y: room.y,
        h: height,
    };
    for (value, text) in &ticks {
        let y = plot.bottom() - axis.place(*value) * plot.h;
        svg.line("rule s-grid", (plot.x, y), (plot.right(), y));
        svg.text("tick f-muted", (plot.x - 6.0, y + 4.0), Hold::End, text);
    }
    draw_clock(svg, span, plot, zone);
    for (value, color) in panel.limits() {
        let y = plot.bottom() - axis.place(value) * plot.h;
        let class = format!("dash s-{}", theme::class_of(color));
        svg.line(&class, (plot.x, y), (plot.right(), y));
    }
    let is_stepped = panel.is_stepped();
    for line in thinned(lines) {
        draw_line(svg, &line, &axis, plot, is_stepped);
    }
    legend.draw(svg, room.x, plot.bottom() + CLOCK + 4.0);
    readings(panel, lines, span, (plot, zone))
}

/// The lines with their areas as light as it takes for many of them, one above the other, to stay as light as three.
fn thinned(lines: &[Line]) -> impl Iterator<Item = Line> {
    let filled: f64 = lines.iter().filter(|line| line.fill > 0.0).map(|_| 1.0).sum();
    let share = 3.0 / filled.max(3.0);
    lines.iter().map(move |line| Line {
        fill: line.fill * share,
        ..line.clone()
    })
}

fn axis_of(panel: &Panel, lines: &[Line], steps: f64) -> Axis {
    let field = &panel.fields.defaults;
    let wanted = Wanted {
        min: field.min,
        max: field.max,
        is_binary: field.unit == "bytes",
        is_whole: field.decimals == Some(0),
    };
    let values = lines.iter().flat_map(|line| line.values.iter().flatten().copied());
    Axis::around(values, wanted, steps)
}

fn draw_clock(svg: &mut Svg, span: &Span, plot: Area, zone: &TimeZone) {
    let most = [90.0, 180.0, 270.0, 360.0, 450.0, 540.0]
        .iter()
        .filter(|w| **w <= plot.w)
        .count();
    for (at, text) in clock(span.from, span.to, most, zone) {
        let x = plot.x + place(at, span) * plot.w;
        let half = width(&text, 11.0) / 2.0;
        svg.line("rule s-grid", (x, plot.y), (x, plot.bottom()));
        let x = x.clamp(plot.x + half, plot.right() - half);
        svg.text("tick f-muted", (x, plot.bottom() + 15.0), Hold::Middle, &text);
    }
}

/// Where a point in time is, from 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "seconds within an hour")]
fn place(at: i64, span: &Span) -> f64 {
    (at - span.from) as f64 / (span.to - span.from).max(1) as f64
}

/// A line and the area below it; where there is no sample there is none.
pub(super) fn draw_line(svg: &mut Svg, line: &Line, axis: &Axis, plot: Area, is_stepped: bool) {
    let last = line.values.len().saturating_sub(1).max(1);
    #[expect(clippy::cast_precision_loss, reason = "a few hundred points")]
    let x = |index: usize| plot.x + index as f64 / last as f64 * plot.w;
    let y = |value: f64| plot.bottom() - axis.place(value) * plot.h;
    let (mut stroke, mut area) = (String::new(), String::new());
    let mut runs = line.values.iter().enumerate().peekable();
    while let Some((first, value)) = runs.next() {
        let Some(value) = value else { continue };
        let start = stroke.len();
        let _ = write!(stroke, "M{:.1} {:.1}", x(first), y(*value));
        let mut end = first;
        while let Some((index, Some(value))) = runs.next_if(|(_, next)| next.is_some()) {
            if is_stepped {
                let _ = write!(stroke, "H{:.1}V{:.1}", x(index), y(*value));
            } else {
                let _ = write!(stroke, "L{:.1} {:.1}", x(index), y(*value));
            }
            end = index;
        }
        if end == first {
            // A single sample is a point.
            let _ = write!(stroke, "h1");
        }
        let (floor, run) = (y(axis.low.max(0.0).min(axis.high)), &stroke[start..]);
        let _ = write!(area, "{run}V{floor:.1}H{:.1}Z", x(first));
    }
    if line.fill > 0.0 {
        svg.path(&format!("f-{}", line.color), &area, line.fill);
    }
    let kind = if line.is_dashed { "dash" } else { "line" };
    svg.path(&format!("{kind} s-{}", line.color), &stroke, 0.0);
}

fn readings(panel: &Panel, lines: &[Line], span: &Span, at: (Area, &TimeZone)) -> Readings {
    let (plot, zone) = at;
    let field = &panel.fields.defaults;
    let written = |value: &Option<f64>| value.map(|value| unit::written(value, &field.unit, field.decimals));
    let rows = lines.iter().map(|line| Row {
        name: line.name.clone(),
        color: line.color,
        texts: line.values.iter().map(written).collect(),
    });
    let clock = |at: i64| {
        let at = jiff::Timestamp::from_second(at).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string()
    };
    Readings {
        plot: [plot.x, plot.w, plot.y, plot.h].map(|value| (value * 10.0).round() / 10.0),
        from: span.from,
        step: span.step,
        clock: span.times().map(clock).collect(),
        rows: rows.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(values: &[Option<f64>], is_stepped: bool, fill: f64) -> String {
        let line = Line {
            name: "a".into(),
            color: "c1",
            is_dashed: false,
            fill,
            values: values.to_vec(),
        };
        let axis = Axis {
            low: 0.0,
            high: 10.0,
            step: 5.0,
        };
        let plot = Area {
            x: 0.0,
            y: 0.0,
            w: 30.0,
            h: 10.0,
        };
        let mut svg = Svg::default();
        draw_line(&mut svg, &line, &axis, plot, is_stepped);
        svg.inner().to_owned()
    }

    #[test]
    fn lines_go_from_sample_to_sample_and_break_where_there_is_none() {
        let values = [Some(0.0), Some(10.0), None, Some(5.0)];
        assert_eq!(
            drawn(&values, false, 0.0),
            r#"<path class="line s-c1" fill-opacity="0" d="M0.0 10.0L10.0 0.0M30.0 5.0h1"/>"#
        );
    }

    #[test]
    fn a_stepped_value_holds_until_the_next_and_areas_end_at_the_floor() {
        let values = [Some(1.0), Some(10.0), Some(10.0), Some(5.0)];
        assert_eq!(
            drawn(&values, true, 0.1),
            r#"<path class="f-c1" fill-opacity="0.1" d="M0.0 9.0H10.0V0.0H20.0V0.0H30.0V5.0V10.0H0.0Z"/><path class="line s-c1" fill-opacity="0" d="M0.0 9.0H10.0V0.0H20.0V0.0H30.0V5.0"/>"#
        );
    }
}
