//! What a command that did not reach its end leaves behind.

use std::fmt::{self, Write as _};

use serde::Serialize;

use crate::aws::cost::Cost;
use crate::cluster::rollout::Moved;
use crate::report::Entries;

/// What remains after a failure, and the exact commands to go on from it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Remains {
    /// The phase it stopped in.
    pub phase: Option<String>,
    /// What this run made and did not remove.
    pub made: Vec<String>,
    /// What was under way: it may exist.
    pub under_way: Vec<String>,
    /// What it costs until it is removed; none where nothing of it is billed by the hour.
    pub cost: Option<Cost>,
    /// A Deployment that goes on being moved to another image; none where none was begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RollsOut>,
    /// The command that goes on.
    pub resume: String,
    /// The command that removes everything; none where the command made nothing that is to be removed.
    pub remove: Option<String>,
    /// Whether the command was to remove things.
    #[serde(skip)]
    pub removing: bool,
}

/// A Deployment that was told to run another image, and what it takes to go back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RollsOut {
    /// Namespace and name.
    pub deployment: String,
    /// The image that it is moved to.
    pub image: String,
    /// The image before; none where it is not known.
    pub previous: Option<String>,
    /// The command that goes back to it.
    pub back: Option<String>,
}

impl RollsOut {
    /// What was begun, with the command for the way back.
    pub fn new(moved: &Moved, back: Option<String>) -> Self {
        Self {
            deployment: moved.deployment.path(),
            image: moved.image.clone(),
            previous: moved.previous.clone(),
            back,
        }
    }
}

impl Remains {
    /// What a run's ledger says, with the commands for it.
    pub fn new(entries: Entries, resume: String, remove: Option<String>) -> Self {
        let mut under_way = entries.pending;
        // What was made and then waited for is named once.
        under_way.retain(|what| !entries.made.contains(&what.replace('`', "")));
        Self {
            phase: entries.phase,
            made: entries.made.into_iter().collect(),
            under_way: under_way.into_iter().collect(),
            cost: None,
            rollout: None,
            resume,
            remove,
            removing: false,
        }
    }
}

impl fmt::Display for Remains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        if let Some(phase) = &self.phase {
            writeln!(text, "stopped in: {phase}")?;
        }
        match &self.made[..] {
            [] if self.removing => {
                text.push_str("remains:    what is not told as deleted above");
            }
            [] => text.push_str("remains:    nothing that this run made"),
            made => write!(text, "remains:    {}", made.join(", "))?,
        }
        if !self.under_way.is_empty() {
            write!(text, "\nmay exist:  {}", self.under_way.join(", "))?;
        }
        if let Some(cost) = &self.cost {
            write!(text, "\ncosts:      {cost}")?;
        }
        if let Some(rollout) = &self.rollout {
            let RollsOut {
                deployment,
                image,
                previous,
                ..
            } = rollout;
            write!(text, "\nrolls out:  {image} on Deployment {deployment}")?;
            if let Some(previous) = previous {
                write!(text, ", which ran {previous}")?;
            }
        }
        write!(text, "\nto resume:  {}", self.resume)?;
        if let Some(back) = self.rollout.as_ref().and_then(|rollout| rollout.back.as_ref()) {
            write!(text, "\nto go back: {back}")?;
        }
        if let Some(remove) = &self.remove {
            write!(text, "\nto remove:  {remove}")?;
        }
        f.write_str(&text)
    }
}
