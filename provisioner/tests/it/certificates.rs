//! cert-manager where there is none: known before anything changes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::fake_aws::FakeAws;
use crate::registry::push_to;
use crate::run::{Ended, Run};
use crate::support::image::image;
use crate::support::kubernetes::Kubernetes;
use crate::support::registry::{Auth, Registry};

#[path = "../e2e/signer.rs"]
mod signer;

#[test]
fn a_new_cluster_has_no_cert_manager_which_is_said_before_it_is_paid_for() {
    let aws = FakeAws::start();
    let line = "bootstrap --cluster demo --region eu-west-1 --create-cluster --yes --certificates cert-manager";
    let stderr = Run::in_workspace(line).aws(&aws.url).end().refused(2);
    assert!(stderr.contains("on a cluster that is yet to be made"), "{stderr}");
    assert!(stderr.contains("--certificates auto"), "{stderr}");
    assert!(aws.asked().iter().all(|call| !call.starts_with("Create")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_cert_manager_refuses_it_by_name_and_is_left_as_it_was() {
    let (kubernetes, registry) = (Kubernetes::start().await, Registry::start(Auth::Anonymous).await);
    push_to(&registry.repository("team/shop"), &image("one").await, Some("v1"))
        .await
        .expect("pushed");
    let address = registry.address();
    let line = format!(
        "bootstrap --kube-context test --name demo --registry {address}/team --image {address}/team/shop:v1 \
         --yes --certificates cert-manager"
    );
    let run = Run::in_workspace(&line).file(".kube/config", &kubernetes.kubeconfig());
    let stderr = end(run).await.refused(2);
    assert!(
        stderr.contains("cannot use cert-manager: the cluster does not know its kinds"),
        "{stderr}"
    );
    assert!(stderr.contains("--certificates own"), "{stderr}");
    assert_eq!(kubernetes.changes(), Vec::<String>::new());
}

async fn end(run: Run) -> Ended {
    tokio::task::spawn_blocking(|| run.end()).await.unwrap()
}

/// A stack whose adapter serves with a certificate of that age.
async fn serving(days: signer::Days) -> Kubernetes {
    let kubernetes = Kubernetes::start().await;
    let deployment =
        |spec: &Value| json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {}, "spec": spec});
    kubernetes.put(
        "/apis/apps/v1/namespaces/web-app/deployments/web-app",
        deployment(&json!({})),
    );
    let volumes = json!([{"name": "certs", "secret": {"secretName": "cm-adapter-serving-certs"}}]);
    kubernetes.put(
        "/apis/apps/v1/namespaces/custom-metrics/deployments/custom-metrics-apiserver",
        deployment(&json!({"template": {"spec": {"volumes": volumes}}})),
    );
    let signed = signer::serving(&signer::authority((1, 3650)), days);
    let data = json!({"tls.crt": STANDARD.encode(&signed.certificate), "tls.key": STANDARD.encode(&signed.key)});
    kubernetes.put(
        "/api/v1/namespaces/custom-metrics/secrets/cm-adapter-serving-certs",
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {}, "data": data}),
    );
    kubernetes
}

#[tokio::test(flavor = "multi_thread")]
async fn status_warns_of_a_certificate_with_less_than_a_third_of_its_life() {
    for (days, is_due) in [((300, 60), true), ((10, 355), false), ((400, -10), true)] {
        let kubernetes = serving(days).await;
        let run = Run::of("status --kube-context test --name demo --output json");
        let ended = end(run.file(".kube/config", &kubernetes.kubeconfig())).await;
        assert_eq!(ended.code(), 0, "{}", ended.stderr());
        let look: Value = serde_json::from_str(&ended.stdout()).unwrap();
        assert_eq!(look["certificate"]["is_due"], is_due, "{look}");
        assert_eq!(look["certificate"]["authority"], "own");
        let warned = ended.stderr().contains("run `provisioner bootstrap`, which renews it");
        assert_eq!(warned, is_due, "{}", ended.stderr());
    }
}
