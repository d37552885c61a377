//! Questions before what costs money or destroys; never a hang where nobody can answer.

use std::io::{BufRead, Write};

use super::Context;
use crate::error::Error;

/// Refuses at once where `question` would be asked but nobody can answer it.
///
/// # Errors
/// No terminal and no `--yes`: exit 2.
pub(super) fn check_can_ask(context: &Context, question: &str) -> Result<(), Error> {
    if context.yes || context.can_ask {
        return Ok(());
    }
    Err(Error::usage(format!("cannot ask without a terminal: {question}")).hint("give `--yes` to answer with yes"))
}

/// Asks `question` unless `--yes` answers it; anything but `y` or `yes` ends the command.
///
/// # Errors
/// Nobody can be asked, or the answer is no: exit 2, nothing was changed.
pub(super) async fn confirm(context: &Context, question: &str) -> Result<(), Error> {
    check_can_ask(context, question)?;
    if context.yes {
        return Ok(());
    }
    let prompt = format!("{question} [y/N] ");
    let (tell, answer) = tokio::sync::oneshot::channel();
    // A thread that nobody waits for: one that reads a terminal cannot be stopped, and would hold up a signal's exit.
    std::thread::spawn(move || tell.send(read_answer(&prompt)));
    let answer = answer.await.map_err(Error::failed)?.map_err(Error::failed)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Error::usage("not confirmed, nothing was changed")),
    }
}

/// Asks for a text on the terminal; an empty answer is `default`.
///
/// # Errors
/// The terminal cannot be read.
pub(super) async fn line(question: &str, default: &str) -> Result<String, Error> {
    let shown = if default.is_empty() {
        String::new()
    } else {
        format!(" [{default}]")
    };
    let prompt = format!("{question}{shown}: ");
    let (tell, answer) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || tell.send(read_answer(&prompt)));
    let answer = answer.await.map_err(Error::failed)?.map_err(Error::failed)?;
    let answer = answer.trim();
    Ok(if answer.is_empty() {
        default.to_owned()
    } else {
        answer.to_owned()
    })
}

/// Stderr is not locked while this waits: a signal that ends the wait is told there.
fn read_answer(prompt: &str) -> std::io::Result<String> {
    let mut stderr = std::io::stderr();
    stderr.write_all(prompt.as_bytes())?;
    stderr.flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line)
}
