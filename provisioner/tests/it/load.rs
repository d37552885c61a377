//! `load` and what the cluster does meanwhile: a Job, an HPA that scales, pods that come and go.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use provisioner::cluster::Cluster;
use provisioner::cluster::values::Namespaces;
use provisioner::report::Silent;
use provisioner::timeline::{Recorder, watch};
use serde_json::{Value, json};

use crate::run::{Ended, Run};
use crate::support::kubernetes::{Kubernetes, until};

const APP: &str = "/api/v1/namespaces/web-app/pods/web-app";
const SERVICE: &str = "/api/v1/namespaces/web-app/services/web-app-service";
const PODS: &str = "/api/v1/namespaces/web-app/pods";
const HPAS: &str = "/apis/autoscaling/v2/namespaces/web-app/horizontalpodautoscalers";
const HPA: &str = "/apis/autoscaling/v2/namespaces/web-app/horizontalpodautoscalers/web-app-hpa";
const RATES: &str = "/apis/custom.metrics.k8s.io/v1beta1/namespaces/web-app/pods/*/http_requests_per_second";
const SAMPLES: &str = "/api/v1/namespaces/monitoring/services/http:prometheus:9090/proxy/api/v1/query";
const RECORD: &str = "/api/v1/namespaces/web-app/secrets/provisioner-demo";
const JOB: &str = "/apis/batch/v1/namespaces/web-app/jobs/web-app-load";
const POD: &str = "/api/v1/namespaces/web-app/pods/web-app-load-a";

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

fn hpa(desired: u64, average: &str) -> Value {
    json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web-app-hpa"},
        "spec": {"minReplicas": 1, "maxReplicas": 2, "scaleTargetRef": {"kind": "Deployment", "name": "web-app"},
            "metrics": [{"type": "Pods", "pods": {"metric": {"name": "http_requests_per_second"},
                "target": {"type": "AverageValue", "averageValue": "10"}}}]},
        "status": {"desiredReplicas": desired, "currentReplicas": 1, "conditions": [],
            "currentMetrics": [{"type": "Pods", "pods": {"metric": {"name": "http_requests_per_second"},
                "current": {"averageValue": average}}}]}})
}

fn pod(name: &str, ready: bool) -> Value {
    let ready = if ready { "True" } else { "False" };
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web-app"}},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}})
}

/// A stack at rest, with one pod.
async fn stack() -> Kubernetes {
    let kubernetes = Kubernetes::start().await;
    let labels = json!({"app.kubernetes.io/managed-by": "provisioner", "app.kubernetes.io/part-of": "demo"});
    let record = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "provisioner-demo",
        "namespace": "web-app", "labels": labels,
        "annotations": {"provisioner/load-image": "registry.example/load@sha256:00"}}});
    kubernetes.put(RECORD, record);
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web-app-service"},
        "spec": {"ports": [{"name": "http", "port": 8080}]}});
    kubernetes.put(SERVICE, service);
    kubernetes.put(&format!("{APP}-1"), pod("web-app-1", true));
    kubernetes.put(HPA, hpa(1, "0"));
    kubernetes
}

async fn run(kubernetes: &Kubernetes, more: &str) -> Ended {
    let line = format!("load --kube-context test --name demo --duration 1s --output json {more}");
    let run = Run::of(&line).file(".kube/config", &kubernetes.kubeconfig());
    tokio::task::spawn_blocking(|| run.end()).await.unwrap()
}

fn change_pod(kubernetes: &Kubernetes, pod: &Value) {
    let path = format!(
        "/api/v1/namespaces/web-app/pods/{}",
        pod["metadata"]["name"].as_str().unwrap()
    );
    kubernetes.put(&path, pod.clone());
}

