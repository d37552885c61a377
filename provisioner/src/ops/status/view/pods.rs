//! The table of pods.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table};

use super::Sheet;
use super::text::{self, age, plain, rule};
use crate::chain::{MOST_PODS, Pod, PodState};

/// From this width on CPU and memory are told.
const USAGE: u16 = 64;
/// From this width on age and restarts are told.
const LIFE: u16 = 44;
/// What a state has at least.
const STATE: usize = 9;

/// Draws as many as fit; says how many that is.
pub(super) fn draw(sheet: &Sheet<'_>, area: Rect, frame: &mut Frame<'_>) -> usize {
    let [head, body] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
    let pods = sheet.state.pods();
    // One line has the heads of the columns.
    let rows = usize::from(body.height.saturating_sub(1));
    let first = sheet.state.scroll.min(pods.len().saturating_sub(rows));
    let shown = &pods[first..pods.len().min(first + rows)];
    let all = if pods.len() < MOST_PODS {
        pods.len().to_string()
    } else {
        format!("the first {MOST_PODS} by name")
    };
    let title = if !shown.is_empty() && shown.len() < pods.len() {
        format!("pods {} to {} of {all}", first + 1, first + shown.len())
    } else {
        format!("pods: {all}")
    };
    frame.render_widget(Paragraph::new(rule(&title, area.width, sheet.ink)), head);
    if let Some((_, figures)) = &sheet.state.figures
        && let Err(why) = &figures.pods
    {
        let line = Line::styled(format!("cannot list the pods: {}", plain(why)), sheet.ink.bad());
        frame.render_widget(Paragraph::new(line), body);
        return rows;
    }
    frame.render_widget(table(sheet, shown, area.width), body);
    rows
}

fn table(sheet: &Sheet<'_>, shown: &[Pod], width: u16) -> Table<'static> {
    let mut heads = vec!["NAME", "READY", "   RATE"];
    let mut rest = vec![7];
    if width >= USAGE {
        heads.extend(["   CPU", "    MEMORY"]);
        rest.extend([6, 10]);
    }
    if width >= LIFE {
        heads.extend(["   AGE", "RESTARTS"]);
        rest.extend([6, 8]);
    }
    let gaps = heads.len() - 1;
    let room = usize::from(width).saturating_sub(usize::from(rest.iter().sum::<u16>()) + gaps);
    let state = u16::try_from(state_width(shown, room)).unwrap_or(u16::MAX);
    let widths = [Constraint::Fill(1), Constraint::Length(state)];
    let widths = widths.into_iter().chain(rest.into_iter().map(Constraint::Length));
    let rows = shown.iter().map(|pod| Row::new(cells(sheet, pod, width)));
    Table::new(rows, widths)
        .header(Row::new(heads).style(sheet.ink.faint()))
        .column_spacing(1)
}

/// A pod is told by the end of its name, so what it says of itself gives way to that.
fn state_width(shown: &[Pod], room: usize) -> usize {
    let name = shown.iter().map(|pod| text::cells(&pod.name)).max().unwrap_or(0);
    let state = shown.iter().map(|pod| text::cells(word(&pod.state))).max().unwrap_or(0);
    state.min(room.saturating_sub(name)).max(STATE)
}

fn cells(sheet: &Sheet<'_>, pod: &Pod, width: u16) -> Vec<Cell<'static>> {
    let style = match pod.state {
        PodState::Ready => sheet.ink.good(),
        PodState::Starting | PodState::Going => sheet.ink.fair(),
        PodState::Stuck(_) => sheet.ink.bad(),
    };
    let mut cells = vec![
        Cell::new(plain(&pod.name)),
        Cell::new(Span::styled(plain(word(&pod.state)), style)),
        rate(sheet, &pod.name),
    ];
    if width >= USAGE {
        let used = sheet.state.usage.get(&pod.name);
        let cpu = used.map_or_else(|| "-".to_owned(), |used| format!("{:.0}m", used.cpu * 1e3));
        let memory = used.map_or_else(
            || "-".to_owned(),
            |used| format!("{:.1} MiB", used.memory_bytes / 1_048_576.0),
        );
        cells.extend([right(cpu), right(memory)]);
    }
    if width >= LIFE {
        let old = pod.created.map_or_else(|| "-".to_owned(), |at| age(at, sheet.now));
        let style = if pod.restarts > 0 {
            sheet.ink.fair()
        } else {
            Style::new()
        };
        cells.extend([right(old), right(pod.restarts.to_string()).style(style)]);
    }
    cells
}

fn right(text: String) -> Cell<'static> {
    Cell::new(Line::raw(text).right_aligned())
}

/// Its requests per second; marked where that is more than it is to have.
fn rate(sheet: &Sheet<'_>, pod: &str) -> Cell<'static> {
    let board = sheet.state.board();
    let rate = board.and_then(|board| board.sample.per_pod.get(pod).copied());
    let target = board.and_then(|board| board.hpa.as_ref()?.target);
    let is_over = rate.zip(target).is_some_and(|(rate, target)| rate > target);
    let style = if is_over { sheet.ink.fair() } else { Style::new() };
    right(text::or_dash(rate)).style(style)
}

/// How it is, as a word.
fn word(state: &PodState) -> &str {
    match state {
        PodState::Ready => "yes",
        PodState::Starting => "starting",
        PodState::Going => "going",
        PodState::Stuck(why) => why,
    }
}
