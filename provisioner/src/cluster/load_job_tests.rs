//! The load as a Job on the in-memory API server.

use super::*;
use crate::cluster::wire::Wire;
use crate::report::Silent;

#[test]
fn the_report_is_found_among_progress() {
    let log = "10 s: 1000 requests\n{\"requests\":3}\n{broken\nbye\n";
    assert_eq!(last_report(log), Some(serde_json::json!({"requests": 3})));
    assert_eq!(last_report("nothing\n{\"level\":\"INFO\"}\n"), None);
}

const JOB: &str = "/apis/batch/v1/namespaces/web-app/jobs/web-app-load";
const MINUTE: Duration = Duration::from_mins(1);

const SERVICE_PATH: &str = "/api/v1/namespaces/web-app/services/web-app-service";

async fn prepared(wire: &Wire) -> Result<LoadJob, ClusterError> {
    wire.put(
        SERVICE_PATH,
        service(serde_json::json!([{"name": "http", "port": 8080}])),
    );
    let spec = LoadSpec::new("r/load@sha256:00", 100.0, 60);
    LoadJob::prepare(&wire.cluster(), &"demo".parse().expect("valid"), &spec, MINUTE, &Silent).await
}

/// Waits for the Job and says what became of it, and whose pod it has.
async fn sent(wire: &Wire) -> String {
    while !wire.state().objects.contains_key(JOB) {
        sleep(Duration::from_millis(1)).await;
    }
    wire.state().objects[JOB]["metadata"]["uid"]
        .as_str()
        .expect("a UID")
        .to_owned()
}

/// The Job is through.
fn end(wire: &Wire) {
    let mut job = wire.state().objects[JOB].clone();
    job["status"] = serde_json::json!({"conditions": [{"type": "Complete", "status": "True"}]});
    wire.put(JOB, job);
}

/// Runs the load while `ended` happens to its Job.
async fn run_to(ended: Value) -> Result<LoadRun, ClusterError> {
    const POD: &str = "/api/v1/namespaces/web-app/pods/web-app-load-a";
    let wire = Wire::default();
    let job = prepared(&wire).await?;
    let loader = async {
        let labels = serde_json::json!({"batch.kubernetes.io/controller-uid": sent(&wire).await});
        let pod = serde_json::json!({"metadata": {"name": "web-app-load-a", "labels": labels},
            "status": {"phase": "Failed"}});
        wire.put(POD, pod);
        let report = serde_json::json!({"requests": 6000, "failed": 70});
        wire.put(&format!("{POD}/log"), report);
        if let Some(job) = wire.state().objects.get_mut(JOB) {
            job["status"] = serde_json::json!({"conditions": [ended]});
        }
    };
    let (run, ()) = tokio::join!(job.run(&Silent), loader);
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

fn service(ports: Value) -> Value {
    let mut service =
        serde_json::json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web-app-service"}});
    service["spec"]["ports"] = ports;
    service
}

#[tokio::test]
async fn load_goes_to_the_port_that_the_service_has_or_where_it_is_told_to() {
    let wire = Wire::default();
    let ours = serde_json::json!([{"name": "http", "port": 3000}]);
    let url_of = async |given: Option<&str>| {
        let mut spec = LoadSpec::new("r/load@sha256:00", 100.0, 60);
        spec.url = given.map(str::to_owned);
        let stack = "demo".parse().expect("valid");
        let job = LoadJob::prepare(&wire.cluster(), &stack, &spec, MINUTE, &Silent).await?;
        let args = &job.component.objects[0].data["spec"]["template"]["spec"]["containers"][0]["args"];
        Ok::<_, ClusterError>(args[2].as_str().map(str::to_owned))
    };
    let missing = url_of(None).await.expect_err("no Service");
    assert!(missing.is_configuration() && missing.hint().is_some_and(|hint| hint.contains("--url")));
    let elsewhere = "http://other.team.svc/a";
    assert_eq!(
        url_of(Some(elsewhere)).await.expect("rendered").as_deref(),
        Some(elsewhere)
    );
    wire.put(SERVICE_PATH, service(ours));
    let url = url_of(None).await.expect("rendered");
    assert_eq!(url.as_deref(), Some("http://web-app-service.web-app.svc:3000/"));
}

#[test]
fn the_job_is_rendered_with_its_own_labels() {
    let stack: StackName = "demo".parse().expect("valid");
    let spec = LoadSpec::new("r/load@sha256:00", 100.0, 60);
    let values = Values::new(stack, "", &spec.image);
    let own = spec.placeholders("http://web-app-service.web-app.svc:80/", Duration::from_secs(90));
    let component = manifest::load_job(None, &values, &own).expect("renders");
    assert_eq!(component.objects[0].metadata.name.as_deref(), Some(LOAD_JOB));
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
        "http://web-app-service.web-app.svc:80/",
        "--rate",
        "100",
        "--duration",
        "60s",
        "--output",
        "json",
    ];
    assert_eq!(args, &serde_json::json!(want));
}

