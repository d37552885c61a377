//! A command line and its context for tests.

use std::sync::{Arc, OnceLock};

use clap::Parser;

use super::{Context, Underway, Undo};
use crate::cli::Cli;
use crate::cluster::lease::Holder;
use crate::config::{Config, Sources};
use crate::report::Silent;

/// What the program makes of these words in a clean environment.
pub(super) fn given(line: &[&str]) -> (Cli, Context) {
    let cli = Cli::parse_from(line);
    let sources = Sources {
        flags: cli.layer(),
        folder: "/nowhere".into(),
        ..Sources::default()
    };
    let context = Context {
        config: Config::resolve(&sources).unwrap(),
        report: Arc::new(Silent),
        yes: false,
        can_ask: false,
        undo: Undo::default(),
        rollout: Underway::default(),
        region: OnceLock::new(),
        bill: OnceLock::new(),
        serving: OnceLock::new(),
        holder: Holder::new("host", 1, 1, jiff::Timestamp::now),
    };
    (cli, context)
}