/// The cluster under a load: the Job that was sent. Each thing happens once the program has seen the one before.
async fn scales(kubernetes: &Kubernetes) -> Value {
    until("a Job", || !kubernetes.get(JOB).is_null()).await;
    let (job, start) = (kubernetes.get(JOB), now());
    let begun = [
        json!({"type": "start", "unix_s": start}),
        json!({"type": "first_hit", "pod": "web-app-1", "t_s": 0.002}),
        json!({"type": "second", "t_s": 1.0, "sent": 50, "done": 50, "p99_s": 0.2}),
        json!({"type": "first_hit", "pod": "web-app-2", "t_s": 0.003}),
        json!({"type": "second", "t_s": 1.5, "sent": 50, "done": 50, "p99_s": 0.002}),
    ];
    let log = begun.map(|line| format!("{line}\n")).concat();
    let labels = json!({"batch.kubernetes.io/controller-uid": job["metadata"]["uid"]});
    kubernetes.put_log(&format!("{POD}/log"), &log);
    let loader = json!({"metadata": {"name": "web-app-load-a", "labels": labels}, "status": {"phase": "Running"}});
    kubernetes
        .polled("web-app-load-a/log", || kubernetes.put(POD, loader))
        .await;
    let samples = json!({"metric": {}, "values": [[start - 1.0, "5"], [now(), "9"]]});
    kubernetes.put(SAMPLES, json!({"status": "success", "data": {"result": [samples]}}));
    let value = json!({"describedObject": {"kind": "Pod", "name": "web-app-1"}, "value": "20"});
    kubernetes
        .polled(RATES, || kubernetes.put(RATES, json!({"items": [value]})))
        .await;
    let scaled = hpa(2, "20")["status"].clone();
    kubernetes
        .noticed(HPAS, || kubernetes.change(HPA, |live| live["status"] = scaled))
        .await;
    for ready in [false, true] {
        kubernetes
            .noticed(PODS, || change_pod(kubernetes, &pod("web-app-2", ready)))
            .await;
    }
    let report = json!({"schema": 1, "requests": 100, "failed": 1, "dropped": 0, "per_pod": {"web-app-1": 100},
        "first_request_unix_s": start, "last_request_unix_s": now()});
    kubernetes.put_log(&format!("{POD}/log"), &format!("{log}{report}\n"));
    kubernetes.change(POD, |pod| pod["status"]["phase"] = "Succeeded".into());
    kubernetes.change(JOB, |job| {
        job["status"] = json!({"conditions": [{"type": "Complete", "status": "True"}]});
    });
    until("the Job's removal", || kubernetes.get(JOB).is_null()).await;
    kubernetes.change(HPA, |live| live["status"] = hpa(1, "0")["status"].clone());
    kubernetes.remove(&format!("{APP}-2"));
    job
}

