//! What pages and workflows promise: links lead somewhere, actions are the ones that were looked up, commands are read.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser as _;
use provisioner::cli::Cli;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files of a folder of the checkout with an extension, deeper ones included.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|is| is == extension) {
                found.push(path);
            }
        }
    }
    found
}

fn pages() -> Vec<PathBuf> {
    let top = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    let top = top.filter(|path| path.extension().is_some_and(|is| is == "md"));
    top.chain(files("docs", "md"))
        .chain([root().join("manifests/README.md")])
        .collect()
}

/// What the links of a page point at.
fn links(text: &str) -> Vec<&str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(link, _)| link.split(' ').next().unwrap_or(link))
        .collect()
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut dead = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&text) {
            let file = link.split('#').next().unwrap_or_default();
            if file.is_empty() || link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            if !page.parent().unwrap().join(file).exists() {
                dead.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}

#[test]
fn every_page_is_reached_from_the_readme() {
    let mut reached = BTreeSet::new();
    let mut next = vec![root().join("README.md")];
    while let Some(page) = next.pop() {
        let Ok(real) = page.canonicalize() else { continue };
        if !reached.insert(real) {
            continue;
        }
        let text = fs::read_to_string(&page).unwrap();
        let pages = links(&text)
            .into_iter()
            .map(|link| link.split('#').next().unwrap_or_default());
        next.extend(
            pages
                .filter(|link| Path::new(link).extension().is_some_and(|is| is == "md"))
                .map(|link| page.parent().unwrap().join(link)),
        );
    }
    let lost: Vec<PathBuf> = files("docs", "md")
        .into_iter()
        .filter(|page| !reached.contains(&page.canonicalize().unwrap()))
        .collect();
    assert!(lost.is_empty(), "{lost:#?}");
}

/// The crates that the workspace names, from its one list of versions.
fn dependencies() -> Vec<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, list) = manifest.split_once("[workspace.dependencies]").unwrap();
    let lines = list.lines().skip(1).take_while(|line| !line.starts_with('['));
    lines
        .filter_map(|line| Some(line.split_once(" = ")?.0.to_owned()))
        .collect()
}

/// Each crate has its reason; crates of AWS's SDK share one.
#[test]
fn every_dependency_has_its_line_in_the_map_of_the_code() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let (_, table) = map.split_once("## Dependencies").unwrap();
    let named: BTreeSet<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .flat_map(|cell| cell.split([',', ' ']))
        .collect();
    let all = dependencies();
    assert!(all.len() > 50, "{all:?}");
    let missing: Vec<_> = all
        .iter()
        .filter(|name| !name.starts_with("aws-sdk-") && !named.contains(name.as_str()))
        .collect();
    assert!(missing.is_empty(), "no reason in ARCHITECTURE.md: {missing:?}");
}

#[test]
fn the_map_of_the_code_stays_one_that_is_read() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    assert!(map.lines().count() <= 120, "{} lines", map.lines().count());
}

/// Those that run here, and those that a page gives to be copied.
fn workflows() -> impl Iterator<Item = PathBuf> {
    files(".github/workflows", "yml")
        .into_iter()
        .chain(files("docs", "yml"))
}

#[test]
fn every_action_is_the_one_of_the_table() {
    let table = fs::read_to_string(root().join("docs/actions.md")).unwrap();
    let rows: BTreeSet<String> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            format!(
                "{}@{} # {}",
                cells[1].replace('`', ""),
                cells[2].replace('`', ""),
                cells[3]
            )
        })
        .collect();
    let mut used = BTreeSet::new();
    for workflow in workflows() {
        for line in fs::read_to_string(&workflow).unwrap().lines() {
            if let Some((_, action)) = line.split_once("uses: ") {
                assert!(rows.contains(action), "{}: {action}", workflow.display());
                used.insert(action.to_owned());
            }
        }
    }
    assert_eq!(used, rows, "the table has what is used, and nothing else");
}

/// The commands of the tool that the shell blocks of a page show, continued lines joined.
fn commands(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut in_block = false;
    let mut line = String::new();
    for part in text.lines() {
        if part.starts_with("```") {
            in_block = !in_block && part.starts_with("```sh");
            continue;
        }
        if !in_block {
            continue;
        }
        line.push_str(part.trim_end_matches('\\').trim());
        if part.ends_with('\\') {
            line.push(' ');
            continue;
        }
        let code = line.split(" #").next().unwrap_or_default().trim().to_owned();
        if code.starts_with("provisioner ") {
            commands.push(code);
        }
        line.clear();
    }
    commands
}

#[test]
fn every_command_that_a_page_shows_is_one_that_is_read() {
    let mut seen = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for command in commands(&text) {
            // What follows in the shell is the shell's.
            let own = command.split(['>', '|', ';', '&']).next().unwrap_or_default();
            let words = own.split_whitespace().filter(|word| !word.starts_with("$("));
            if let Err(error) = Cli::try_parse_from(words) {
                assert!(!error.use_stderr(), "{}: `{command}`: {error}", page.display());
            }
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

/// What workflows call `provisioner` with, whichever folder it is in.
fn calls(workflow: &str) -> Vec<String> {
    let joined = workflow.replace("\\\n", " ").replace('"', "");
    let lines = joined.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines
        .filter_map(|line| Some(line.split_once("/provisioner ")?.1.to_owned()))
        .collect()
}

#[test]
fn every_command_of_a_workflow_is_one_that_is_read() {
    let mut seen = 0;
    for workflow in workflows() {
        for call in calls(&fs::read_to_string(&workflow).unwrap()) {
            let own = call.split(['>', '|', ';', '&']).next().unwrap_or_default();
            let words = ["provisioner"].into_iter().chain(own.split_whitespace());
            if let Err(error) = Cli::try_parse_from(words) {
                panic!("{}: `{call}`: {error}", workflow.display());
            }
            seen += 1;
        }
    }
    assert!(seen >= 6, "{seen}");
}
