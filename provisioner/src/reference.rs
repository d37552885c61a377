//! The reference pages, made from the command line and the table of settings, so that they cannot differ from them.

mod commands;
mod schema;
mod settings;
mod sizes;

use clap::{Arg, Command, CommandFactory};

pub use commands::commands;
pub use schema::schema;
pub use settings::settings;
pub use sizes::sizes;

use crate::cli::Cli;
use crate::config::keys::KEYS;

/// What stands in pages and nobody should write there.
const MADE: &str = "<!-- made by `make docs` from the program itself; do not edit -->\n\n";

/// What counts for a setting that nobody sets, as its flag's help says; none where nothing does.
pub fn default_of(path: &str) -> Option<String> {
    let key = KEYS.iter().find(|key| key.path == path)?;
    let default = split_default(&help_of(key.flag)?).1?;
    // Marks of the help, not of the value.
    Some(default.replace('`', ""))
}

/// The help of a flag, from the first command that has it.
fn help_of(flag: &str) -> Option<String> {
    let cli = Cli::command();
    let mut commands = vec![&cli];
    commands.extend(cli.get_subcommands());
    let mut flags = commands.into_iter().flat_map(Command::get_arguments);
    let found = flags.find(|argument| argument.get_long() == Some(flag));
    found.map(help)
}

fn help(argument: &Arg) -> String {
    let text = argument.get_help().map(ToString::to_string).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A help text without its default, and that.
fn split_default(help: &str) -> (String, Option<String>) {
    match help.rsplit_once(" [default: ") {
        Some((text, default)) => (text.to_owned(), Some(default.trim_end_matches(']').to_owned())),
        None => (help.to_owned(), None),
    }
}

/// A text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES_BEGIN: &str = "<!-- sizes: begin, made by `make docs` -->";
    const SIZES_END: &str = "<!-- sizes: end -->";

    /// The page at `path` of the checkout is `made`; with `UPDATE_DOCS` set it is written.
    fn is_made(path: &str, made: &str) {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/").to_owned() + path;
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, made).expect("written");
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == made, "`{path}` is out of date: run `make docs`");
    }

    #[test]
    fn the_page_of_commands_is_up_to_date() {
        is_made("cli.md", &commands());
    }

    #[test]
    fn the_page_of_settings_and_its_schema_are_up_to_date() {
        is_made("settings.md", &settings());
        is_made("provisioner.schema.json", &schema());
    }

    #[test]
    fn the_sizes_in_the_page_of_scale_are_those_of_the_formula() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/scale.md");
        let page = std::fs::read_to_string(path).expect("the page");
        let (before, rest) = page.split_once(SIZES_BEGIN).expect("where the table begins");
        let (_, after) = rest.split_once(SIZES_END).expect("where it ends");
        let made = format!("{before}{SIZES_BEGIN}\n{}{SIZES_END}{after}", sizes());
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &made).expect("written");
        }
        let written = std::fs::read_to_string(path).expect("the page");
        assert!(written == made, "`{path}` is out of date: run `make docs`");
    }

    #[test]
    fn every_setting_has_a_flag_that_explains_it() {
        for key in KEYS {
            let help = help_of(key.flag).unwrap_or_default();
            assert!(!help.is_empty(), "{}", key.path);
        }
        assert_eq!(default_of("reaction").as_deref(), Some("fast"));
        assert_eq!(default_of("app.counter").as_deref(), Some("http_requests_total"));
        assert_eq!(default_of("eks.subnet-ids"), None);
    }
}
