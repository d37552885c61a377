//! The load generator as a Job: render, run, read its report.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, LogParams};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::changes::{self, Options};
use super::connect::Cluster;
use super::error::ClusterError;
use super::manifest;
use super::object::ObjectRef;
use super::pace::Pace;
use super::ready::{Readiness, readiness};
use super::retry;
use super::trouble;
use super::values::{Namespaces, Values};
use crate::names::StackName;
use crate::report::{Outcome, Reporter};

const POLL: Duration = Duration::from_millis(400);

/// What load to make.
#[derive(Debug, Clone)]
pub struct LoadSpec {
    /// The loader's image.
    pub image: String,
    /// Requests per second, in total.
    pub rate: f64,
    /// How long to send, in seconds.
    pub duration_s: u64,
    /// Where to; none for the app's Service.
    pub url: Option<String>,
    /// Where the parts of the stack live.
    pub namespaces: Namespaces,
    /// A folder of manifests instead of the embedded ones.
    pub manifests: Option<PathBuf>,
}

impl LoadSpec {
    /// The app's own Service under load.
    pub fn new(image: &str, rate: f64, duration_s: u64) -> Self {
        Self {
            image: image.to_owned(),
            rate,
            duration_s,
            url: None,
            namespaces: Namespaces::default(),
            manifests: None,
        }
    }

