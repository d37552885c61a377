//! `load` where the app was made elsewhere: which image makes the load, and what the stack remembers of it.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::registry::{bytes, push_to};
use crate::run::{Ended, Run};
use crate::support::image::{executable, image};
use crate::support::kubernetes::Kubernetes;
use crate::support::registry::{Auth, Registry};

const RECORD: &str = "/api/v1/namespaces/web-app/secrets/provisioner-demo";
const SERVICE: &str = "/api/v1/namespaces/web-app/services/web-app-service";
const JOB: &str = "/apis/batch/v1/namespaces/web-app/jobs/web-app-load";
const POD: &str = "/api/v1/namespaces/web-app/pods/web-app-load-a";
const LOAD_IMAGE: &str = "provisioner/load-image";
/// What an app's manifest says where its binary makes load.
const LOADS: &str = r#"{"provisioner": {"load": true}}"#;

/// A stack as a bootstrap of a foreign image left it.
async fn stack() -> Kubernetes {
    let kubernetes = Kubernetes::start().await;
    let labels = json!({"app.kubernetes.io/managed-by": "provisioner", "app.kubernetes.io/part-of": "demo"});
    let applied = json!({"f:metadata": {"f:labels": {
        "f:app.kubernetes.io/managed-by": {}, "f:app.kubernetes.io/part-of": {}}}});
    let managed = json!([{"manager": "provisioner", "operation": "Apply", "apiVersion": "v1",
        "fieldsType": "FieldsV1", "fieldsV1": applied}]);
    let record = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "provisioner-demo",
        "namespace": "web-app", "labels": labels, "managedFields": managed}});
    kubernetes.put(RECORD, record);
    let ports = json!([{"name": "http", "port": 3000}]);
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web-app-service"},
        "spec": {"ports": ports}});
    kubernetes.put(SERVICE, service);
    kubernetes
}

fn command(kubernetes: &Kubernetes, registry: &Registry, more: &str) -> Run {
    let address = registry.address();
    let line = format!("load --kube-context test --name demo --registry {address}/team --duration 1s {more}");
    Run::in_workspace(&line).file(".kube/config", &kubernetes.kubeconfig())
}

async fn run(run: Run) -> Ended {
    tokio::task::spawn_blocking(|| run.end()).await.unwrap()
}

/// Runs a load whose Job completes; the image that it ran, and where the load went.
async fn completed(kubernetes: &Kubernetes, load: Run) -> (Ended, String, Value) {
    let job = async {
        while kubernetes.get(JOB).is_null() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let job = kubernetes.get(JOB);
        let labels = json!({"batch.kubernetes.io/controller-uid": job["metadata"]["uid"]});
        let pod = json!({"metadata": {"name": "web-app-load-a", "labels": labels}, "status": {"phase": "Succeeded"}});
        kubernetes.put(POD, pod);
        kubernetes.put(&format!("{POD}/log"), json!({"requests": 100, "failed": 0}));
        kubernetes.change(JOB, |job| {
            job["status"] = json!({"conditions": [{"type": "Complete", "status": "True"}]});
        });
        job
    };
    let (ended, job) = tokio::join!(run(load), async {
        tokio::time::timeout(Duration::from_mins(1), job).await
    });
    let job = job.unwrap_or_else(|_| panic!("no Job was sent: {}", ended.stderr()));
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    let image = container["image"].as_str().unwrap().to_owned();
    assert_eq!(ended.code(), 0, "{}", ended.stderr());
    (ended, image, container["args"][2].clone())
}

fn remembered(kubernetes: &Kubernetes) -> Value {
    kubernetes.get(RECORD)["metadata"]["annotations"][LOAD_IMAGE].clone()
}

