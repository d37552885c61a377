//! From answers to findings, one function per hop. Pure: the same answers at the same time give the same diagnosis.

mod api;
mod app;
mod autoscaler;
mod prometheus;
mod scale;
mod workload;

pub(super) use prometheus::result as samples;

use jiff::Timestamp;

use super::Hop;
use super::code::Code;
use super::commands::Commands;
use super::finding::{Diagnosis, Finding};
use super::readings::{Part, Readings};
use crate::cluster::app::App;
use crate::cluster::error::Failure;
use crate::cluster::values::Namespaces;

/// Where and when the answers were given, and how things are named there.
#[derive(Debug, Clone)]
pub struct Scene {
    /// Where the parts live.
    pub namespaces: Namespaces,
    /// How the app is scraped.
    pub app: App,
    /// How to say what to do.
    pub commands: Commands,
    /// When it was asked.
    pub now: Timestamp,
}

/// The answers in their scene.
struct Exam<'a> {
    readings: &'a Readings,
    scene: &'a Scene,
}

/// What all answers together say.
pub(super) fn examine(readings: &Readings, scene: &Scene) -> Diagnosis {
    let exam = Exam { readings, scene };
    Diagnosis::of(Hop::ALL.into_iter().map(|hop| exam.look(hop)).collect())
}

impl Exam<'_> {
    fn look(&self, hop: Hop) -> Finding {
        match hop {
            Hop::Pods => self.pods(),
            Hop::Exposition => self.exposition(),
            Hop::Prometheus => self.prometheus(),
            Hop::Target => self.target(),
            Hop::Series => self.series(),
            Hop::Adapter => self.adapter(),
            Hop::Certificate => self.certificate(),
            Hop::ApiService => self.api_service(),
            Hop::Metric => self.metric(),
            Hop::Values => self.values(),
            Hop::Hpa => self.hpa(),
            Hop::Scale => self.scale(),
            Hop::Endpoints => self.endpoints(),
        }
    }

    /// `provisioner bootstrap FLAGS`, with the Prometheus in use.
    fn bootstrap(&self, flags: &str) -> String {
        let url = self.readings.foreign.as_ref();
        let url = url.map_or_else(String::new, |url| format!(" --prometheus-url {url}"));
        let space = if flags.is_empty() { "" } else { " " };
        format!("{}{url}{space}{flags}", self.scene.commands.bootstrap)
    }

    /// The same, where somebody else has changed what it is to set right.
    fn set_right(&self, changed: Option<&str>) -> String {
        self.bootstrap(if changed.is_some() { "--force-conflicts" } else { "" })
    }

    /// The first right that a part lacks.
    fn lacks(&self, part: Part) -> Option<String> {
        let lacking = |right: &&super::readings::Right| right.of == part && right.allowed == Some(false);
        let right = self.readings.rights.iter().find(lacking)?;
        let (namespace, name) = right.who.split_once(':')?;
        Some(format!("service account `{namespace}/{name}` may not {}", right.what))
    }

    /// A hop that cannot be looked at, since a question about it was not answered.
    fn unasked(hop: Hop, failure: &Failure) -> Finding {
        let code = match failure.code {
            Some(401 | 403) => Code::NotAllowed,
            None => Code::Unanswered,
            Some(_) => Code::HttpError,
        };
        Finding::unknown(hop, code, failure.to_string())
    }
}

/// Who changed it, as part of a sentence.
fn by(changed: Option<&str>) -> String {
    changed.map_or_else(String::new, |manager| format!(", changed by `{manager}`"))
}

#[cfg(test)]
mod recorded;
#[cfg(test)]
pub(super) use recorded::pod;
#[cfg(test)]
mod tests;
