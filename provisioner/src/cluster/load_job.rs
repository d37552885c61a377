//! The load generator as a Job: render, run, read its report, end it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::{AsyncBufReadExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, LogParams, Preconditions, PropagationPolicy};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::changes::{self, Options};
use super::connect::Cluster;
use super::error::ClusterError;
use super::manifest::{self, Component};
use super::object::ObjectRef;
use super::ownership::{self, Existing};
use super::pace::Pace;
use super::ready::{Readiness, readiness};
use super::retry;
use super::trouble;
use super::values::{Namespaces, Values};
use crate::names::StackName;
use crate::report::{Outcome, Reporter};

#[path = "load_job_arguments.rs"]
mod arguments;
#[path = "load_job_service.rs"]
mod service;

const POLL: Duration = Duration::from_millis(400);

/// The Job's name in the shipped manifests.
pub const LOAD_JOB: &str = "web-app-load";

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
            namespaces: Namespaces::default(),
            manifests: None,
            own: BTreeMap::new(),
        }
    }

    fn placeholders(&self, url: &str, timeout: Duration) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("load_url", url.to_owned()),
            ("load_rate", self.rate.to_string()),
            ("load_duration", format!("{}s", self.duration_s)),
            ("load_deadline_s", timeout.as_secs().max(1).to_string()),
        ])
    }
}

/// A load that was sent.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadRun {
    /// What the loader printed.
    pub report: Value,
    /// Why the Job failed all the same, e.g. because a threshold was missed; none where it completed.
    pub failed: Option<String>,
}

/// A load that is about to be sent or was: told from every other Job of its name by its UID.
#[derive(Debug, Clone)]
pub struct LoadJob {
    cluster: Cluster,
    stack: StackName,
    component: Component,
    job: ObjectRef,
    /// Of the Job that was sent.
    uid: Arc<OnceLock<String>>,
    give_up: Instant,
}

impl LoadJob {
    /// Refuses what [`Self::prepare`] would, and changes nothing: for a load that is sent only later.
    pub async fn check(cluster: &Cluster, stack: &StackName, spec: &LoadSpec) -> Result<(), ClusterError> {
        Self::rendered(cluster, stack, spec, Duration::ZERO).await.map(drop)
    }

    /// Renders the Job and makes room for it: a former one of this stack is deleted, anything that is not the stack's is
    /// refused by name. Sends nothing yet.
    pub async fn prepare(
        cluster: &Cluster,
        stack: &StackName,
        spec: &LoadSpec,
        timeout: Duration,
        report: &dyn Reporter,
    ) -> Result<Self, ClusterError> {
        let (load, former) = Self::rendered(cluster, stack, spec, timeout).await?;
        if let Some(former) = former {
            load.remove(former.live.metadata.uid).await?;
            report.done(&load.job.kind, &load.job.path(), Outcome::Deleted, "the former one");
        }
        Ok(load)
    }

    /// The Job, and the one of this stack that has its place.
    async fn rendered(
        cluster: &Cluster,
        stack: &StackName,
        spec: &LoadSpec,
        timeout: Duration,
    ) -> Result<(Self, Option<Existing>), ClusterError> {
        let mut values = Values::new(stack.clone(), "", &spec.image);
        values.namespaces = spec.namespaces.clone();
        values.own.clone_from(&spec.own);
        let url = match &spec.url {
            Some(url) => url.clone(),
            None => service::url(cluster, &spec.namespaces.app).await?,
        };
        let own = spec.placeholders(&url, timeout);
        let mut component = manifest::load_job(spec.manifests.as_deref(), &values, &own)?;
        for object in &mut component.objects {
            arguments::complete(&mut object.data, spec);
        }
        let job = component.objects.iter().map(ObjectRef::of).find(|o| o.kind == "Job");
        let Some(job) = job else {
            return Err(ClusterError::Manifests(vec!["component `load` has no Job".to_owned()]));
        };
        let components = std::slice::from_ref(&component);
        let existing = ownership::check(cluster, stack, components, Options::default()).await?;
        let former = existing.into_iter().find(|existing| existing.object == job);
        let load = Self {
            cluster: cluster.clone(),
            stack: stack.clone(),
            component,
            job,
            uid: Arc::default(),
            give_up: Instant::now() + timeout,
        };
        Ok((load, former))
    }

