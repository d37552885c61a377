//! What the live view knows at a moment, and what news and keys make of it. Pure: the time is handed in.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::gather::{Figures, News};
use super::history::History;
use crate::chain::{Board, Diagnosis, Pod, Rescale, Usage, Why};
use crate::cluster::certificate::Serving;

/// What a person wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// Away with what lies on top, else the end.
    Back,
    End,
    Help,
    Pause,
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    /// Draw everything anew.
    Redraw,
}

/// Whether the view goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    On,
    Over,
}

/// A look that failed, and those right before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lost {
    /// When the first of them failed.
    pub(super) since: Timestamp,
    /// When the last one did.
    pub(super) last: Timestamp,
    /// What it said.
    pub(super) says: String,
}

/// A stabilisation window that keeps the number of pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    /// Since when another number is asked for, as far as was seen.
    since: Timestamp,
    /// Whether that began before the view did.
    is_older: bool,
}

/// Everything that is drawn.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) cluster: String,
    pub(super) colors: bool,
    /// What moves, and when it was read.
    pub(super) figures: Option<(Timestamp, Figures)>,
    pub(super) lost: Option<Lost>,
    pub(super) usage: BTreeMap<String, Usage>,
    pub(super) rescales: Option<Result<Vec<Rescale>, String>>,
    pub(super) certificate: Option<Result<Option<Serving>, String>>,
    pub(super) diagnosis: Option<(Timestamp, Diagnosis)>,
    pub(super) rate: History,
    pub(super) p99_s: History,
    pub(super) paused: Option<Timestamp>,
    pub(super) help: bool,
    /// Pods above the first that is shown.
    pub(super) scroll: usize,
    held: Option<Held>,
}

impl State {
    /// Before the first answer.
    pub(super) fn new(cluster: &str, colors: bool) -> Self {
        Self {
            cluster: cluster.to_owned(),
            colors,
            ..Self::default()
        }
    }

    /// The figures that were read last.
    pub(super) fn board(&self) -> Option<&Board> {
        self.figures.as_ref().map(|(_, figures)| &figures.board)
    }

    pub(super) fn pods(&self) -> &[Pod] {
        let pods = self
            .figures
            .as_ref()
            .and_then(|(_, figures)| figures.pods.as_ref().ok());
        pods.map_or(&[], Vec::as_slice)
    }

    /// Takes what was told. A paused view keeps its picture; a look that failed leaves the one before it.
    pub(super) fn take(&mut self, news: News, at: Timestamp) {
        if self.paused.is_some() {
            return;
        }
        match news {
            News::Figures(Ok(figures)) => self.see(*figures, at),
            News::Figures(Err(says)) => {
                let since = self.lost.as_ref().map_or(at, |lost| lost.since);
                self.lost = Some(Lost { since, last: at, says });
            }
            // Not every cluster has a metrics-server.
            News::Usage(usage) => self.usage = usage.unwrap_or_else(|_| std::mem::take(&mut self.usage)),
            News::Rescales(rescales) => keep(&mut self.rescales, rescales),
            News::Certificate(certificate) => keep(&mut self.certificate, certificate),
            News::Diagnosis(diagnosis) => self.diagnosis = Some((at, *diagnosis)),
            News::Recent(recent) => {
                self.rate.add_past(recent.rate);
                self.p99_s.add_past(recent.p99_s);
            }
        }
    }

    fn see(&mut self, figures: Figures, at: Timestamp) {
        let board = &figures.board;
        if let Some(rate) = board.sample.rate_total {
            self.rate.add(at, rate);
        }
        if let Some(p99_s) = board.p99_s {
            self.p99_s.add(at, p99_s);
        }
        self.held = self.hold(board.why.as_ref(), at);
        self.lost = None;
        self.figures = Some((at, figures));
    }

    /// How long a window has kept the number of pods; the controller tells no time of it.
    fn hold(&self, why: Option<&Why>, at: Timestamp) -> Option<Held> {
        match why? {
            Why::DownStabilised { .. } | Why::UpStabilised { .. } => self.held.or(Some(Held {
                since: at,
                is_older: self.figures.is_none(),
            })),
            // Nothing follows from what could not be read.
            Why::NoMetric { .. } | Why::MissingSamples { .. } => self.held,
            _ => None,
        }
    }

    /// Why the number of pods is what it is, with what is left of a window.
    pub(super) fn why(&self, now: Timestamp) -> Option<String> {
        let why = self.board()?.why.as_ref()?;
        let (Why::DownStabilised { window_s, .. } | Why::UpStabilised { window_s, .. }) = why else {
            return Some(why.to_string());
        };
        let Some(held) = self.held else {
            return Some(why.to_string());
        };
        let left_s = window_s - now.duration_since(held.since).as_secs_f64();
        let most = if held.is_older { "at most " } else { "" };
        Some(if left_s > 0.5 {
            format!("{why}: {most}{left_s:.0} s left, then at the controller's next look")
        } else {
            format!("{why}: over, at the controller's next look (every 15 s)")
        })
    }

    /// Does what a key says; `rows` is how many pods are shown at once.
    pub(super) fn press(&mut self, key: Key, rows: usize, now: Timestamp) -> Flow {
        let last = self.pods().len().saturating_sub(rows);
        let scroll = self.scroll.min(last);
        let page = rows.max(1);
        let covered = std::mem::take(&mut self.help);
        match key {
            Key::End => return Flow::Over,
            Key::Back if !covered => return Flow::Over,
            Key::Help => self.help = !covered,
            Key::Pause => self.paused = self.paused.is_none().then_some(now),
            Key::Back | Key::Redraw => {}
            Key::Up => self.scroll = scroll.saturating_sub(1),
            Key::Down => self.scroll = (scroll + 1).min(last),
            Key::PageUp => self.scroll = scroll.saturating_sub(page),
            Key::PageDown => self.scroll = (scroll + page).min(last),
            Key::First => self.scroll = 0,
            Key::Last => self.scroll = last,
        }
        Flow::On
    }
}

/// An answer stays where the next question has none: how old the picture is stands above it.
fn keep<T>(known: &mut Option<Result<T, String>>, news: Result<T, String>) {
    if news.is_ok() || !matches!(known, Some(Ok(_))) {
        *known = Some(news);
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
