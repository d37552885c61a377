//! `load`: the load job on the cluster, what the cluster did meanwhile, and the report of both.

mod begin;
mod end;
mod progress;
mod report;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use super::{Context, deploy, loader};
use crate::chain::Route;
use crate::cli::{self, Arrivals};
use crate::cluster::load_job::{LoadJob, LoadRun, LoadSpec};
use crate::cluster::{Cluster, ClusterError};
use crate::error::Error;
use crate::names::{LOAD, StackName};
use crate::report::{Answer, Outcome, Reporter};
use crate::timeline::{Recorder, Span, Timeline, phase, scraped, watch};
use begin::Begin;
use report::{Known, LoadReport};
use verdict::Bounds;

/// What pulling the image and starting the pod may take beside the load itself.
const START: Duration = Duration::from_mins(5);
/// How long the end of the log may take to arrive after that of the Job.
const LOG: Duration = Duration::from_secs(2);
/// How long a Job usually takes from being sent to its first request.
const LEAD: Duration = Duration::from_millis(1500);
/// Between two looks of the HPA's controller, unless the cluster was made with another period.
const PERIOD: Duration = Duration::from_secs(15);

/// Sends load from inside the cluster. The figures are worth printing also where the load is none to be content with:
/// so says the second part.
pub(super) async fn run(flags: &cli::Load, context: &Context) -> Result<(Answer, Result<(), Error>), Error> {
    let (_, stack) = context.target()?;
    let place = context.place().await?;
    let session = place
        .session(stack, context.config.output.timeout, &*context.report)
        .await?;
    let at = (&place, &session.cluster);
    let remembered = loader::remembered(&session.cluster, stack).await?;
    let mut spec = spec(flags, context, stack);
    // What is wrong is told before a loader is made and rest is waited for.
    let checked = LoadJob::check(&session.cluster, stack, &spec).await;
    checked.map_err(deploy::refused_before_any_change)?;
    spec.image = Box::pin(loader::image(&flags.loader, context, at, (stack, remembered))).await?;
    context.report.phase("load");
    let recorder = Recorder::default();
    let load = Load {
        flags,
        context,
        stack,
        cluster: &session.cluster,
        spec,
        recorder: &recorder,
    };
    let namespaces = load.spec.namespaces.clone();
    let watches = async {
        tokio::join!(
            watch::everything(&session.cluster, &namespaces, &recorder, &*context.report),
            progress::tell(&recorder, &*context.report)
        )
    };
    tokio::select! {
        // They never end by themselves.
        _ = watches => Err(Error::failed(Unwatched)),
        ended = Box::pin(load.run()) => ended,
    }
}

/// What load was asked for, by a loader that is not known yet.
fn spec(flags: &cli::Load, context: &Context, stack: &StackName) -> LoadSpec {
    let duration = flags.stages.as_ref().map_or(flags.duration, |stages| stages.duration);
    let mut spec = LoadSpec::new(&stack.repository(LOAD), f64::from(flags.rate), whole_seconds(duration));
    let staged = |stages: &cli::Stages| vec!["--stages".to_owned(), stages.text.clone()];
    spec.schedule = flags.stages.as_ref().map(staged);
    if flags.arrivals == Arrivals::Poisson {
        spec.more = vec!["--arrivals".to_owned(), "poisson".to_owned()];
    }
    spec.url.clone_from(&flags.url);
    spec.replace = flags.replace;
    spec.manifests.clone_from(&context.config.stack.manifests);
    spec.own.clone_from(&context.config.values);
    spec
}

fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// One load and where what is seen of it is kept.
struct Load<'a> {
    flags: &'a cli::Load,
    context: &'a Context,
    stack: &'a StackName,
    cluster: &'a Cluster,
    spec: LoadSpec,
    recorder: &'a Recorder,
}