    /// Sends the Job and waits for its end; returns the report that it printed, and how it ended.
    pub async fn run(&self, report: &dyn Reporter) -> Result<LoadRun, ClusterError> {
        for wanted in &self.component.objects {
            let object = ObjectRef::of(wanted);
            let sent = changes::send(&self.cluster, &object, wanted, Options::default(), false).await?;
            if object == self.job {
                self.uid.get_or_init(|| sent.metadata.uid.unwrap_or_default());
            }
            report.done(&object.kind, &object.path(), Outcome::Created, "");
        }
        let end = self.finished(report).await?;
        let (log, pod) = self.log().await?;
        let said = log.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("nothing");
        let end_of_all = |end: &str| format!("{end}; {pod}; its log ends with: {said}");
        match last_report(&log) {
            Some(report) => Ok(LoadRun {
                report,
                failed: end.as_deref().map(end_of_all),
            }),
            None => Err(self.failed(&end_of_all(end.as_deref().unwrap_or("completed")))),
        }
    }

    /// Hands each line of the pod's log to `take` as it is written, with the node's time before it, until its container has
    /// ended. Fails never: a log that cannot be read has no lines. Where the connection breaks, or ends while the container runs
    /// on, the log is read again from its start.
    pub async fn follow(&self, mut take: impl FnMut(&str)) {
        while Instant::now() < self.give_up {
            if let Some((name, ended)) = self.started_pod().await {
                match self.read_along(&name, &mut take).await {
                    // An API server that goes away ends it, too.
                    Ok(()) if ended => return,
                    Ok(()) => {}
                    Err(error) => tracing::debug!(%error, "the log is read again"),
                }
            }
            sleep(POLL).await;
        }
    }

