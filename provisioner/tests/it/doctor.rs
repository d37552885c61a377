//! `doctor`, as people run it, against an API server in memory.

use serde_json::{Value, json};

use crate::run::{Ended, Run};
use crate::support::kubernetes::Kubernetes;

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/web-app/deployments/web-app";

async fn run(kubernetes: &Kubernetes, line: &str) -> Ended {
    let run = Run::of(&format!("{line} --kube-context test --name demo"));
    let run = run.file(".kube/config", &kubernetes.kubeconfig());
    tokio::task::spawn_blocking(|| run.end()).await.unwrap()
}

fn app(replicas: u64) -> Value {
    let labels = json!({"app": "web-app"});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web-app", "namespace": "web-app"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}},
        "status": {"replicas": replicas, "readyReplicas": replicas}})
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_broken_hop_is_named_with_its_fix_and_exit_code_1_and_nothing_is_changed() {
    let kubernetes = Kubernetes::start().await;
    let ended = run(&kubernetes, "doctor --output json").await;
    assert_eq!(ended.code(), 1, "{}", ended.stderr());
    let json: Value = serde_json::from_str(&ended.stdout()).unwrap();
    let head = ["schema", "healthy", "broken", "code"].map(|field| &json[field]);
    assert_eq!(
        head,
        [&json!(1), &json!(false), &json!("pods"), &json!("not_found")],
        "{json}"
    );
    assert_eq!(json["hops"].as_array().map(Vec::len), Some(13));
    assert_eq!(
        json["hops"][0]["fixes"],
        json!(["provisioner bootstrap --kube-context test --name demo"])
    );
    kubernetes.put(DEPLOYMENT, app(0));
    let ended = run(&kubernetes, "doctor").await;
    assert_eq!(ended.code(), 1, "{}", ended.stderr());
    let stdout = ended.stdout();
    let end = stdout.split("\n\n").last().unwrap();
    let fix = "kubectl --context test --namespace web-app scale deployment/web-app --replicas=1";
    assert_eq!(end, format!("first broken: app pods (scaled_to_zero)\nfix:  {fix}\n"));
    // Asking who may do what is a POST that stores nothing.
    let reviews = "POST /apis/authorization.k8s.io/v1/subjectaccessreviews";
    assert!(
        kubernetes.changes().iter().all(|change| change == reviews),
        "{:?}",
        kubernetes.changes()
    );
}
