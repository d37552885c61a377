//! `load`: the load job on the cluster, and its report.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::{Context, deploy};
use crate::cli;
use crate::cluster::load_job::{LoadSpec, run_load};
use crate::error::Error;
use crate::report::Answer;
use crate::target;

/// What pulling the image and starting the pod may take beside the load itself.
const START: Duration = Duration::from_mins(5);

/// Sends load from inside the cluster.
pub(super) async fn run(flags: &cli::Load, context: &Context) -> Result<Answer, Error> {
    let (cluster, stack) = context.target()?;
    let aws = context.connect_aws().await?;
    let found = target::existing(&aws, cluster, stack).await?;
    let session = target::connect(&aws, &found, context.config.output.timeout).await?;
    let image = deploy::load_image(&session.cluster, stack).await?;
    context.report.phase("load");
    let seconds = flags.duration.as_secs().max(1);
    let mut spec = LoadSpec::new(&image, f64::from(flags.rate), seconds);
    spec.manifests.clone_from(&context.config.stack.manifests);
    let timeout = Duration::from_secs(seconds) + START;
    let report = run_load(&session.cluster, stack, &spec, timeout, &*context.report).await?;
    Answer::of(&LoadReport(report)).map_err(Error::failed)
}

/// The loader's own report, with its figures as lines for people.
#[derive(Serialize)]
struct LoadReport(Value);

impl LoadReport {
    fn number(&self, key: &str) -> f64 {
        self.0[key].as_f64().unwrap_or_default()
    }

    fn latency(&self, key: &str) -> String {
        self.0[key]
            .as_f64()
            .map_or_else(|| "-".to_owned(), |s| format!("{:.1} ms", s * 1e3))
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "requests  {} in {:.1} s, {:.1} of {} per second",
            self.number("requests"),
            self.number("duration_s"),
            self.number("achieved_rate"),
            self.number("rate"),
        )?;
        writeln!(f, "failed    {}", self.number("failed"))?;
        writeln!(f, "dropped   {}", self.number("dropped"))?;
        writeln!(
            f,
            "latency   p50 {}, p99 {}",
            self.latency("p50_s"),
            self.latency("p99_s")
        )?;
        for (pod, requests) in self.0["per_pod"].as_object().into_iter().flatten() {
            writeln!(f, "pod       {pod}: {requests}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_reads_as_lines_and_stays_whole_as_json() {
        let report = LoadReport(serde_json::json!({
            "schema": 1, "rate": 100.0, "duration_s": 60.0, "requests": 6000, "failed": 2, "dropped": 0,
            "p50_s": 0.0012, "p99_s": null, "achieved_rate": 99.97, "per_pod": {"web-app-a": 3000, "web-app-b": 2998},
        }));
        insta::assert_snapshot!(report, @r#"
        requests  6000 in 60.0 s, 100.0 of 100 per second
        failed    2
        dropped   0
        latency   p50 1.2 ms, p99 -
        pod       web-app-a: 3000
        pod       web-app-b: 2998
        "#);
        assert!(Answer::of(&report).is_ok());
    }
}
