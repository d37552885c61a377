//! What is others' or was ours: taken over and given back, marked again, refused.

use std::time::Duration;

use serde_json::{Value, json};

use super::changes::{self, Change, Options};
use super::fixtures::{Run, components, stack};
use super::prune_tests::{prune, without};
use super::wire::Wire;
use super::{ClusterError, apply, delete, parent, take_over};
use crate::names::ANNOTATION_REPLACED;
use crate::report::{Outcome, Silent};

const SERVICE: &str = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.custom.metrics.k8s.io";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/web-app/deployments/web-app";
const PARENT: &str = "/api/v1/namespaces/web-app/secrets/provisioner-demo";
const BACKEND: &str = "/apis/discovery.k8s.io/v1/namespaces/keda/endpointslices/keda-metrics-x";

async fn up(wire: &Wire, options: Options) -> Result<Vec<Change>, ClusterError> {
    let (cluster, mut components) = (wire.cluster(), components());
    let parent = parent::read(&cluster, &stack(), "web-app").await?.unwrap_or_default();
    take_over::remember(&cluster, &stack(), (&parent, options.take_over), &mut components).await?;
    apply::apply(&cluster, &stack(), &components, options, &Silent).await
}

async fn down(wire: &Wire) -> delete::DeleteReceipt {
    let (cluster, stack) = (wire.cluster(), stack());
    let removed = delete::delete_stack(&cluster, &stack, Duration::from_mins(1), &Silent);
    removed.await.expect("deleted")
}

fn take_over() -> Options {
    Options {
        take_over: true,
        ..Options::default()
    }
}

fn adopt() -> Options {
    Options {
        adopt: true,
        ..Options::default()
    }
}

/// A metrics API of others with its backend; what stands in it.
fn others(wire: &Wire) -> Value {
    let service = json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": "v1beta1.custom.metrics.k8s.io", "resourceVersion": "1",
            "labels": {"app.kubernetes.io/managed-by": "Helm"}, "annotations": {"a": "b"}},
        "spec": {"group": "custom.metrics.k8s.io", "version": "v1beta1", "insecureSkipTLSVerify": true,
            "service": {"namespace": "keda", "name": "keda-metrics"}},
    });
    wire.put(SERVICE, service.clone());
    let backend = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "keda-metrics-x", "namespace": "keda",
            "labels": {"kubernetes.io/service-name": "keda-metrics"}},
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": true}}]});
    wire.put(BACKEND, backend);
    service
}

fn facts(object: &Value) -> [Value; 3] {
    [
        object["metadata"]["labels"].clone(),
        object["metadata"]["annotations"].clone(),
        object["spec"].clone(),
    ]
}

#[tokio::test]
async fn a_metrics_api_of_others_is_refused_by_name_unless_it_is_taken_over() {
    let wire = Wire::default();
    others(&wire);
    let Err(ClusterError::Foreign(named)) = up(&wire, Options::default()).await else {
        panic!("refused");
    };
    assert_eq!(
        named,
        ["APIService `v1beta1.custom.metrics.k8s.io` is managed by `Helm`"]
    );
    assert_eq!(wire.changes(), Vec::<String>::new());
}

#[tokio::test]
async fn what_was_taken_over_is_given_back_at_teardown_also_after_more_runs() {
    let wire = Wire::default();
    let before = others(&wire);
    up(&wire, take_over()).await.expect("taken");
    let taken = wire.state().objects[SERVICE].clone();
    assert_eq!(taken["spec"]["service"]["name"], "custom-metrics-apiserver");
    assert_eq!(taken["spec"]["insecureSkipTLSVerify"], false);
    // The record outlives runs without the flag, which change nothing.
    let again = up(&wire, Options::default()).await.expect("applied");
    let quiet = |c: &Change| matches!(c.outcome, Outcome::Unchanged | Outcome::Skipped);
    assert!(again.iter().all(quiet), "{again:#?}");
    let receipt = down(&wire).await;
    let restored: Vec<String> = receipt.restored.iter().map(ToString::to_string).collect();
    assert_eq!(restored, ["APIService `v1beta1.custom.metrics.k8s.io`"]);
    assert_eq!(facts(&wire.state().objects[SERVICE]), facts(&before));
    assert!(!wire.state().objects.contains_key(PARENT));
}

