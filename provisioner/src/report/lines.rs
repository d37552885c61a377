//! Events as lines, for logs and programs: plain text or one JSON object a line.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use super::pace::Pace;
use super::{Event, Outcome, Reporter};

/// What a line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Text for people.
    Plain,
    /// One JSON object.
    Json,
}

/// Writes one line per event that is worth one.
#[derive(Debug)]
pub struct Lines<W> {
    style: Style,
    state: Mutex<(W, Pace)>,
}

impl<W: Write> Lines<W> {
    /// Lines of `style` to `writer`.
    pub fn new(style: Style, writer: W) -> Self {
        Self {
            style,
            state: Mutex::new((writer, Pace::default())),
        }
    }
}

impl<W: Write + Send> Reporter for Lines<W> {
    fn emit(&self, event: Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (writer, pace) = &mut *state;
        if !pace.is_worth_a_line(&event) {
            return;
        }
        let line = match self.style {
            Style::Plain => plain(&event),
            Style::Json => serde_json::to_string(&event).unwrap_or_default(),
        };
        // Where nobody reads, the work goes on.
        let _ = writeln!(writer, "{line}").and_then(|()| writer.flush());
    }
}

/// `text` without what a terminal would take for a command: names in archives and answers of registries are anybody's.
pub(crate) fn printable(text: &str) -> String {
    let plain = |c: char| {
        if c.is_control() && !matches!(c, '\n' | '\t') {
            '\u{fffd}'
        } else {
            c
        }
    };
    text.chars().map(plain).collect()
}

/// An event as one line of text.
pub(super) fn plain(event: &Event) -> String {
    printable(&text(event))
}

fn text(event: &Event) -> String {
    match event {
        Event::Phase { name } => format!("== {name}"),
        Event::Done {
            kind,
            name,
            outcome,
            detail,
        } => {
            let detail = if detail.is_empty() {
                String::new()
            } else {
                format!(" ({detail})")
            };
            format!("   {:<9} {kind} {name}{detail}", word(*outcome))
        }
        Event::Waiting {
            what, state, elapsed, ..
        } => {
            format!("   {:<9} {what}: {state} ({} s)", "waiting", elapsed.as_secs())
        }
        Event::Progress { what, done, total } => {
            format!("   {:<9} {what}: {}", "progress", amount(*done, *total))
        }
        Event::Warning { message } => format!("warning: {message}"),
        Event::Note { message } => format!("   {}", message.replace('\n', "\n   ")),
    }
}

fn amount(done: u64, total: u64) -> String {
    match done.saturating_mul(100).checked_div(total) {
        Some(percent) => format!("{percent} %"),
        None => done.to_string(),
    }
}

/// An outcome as a person says it.
pub(crate) fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Created => "created",
        Outcome::Updated => "updated",
        Outcome::Unchanged => "unchanged",
        Outcome::Deleted => "deleted",
        Outcome::Recreated => "recreated",
        Outcome::Kept => "kept",
        Outcome::Skipped => "skipped",
        Outcome::Ready => "ready",
        Outcome::Built => "built",
        Outcome::Pushed => "pushed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn nothing_that_others_wrote_steers_the_terminal() {
        let message = "no \u{1b}[2Jimage\u{7}\r".to_owned();
        assert_eq!(
            plain(&Event::Warning { message }),
            "warning: no \u{fffd}[2Jimage\u{fffd}\u{fffd}"
        );
        assert_eq!(printable("two\n\tlines, ä"), "two\n\tlines, ä");
    }

    fn render(style: Style) -> String {
        let lines = Lines::new(style, Vec::new());
        lines.phase("cluster");
        lines.done("repository", "demo/web-app", Outcome::Created, "");
        lines.done("Deployment", "web-app/web-app", Outcome::Unchanged, "3 replicas");
        for seconds in [0, 10, 20, 30] {
            lines.waiting("cluster `demo`", "CREATING", Duration::from_secs(seconds));
        }
        lines.waiting("cluster `demo`", "ACTIVE", Duration::from_millis(31_500));
        for done in [1, 2, 50, 99, 100] {
            lines.emit(Event::Progress {
                what: "layer".into(),
                done,
                total: 100,
            });
        }
        lines.warning("the key is old");
        lines.note("next:\nopen it");
        let (bytes, _) = lines.state.into_inner().unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn plain_lines_are_for_people_and_do_not_repeat_themselves() {
        insta::assert_snapshot!(render(Style::Plain), @r#"
        == cluster
           created   repository demo/web-app
           unchanged Deployment web-app/web-app (3 replicas)
           waiting   cluster `demo`: CREATING (0 s)
           waiting   cluster `demo`: CREATING (30 s)
           waiting   cluster `demo`: ACTIVE (31 s)
           progress  layer: 50 %
           progress  layer: 99 %
           progress  layer: 100 %
        warning: the key is old
           next:
           open it
        "#);
    }

    #[test]
    fn json_lines_are_objects_with_seconds() {
        insta::assert_snapshot!(render(Style::Json), @r#"
        {"event":"phase","name":"cluster"}
        {"event":"done","kind":"repository","name":"demo/web-app","outcome":"created","detail":""}
        {"event":"done","kind":"Deployment","name":"web-app/web-app","outcome":"unchanged","detail":"3 replicas"}
        {"event":"waiting","what":"cluster `demo`","state":"CREATING","elapsed_s":0.0}
        {"event":"waiting","what":"cluster `demo`","state":"CREATING","elapsed_s":30.0}
        {"event":"waiting","what":"cluster `demo`","state":"ACTIVE","elapsed_s":31.5}
        {"event":"progress","what":"layer","done":50,"total":100}
        {"event":"progress","what":"layer","done":99,"total":100}
        {"event":"progress","what":"layer","done":100,"total":100}
        {"event":"warning","message":"the key is old"}
        {"event":"note","message":"next:\nopen it"}
        "#);
    }

    #[test]
    fn a_closed_stream_does_not_stop_the_work() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        Lines::new(Style::Plain, Closed).phase("cluster");
    }
}
