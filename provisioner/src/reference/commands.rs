//! `docs/cli.md`: every command with its flags.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory};

use super::{MADE, cell, help};
use crate::cli::Cli;

/// The page of commands.
pub fn commands() -> String {
    let mut cli = Cli::command();
    cli.build();
    let mut page = format!("{MADE}# Commands\n\nWhat each command's `--help` says.\n");
    page.push_str("\n## Flags of every command\n\n");
    flags(
        &mut page,
        cli.get_arguments().filter(|argument| argument.is_global_set()),
    );
    for command in cli.get_subcommands().filter(|command| command.get_name() != "help") {
        section(&mut page, command, "provisioner");
    }
    page
}

fn section(page: &mut String, command: &Command, before: &str) {
    let name = format!("{before} {}", command.get_name());
    let inner: Vec<&Command> = command
        .get_subcommands()
        .filter(|inner| inner.get_name() != "help")
        .collect();
    if !inner.is_empty() {
        for command in inner {
            section(page, command, &name);
        }
        return;
    }
    let about = command.get_long_about().or(command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    let _ = write!(page, "\n## {name}\n\n{}\n", about.trim_end());
    let own = |argument: &&Arg| !argument.is_global_set() && argument.get_id() != "help";
    let own: Vec<&Arg> = command.get_arguments().filter(own).collect();
    if !own.is_empty() {
        page.push('\n');
        flags(page, own.into_iter());
    }
}

fn flags<'a>(page: &mut String, arguments: impl Iterator<Item = &'a Arg>) {
    page.push_str("| flag | |\n| --- | --- |\n");
    for argument in arguments.filter(|argument| argument.get_id() != "version") {
        let values = argument.get_value_names().unwrap_or_default();
        let values: Vec<&str> = values.iter().map(clap::builder::Str::as_str).collect();
        let value = match argument.get_action().takes_values() {
            true if argument.get_long().is_some() => format!(" {}", values.join(" ")),
            true => values.join(" "),
            false => String::new(),
        };
        let short = argument
            .get_short()
            .map(|short| format!("`-{short}`, "))
            .unwrap_or_default();
        let long = argument.get_long().map(|long| format!("--{long}")).unwrap_or_default();
        let default: Vec<String> = argument
            .get_default_values()
            .iter()
            .map(|value| value.to_string_lossy().into_owned())
            .collect();
        let default = match (&default[..], argument.get_action().takes_values()) {
            ([], _) | (_, false) => String::new(),
            // The help says it in words.
            _ if argument.is_hide_default_value_set() => String::new(),
            (values, true) => format!(" [default: {}]", values.join(", ")),
        };
        let _ = writeln!(page, "| {short}`{long}{value}` | {}{default} |", cell(&help(argument)));
    }
}