#[tokio::test]
async fn an_api_whose_bundle_cert_manager_wrote_for_others_is_ours_alone_until_it_is_given_back() {
    let wire = Wire::default();
    let mut before = others(&wire);
    before["metadata"]["annotations"] = json!({"a": "b", "cert-manager.io/inject-ca-from-secret": "keda/certs",
        "cert-manager.io/inject-apiserver-ca": "true"});
    wire.put(SERVICE, before.clone());
    let changed = up(&wire, take_over()).await.expect("taken");
    let taken = wire.state().objects[SERVICE]["metadata"]["annotations"].clone();
    assert_eq!(taken, json!({"a": "b"}), "no injector writes another bundle");
    let of_it = changed.iter().find(|change| change.kind == "APIService").expect("told");
    let told = "metadata.annotations.cert-manager.io/inject-ca-from-secret".to_owned();
    assert!(of_it.fields.contains(&told), "{of_it:?}");
    let again = up(&wire, Options::default()).await.expect("applied");
    assert!(again.iter().all(|c| c.outcome != Outcome::Updated), "{again:#?}");
    down(&wire).await;
    assert_eq!(facts(&wire.state().objects[SERVICE]), facts(&before));
}

#[tokio::test]
async fn a_stack_that_no_longer_has_the_api_gives_it_back_and_forgets_it() {
    let wire = Wire::default();
    let before = others(&wire);
    up(&wire, take_over()).await.expect("taken");
    let wanted = || async {
        let mut left = without(&["adapter"]);
        let parent = parent::read(&wire.cluster(), &stack(), "web-app").await.expect("read");
        let parent = parent.unwrap_or_default();
        let remembered = take_over::remember(&wire.cluster(), &stack(), (&parent, false), &mut left).await;
        remembered.map(|()| left).expect("remembered")
    };
    let left = wanted().await;
    let applied = apply::apply(&wire.cluster(), &stack(), &left, Options::default(), &Silent).await;
    applied.expect("applied");
    let pruned = prune(&wire, &left).await.expect("pruned");
    let told = |outcome: Outcome| pruned.iter().filter(move |change| change.outcome == outcome).count();
    assert_eq!(told(Outcome::Updated), 1, "{pruned:#?}");
    assert!(told(Outcome::Deleted) > 5);
    assert_eq!(facts(&wire.state().objects[SERVICE]), facts(&before));
    assert_eq!(
        wire.state().objects[PARENT]["metadata"]["annotations"].get(ANNOTATION_REPLACED),
        None
    );
    let planned = changes::plan(&wire.cluster(), &stack(), &wanted().await, Options::default()).await;
    assert!(planned.expect("planned").iter().all(changes::Planned::is_as_wanted));
}

#[tokio::test]
async fn a_crash_at_any_point_of_the_teardown_still_gives_it_back() {
    let wire = Wire::default();
    others(&wire);
    up(&wire, take_over()).await.expect("taken");
    wire.state().log.clear();
    down(&wire).await;
    let calls = wire.state().log.len();
    for answers in (0..calls).step_by(3) {
        let wire = Wire::default();
        let before = others(&wire);
        up(&wire, take_over()).await.expect("taken");
        wire.until_silent(answers, Box::pin(down(&wire))).await;
        down(&wire).await;
        assert_eq!(
            facts(&wire.state().objects[SERVICE]),
            facts(&before),
            "after {answers} of {calls} calls"
        );
    }
}

