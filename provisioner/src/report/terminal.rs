//! Events on a terminal: finished things stay, the one that is waited for moves.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::lines::{plain, word};
use super::{Event, Outcome, Reporter, is_named};

const BOLD: &str = "1";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const DIM: &str = "2";

/// Draws on the terminal behind stderr.
#[derive(Debug)]
pub struct Terminal {
    bars: MultiProgress,
    live: Mutex<BTreeMap<String, ProgressBar>>,
    colors: bool,
}

impl Terminal {
    /// A terminal on stderr; without `colors` the marks are words only.
    pub fn stderr(colors: bool) -> Self {
        Self::on(ProgressDrawTarget::stderr(), colors)
    }

    fn on(target: ProgressDrawTarget, colors: bool) -> Self {
        Self {
            bars: MultiProgress::with_draw_target(target),
            live: Mutex::new(BTreeMap::new()),
            colors,
        }
    }

    fn bar(&self, what: &str, style: &str) -> ProgressBar {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.entry(what.to_owned())
            .or_insert_with(|| {
                let bar = self.bars.add(ProgressBar::no_length());
                if let Ok(style) = ProgressStyle::with_template(style) {
                    bar.set_style(style);
                }
                bar.enable_steady_tick(Duration::from_millis(120));
                bar
            })
            .clone()
    }

    /// Ends the moving lines that are over: their results are lines of their own now.
    fn settle(&self, is_over: impl Fn(&str) -> bool) {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.retain(|what, bar| {
            let over = is_over(what);
            if over {
                bar.finish_and_clear();
                self.bars.remove(bar);
            }
            !over
        });
    }

    fn line(&self, text: &str) {
        // `println` draws nothing where stderr is hidden; both failures leave the work going.
        let _ = self.bars.println(text);
    }
}

impl Reporter for Terminal {
    fn emit(&self, event: Event) {
        match &event {
            Event::Waiting { what, state, .. } => {
                self.bar(what, "   {spinner} {msg} {elapsed}")
                    .set_message(format!("{what}: {state}"));
            }
            Event::Progress { what, done, total } => {
                let bar = self.bar(what, "   {spinner} {msg} {bar:30} {percent} %");
                bar.set_message(what.clone());
                bar.set_length(*total);
                bar.set_position(*done);
                if *total > 0 && done >= total {
                    self.settle(|line| line == what);
                }
            }
            Event::Phase { .. } => {
                self.settle(|_| true);
                self.line(&styled(&event, self.colors));
            }
            Event::Done { name, .. } => {
                self.settle(|line| is_named(line, name));
                self.line(&styled(&event, self.colors));
            }
            _ => self.line(&styled(&event, self.colors)),
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.settle(|_| true);
        let _ = std::io::stderr().flush();
    }
}

/// The plain line, with colour on the word that matters; never meaning by colour alone.
fn styled(event: &Event, colors: bool) -> String {
    let line = plain(event);
    if !colors {
        return line;
    }
    match event {
        Event::Phase { .. } => paint(&line, BOLD),
        Event::Done { outcome, .. } => {
            let color = match outcome {
                Outcome::Unchanged | Outcome::Skipped | Outcome::Kept => DIM,
                _ => GREEN,
            };
            let word = word(*outcome);
            line.replacen(word, &paint(word, color), 1)
        }
        Event::Warning { .. } => line.replacen("warning:", &paint("warning:", YELLOW), 1),
        _ => line,
    }
}

fn paint(text: &str, color: &str) -> String {
    format!("\x1b[{color}m{text}\x1b[0m")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(outcome: Outcome) -> Event {
        Event::Done {
            kind: "Service".into(),
            name: "a/b".into(),
            outcome,
            detail: String::new(),
        }
    }

    #[test]
    fn colour_only_adds_to_the_plain_line() {
        for event in [
            Event::Phase { name: "cluster".into() },
            done(Outcome::Created),
            done(Outcome::Unchanged),
            Event::Warning { message: "old".into() },
            Event::Note { message: "next".into() },
        ] {
            assert_eq!(styled(&event, false), plain(&event));
            let mut bare = styled(&event, true);
            for code in [BOLD, GREEN, YELLOW, DIM, "0"] {
                bare = bare.replace(&format!("\x1b[{code}m"), "");
            }
            assert_eq!(bare, plain(&event));
        }
        assert_eq!(
            styled(&done(Outcome::Created), true),
            "   \x1b[32mcreated\x1b[0m   Service a/b"
        );
    }

    #[test]
    fn a_result_ends_its_moving_line_and_a_phase_ends_all() {
        let terminal = Terminal::on(ProgressDrawTarget::hidden(), false);
        let live = |terminal: &Terminal| terminal.live.lock().unwrap().len();
        terminal.waiting("cluster `demo`", "CREATING", Duration::ZERO);
        terminal.waiting("cluster `demo`", "ACTIVE", Duration::ZERO);
        terminal.waiting("Deployment web-app/web-app", "0 of 1", Duration::ZERO);
        assert_eq!(live(&terminal), 2);
        terminal.done("HorizontalPodAutoscaler", "web-app/web", Outcome::Ready, "");
        assert_eq!(live(&terminal), 2, "a part of a name is another name");
        terminal.done("cluster", "demo", Outcome::Ready, "");
        assert_eq!(live(&terminal), 1);
        terminal.phase("next");
        assert_eq!(live(&terminal), 0);
    }
}