fn workspace(says: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
        std::fs::write(path, content).unwrap();
    };
    write("Cargo.toml", b"[workspace]\n");
    write("Cargo.lock", b"[[package]]\nname = 'app'\nversion = '1.2.3'\n");
    write("app/Cargo.toml", b"[package]\n");
    write("app/src/main.rs", b"fn main() {}\n");
    write("program", &executable(b"one"));
    write("says", says.as_bytes());
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_loader_both_ways_to_one_are_named_and_nothing_is_changed() {
    let (kubernetes, registry) = (stack().await, Registry::start(Auth::Anonymous).await);
    // The workspace in the working directory has an app that is not known to make load.
    let stderr = run(command(&kubernetes, &registry, "")).await.refused(2);
    for part in [
        "remembers no image that makes load",
        "--loader-image REF",
        "--workspace DIR",
        "`demo/load`",
    ] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
    let folder = workspace("null");
    let named = format!("--workspace {}", folder.path().display());
    let stderr = run(command(&kubernetes, &registry, &named)).await.refused(2);
    assert!(stderr.contains("lacks `load = true`"), "{stderr}");
    let settings = format!("[image]\nworkspace = '{}'\n", folder.path().display());
    let by_file = command(&kubernetes, &registry, "").file("provisioner.toml", &settings);
    let stderr = run(by_file).await.refused(2);
    assert!(stderr.contains("lacks `load = true`"), "{stderr}");
    assert_eq!(kubernetes.changes(), Vec::<String>::new());
    assert_eq!(registry.counts_of("team/load"), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_named_is_used_by_its_digest_and_remembered() {
    let (kubernetes, registry) = (stack().await, Registry::start(Auth::Anonymous).await);
    let loader = image("one").await;
    push_to(&registry.repository("team/tools"), &loader, Some("v1"))
        .await
        .expect("pushed");
    registry.take_requests();
    let name = format!("{}/team/tools", registry.address());
    let flag = format!("--loader-image {name}:v1");
    let (_, image, url) = completed(&kubernetes, command(&kubernetes, &registry, &flag)).await;
    assert_eq!(image, format!("{name}@{}", loader.digest()));
    assert_eq!(url, "http://web-app-service.web-app.svc:3000/");
    assert_eq!(remembered(&kubernetes), image.as_str());
    assert_eq!(bytes(&registry.take_requests()), 0);
    // From now on without the flag, and without the registry.
    let before = kubernetes.get(RECORD);
    let again = command(&kubernetes, &registry, "--url http://other.team.svc/a");
    let (again, url) = second(&kubernetes, again).await;
    assert_eq!(
        (again.as_str(), url),
        (image.as_str(), "http://other.team.svc/a".into())
    );
    assert_eq!(kubernetes.get(RECORD), before);
    assert_eq!(registry.take_requests().len(), 0);
}

/// A load after another one: its Job makes room first.
async fn second(kubernetes: &Kubernetes, load: Run) -> (String, Value) {
    kubernetes.remove(JOB);
    kubernetes.remove(POD);
    let (_, image, url) = completed(kubernetes, load).await;
    (image, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_app_is_built_and_pushed_once_and_found_by_its_sources_later() {
    let (kubernetes, registry) = (stack().await, Registry::start(Auth::Anonymous).await);
    let folder = workspace(LOADS);
    let named = format!("--workspace {}", folder.path().display());
    let built = || std::fs::remove_file(folder.path().join("called")).is_ok();
    let (_, image, _) = completed(&kubernetes, command(&kubernetes, &registry, &named)).await;
    let place = format!("{}/team/load@sha256:", registry.address());
    assert!(image.starts_with(&place) && built(), "{image}");
    assert_eq!(remembered(&kubernetes), image.as_str());
    let (_, manifests, _) = registry.counts_of("team/load");
    assert_eq!(manifests, 1);
    // Remembered: no workspace is needed any more, and nothing is asked.
    registry.take_requests();
    let (again, _) = second(&kubernetes, command(&kubernetes, &registry, "")).await;
    assert_eq!((again.as_str(), built()), (image.as_str(), false));
    assert_eq!(registry.take_requests().len(), 0);
    // Named again: looked for by its sources, neither built nor sent.
    let before = kubernetes.get(RECORD);
    let (again, _) = second(&kubernetes, command(&kubernetes, &registry, &named)).await;
    assert_eq!((again.as_str(), built()), (image.as_str(), false));
    assert_eq!(bytes(&registry.take_requests()), 0);
    assert_eq!(kubernetes.get(RECORD), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loader_that_is_not_there_is_told_before_anything_is_changed() {
    let (kubernetes, registry) = (stack().await, Registry::start(Auth::Anonymous).await);
    let flag = format!("--loader-image {}/team/none:v1", registry.address());
    let stderr = run(command(&kubernetes, &registry, &flag)).await.refused(1);
    assert!(stderr.contains("cannot read `v1` from"), "{stderr}");
    let stderr = run(command(&kubernetes, &registry, "--loader-image a..b:v1"))
        .await
        .refused(2);
    assert!(stderr.contains("--loader-image"), "{stderr}");
    assert_eq!(kubernetes.changes(), Vec::<String>::new());
}
