//! The loop behind `status --watch`: on a terminal a view that is drawn again and again, elsewhere a line a second.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use console::Term;
use tokio::time::{MissedTickBehavior, interval};

use super::super::Context;
use super::screen::View;
use super::{Look, Row, serving};
use crate::chain::{Route, board};
use crate::config::Format;
use crate::error::Error;
use crate::report::Answer;
use crate::target::Session;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// The screen beside the one with what was written before; and back to that one.
const OTHER: &str = "\x1b[?1049h";
const FORMER: &str = "\x1b[?1049l";
/// Clears the rest of a line.
const REST: &str = "\x1b[K";

/// Watches until interrupted, or until nobody reads.
pub(super) async fn run(context: &Context, at: (&Session, &Route)) -> Result<(), Error> {
    if io::stdout().is_terminal() && context.config.output.format == Format::Text {
        on_screen(context, at).await
    } else {
        in_lines(context, at).await
    }
}

async fn in_lines(context: &Context, (session, route): (&Session, &Route)) -> Result<(), Error> {
    let began = Instant::now();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        match board(&session.cluster, route).await {
            Ok(board) => {
                let look = Look {
                    elapsed_s: began.elapsed().as_secs_f64(),
                    board,
                    cost: None,
                    certificate: None,
                };
                let row = Answer::of(&Row(&look)).map_err(Error::failed)?;
                if !context.print(&row)? {
                    return Ok(());
                }
            }
            Err(error) => context.report.warning(&error.to_string()),
        }
    }
}

async fn on_screen(context: &Context, (session, route): (&Session, &Route)) -> Result<(), Error> {
    let (cluster, _) = context.target()?;
    let mut view = View::new(cluster, serving(context, session).await);
    let screen = Screen::open().map_err(Error::failed)?;
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        view.take(board(&session.cluster, route).await);
        screen.draw(&view).map_err(Error::failed)?;
    }
}

/// The terminal as the view has it; given back however the command ends, also by a signal.
struct Screen(Term);

impl Screen {
    fn open() -> io::Result<Self> {
        let screen = Self(Term::buffered_stdout());
        screen.0.write_str(OTHER)?;
        screen.0.hide_cursor()?;
        screen.0.flush()?;
        Ok(screen)
    }

    fn draw(&self, view: &View) -> io::Result<()> {
        let (height, width) = self.0.size();
        self.0.move_cursor_to(0, 0)?;
        let lines = view.frame(usize::from(width), usize::from(height));
        let lines: Vec<String> = lines.into_iter().map(|line| line + REST).collect();
        // No line end after the last one: it would move a full screen up.
        self.0.write_str(&lines.join("\r\n"))?;
        self.0.clear_to_end_of_screen()?;
        self.0.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = self.0.show_cursor();
        let _ = self.0.write_str(FORMER);
        let _ = self.0.flush();
    }
}