async fn loaded(kubernetes: &Kubernetes, more: &str) -> (Ended, Value) {
    let (ended, job) = tokio::join!(run(kubernetes, more), async {
        tokio::time::timeout(Duration::from_mins(1), scales(kubernetes)).await
    });
    (ended, job.expect("a Job was sent"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_is_told_as_one_timeline_and_leaves_no_job() {
    let kubernetes = stack().await;
    let (ended, job) = loaded(
        &kubernetes,
        "--until-scaled --max-scale-up 1m --error-rate 1 --arrivals poisson",
    )
    .await;
    assert_eq!(ended.code(), 0, "{}", ended.stderr());
    let args = &job["spec"]["template"]["spec"]["containers"][0]["args"];
    assert!(args.to_string().ends_with(r#""--arrivals","poisson"]"#), "{args}");
    let report: Value = serde_json::from_str(&ended.stdout()).unwrap();
    let times = &report["timeline"];
    let order = ["first_sample_s", "scraped_s", "api_value_s", "desired_s", "ready_s"];
    let found: Vec<f64> = order.iter().filter_map(|key| times[key].as_f64()).collect();
    assert!(found.len() == order.len() && found.is_sorted(), "{report}");
    assert!(times["asked_s"].as_f64() >= times["api_value_s"].as_f64(), "{report}");
    // Its first answer was there before the watch told of the pod.
    assert_eq!(
        (&times["spread_s"], &times["recovered_s"]),
        (&times["created_s"], &json!(1.0))
    );
    assert!(times["created_s"].as_f64() < times["ready_s"].as_f64(), "{report}");
    assert!(times["back_s"].as_f64() > Some(0.0), "{report}");
    assert_eq!(
        (&report["syncs"], &report["replica_changes"]),
        (&json!(1), &json!(2)),
        "{report}"
    );
    assert!(report["phase_s"].is_number(), "{report}");
    assert!(kubernetes.get(JOB).is_null(), "the Job is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hpa_that_is_deleted_and_made_anew_is_recorded_so() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kubernetes = stack().await;
    let client = kube::Client::try_from(kube::Config::new(kubernetes.url().parse().unwrap())).unwrap();
    let (cluster, at, recorder) = (Cluster::from_client(client), Namespaces::default(), Recorder::default());
    let changes = async {
        kubernetes.noticed(HPAS, || kubernetes.remove(HPA)).await;
        let mut anew = hpa(0, "0");
        anew["spec"]["maxReplicas"] = 3.into();
        kubernetes.noticed(HPAS, || kubernetes.put(HPA, anew)).await;
        let looked = || kubernetes.change(HPA, |live| live["status"] = hpa(3, "20")["status"].clone());
        kubernetes.noticed(HPAS, looked).await;
    };
    tokio::select! {
        () = watch::everything(&cluster, &at, &recorder, &Silent) => panic!("watches do not end"),
        () = changes => {}
    }
    let seen = recorder.seen();
    let states: Vec<_> = seen.hpa.iter().map(|hpa| (hpa.desired, hpa.max, hpa.gone)).collect();
    let (there, gone) = (false, true);
    assert_eq!(
        states,
        [
            (Some(1), 2, there),
            (None, 2, gone),
            (None, 3, there),
            (Some(3), 3, there)
        ]
    );
    assert_eq!(seen.looks.len(), 1, "a new HPA's empty status is no look");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_is_said_beside_the_figures() {
    let kubernetes = stack().await;
    let (ended, _) = loaded(&kubernetes, "--max-scale-up 1ms --error-rate 0").await;
    assert_eq!(ended.code(), 1, "{}", ended.stderr());
    let report: Value = serde_json::from_str(&ended.stdout()).unwrap();
    assert_eq!(report["requests"], 100, "the figures are there all the same");
    let said = ended.stderr();
    for part in [
        "at most 0.0 s are allowed",
        "1 failed and 0 dropped of 100 requests are 1.000 %",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert!(kubernetes.get(JOB).is_null(), "the Job is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_starts_so_long_after_a_look_of_the_controller() {
    let kubernetes = stack().await;
    let looks = async {
        // The watch has to have begun: what it reads first is no look.
        until("a few requests", || {
            kubernetes.asked("services/http:web-app-service:http/proxy/") >= 4
        })
        .await;
        let look = now();
        kubernetes
            .noticed(HPAS, || {
                kubernetes.change(HPA, |live| live["status"] = hpa(1, "4")["status"].clone());
            })
            .await;
        scales(&kubernetes).await;
        look
    };
    let (ended, look) = tokio::join!(run(&kubernetes, "--start-phase 3.5"), async {
        tokio::time::timeout(Duration::from_mins(1), looks).await
    });
    assert_eq!(ended.code(), 0, "{}", ended.stderr());
    let report: Value = serde_json::from_str(&ended.stdout()).unwrap();
    let after = report["first_request_unix_s"].as_f64().unwrap() - look.expect("a Job was sent");
    // A Job takes a while to its first request, here none.
    assert!((1.9..6.0).contains(&after), "{after} s: {}", ended.stderr());
}

/// A stack that has all of its pods, as after an earlier load.
async fn at_maximum() -> Kubernetes {
    let kubernetes = stack().await;
    change_pod(&kubernetes, &pod("web-app-2", true));
    kubernetes.put(HPA, hpa(2, "0"));
    kubernetes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_is_to_show_scaling_waits_for_the_pods_of_an_earlier_one_to_go() {
    let kubernetes = at_maximum().await;
    let goes = async {
        // It has seen them, and goes on looking.
        kubernetes.polled(RATES, || ()).await;
        until("watches", || kubernetes.watches(PODS) && kubernetes.watches(HPAS)).await;
        kubernetes.polled(RATES, || ()).await;
        assert!(kubernetes.get(JOB).is_null(), "nothing is sent while they are there");
        let rests = || kubernetes.change(HPA, |live| live["status"] = hpa(1, "0")["status"].clone());
        kubernetes.noticed(HPAS, rests).await;
        kubernetes
            .noticed(PODS, || kubernetes.remove(&format!("{APP}-2")))
            .await;
        scales(&kubernetes).await
    };
    let (ended, _) = tokio::join!(run(&kubernetes, "--until-scaled --max-scale-up 1m"), goes);
    assert_eq!(ended.code(), 0, "{}", ended.stderr());
    let report: Value = serde_json::from_str(&ended.stdout()).unwrap();
    assert_eq!(
        report["at_start"],
        json!({"pods": 1, "ready": 1, "wanted": 1, "max": 2})
    );
    let ready = report["timeline"]["ready_s"].as_f64();
    assert!(
        ready > Some(0.0) && report["timeline"]["back_s"].is_number(),
        "{report}"
    );
    let said = ended.stderr();
    for part in [
        "begins and ends with the fewest pods",
        "2 of 2 pods, 2 ready, the HPA wants 2",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_meets_all_pods_says_so_and_claims_no_scaling() {
    let kubernetes = at_maximum().await;
    let (ended, _) = loaded(&kubernetes, "").await;
    assert_eq!(ended.code(), 0, "{}", ended.stderr());
    let report: Value = serde_json::from_str(&ended.stdout()).unwrap();
    assert_eq!(report["at_start"]["pods"], 2, "{report}");
    let times = &report["timeline"];
    for key in ["desired_s", "created_s", "ready_s"] {
        assert!(times[key].is_null(), "{key}: {report}");
    }
    assert_eq!(report["syncs"], Value::Null, "{report}");
    let warned = "2 of 2 pods, 2 ready, the HPA wants 2: this load cannot show how the app scales up";
    assert!(ended.stderr().contains(warned), "{}", ended.stderr());
}

/// A load that is interrupted while it waits for pods to go.
async fn interrupted(kubernetes: &Kubernetes, more: &str) -> Ended {
    let line = format!("load --kube-context test --name demo {more}");
    let mut run = Run::of(&line).file(".kube/config", &kubernetes.kubeconfig()).start();
    let ended = tokio::task::spawn_blocking(move || {
        run.wait_for("2 of 2 pods");
        run.signal("INT");
        run.end()
    });
    ended.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_waits_is_interrupted_before_it_is_sent() {
    let kubernetes = at_maximum().await;
    let ended = interrupted(&kubernetes, "--max-scale-up 1m").await;
    assert_eq!(ended.code(), 130);
    assert!(!ended.stderr().contains("may exist"), "{}", ended.stderr());
    assert_eq!(kubernetes.changes(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_job_is_told_before_rest_is_waited_for() {
    let foreign = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "web-app-load"}});
    for (job, told) in [(foreign, "web-app-load"), (Value::Null, "web-app-service")] {
        let kubernetes = at_maximum().await;
        if job.is_null() {
            kubernetes.remove(SERVICE);
        } else {
            kubernetes.put(JOB, job);
        }
        let ended = run(&kubernetes, "--until-scaled").await;
        let said = ended.stderr();
        assert_eq!(ended.code(), 2, "{said}");
        assert!(said.contains(told) && !said.contains("2 of 2 pods"), "{said}");
        assert_eq!(kubernetes.changes(), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_runs_is_left_alone_or_replaced_before_rest_is_waited_for() {
    let kubernetes = at_maximum().await;
    let labels = json!({"app.kubernetes.io/managed-by": "provisioner", "app.kubernetes.io/part-of": "demo"});
    let runs = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "web-app-load", "labels": labels}});
    kubernetes.put(JOB, runs);
    let refused = run(&kubernetes, "--until-scaled").await;
    assert_eq!(refused.code(), 2, "{}", refused.stderr());
    assert!(refused.stderr().contains("`--replace`"), "{}", refused.stderr());
    assert_eq!(kubernetes.changes(), Vec::<String>::new());
    assert_eq!(interrupted(&kubernetes, "--until-scaled --replace").await.code(), 130);
    assert!(kubernetes.get(JOB).is_null(), "{:?}", kubernetes.changes());
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_asked() {
    for more in [
        "--stages 100",
        "--stages 100:1m --rate 5",
        "--stages 0:1m",
        "--arrivals rarely",
        "--error-rate 101",
        "--start-phase -1",
        "--max-scale-up soon",
        "--picture load.gif",
        "--picture nowhere/load.svg",
    ] {
        let ended = Run::of(&format!("load --kube-context test --name demo {more}")).end();
        assert_eq!(ended.code(), 2, "{more}: {}", ended.stderr());
    }
}