#[tokio::test]
async fn what_would_break_discovery_or_is_others_by_now_is_not_given_back() {
    let wire = Wire::default();
    let theirs = others(&wire);
    up(&wire, take_over()).await.expect("taken");
    let not_ready = json!([{"addresses": ["10.0.0.1"], "conditions": {"ready": false}}]);
    wire.state().objects.get_mut(BACKEND).expect("there")["endpoints"] = not_ready;
    let before = wire.state().objects[SERVICE].clone();
    let receipt = down(&wire).await;
    assert_eq!(receipt.restored, []);
    assert!(
        !wire.state().objects.contains_key(SERVICE),
        "ours is gone, theirs has no backend"
    );
    // The record went with the stack: the receipt has the only copy.
    let [left] = receipt.left.as_slice() else {
        panic!("{receipt:?}");
    };
    let (why, manifest) = left.reason.split_once("once it has: ").expect("a manifest");
    assert!(why.contains("Service `keda/keda-metrics` has no backend"), "{why}");
    let manifest: Value = serde_json::from_str(manifest).expect("JSON");
    assert_eq!(facts(&manifest), facts(&theirs));
    assert_eq!(manifest["metadata"]["name"], before["metadata"]["name"]);

    let wire = Wire::default();
    others(&wire);
    up(&wire, take_over()).await.expect("taken");
    let newer = json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": "v1beta1.custom.metrics.k8s.io"}, "spec": {"version": "theirs"}});
    wire.put(SERVICE, newer);
    assert_eq!(down(&wire).await.restored, []);
    assert_eq!(wire.state().objects[SERVICE]["spec"]["version"], "theirs");
}

#[tokio::test]
async fn what_points_at_the_stacks_own_backend_is_never_taken_for_others() {
    let wire = Wire::default();
    let before = others(&wire);
    up(&wire, take_over()).await.expect("taken");
    lose_labels(&wire, SERVICE);
    up(&wire, take_over()).await.expect("taken again");
    let receipt = down(&wire).await;
    assert_eq!(receipt.restored.len(), 1);
    assert_eq!(facts(&wire.state().objects[SERVICE]), facts(&before));

    // With nothing of others before, there is nothing to give back.
    let wire = Wire::default();
    up(&wire, Options::default()).await.expect("applied");
    lose_labels(&wire, SERVICE);
    up(&wire, take_over()).await.expect("taken");
    let receipt = down(&wire).await;
    assert_eq!((receipt.restored, receipt.left), (vec![], vec![]));
    assert!(!wire.state().objects.contains_key(SERVICE));

    // Nor is there where a record says what is there.
    let wire = Wire::default();
    up(&wire, Options::default()).await.expect("applied");
    let ours = wire.state().objects[SERVICE]["spec"].clone();
    record(&wire, &json!({"v1beta1.custom.metrics.k8s.io": {"spec": ours}}));
    assert_eq!(down(&wire).await.restored, []);
    assert!(!wire.state().objects.contains_key(SERVICE));
}

/// Writes what the stack replaced, as a run before did.
fn record(wire: &Wire, records: &Value) {
    let mut state = wire.state();
    let parent = state.objects.get_mut(PARENT).expect("there");
    parent["metadata"]["annotations"][ANNOTATION_REPLACED] = records.to_string().into();
}

#[tokio::test]
async fn each_of_several_that_were_taken_over_is_given_back() {
    let wire = Wire::default();
    let before = others(&wire);
    up(&wire, take_over()).await.expect("taken");
    // A run of a version that wants another API too, which this one does not replace any more.
    let text = wire.state().objects[PARENT]["metadata"]["annotations"][ANNOTATION_REPLACED].clone();
    let mut records: Value = serde_json::from_str(text.as_str().expect("a record")).expect("JSON");
    records["v1beta2.custom.metrics.k8s.io"] = json!({"spec": {"version": "v1beta2"}});
    record(&wire, &records);
    lose_labels(&wire, SERVICE);
    wire.state().objects.get_mut(SERVICE).expect("there")["spec"] = before["spec"].clone();
    up(&wire, take_over()).await.expect("taken again");
    let receipt = down(&wire).await;
    let restored: Vec<&str> = receipt.restored.iter().map(|object| object.name.as_str()).collect();
    assert_eq!(
        restored,
        ["v1beta1.custom.metrics.k8s.io", "v1beta2.custom.metrics.k8s.io"]
    );
    assert_eq!(wire.state().objects[SERVICE]["spec"], before["spec"]);
    let other = SERVICE.replace("v1beta1.", "v1beta2.");
    assert_eq!(wire.state().objects[&other]["spec"]["version"], "v1beta2");
}

