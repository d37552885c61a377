//! `config show`: every setting with its source, or what the reaction profile promises.

use std::fmt;

use serde::Serialize;

use crate::cli;
use crate::cluster::reaction::{Budget, Reaction};
use crate::config::{Config, Shown, Sources};
use crate::error::Error;
use crate::reference;
use crate::report::Answer;

/// The settings, each with its source.
#[derive(Debug, Serialize)]
struct Settings {
    settings: Vec<Setting>,
}

/// One of them.
#[derive(Debug, Serialize)]
struct Setting {
    #[serde(flatten)]
    shown: Shown,
    /// What counts where nobody sets it; none where nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<String>,
}

/// A profile with its budget.
#[derive(Debug, Serialize)]
struct Reacts {
    reaction: Reaction,
    #[serde(flatten)]
    budget: Budget,
}

/// What the settings come to, from their sources alone.
///
/// # Errors
/// The result cannot be written as JSON.
pub fn config_show(flags: &cli::ConfigShow, sources: &Sources, config: &Config) -> Result<Answer, Error> {
    if flags.reaction_budget {
        let sync_s = config
            .eks
            .hpa_sync_period
            .map(|period| u32::try_from(period.as_secs()).unwrap_or(u32::MAX));
        let reacts = Reacts {
            reaction: config.reaction,
            budget: config.reaction.budget(sync_s),
        };
        return Answer::of(&reacts).map_err(Error::failed);
    }
    let settings = sources.shown().into_iter().map(|shown| Setting {
        default: reference::default_of(&shown.key),
        shown,
    });
    let settings = Settings {
        settings: settings.collect(),
    };
    Answer::of(&settings).map_err(Error::failed)
}

impl Setting {
    fn value(&self) -> String {
        match (&self.shown.values[..], &self.default) {
            ([], Some(default)) => default.clone(),
            ([], None) => "-".to_owned(),
            (values, _) => values.join(","),
        }
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<String> = self.settings.iter().map(Setting::value).collect();
        let longest = |widths: &mut dyn Iterator<Item = usize>| widths.max().unwrap_or(0);
        let key = longest(&mut self.settings.iter().map(|one| one.shown.key.len()));
        let value = longest(&mut values.iter().map(String::len)).min(40);
        for (index, (one, text)) in self.settings.iter().zip(&values).enumerate() {
            let Shown { key: name, origin, .. } = &one.shown;
            let line = if index > 0 { "\n" } else { "" };
            write!(f, "{line}{name:<key$}  {text:<value$}  {origin}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Reacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reaction {}\n{}", self.reaction, self.budget)
    }
}
