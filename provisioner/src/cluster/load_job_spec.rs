//! What load is asked for.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::cluster::values::Namespaces;

/// What load to make.
#[derive(Debug, Clone)]
pub struct LoadSpec {
    /// The loader's image.
    pub image: String,
    /// Requests per second, in total.
    pub rate: f64,
    /// How long to send, in seconds.
    pub duration_s: u64,
    /// Arguments of the loader in place of `--rate` and `--duration`, e.g. its stages.
    pub schedule: Option<Vec<String>>,
    /// Further arguments of the loader.
    pub more: Vec<String>,
    /// Where to; none for the app's Service on the port that it has.
    pub url: Option<String>,
    /// Ends a load that runs, in place of being refused.
    pub replace: bool,
    /// Where the parts of the stack live.
    pub namespaces: Namespaces,
    /// A folder whose components replace embedded ones.
    pub manifests: Option<PathBuf>,
    /// Placeholders of the user's own.
    pub own: BTreeMap<String, String>,
}

impl LoadSpec {
    /// The app's own Service under load.
    pub fn new(image: &str, rate: f64, duration_s: u64) -> Self {
        Self {
            image: image.to_owned(),
            rate,
            duration_s,
            schedule: None,
            more: Vec::new(),
            url: None,
            replace: false,
            namespaces: Namespaces::default(),
            manifests: None,
            own: BTreeMap::new(),
        }
    }

    pub(super) fn placeholders(&self, url: &str, timeout: Duration) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("load_url", url.to_owned()),
            ("load_rate", self.rate.to_string()),
            ("load_duration", format!("{}s", self.duration_s)),
            ("load_deadline_s", timeout.as_secs().max(1).to_string()),
        ])
    }
}
