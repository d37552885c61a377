//! Texts as they fit into lines. Pure.

use jiff::Timestamp;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::ink::Ink;
use crate::report::printable;

/// Width of the word before a text.
const LABEL: usize = 9;

/// One line of what others wrote, without what a terminal would obey.
pub(super) fn plain(text: &str) -> String {
    printable(text).replace(['\n', '\t'], " ")
}

/// How many cells of a terminal a text takes.
pub(super) fn cells(text: &str) -> usize {
    Span::raw(text).width()
}

/// A text in lines of `width` at most, divided at spaces where that is possible.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    if width == 0 {
        return lines;
    }
    for word in plain(text).split(' ').filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(line) if cells(line) + 1 + cells(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.extend(pieces(word, width)),
        }
    }
    lines
}

/// A word that may be longer than a line.
fn pieces(word: &str, width: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut used = 0;
    for c in word.chars() {
        let wide = cells(c.encode_utf8(&mut [0; 4]));
        if used + wide > width && used > 0 {
            pieces.push(String::new());
            used = 0;
        }
        used += wide;
        if let Some(last) = pieces.last_mut() {
            last.push(c);
        }
    }
    pieces
}

/// A text behind a word that says what it is, in at most `most` lines.
pub(super) fn entry(label: &str, text: &str, style: Style, (width, most): (u16, usize)) -> Vec<Line<'static>> {
    let room = usize::from(width).saturating_sub(LABEL);
    let mut lines = wrapped(text, room);
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            while cells(last) + 1 > room && last.pop().is_some() {}
            last.push('…');
        }
    }
    let labels = std::iter::once(label).chain(std::iter::repeat(""));
    let line = |(label, text): (&str, String)| {
        Line::from(vec![Span::raw(format!("{label:<LABEL$}")), Span::styled(text, style)])
    };
    labels.zip(lines).map(line).collect()
}

/// A line across with a title in it.
pub(super) fn rule(title: &str, width: u16, ink: Ink) -> Line<'static> {
    let title = format!(" {} ", plain(title));
    let rest = usize::from(width).saturating_sub(2 + cells(&title));
    Line::from(vec![
        Span::styled("──", ink.faint()),
        Span::styled(title, ink.strong()),
        Span::styled("─".repeat(rest), ink.faint()),
    ])
}

/// How long ago, short.
pub(super) fn age(at: Timestamp, now: Timestamp) -> String {
    match now.duration_since(at).as_secs().max(0) {
        s if s < 120 => format!("{s} s"),
        s if s < 7200 => format!("{} min", s / 60),
        s if s < 172_800 => format!("{} h", s / 3600),
        s => format!("{} d", s / 86_400),
    }
}

/// A figure with one digit after the point, or a dash.
pub(super) fn or_dash(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_divided_at_spaces_and_long_words_anywhere() {
        assert_eq!(wrapped("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrapped("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrapped("a\u{1b}[2Jb", 9), ["a\u{fffd}[2Jb"]);
        assert_eq!(wrapped("wide 日本語", 4), ["wide", "日本", "語"]);
        assert!(wrapped("text", 0).is_empty());
    }

    #[test]
    fn what_does_not_fit_is_marked_as_cut() {
        let lines = entry("why", "one two three four", Style::new(), (14, 2));
        let texts: Vec<String> = lines.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["why      one", "         two…"]);
    }

    #[test]
    fn ages_are_short() {
        let now: Timestamp = "2026-11-28T10:00:00Z".parse().unwrap();
        for (seconds, told) in [
            (-5, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7200, "2 h"),
            (200_000, "2 d"),
        ] {
            assert_eq!(age(now - jiff::SignedDuration::from_secs(seconds), now), told);
        }
    }
}