    /// The Job's pod once it has a log, and whether that is complete.
    async fn started_pod(&self) -> Option<(String, bool)> {
        self.uid.get()?;
        let pods = self.pods().await.ok()?;
        let started = pods.iter().find(|pod| pod["status"]["phase"] != "Pending")?;
        let ended = matches!(started["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
        let name = started["metadata"]["name"].as_str()?;
        Some((name.to_owned(), ended))
    }

    async fn read_along(&self, pod: &str, take: &mut impl FnMut(&str)) -> Result<(), kube::Error> {
        let namespace = self.job.namespace.as_deref().unwrap_or_default();
        let api: Api<Pod> = Api::namespaced(self.cluster.client(), namespace);
        let params = LogParams {
            follow: true,
            timestamps: true,
            ..LogParams::default()
        };
        let mut lines = api.log_stream(pod, &params).await?.lines();
        while let Some(line) = lines.next().await {
            take(&line.map_err(kube::Error::ReadEvents)?);
        }
        Ok(())
    }

    /// Ends a load that nobody waits for any more: deletes the Job of this run and no other of its name. Where the run was
    /// interrupted before the server's answer, what bears the stack's labels is this run's: it had made room before.
    pub async fn stop(&self) -> Result<Option<ObjectRef>, ClusterError> {
        let Some(live) = self.cluster.get(&self.job).await? else {
            return Ok(None);
        };
        let mine = match self.uid.get() {
            Some(uid) => live.metadata.uid.as_ref() == Some(uid),
            None => ownership::is_ours(&live, &self.stack),
        };
        if !mine {
            return Ok(None);
        }
        self.delete(live.metadata.uid).await?;
        Ok(Some(self.job.clone()))
    }

    fn failed(&self, message: &str) -> ClusterError {
        ClusterError::Load {
            name: self.job.path(),
            message: message.to_owned(),
        }
    }

    /// Deletes the Job of this UID with its pods.
    async fn delete(&self, uid: Option<String>) -> Result<(), ClusterError> {
        let api = self.cluster.api_of(&self.job).await?;
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Foreground),
            preconditions: Some(Preconditions {
                uid,
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        let deleted = retry::found(retry::call(|| api.delete(&self.job.name, &params)).await);
        deleted.map_err(|f| ClusterError::on("delete", &self.job, f)).map(drop)
    }

    /// [`Self::delete`], then waits until Job and pods are gone.
    async fn remove(&self, uid: Option<String>) -> Result<(), ClusterError> {
        self.delete(uid.clone()).await?;
        while self
            .cluster
            .get(&self.job)
            .await?
            .is_some_and(|now| now.metadata.uid == uid)
        {
            if Instant::now() >= self.give_up {
                return Err(ClusterError::Terminating(vec![self.job.to_string()]));
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    /// Waits for the Job's end; says why, where it is a bad one.
    async fn finished(&self, report: &dyn Reporter) -> Result<Option<String>, ClusterError> {
        let mut pace = Pace::new(report);
        let mut stuck: Option<Instant> = None;
        loop {
            let live = self.cluster.get(&self.job).await?;
            let live = live.ok_or_else(|| self.failed("something deleted it"))?;
            if live.metadata.uid.as_ref() != self.uid.get() {
                return Err(self.failed("another Job took its place"));
            }
            let state = match readiness(&live) {
                Readiness::Ready => return Ok(None),
                Readiness::Failed(message) => return Ok(Some(message)),
                Readiness::Progressing(message) => message,
            };
            let trouble = self.pods().await?.first().and_then(trouble::of_pod);
            let state = match trouble.as_ref() {
                Some(trouble) => trouble.why().to_owned(),
                None => state,
            };
            match trouble.and_then(|trouble| trouble.patience()) {
                Some(patience) if stuck.get_or_insert_with(Instant::now).elapsed() >= patience => {
                    return Err(self.failed(&state));
                }
                Some(_) => {}
                None => stuck = None,
            }
            if Instant::now() >= self.give_up {
                let waited = pace.elapsed().as_secs_f64();
                return Err(self.failed(&format!("not done after {waited:.0} s: {state}")));
            }
            pace.waiting(&self.job.to_string(), &state);
            sleep(POLL).await;
        }
    }

    async fn pods(&self) -> Result<Vec<Value>, ClusterError> {
        let uid = self.uid.get().map(String::as_str).unwrap_or_default();
        let selector = format!("batch.kubernetes.io/controller-uid={uid}");
        let found = trouble::list(&self.cluster, "v1", "Pod", self.job.namespace.as_deref(), &selector).await?;
        Ok(found
            .into_iter()
            .map(|p| serde_json::json!({"metadata": {"name": p.metadata.name}, "status": p.data["status"]}))
            .collect())
    }

    /// The log of the Job's pod, and the pod's state in words.
    async fn log(&self) -> Result<(String, String), ClusterError> {
        let pods = self.pods().await?;
        let Some(pod) = pods.first() else {
            return Ok((String::new(), "it has no pod".to_owned()));
        };
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        let namespace = self.job.namespace.as_deref().unwrap_or_default();
        let api: Api<Pod> = Api::namespaced(self.cluster.client(), namespace);
        let params = LogParams {
            tail_lines: Some(200),
            ..LogParams::default()
        };
        let text = retry::call(|| api.logs(name, &params))
            .await
            .map_err(|f| ClusterError::request("read the log of", format!("Pod `{name}`"), f))?;
        let phase = pod["status"]["phase"].as_str().unwrap_or("in an unknown state");
        let state = match trouble::of_pod(pod) {
            Some(trouble) => trouble.why().to_owned(),
            None => format!("pod `{name}` is {phase}"),
        };
        Ok((text, state))
    }
}

/// The last line that is a JSON object: progress on stderr is in the same log.
fn last_report(log: &str) -> Option<Value> {
    log.lines()
        .rev()
        .filter(|line| line.trim_start().starts_with('{'))
        .filter_map(|line| serde_json::from_str(line.trim()).ok())
        // Log lines may be objects too.
        .find(|value: &Value| value.get("requests").is_some())
}

#[cfg(test)]
#[path = "load_job_tests.rs"]
mod tests;
