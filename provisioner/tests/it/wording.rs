//! What messages tell people to type must exist.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use provisioner::cli::Cli;

/// Flags of other programs, and those that are agreed on and not there yet.
const OTHERS: [&str; 2] = ["target", "subnet-ids"];

#[test]
fn every_flag_and_command_that_a_message_names_exists() {
    let cli = Cli::command();
    let of = |command: &clap::Command| -> Vec<String> {
        let flags = command.get_arguments().filter_map(|flag| flag.get_long());
        flags.map(str::to_owned).collect()
    };
    let mut flags: BTreeSet<String> = OTHERS.map(str::to_owned).into();
    flags.extend(["help".to_owned(), "version".to_owned()]);
    flags.extend(of(&cli));
    flags.extend(cli.get_subcommands().flat_map(of));
    let commands: BTreeSet<String> = cli.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    let (mut unknown, mut seen) = (Vec::new(), 0);
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = std::fs::read_to_string(&file).unwrap();
        for (start, known) in [("`--", &flags), ("`provisioner ", &commands)] {
            for word in words(&text, start) {
                seen += 1;
                if !known.contains(word) {
                    unknown.push(format!("{}: {start}{word}", file.display()));
                }
            }
        }
    }
    assert!(seen > 30, "messages name flags: {seen}");
    assert_eq!(unknown, [""; 0]);
}

/// The words that follow `start` in lines that are no comments.
fn words<'a>(text: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(move |line| line.match_indices(start).map(move |(at, _)| &line[at + start.len()..]))
        .map(|rest| {
            rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
                .next()
                .unwrap()
        })
        .filter(|word| !word.is_empty())
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let inner = folders.iter().flat_map(|folder| sources(folder));
    let files = files
        .into_iter()
        .filter(|file| file.extension().is_some_and(|e| e == "rs"));
    inner.chain(files).collect()
}

/// The `Dockerfile` states versions that stand elsewhere too.
#[test]
fn the_dockerfile_has_the_toolchain_and_the_version_of_the_workspace() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    let (dockerfile, toolchain) = (read("Dockerfile"), read("rust-toolchain.toml"));
    let channel = toolchain
        .lines()
        .find_map(|line| line.strip_prefix("channel = "))
        .unwrap();
    let channel = channel.trim_matches('"');
    for line in [
        format!("FROM --platform=$BUILDPLATFORM docker.io/library/rust:{channel}-slim AS build"),
        format!("ENV RUSTUP_TOOLCHAIN={channel}"),
        format!(
            r#"      org.opencontainers.image.version="{}""#,
            env!("CARGO_PKG_VERSION")
        ),
    ] {
        assert!(dockerfile.lines().any(|found| found == line), "{line}");
    }
}