/// Takes the labels away, as a careless edit does; the server still knows who applied the object.
fn lose_labels(wire: &Wire, path: &str) {
    let mut state = wire.state();
    let object = state.objects.get_mut(path).expect("there");
    object["metadata"]["labels"] = json!({"app": "web-app"});
    object["metadata"]["managedFields"] = json!([{"manager": "provisioner", "operation": "Apply"}]);
}

#[tokio::test]
async fn objects_that_lost_their_labels_are_refused_by_name_and_marked_again_where_asked() {
    let wire = Wire::default();
    up(&wire, Options::default()).await.expect("applied");
    lose_labels(&wire, DEPLOYMENT);
    lose_labels(&wire, "/api/v1/namespaces/monitoring");
    let Err(ClusterError::Foreign(named)) = up(&wire, Options::default()).await else {
        panic!("refused");
    };
    assert_eq!(
        named,
        ["Deployment `web-app/web-app` was applied by provisioner and lost its labels"]
    );
    let changes = up(&wire, adopt()).await.expect("adopted");
    let updated: Vec<&str> = changes
        .iter()
        .filter(|c| c.outcome == Outcome::Updated)
        .map(|c| c.name.as_str())
        .collect();
    assert_eq!(updated, ["monitoring", "web-app"]);
    down(&wire).await;
    let left: Vec<String> = wire.state().objects.keys().cloned().collect();
    assert_eq!(left, Vec::<String>::new());
}

#[tokio::test]
async fn what_others_applied_or_another_stack_owns_is_never_adopted() {
    for (labels, manager) in [
        (json!({}), "helm"),
        (
            json!({"app.kubernetes.io/managed-by": "provisioner", "app.kubernetes.io/part-of": "other"}),
            "provisioner",
        ),
    ] {
        let wire = Wire::default();
        let foreign = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web-app",
            "namespace": "web-app", "labels": labels, "managedFields": [{"manager": manager, "operation": "Apply"}]}});
        wire.put(DEPLOYMENT, foreign);
        assert!(
            matches!(up(&wire, adopt()).await, Err(ClusterError::Foreign(_))),
            "{manager}"
        );
    }
}

#[tokio::test]
async fn a_stack_of_a_newer_binary_is_refused_and_of_an_older_one_is_not() {
    let wire = Wire::default();
    let check = || async { parent::check_version(&wire.cluster(), &stack(), "web-app").await };
    check().await.expect("no stack yet");
    up(&wire, Options::default()).await.expect("applied");
    check().await.expect("ours");
    let tooling = |version: &str| {
        let mut state = wire.state();
        let parent = state.objects.get_mut(PARENT).expect("there");
        parent["metadata"]["annotations"]["applyset.kubernetes.io/tooling"] = version.into();
    };
    tooling("provisioner/v0.0.1");
    check().await.expect("older");
    tooling("provisioner/v99.0.0");
    let error = check().await.expect_err("newer");
    assert!(error.is_configuration(), "nothing was changed");
    let ours = env!("CARGO_PKG_VERSION");
    assert_eq!(
        error.to_string(),
        format!("cannot change stack `demo`: provisioner 99.0.0 applied it, and this is {ours}")
    );
}

#[tokio::test]
async fn a_stack_that_a_newer_binary_applied_before_the_lease_was_had_is_not_deleted() {
    let wire = Wire::default();
    up(&wire, Options::default()).await.expect("applied");
    let annotation = "applyset.kubernetes.io/tooling";
    wire.state().objects.get_mut(PARENT).expect("there")["metadata"]["annotations"][annotation] =
        "provisioner/v99.0.0".into();
    let objects = wire.state().objects.len();
    wire.state().log.clear();
    let run = Run::new();
    let refused = delete::delete_alone(&wire.cluster(), run.terms(), Duration::from_mins(1), &Silent).await;
    assert!(matches!(refused, Err(ClusterError::Newer { .. })), "{refused:?}");
    assert_eq!(wire.state().objects.len(), objects);
    // It was asked under the lease, or the answer could be stale.
    let at = |what: &str| wire.state().log.iter().position(|call| call.starts_with(what));
    let (leased, asked) = (at("POST /apis/coordination.k8s.io"), at(&format!("GET {PARENT}")));
    assert!(leased.is_some() && leased < asked, "{leased:?} {asked:?}");
}
