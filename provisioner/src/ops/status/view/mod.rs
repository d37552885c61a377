//! What `status --watch` draws on a terminal: a pure function of what is known, the time and the size.

mod autoscaler;
mod figures;
mod header;
mod ink;
mod keys;
mod pods;
mod text;

use jiff::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::state::State;
use ink::Ink;

/// From this width on what the HPA says stands beside the pods, not below them.
const WIDE: u16 = 120;
/// From this height on curves are more than one line high.
const TALL: u16 = 34;
/// Below this height there are no curves.
const LOW: u16 = 18;
/// The least lines that pods get before what stands below them loses its own: rule, heads and two pods.
const FEW: u16 = 4;

/// One picture: what is known, when, and how it is drawn.
#[derive(Clone, Copy)]
struct Sheet<'a> {
    state: &'a State,
    now: Timestamp,
    ink: Ink,
}

/// Draws everything; says how many pods are shown at once.
pub(super) fn draw(state: &State, now: Timestamp, frame: &mut Frame<'_>) -> usize {
    // A picture that stands has the age that it had.
    let sheet = Sheet {
        state,
        now: state.paused.unwrap_or(now),
        ink: Ink::new(state.colors),
    };
    let area = frame.area();
    let head = header::lines(&sheet, now, area.width);
    let [top, body] = Layout::vertical([Constraint::Length(count(&head)), Constraint::Min(0)]).areas(area);
    frame.render_widget(Paragraph::new(head), top);
    let rows = if state.figures.is_some() {
        draw_body(&sheet, body, frame)
    } else {
        let waits = Line::styled("waiting for the first answer", sheet.ink.faint());
        frame.render_widget(Paragraph::new(waits), body);
        0
    };
    if state.help {
        keys::draw(sheet.ink, area, frame);
    }
    rows
}

fn draw_body(sheet: &Sheet<'_>, area: Rect, frame: &mut Frame<'_>) -> usize {
    let figures = match area.height {
        TALL.. => 7,
        LOW.. => 4,
        _ => 2,
    };
    let [above, replicas, below] =
        Layout::vertical([Constraint::Length(figures), Constraint::Length(2), Constraint::Min(0)]).areas(area);
    figures::draw(sheet, above, frame);
    figures::draw_replicas(sheet, replicas, frame);
    let (list, notes) = if area.width >= WIDE {
        let [list, _, notes] =
            Layout::horizontal([Constraint::Fill(3), Constraint::Length(2), Constraint::Fill(2)]).areas(below);
        (list, notes)
    } else {
        let wanted = count(&autoscaler::lines(sheet, below.width, events(area.height)));
        let left = below.height.saturating_sub(FEW);
        let [list, notes] = Layout::vertical([Constraint::Min(0), Constraint::Length(wanted.min(left))]).areas(below);
        (list, notes)
    };
    let told = autoscaler::lines(sheet, notes.width, events(area.height));
    frame.render_widget(Paragraph::new(told), notes);
    pods::draw(sheet, list, frame)
}

/// How many events are shown.
fn events(height: u16) -> usize {
    match height {
        50.. => 12,
        TALL.. => 5,
        _ => 2,
    }
}

fn count(lines: &[Line<'_>]) -> u16 {
    u16::try_from(lines.len()).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod scenes;
#[cfg(test)]
mod tests;
