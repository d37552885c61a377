//! `load`: the load job on the cluster, and its report.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::{Context, loader};
use crate::chain::{Sample, sample};
use crate::cli;
use crate::cluster::Cluster;
use crate::cluster::load_job::{LoadJob, LoadSpec};
use crate::error::Error;
use crate::report::{Answer, Outcome, Reporter};
use crate::timeline::{Look, Timeline, replica_changes};

/// What pulling the image and starting the pod may take beside the load itself.
const START: Duration = Duration::from_mins(5);
/// Between two looks at the app.
const EVERY: Duration = Duration::from_secs(1);
/// How long the HPA may take to remove the pods: longer than its default stabilisation of 5 min.
const BACK: Duration = Duration::from_mins(10);

/// Sends load from inside the cluster. The figures are worth printing also where the load is none to be content with:
/// so says the second part.
pub(super) async fn run(flags: &cli::Load, context: &Context) -> Result<(Answer, Result<(), Error>), Error> {
    let (_, stack) = context.target()?;
    let place = context.place().await?;
    let session = place
        .session(stack, context.config.output.timeout, &*context.report)
        .await?;
    let at = (&place, &session.cluster);
    let image = Box::pin(loader::image(&flags.loader, context, at, stack)).await?;
    context.report.phase("load");
    let seconds = flags.duration.as_secs().max(1);
    let mut spec = LoadSpec::new(&image, f64::from(flags.rate), seconds);
    spec.url.clone_from(&flags.url);
    spec.manifests.clone_from(&context.config.stack.manifests);
    spec.own.clone_from(&context.config.values);
    let timeout = Duration::from_secs(seconds) + START;
    let job = LoadJob::prepare(&session.cluster, stack, &spec, timeout, &*context.report).await?;
    context.undo.register(stop(job.clone(), Arc::clone(&context.report)));
    let run = job.run(&*context.report);
    let (run, mut looks) = Box::pin(observed(&session.cluster, &*context.report, run)).await?;
    context.undo.forget();
    let mut verdict = run.failed.map_or(Ok(()), |why| Err(Error::failed(JobFailed(why))));
    if flags.until_scaled && verdict.is_ok() {
        verdict = until_back(&session.cluster, &*context.report, &mut looks).await;
    }
    let mut load = run.report;
    let (first, last) = (unix(&load, "first_request_unix_s"), unix(&load, "last_request_unix_s"));
    let times = Timeline::of(&looks, first, last);
    load["timeline"] = serde_json::json!(times);
    load["replica_changes"] = replica_changes(&looks).into();
    if flags.until_scaled && verdict.is_ok() && times.ready_s.is_none() {
        verdict = Err(Error::failed(NeverScaled));
    }
    let answer = Answer::of(&LoadReport(load)).map_err(Error::failed)?;
    Ok((answer, verdict))
}

/// Ends the load of a run that does not wait for it any more.
async fn stop(job: LoadJob, report: Arc<dyn Reporter>) {
    match job.stop().await {
        Ok(Some(job)) => report.done(&job.kind, &job.path(), Outcome::Deleted, "the load was not done"),
        Ok(None) => {}
        Err(error) => report.warning(&format!("the load goes on: {error}")),
    }
}

/// The loader was not content with what it measured, or did not get to its end.
#[derive(Debug, thiserror::Error)]
#[error("the load failed: {0}")]
struct JobFailed(String);

/// The load ended before the HPA's maximum of pods was ready.
#[derive(Debug, thiserror::Error)]
#[error("the maximum of pods did not get ready while the load ran; `provisioner status` shows what the HPA says")]
struct NeverScaled;

/// Runs `work` and looks at the app each second meanwhile.
async fn observed<T, E>(
    cluster: &Cluster,
    report: &dyn Reporter,
    work: impl Future<Output = Result<T, E>>,
) -> Result<(T, Vec<Look>), E> {
    let mut looks = Vec::new();
    let mut ticks = tokio::time::interval(EVERY);
    tokio::pin!(work);
    loop {
        tokio::select! {
            result = &mut work => return Ok((result?, looks)),
            _ = ticks.tick() => look(cluster, report, &mut looks).await,
        }
    }
}

/// Looks on until one pod is left.
async fn until_back(cluster: &Cluster, report: &dyn Reporter, looks: &mut Vec<Look>) -> Result<(), Error> {
    let mut ticks = tokio::time::interval(EVERY);
    let give_up = tokio::time::Instant::now() + BACK;
    while looks.last().is_none_or(|look| look.sample.replicas != 1) {
        if tokio::time::Instant::now() >= give_up {
            let left = looks.last().map_or(0, |look| look.sample.replicas);
            return Err(Error::failed(NotBack(left, BACK.as_secs())));
        }
        ticks.tick().await;
        look(cluster, report, looks).await;
    }
    Ok(())
}

/// Pods were not removed in time.
#[derive(Debug, thiserror::Error)]
#[error("still {0} pods {1} s after the load; `provisioner status` shows what the HPA says")]
struct NotBack(u64, u64);

/// One look: kept, and told where the pods changed since the last one.
async fn look(cluster: &Cluster, report: &dyn Reporter, looks: &mut Vec<Look>) {
    let sample = match sample(cluster).await {
        Ok(sample) => sample,
        Err(error) => return report.warning(&error.to_string()),
    };
    let counts = |s: &Sample| (s.replicas, s.ready, s.desired);
    let changed = looks.last().is_none_or(|last| counts(&last.sample) != counts(&sample));
    if changed {
        let rate = sample
            .rate_total
            .map_or_else(|| "-".to_owned(), |rate| format!("{rate:.0}"));
        let wanted = sample
            .desired
            .map_or_else(|| "-".to_owned(), |desired| desired.to_string());
        report.note(&format!(
            "pods {:>2}, ready {:>2}, wanted {wanted:>2}, {rate:>3} requests/s",
            sample.replicas, sample.ready
        ));
    }
    let at = jiff::Timestamp::now().as_duration().as_secs_f64();
    looks.push(Look { at, sample });
}

fn unix(report: &Value, key: &str) -> f64 {
    report[key].as_f64().unwrap_or_default()
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
        writeln!(f, "resent    {}", self.number("resent"))?;
        writeln!(
            f,
            "closed    {} idle connections, by the server",
            self.number("closed_by_server")
        )?;
        writeln!(
            f,
            "latency   p50 {}, p99 {}",
            self.latency("p50_s"),
            self.latency("p99_s")
        )?;
        let times = &self.0["timeline"];
        for (key, what) in [
            ("desired_s", "maximum wanted"),
            ("ready_s", "maximum ready"),
            ("back_s", "back to one pod"),
        ] {
            if let Some(seconds) = times[key].as_f64() {
                writeln!(f, "scaled    {what} after {seconds:.1} s")?;
            }
        }
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
            "schema": 1, "rate": 100.0, "duration_s": 60.0, "requests": 6000, "failed": 2, "dropped": 0, "resent": 1,
            "closed_by_server": 3,
            "p50_s": 0.0012, "p99_s": null, "achieved_rate": 99.97, "per_pod": {"web-app-a": 3000, "web-app-b": 2998},
        }));
        insta::assert_snapshot!(report, @r#"
        requests  6000 in 60.0 s, 100.0 of 100 per second
        failed    2
        dropped   0
        resent    1
        closed    3 idle connections, by the server
        latency   p50 1.2 ms, p99 -
        pod       web-app-a: 3000
        pod       web-app-b: 2998
        "#);
        assert!(Answer::of(&report).is_ok());
    }
}