impl Load<'_> {
    async fn run(&self) -> Result<(Answer, Result<(), Error>), Error> {
        let (run, began) = self.sent().await?;
        let offset = self.recorder.clock_offset();
        let unix = |key: &str| run.report[key].as_f64().map(|at| at + offset);
        let started = self.recorder.seen().started.map(|at| at + offset);
        let first_request = unix("first_request_unix_s");
        let span = Span {
            first: first_request.or(started).unwrap_or(began),
            last: unix("last_request_unix_s").unwrap_or_else(watch::now),
        };
        let mut verdict = run.failed.map_or(Ok(()), |why| Err(Error::failed(JobFailed(why))));
        if self.flags.until_scaled && verdict.is_ok() {
            verdict = end::back(self.recorder).await;
        }
        let scraped = self.scraped(span, offset).await;
        let mut seen = self.recorder.seen().clone();
        seen.scraped = scraped;
        seen.complete_hits(&run.report["first_hit_s"]);
        if let (Some(first), Some(started)) = (first_request, started) {
            seen.count_from_first_request(first - started);
        }
        let known = Known {
            span,
            bound: self.flags.recovered_below.as_secs_f64(),
            clock_offset: offset,
            period: self.period().as_secs_f64(),
        };
        let times = Timeline::of(&seen, span, known.bound);
        let mut report = run.report;
        report::complete(&mut report, &seen, &known, &times);
        let report = LoadReport(report);
        if let Some(file) = &self.flags.picture {
            let drawn = file.write(&seen, span, &times, report.heading(&seen));
            verdict = verdict.and(drawn.map_err(Error::failed));
            self.context
                .report
                .note(&format!("the picture is in {}", file.path().display()));
        }
        let bounds = Bounds {
            until_scaled: self.flags.until_scaled,
            max_scale_up: self.flags.max_scale_up,
            error_rate: self.flags.error_rate,
        };
        let hint = "`provisioner status` shows what the HPA says";
        let judged = bounds.judge(&report.0, &times);
        let verdict = verdict.and_then(|()| judged.map_err(|missed| Error::failed(missed).hint(hint)));
        let answer = Answer::of(&report).map_err(Error::failed)?;
        Ok((answer, verdict))
    }

    /// Sends the load and waits for its end, then removes the Job. With the moment at which it was sent.
    async fn sent(&self) -> Result<(LoadRun, f64), Error> {
        let report = &*self.context.report;
        let timeout = Duration::from_secs(self.spec.duration_s) + START;
        if self.spec.replace {
            // While it runs there is no rest. What is begun by others from here on is theirs.
            LoadJob::prepare(self.cluster, self.stack, &self.spec, timeout, report).await?;
        }
        let rest = Begin::of(self.flags.until_scaled, self.flags.max_scale_up.is_some());
        rest.reach(self.recorder, report).await?;
        let look = match self.flags.start_phase {
            Some(_) => Some(self.observed().await?),
            None => None,
        };
        let spec = LoadSpec {
            replace: false,
            ..self.spec.clone()
        };
        let job = LoadJob::prepare(self.cluster, self.stack, &spec, timeout, report).await?;
        let undo = stop(job.clone(), Arc::clone(&self.context.report), UNDONE);
        self.context.undo.register(undo);
        if let (Some(look), Some(phase)) = (look, self.flags.start_phase) {
            phase::reach(look, phase, LEAD, self.period()).await;
        }
        begin::warn(&self.recorder.seen(), report);
        let began = watch::now();
        let run = self.followed(&job).await?;
        stop(job, Arc::clone(&self.context.report), DONE).await;
        self.context.undo.forget();
        Ok((run, began))
    }

    /// Runs the Job and reads its log meanwhile.
    async fn followed(&self, job: &LoadJob) -> Result<LoadRun, ClusterError> {
        let ended = Notify::new();
        let run = async {
            let run = job.run(&*self.context.report).await;
            ended.notify_one();
            run
        };
        let log = async {
            let over = async {
                ended.notified().await;
                sleep(LOG).await;
            };
            tokio::select! {
                () = job.follow(|line| drop(self.recorder.line(line))) => {}
                () = over => {}
            }
        };
        tokio::join!(run, log).0
    }

    /// Finds out when the HPA's controller looks.
    async fn observed(&self) -> Result<f64, Error> {
        let at = &self.spec.namespaces;
        let look = phase::observe(self.cluster, at, self.recorder, self.period(), &*self.context.report).await;
        look.map_err(|error| Error::failed(error).hint("`provisioner doctor` walks the chain that the HPA reads"))
    }

    fn period(&self) -> Duration {
        self.context.config.eks.hpa_sync_period.unwrap_or(PERIOD)
    }

    /// When Prometheus first had the load, by this clock.
    async fn scraped(&self, span: Span, offset: f64) -> Option<f64> {
        let route = Route {
            namespaces: self.spec.namespaces.clone(),
            prometheus: self.context.config.prometheus.url.clone(),
        };
        let (first, end) = (span.first - offset, watch::now() - offset);
        let at = scraped::scraped(self.cluster, &route, first, end).await?;
        Some(at + offset)
    }
}

/// Why a Job is removed, and what it means where that fails.
type Why = (&'static str, &'static str);

const UNDONE: Why = ("the load was not done", "the load goes on");
const DONE: Why = ("the load is done", "the load's Job stays for an hour");

/// Removes the Job with its pods.
async fn stop(job: LoadJob, report: Arc<dyn Reporter>, (why, otherwise): Why) {
    match job.stop().await {
        Ok(Some(job)) => report.done(&job.kind, &job.path(), Outcome::Deleted, why),
        Ok(None) => {}
        Err(error) => report.warning(&format!("{otherwise}: {error}")),
    }
}

/// The loader was not content with what it measured, or did not get to its end.
#[derive(Debug, thiserror::Error)]
#[error("the load failed: {0}")]
struct JobFailed(String);

/// The watches ended.
#[derive(Debug, thiserror::Error)]
#[error("the cluster cannot be watched any more")]
struct Unwatched;