    fn placeholders(&self, timeout: Duration) -> BTreeMap<&'static str, String> {
        let service = format!("http://web-app-service.{}.svc:8080/", self.namespaces.app);
        BTreeMap::from([
            ("load_url", self.url.clone().unwrap_or(service)),
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

/// Runs the load job and returns the report that it printed, and how the Job ended. A former job is deleted first.
pub async fn run_load(
    cluster: &Cluster,
    stack: &StackName,
    spec: &LoadSpec,
    timeout: Duration,
    report: &dyn Reporter,
) -> Result<LoadRun, ClusterError> {
    let mut values = Values::new(stack.clone(), "", &spec.image);
    values.namespaces = spec.namespaces.clone();
    let component = manifest::load_job(spec.manifests.as_deref(), &values, &spec.placeholders(timeout))?;
    let give_up = Instant::now() + timeout;
    let mut job = None;
    for wanted in &component.objects {
        let object = ObjectRef::of(wanted);
        if object.kind == "Job" {
            if remove(cluster, &object, give_up).await? {
                report.done(&object.kind, &object.path(), Outcome::Deleted, "the former one");
            }
            job = Some(object.clone());
        }
        changes::send(cluster, &object, wanted, Options::default(), false).await?;
        report.done(&object.kind, &object.path(), Outcome::Created, "");
    }
    let Some(job) = job else {
        return Err(ClusterError::Manifests(vec!["component `load` has no Job".to_owned()]));
    };
    let end = finished(cluster, &job, give_up, report).await?;
    let (log, pod) = log(cluster, &job).await?;
    let said = log.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("nothing");
    let end_of_all = |end: &str| format!("{end}; {pod}; its log ends with: {said}");
    match last_report(&log) {
        Some(report) => Ok(LoadRun {
            report,
            failed: end.as_deref().map(end_of_all),
        }),
        None => Err(failed(&job, &end_of_all(end.as_deref().unwrap_or("completed")))),
    }
}

fn failed(job: &ObjectRef, message: &str) -> ClusterError {
    ClusterError::Load {
        name: job.path(),
        message: message.to_owned(),
    }
}

/// Deletes a job with its pods and waits until both are gone; false where there was none.
async fn remove(cluster: &Cluster, job: &ObjectRef, give_up: Instant) -> Result<bool, ClusterError> {
    let api = cluster.api_of(job).await?;
    let params = DeleteParams::foreground();
    let deleted = retry::found(retry::call(|| api.delete(&job.name, &params)).await);
    if deleted.map_err(|f| ClusterError::on("delete", job, f))?.is_none() {
        return Ok(false);
    }
    while cluster.get(job).await?.is_some() {
        if Instant::now() >= give_up {
            return Err(ClusterError::Terminating(vec![job.to_string()]));
        }
        sleep(POLL).await;
    }
    Ok(true)
}

/// Waits for the job's end; says why, where it is a bad one.
async fn finished(
    cluster: &Cluster,
    job: &ObjectRef,
    give_up: Instant,
    report: &dyn Reporter,
) -> Result<Option<String>, ClusterError> {
    let mut pace = Pace::new(report);
    let mut stuck: Option<Instant> = None;
    loop {
        let live = cluster
            .get(job)
            .await?
            .ok_or_else(|| failed(job, "something deleted it"))?;
        let state = match readiness(&live) {
            Readiness::Ready => return Ok(None),
            Readiness::Failed(message) => return Ok(Some(message)),
            Readiness::Progressing(message) => message,
        };
        let state = match pods(cluster, job).await?.first().and_then(trouble::of_pod) {
            Some(trouble) => {
                let why = trouble.why().to_owned();
                match trouble.patience() {
                    Some(patience) if stuck.get_or_insert_with(Instant::now).elapsed() >= patience => {
                        return Err(failed(job, &why));
                    }
                    Some(_) => {}
                    None => stuck = None,
                }
                why
            }
            None => {
                stuck = None;
                state
            }
        };
        if Instant::now() >= give_up {
            return Err(failed(
                job,
                &format!("not done after {:.0} s: {state}", pace.elapsed().as_secs_f64()),
            ));
        }
        pace.waiting(&job.to_string(), &state);
        sleep(POLL).await;
    }
}

async fn pods(cluster: &Cluster, job: &ObjectRef) -> Result<Vec<Value>, ClusterError> {
    let selector = format!("batch.kubernetes.io/job-name={}", job.name);
    let found = trouble::list(cluster, "v1", "Pod", job.namespace.as_deref(), &selector).await?;
    Ok(found
        .into_iter()
        .map(|p| serde_json::json!({"metadata": {"name": p.metadata.name}, "status": p.data["status"]}))
        .collect())
}

/// The log of the job's pod, and the pod's state in words.
async fn log(cluster: &Cluster, job: &ObjectRef) -> Result<(String, String), ClusterError> {
    let pods = pods(cluster, job).await?;
    let Some(pod) = pods.first() else {
        return Ok((String::new(), "it has no pod".to_owned()));
    };
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let api: Api<Pod> = Api::namespaced(cluster.client(), job.namespace.as_deref().unwrap_or_default());
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
mod tests {
    use super::*;
    use crate::cluster::wire::Wire;
    use crate::report::Silent;

    #[test]
    fn the_report_is_found_among_progress() {
        let log = "10 s: 1000 requests\n{\"requests\":3}\n{broken\nbye\n";
        assert_eq!(last_report(log), Some(serde_json::json!({"requests": 3})));
        assert_eq!(last_report("nothing\n{\"level\":\"INFO\"}\n"), None);
    }

    /// Runs the load while `ended` happens to its Job.
    async fn run_to(ended: Value) -> Result<LoadRun, ClusterError> {
        const JOB: &str = "/apis/batch/v1/namespaces/web-app/jobs/web-app-load";
        const POD: &str = "/api/v1/namespaces/web-app/pods/web-app-load-a";
        let wire = Wire::default();
        let (cluster, stack) = (wire.cluster(), "demo".parse().expect("valid"));
        let spec = LoadSpec::new("r/load@sha256:00", 100.0, 60);
        let loader = async {
            while !wire.state().objects.contains_key(JOB) {
                sleep(Duration::from_millis(1)).await;
            }
            let labels = serde_json::json!({"batch.kubernetes.io/job-name": "web-app-load"});
            let pod = serde_json::json!({"metadata": {"name": "web-app-load-a", "labels": labels},
                "status": {"phase": "Failed"}});
            wire.put(POD, pod);
            wire.put(
                &format!("{POD}/log"),
                serde_json::json!({"requests": 6000, "failed": 70}),
            );
            let mut job = wire.state().objects[JOB].clone();
            job["status"] = serde_json::json!({"conditions": [ended]});
            wire.put(JOB, job);
        };
        let minute = Duration::from_mins(1);
        let (run, ()) = tokio::join!(run_load(&cluster, &stack, &spec, minute, &Silent), loader);
        run
    }

    #[tokio::test]
    async fn a_report_does_not_hide_that_the_job_failed() {
        let run = run_to(serde_json::json!({"type": "Complete", "status": "True"})).await;
        let run = run.expect("a report");
        assert_eq!((&run.report["requests"], run.failed), (&Value::from(6000), None));
        let failed = serde_json::json!({"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"});
        let run = run_to(failed).await.expect("a report");
        assert_eq!(run.report["requests"], 6000);
        let why = run.failed.expect("the Job failed");
        assert!(why.starts_with("BackoffLimitExceeded; pod `web-app-load-a`"), "{why}");
    }

    #[test]
    fn the_job_is_rendered_with_its_own_labels() {
        let stack: StackName = "demo".parse().expect("valid");
        let spec = LoadSpec::new("r/load@sha256:00", 100.0, 60);
        let values = Values::new(stack, "", &spec.image);
        let own = spec.placeholders(Duration::from_secs(90));
        let component = manifest::load_job(None, &values, &own).expect("renders");
        let job = &component.objects[0].data;
        assert_eq!(
            job.pointer("/spec/template/metadata/labels/app"),
            Some(&"web-app-load".into())
        );
        assert_eq!(job.pointer("/spec/activeDeadlineSeconds"), Some(&90.into()));
        let args = &job["spec"]["template"]["spec"]["containers"][0]["args"];
        let want = [
            "load",
            "--url",
            "http://web-app-service.web-app.svc:8080/",
            "--rate",
            "100",
            "--duration",
            "60s",
            "--output",
            "json",
        ];
        assert_eq!(args, &serde_json::json!(want));
    }
}