#[tokio::test]
async fn a_job_of_others_is_refused_and_left_alone() {
    let wire = Wire::default();
    let foreign = serde_json::json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "web-app-load"}});
    wire.put(JOB, foreign);
    let Err(ClusterError::Foreign(named)) = prepared(&wire).await else {
        panic!("refused");
    };
    assert_eq!(named, ["Job `web-app/web-app-load`"]);
    assert_eq!(wire.changes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_check_refuses_the_same_and_leaves_what_is_there() {
    let wire = Wire::default();
    let spec = LoadSpec::new("demo/load", 100.0, 60);
    let stack = "demo".parse().expect("valid");
    let check = async || LoadJob::check(&wire.cluster(), &stack, &spec).await;
    assert!(check().await.expect_err("no Service").is_configuration());
    let job = prepared(&wire).await.expect("room");
    let _ = tokio::time::timeout(Duration::from_millis(1), job.run(&Silent)).await;
    sent(&wire).await;
    assert!(matches!(check().await, Err(ClusterError::LoadRuns { .. })));
    end(&wire);
    let former = sent(&wire).await;
    check().await.expect("fine");
    assert_eq!(
        wire.state().objects[JOB]["metadata"]["uid"],
        former,
        "it is still there"
    );
    wire.put(
        JOB,
        serde_json::json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "web-app-load"}}),
    );
    assert!(matches!(check().await, Err(ClusterError::Foreign(_))));
}

#[tokio::test]
async fn a_former_job_of_the_stack_makes_room_once_it_has_ended_or_is_to_be_replaced() {
    for replace in [false, true] {
        let wire = Wire::default();
        let job = prepared(&wire).await.expect("room");
        let _ = tokio::time::timeout(Duration::from_millis(1), job.run(&Silent)).await;
        let former = sent(&wire).await;
        if replace {
            let mut spec = LoadSpec::new("r/load@sha256:00", 100.0, 60);
            spec.replace = true;
            let stack = "demo".parse().expect("valid");
            let job = LoadJob::prepare(&wire.cluster(), &stack, &spec, MINUTE, &Silent).await;
            job.expect("room");
        } else {
            let refused = prepared(&wire).await.expect_err("somebody's load");
            assert!(refused.is_refusal() && refused.hint().is_some_and(|hint| hint.contains("--replace")));
            assert_eq!(sent(&wire).await, former, "it goes on");
            end(&wire);
            prepared(&wire).await.expect("room");
        }
        assert_eq!(wire.state().objects.get(JOB), None, "Job {former} is gone");
    }
}

#[tokio::test]
async fn a_job_that_takes_the_place_of_the_one_that_was_sent_is_a_failure() {
    let wire = Wire::default();
    let job = prepared(&wire).await.expect("room");
    let other = async {
        sent(&wire).await;
        let mut other = wire.state().objects[JOB].clone();
        other["status"] = serde_json::json!({"conditions": [{"type": "Complete", "status": "True"}]});
        wire.put(JOB, other);
    };
    let (run, ()) = tokio::join!(job.run(&Silent), other);
    let error = run.expect_err("not its report").to_string();
    assert!(error.ends_with("another Job took its place"), "{error}");
    // And it is not this run's to end.
    assert_eq!(job.stop().await.expect("looked"), None);
    assert!(wire.state().objects.contains_key(JOB));
}

#[tokio::test]
async fn a_load_that_is_given_up_is_ended_also_where_the_answer_did_not_arrive() {
    for answers in 0..3 {
        let wire = Wire::default();
        let job = prepared(&wire).await.expect("room");
        wire.until_silent(answers, job.run(&Silent)).await;
        let there = wire.state().objects.contains_key(JOB);
        let ended = job.stop().await.expect("ended");
        assert_eq!(
            (ended.is_some(), wire.state().objects.get(JOB)),
            (there, None),
            "{answers}"
        );
    }
    // The request arrived, its answer did not.
    let wire = Wire::default();
    let job = prepared(&wire).await.expect("room");
    let twin = job.clone();
    wire.until_silent(
        1,
        LoadJob {
            uid: Arc::default(),
            ..twin
        }
        .run(&Silent),
    )
    .await;
    assert!(job.uid.get().is_none() && wire.state().objects.contains_key(JOB));
    assert!(job.stop().await.expect("ended").is_some());
    assert_eq!(wire.state().objects.get(JOB), None);
}

#[tokio::test]
async fn a_log_that_ends_while_the_loader_runs_is_read_on() {
    const POD: &str = "/api/v1/namespaces/web-app/pods/web-app-load-a";
    let wire = Wire::default();
    let job = prepared(&wire).await.expect("room");
    let pod = |phase: &str| {
        let uid = wire.state().objects[JOB]["metadata"]["uid"].clone();
        let labels = serde_json::json!({"batch.kubernetes.io/controller-uid": uid});
        let metadata = serde_json::json!({"name": "web-app-load-a", "labels": labels});
        wire.put(
            POD,
            serde_json::json!({"metadata": metadata, "status": {"phase": phase}}),
        );
    };
    let log = |text: &str| drop(wire.state().logs.insert(format!("{POD}/log"), text.to_owned()));
    let mut lines = Vec::new();
    let following = async {
        sent(&wire).await;
        pod("Running");
        log("one\n");
        job.follow(|line| {
            if lines.is_empty() {
                // The connection ends here; the rest of the log comes later.
                log("one\ntwo\n");
                pod("Succeeded");
            }
            lines.push(line.to_owned());
        })
        .await;
    };
    tokio::select! {
        run = job.run(&Silent) => panic!("{run:?}"),
        () = following => {}
    }
    assert_eq!(lines, ["one", "one", "two"]);
}
