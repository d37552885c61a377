//! Rate and latency with what they were in the last minutes, and the number of pods within its bounds.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Sparkline};

use super::super::gather::PAST;
use super::super::history::History;
use super::Sheet;
use super::text::{cells, or_dash, rule};
use crate::chain::Board;

/// From this width on rate and latency stand side by side.
const TWO: u16 = 60;
/// Steps of a curve for each requests/s or second, so that small figures show too.
const FINE: f64 = 1e6;

/// The rate, and beside or below it p99 and errors.
pub(super) fn draw(sheet: &Sheet<'_>, area: Rect, frame: &mut Frame<'_>) {
    let Some(board) = sheet.state.board() else { return };
    let (rate, latency) = if area.width >= TWO {
        let [rate, _, latency] =
            Layout::horizontal([Constraint::Fill(1), Constraint::Length(2), Constraint::Fill(1)]).areas(area);
        (rate, latency)
    } else {
        let below = if area.height >= 4 { 2 } else { 0 };
        let [rate, latency] = Layout::vertical([Constraint::Min(0), Constraint::Length(below)]).areas(area);
        (rate, latency)
    };
    let texts = rate_lines(sheet, board);
    panel(sheet, rate, ("rate, last 5 min", texts, &sheet.state.rate), frame);
    let texts = latency_lines(sheet, board);
    panel(
        sheet,
        latency,
        ("latency, last 5 min", texts, &sheet.state.p99_s),
        frame,
    );
}

/// A rule, texts, and a curve in what is left.
fn panel(
    sheet: &Sheet<'_>,
    area: Rect,
    (title, texts, history): (&str, [Line<'static>; 2], &History),
    frame: &mut Frame<'_>,
) {
    // What there is no room for is left out from below.
    let heads = area.height.min(1);
    let lines = (area.height - heads).min(2);
    let [head, texts_area, curve] =
        Layout::vertical([Constraint::Length(heads), Constraint::Length(lines), Constraint::Min(0)]).areas(area);
    frame.render_widget(Paragraph::new(rule(title, area.width, sheet.ink)), head);
    frame.render_widget(Paragraph::new(texts.to_vec()), texts_area);
    let columns = history.columns(sheet.now, PAST, curve.width);
    let bars = columns.into_iter().map(|value| value.map(steps));
    let curve_of = Sparkline::default().data(bars).style(sheet.ink.curve());
    frame.render_widget(curve_of, curve);
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures are not negative, and what is too high is as high as can be"
)]
fn steps(value: f64) -> u64 {
    (value * FINE) as u64
}

fn rate_lines(sheet: &Sheet<'_>, board: &Board) -> [Line<'static>; 2] {
    let sample = &board.sample;
    let now = format!("{} requests/s", or_dash(sample.rate_total));
    let Some((hpa, target)) = board.hpa.as_ref().and_then(|hpa| Some((hpa, hpa.target?))) else {
        let none = Line::styled("no HPA with a target per pod", sheet.ink.faint());
        return [Line::styled(now, sheet.ink.strong()), none];
    };
    let average = sample
        .rate_total
        .filter(|_| !sample.per_pod.is_empty())
        .map(|total| total / count(sample.per_pod.len() as u64));
    let of_target = format!(", {} a pod of {target:.1}", or_dash(average));
    let carried = count(sample.ready) * target;
    let most = count(hpa.max) * target;
    let is_over = sample.rate_total.is_some_and(|rate| rate > carried);
    let style = if is_over { sheet.ink.fair() } else { Style::new() };
    let word = if is_over { "OVER: " } else { "" };
    let carry = format!(
        "{word}{} ready carry {carried:.0}, {} carry {most:.0}",
        sample.ready, hpa.max
    );
    [
        Line::from(vec![Span::styled(now, sheet.ink.strong()), Span::raw(of_target)]),
        Line::styled(carry, style),
    ]
}

fn latency_lines(sheet: &Sheet<'_>, board: &Board) -> [Line<'static>; 2] {
    let p99 = board
        .p99_s
        .map_or_else(|| "p99 -".to_owned(), |s| format!("p99 {:.1} ms", s * 1e3));
    let errors = board
        .error_ratio
        .map_or_else(|| "-".to_owned(), |ratio| format!("{:.2} %", ratio * 100.0));
    let is_bad = board.error_ratio.is_some_and(|ratio| ratio > 0.0);
    let style = if is_bad { sheet.ink.bad() } else { Style::new() };
    let of = if board.p99_s.is_none() && board.error_ratio.is_none() {
        "Prometheus has none of the last minute"
    } else {
        "of the last minute, errors are 5xx"
    };
    [
        Line::from(vec![
            Span::styled(p99, sheet.ink.strong()),
            Span::raw(", "),
            Span::styled(format!("errors {errors}"), style),
        ]),
        Line::styled(of, sheet.ink.faint()),
    ]
}

/// Ready, wanted and allowed pods, in words and as a bar.
pub(super) fn draw_replicas(sheet: &Sheet<'_>, area: Rect, frame: &mut Frame<'_>) {
    let Some(board) = sheet.state.board() else { return };
    let ready = board.sample.ready;
    let wanted = board.sample.desired.unwrap_or(board.sample.replicas);
    let words = format!("{ready} ready of {wanted} wanted");
    let title = rule("replicas", area.width, sheet.ink);
    let Some(hpa) = &board.hpa else {
        frame.render_widget(Paragraph::new(vec![title, Line::raw(words)]), area);
        return;
    };
    let (least, most) = (format!("  min {} ", hpa.min), format!(" max {}", hpa.max));
    let room = usize::from(area.width).saturating_sub(cells(&words) + cells(&least) + cells(&most));
    let [full, half, rest] = bar((ready, wanted, hpa.max), room.min(100));
    let is_ready = ready >= wanted;
    let style = if is_ready { sheet.ink.good() } else { sheet.ink.fair() };
    let line = Line::from(vec![
        Span::styled(words, sheet.ink.strong()),
        Span::raw(least),
        Span::styled("█".repeat(full), style),
        Span::styled("▒".repeat(half), sheet.ink.fair()),
        Span::styled("░".repeat(rest), sheet.ink.faint()),
        Span::raw(most),
    ]);
    frame.render_widget(Paragraph::new(vec![title, line]), area);
}

/// Cells for ready pods, for those that are wanted beside them, and for the rest up to the most.
fn bar((ready, wanted, most): (u64, u64, u64), room: usize) -> [usize; 3] {
    let most = most.max(1);
    let upto = |pods: u64| {
        let part = u128::from(pods.min(most)) * room as u128 / u128::from(most);
        usize::try_from(part).unwrap_or(room)
    };
    let full = upto(ready);
    let half = upto(wanted).max(full);
    [full, half - full, room - half]
}

#[expect(clippy::cast_precision_loss, reason = "numbers of pods are small")]
fn count(pods: u64) -> f64 {
    pods as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_as_long_as_the_most_pods() {
        assert_eq!(bar((7, 10, 10), 20), [14, 6, 0]);
        assert_eq!(bar((1, 1, 10), 20), [2, 0, 18]);
        assert_eq!(bar((12, 3, 10), 20), [20, 0, 0], "more than allowed");
        assert_eq!(bar((0, 0, 0), 20), [0, 0, 20]);
        assert_eq!(bar((5, 5, 10), 0), [0, 0, 0]);
    }
}
