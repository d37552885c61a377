//! `man`: a page for the program and each of its commands, for packages.

use std::fmt;
use std::fs;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use serde::Serialize;

use crate::cli::Cli;
use crate::error::Error;
use crate::report::Answer;

/// What was written.
#[derive(Debug, Serialize)]
struct Written {
    files: Vec<String>,
}

/// Writes the pages into a folder, which is made where it is missing.
///
/// # Errors
/// The folder cannot be written to.
pub(super) fn run(folder: &Path) -> Result<Answer, Error> {
    let failed =
        |error: std::io::Error| Error::failed(format!("cannot write man pages into `{}`: {error}", folder.display()));
    fs::create_dir_all(folder).map_err(failed)?;
    let mut files = Vec::new();
    for (name, page) in pages().map_err(failed)? {
        let path = folder.join(name);
        fs::write(&path, page).map_err(failed)?;
        files.push(path.display().to_string());
    }
    Answer::of(&Written { files }).map_err(Error::failed)
}

/// Every page with the name of its file.
fn pages() -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut cli = Cli::command();
    cli.build();
    let mut commands = vec![&cli];
    with_all_inside(&cli, &mut commands);
    let page = |command: &&Command| {
        let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
        let mut page = Vec::new();
        Man::new((*command).clone()).render(&mut page)?;
        Ok((format!("{name}.1"), page))
    };
    commands.iter().map(page).collect()
}

/// The commands of a command, and theirs; not `help`, which clap makes for each.
fn with_all_inside<'a>(command: &'a Command, all: &mut Vec<&'a Command>) {
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        all.push(inner);
        with_all_inside(inner, all);
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.files.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_and_each_command_have_a_page() {
        let pages = pages().unwrap();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        assert!(
            names.starts_with(&["provisioner.1", "provisioner-bootstrap.1"]),
            "{names:?}"
        );
        for command in Cli::command().get_subcommands() {
            let page = format!("provisioner-{}.1", command.get_name());
            assert!(names.contains(&page.as_str()), "{page}");
        }
        assert!(names.contains(&"provisioner-config-show.1"), "{names:?}");
        let bootstrap = String::from_utf8(pages[1].1.clone()).unwrap();
        assert!(
            bootstrap.contains("provisioner\\-bootstrap") && bootstrap.contains("without"),
            "{bootstrap}"
        );
    }
}
