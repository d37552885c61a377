//! The loops behind `status --watch`: on a terminal a view that is drawn again and again, elsewhere a line a second.

use std::io::{self, IsTerminal};
use std::time::Instant;

use crossterm::event::EventStream;
use futures::StreamExt as _;
use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};

use super::super::Context;
use super::gather::{Desk, Gatherer};
use super::state::{Flow, Key, State};
use super::terminal::{Screen, can_draw, key};
use super::{Look, Row, view};
use crate::config::Format;
use crate::error::Error;
use crate::report::Answer;

/// Watches until interrupted, or until nobody reads.
pub(super) async fn run(context: &Context, gatherer: &Gatherer<'_>) -> Result<(), Error> {
    let output = &context.config.output;
    // The log would be written over the picture.
    let has_log = output.verbose && io::stderr().is_terminal();
    if output.format == Format::Text && !has_log && can_draw() {
        on_screen(context, gatherer).await
    } else {
        in_lines(context, gatherer).await
    }
}

async fn in_lines(context: &Context, gatherer: &Gatherer<'_>) -> Result<(), Error> {
    let began = Instant::now();
    let mut ticks = interval(gatherer.pace.figures);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        match gatherer.board().await {
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

/// Goes on until somebody ends it, which is its good end.
async fn on_screen(context: &Context, gatherer: &Gatherer<'_>) -> Result<(), Error> {
    let (cluster, _) = context.target()?;
    let mut state = State::new(cluster, !context.config.output.no_color);
    let mut screen = Screen::open().map_err(lost)?;
    context.serving.get_or_init(|| ());
    let (desk, mut news) = Desk::new();
    let mut gathering = std::pin::pin!(gatherer.go_on(&desk));
    let mut typed = EventStream::new();
    // Ages move also where nothing is told.
    let mut ticks = interval(gatherer.pace.figures);
    loop {
        let mut rows = 0;
        screen
            .draw(|frame| rows = view::draw(&state, Timestamp::now(), frame))
            .map_err(lost)?;
        tokio::select! {
            () = &mut gathering => return Ok(()),
            Some(one) = news.recv() => state.take(one, Timestamp::now()),
            _ = ticks.tick() => {}
            event = typed.next() => match event {
                Some(Ok(event)) => {
                    let Some(key) = key(&event) else { continue };
                    if state.press(key, rows, Timestamp::now()) == Flow::Over {
                        return Ok(());
                    }
                    if key == Key::Redraw {
                        screen.clear().map_err(lost)?;
                    }
                    desk.is_paused.send_replace(state.paused.is_some());
                }
                Some(Err(error)) => return Err(lost(error)),
                None => return Ok(()),
            },
        }
    }
}

fn lost(error: io::Error) -> Error {
    Error::failed(Unusable(error)).hint("`status --watch | cat` writes a line a second")
}

/// The terminal does not do what a view needs.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw on the terminal")]
struct Unusable(#[source] io::Error);
