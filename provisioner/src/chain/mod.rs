//! The metric chain as typed hops: app -> Prometheus -> adapter -> HPA. One implementation that bootstrap verifies,
//! `status` shows and `doctor` explains.

mod board;
mod code;
mod commands;
mod examine;
mod exposition;
mod finding;
mod hop;
mod hops;
mod pods;
pub mod quantity;
mod readings;
mod recent;
mod rescale;
mod roster;
mod route;
mod rules;
mod sample;
mod why;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::sleep;

use crate::cluster::Cluster;
use crate::cluster::app::App;
use crate::cluster::monitoring::address::PrometheusUrl;
use crate::cluster::pace::Pace;
use crate::report::{Outcome, Reporter};

pub(crate) use board::usage;
pub use board::{Autoscaler, Board, Condition, Usage, board, figures};
pub use code::Code;
pub use commands::Commands;
pub use examine::Scene;
use exposition::{Counted, Wanted};
pub use finding::{Diagnosis, Figure, Finding, State};
pub use hop::Hop;
pub(crate) use hops::per_pod_or_none;
pub use hops::{Broken, Look, probe};
pub(crate) use recent::recent;
pub use recent::{Points, Recent};
pub use rescale::Rescale;
pub(crate) use rescale::rescales;
pub(crate) use roster::{MOST_PODS, roster};
pub use roster::{Pod, PodState};
pub use route::Route;
pub use sample::{Sample, sample, sample_of};
pub use why::{Now, Why, why};

/// The custom metric that scales.
pub const METRIC: &str = "http_requests_per_second";
/// The counter it comes from.
pub const COUNTER: &str = "http_requests_total";
/// The HPA.
pub const HPA: &str = "web-app-hpa";
/// The Prometheus job of the app.
pub const JOB: &str = "web-app-service";

/// How long pods that are scraped may be without the app's counter.
const UNCOUNTED: Duration = if cfg!(test) {
    Duration::ZERO
} else {
    Duration::from_mins(2)
};
/// How soon they are asked again, where they did not answer.
const ASK_AGAIN: Duration = if cfg!(test) {
    Duration::ZERO
} else {
    Duration::from_secs(10)
};

/// The figures of a chain of which every hop works.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Chain {
    /// Targets of the app that Prometheus scrapes successfully; none where it cannot be asked from here.
    pub targets_up: Option<u64>,
    /// Series of the counter; none where Prometheus cannot be asked from here.
    pub series: Option<u64>,
    /// Requests per second of each pod, as the custom metrics API says.
    pub per_pod: BTreeMap<String, f64>,
    /// Replicas that the HPA sees.
    pub hpa_current: u64,
    /// Replicas that the HPA wants.
    pub hpa_desired: u64,
    /// Average requests per second and pod that the HPA has read.
    pub hpa_value: f64,
}

/// The chain does not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot verify the metric chain, after {:.0} s the {hop} is broken: {message}", after.as_secs_f64())]
pub struct ChainError {
    /// The first hop that has no figure.
    pub hop: Hop,
    /// What it said last.
    pub message: String,
    /// How long was waited.
    pub after: Duration,
    /// The Prometheus of others that is used.
    pub prometheus: Option<PrometheusUrl>,
    /// The app's counter.
    pub counter: String,
}

impl ChainError {
    /// What to try.
    pub fn hint(&self) -> String {
        match (&self.prometheus, self.hop) {
            (Some(url), Hop::Target | Hop::Series | Hop::Values) => format!(
                "check that the Prometheus at {url} scrapes what the note above names, and that pods of this cluster reach it"
            ),
            (_, hop) => format!("{}; `provisioner doctor` looks at every hop", hop.hint(&self.counter)),
        }
    }
}

/// Waits until every hop has a figure; the error names the first that has none. A Prometheus of others that cannot be asked from
/// here is said to be unseen: whether it has the series shows in the custom metrics API. Pods that answer scrapes without the
/// app's counter are waited for two minutes: one that counts nothing before its first request would wait for that.
pub async fn verify(
    cluster: &Cluster,
    (route, app): (&Route, &App),
    timeout: Duration,
    report: &dyn Reporter,
) -> Result<Chain, ChainError> {
    let mut pace = Pace::new(report);
    let mut chain = Chain::default();
    for hop in Hop::PROOF {
        let began = pace.elapsed();
        let mut uncounted = UNCOUNTED;
        loop {
            let broken = match probe(cluster, route, hop, &mut chain).await {
                Ok(look) => {
                    let outcome = if look.is_seen { Outcome::Ready } else { Outcome::Skipped };
                    report.done("hop", &hop.to_string(), outcome, &look.says);
                    break;
                }
                Err(broken) => broken,
            };
            let after = pace.elapsed();
            let mut is_over = after >= timeout;
            if matches!(hop, Hop::Series | Hop::Values) && after.saturating_sub(began) >= uncounted {
                uncounted += ASK_AGAIN;
                is_over |= is_uncounted(cluster, route, app).await;
            }
            if is_over {
                return Err(ChainError {
                    hop,
                    message: broken.0,
                    after,
                    prometheus: route.prometheus.clone(),
                    counter: app.counter.clone(),
                });
            }
            pace.waiting(&hop.to_string(), &broken.0);
            sleep(Duration::from_millis(500)).await;
        }
    }
    Ok(chain)
}

/// Whether pods answer, and none of them with a sample that would count as its own.
async fn is_uncounted(cluster: &Cluster, route: &Route, app: &App) -> bool {
    let at = &route.namespaces;
    let wanted = Wanted {
        counter: &app.counter,
        namespace: &at.app,
    };
    let answers = readings::expositions(cluster, at, &app.metrics_path).await;
    let lacks = |(pod, answer): &(String, Result<String, _>)| {
        answer.as_ref().is_ok_and(|text| wanted.of(pod, text) != Counted::Own)
    };
    !answers.is_empty() && answers.iter().all(lacks)
}

/// Looks at every hop and says which is the first that is broken, why, and what to do. Every question takes a few seconds at
/// most, and what cannot be asked is unknown: there is always a diagnosis.
pub async fn diagnose(cluster: &Cluster, scene: &Scene) -> Diagnosis {
    let readings = Box::pin(readings::read(cluster, &scene.namespaces, &scene.app.metrics_path)).await;
    examine::examine(&readings, scene)
}

#[cfg(test)]
mod tests;
