use std::sync::Mutex;

use serde_json::{Value, json};

use super::super::fixtures::{Run, components, stack, values};
use super::super::manifest;
use super::super::wire::Wire;
use super::super::{apply, certificate::Certificates};
use super::*;
use crate::names::ANNOTATION_LOAD_IMAGE;
use crate::report::Silent;

const APP_PATH: &str = "/apis/apps/v1/namespaces/web-app/deployments/web-app";
const RECORD: &str = "/api/v1/namespaces/web-app/secrets/provisioner-demo";
const BEFORE: &str = "r/web-app@sha256:00";
const GOOD: &str = "r/web-app@sha256:01";
/// Its pods end at once, over and over.
const BAD: &str = "r/web-app@sha256:0bad";

/// What the Deployment's controller does, as far as it is looked at.
fn controller(object: &mut Value) {
    if object["kind"] == "Deployment" {
        let bad = object["spec"]["template"]["spec"]["containers"][0]["image"] == BAD;
        let status = json!({"observedGeneration": 1, "replicas": 1 + u8::from(bad), "updatedReplicas": 1, "availableReplicas": 1});
        object["status"] = status;
    }
}

/// A stack that bootstrap applied, and what its controllers do from then on.
async fn installed() -> Wire {
    let wire = Wire::default();
    wire.state().react = Some(controller);
    let mut all = components();
    parent::annotate(&mut all, &stack(), ANNOTATION_LOAD_IMAGE, "r/load@sha256:00");
    let applied = apply::apply(&wire.cluster(), &stack(), &all, Options::default(), &Silent).await;
    applied.expect("applied");
    pod(&wire, "old", BEFORE, true);
    wire.state().log.clear();
    wire
}

fn pod(wire: &Wire, name: &str, image: &str, ready: bool) {
    let status = if ready { "True" } else { "False" };
    let waiting = json!({"waiting": {"reason": "CrashLoopBackOff"}});
    let pod = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "web-app", "labels": {"app": "web-app"}},
        "spec": {"containers": [{"name": "app", "image": image}]},
        "status": {"conditions": [{"type": "Ready", "status": status}],
            "containerStatuses": [{"restartCount": 3, "state": if ready { json!({"running": {}}) } else { waiting }}]}});
    wire.put(&format!("/api/v1/namespaces/web-app/pods/{name}"), pod);
}

fn images(app: &str) -> Images {
    Images {
        app: app.to_owned(),
        load: Some("r/load@sha256:01".to_owned()),
    }
}

#[tokio::test]
async fn only_images_of_this_stack_are_its_own() {
    let wire = installed().await;
    let cluster = wire.cluster();
    let of = async |name: &str| {
        let stack = name.parse().expect("a name");
        let installed = super::installed(&cluster, &stack, "web-app").await;
        installed.expect("answered").images
    };
    let load = "r/load@sha256:00";
    assert_eq!(of("demo").await, [BEFORE, load]);
    assert!(of("other").await.is_empty(), "the Deployment is another stack's");
    wire.state().objects.remove(APP_PATH);
    assert_eq!(of("demo").await, [load], "the record outlives the app");
    wire.state().objects.remove(RECORD);
    assert!(of("demo").await.is_empty(), "a stack that is gone has none");
}

/// A run, and what it said before its first change.
async fn run(wire: &Wire, app: &str, rollback: bool) -> (Result<Rolled, ClusterError>, Option<Moved>) {
    let run = Run::new();
    let begun = Mutex::new(None);
    let rollout = Rollout {
        images: &images(app),
        rollback,
        options: Options::default(),
        timeout: Duration::from_mins(1),
        begun: &|moved| *begun.lock().expect("lock") = Some(moved.clone()),
    };
    let rolled = Box::pin(roll(&wire.cluster(), run.terms(), rollout, &Silent)).await;
    (rolled, begun.into_inner().expect("lock"))
}

fn image(wire: &Wire) -> String {
    let object = wire.state().objects[APP_PATH].clone();
    let image = &object["spec"]["template"]["spec"]["containers"][0]["image"];
    image.as_str().unwrap_or_default().to_owned()
}

fn load_image(wire: &Wire) -> Value {
    wire.state().objects[RECORD]["metadata"]["annotations"][ANNOTATION_LOAD_IMAGE].clone()
}

/// Requests that change something, those of the Lease left out.
fn changed(wire: &Wire) -> Vec<String> {
    let changes = wire.changes().into_iter().filter(|line| !line.contains("/leases"));
    changes
        .map(|line| line.split('?').next().unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test]
async fn a_new_image_is_applied_under_the_lease_and_a_bootstrap_with_it_finds_nothing_to_do() {
    let wire = installed().await;
    let (rolled, begun) = run(&wire, GOOD, false).await;
    let rolled = rolled.expect("rolled out");
    assert!(matches!(rolled.end, End::RolledOut), "{rolled:?}");
    assert_eq!(rolled.moved.previous.as_deref(), Some(BEFORE));
    assert_eq!(begun, Some(rolled.moved));
    assert_eq!(changed(&wire), [format!("PATCH {APP_PATH}"), format!("PATCH {RECORD}")]);
    let all = wire.changes();
    assert!(all[0].starts_with("POST") && all[0].contains("/leases"), "{all:#?}");
    assert!(all[3].starts_with("DELETE") && all[3].contains("/leases"), "{all:#?}");

    wire.state().log.clear();
    let mut values = values();
    values.app_image = GOOD.to_owned();
    let mut wanted = manifest::load(None, &[], &values, &Certificates::default()).expect("loads");
    parent::annotate(&mut wanted, &stack(), ANNOTATION_LOAD_IMAGE, "r/load@sha256:01");
    let planned = changes::plan(&wire.cluster(), &stack(), &wanted, Options::default()).await;
    let planned = planned.expect("planned");
    let differing: Vec<_> = planned.iter().filter(|one| !one.is_as_wanted()).collect();
    assert!(differing.is_empty(), "{differing:#?}");
}

#[tokio::test]
async fn what_is_sent_is_all_that_bootstrap_applied_with_another_image() {
    let wire = installed().await;
    let live = wire.cluster().get(&deployment()).await.expect("read").expect("there");
    let standing = Standing::read(&wire.cluster(), &stack(), "web-app", Options::default()).await;
    let wanted = standing.expect("ours").wanted(&images(GOOD));
    let sent = serde_json::to_value(&wanted[0].1).expect("JSON");
    let applied = components().into_iter().flat_map(|component| component.objects);
    let mut applied = applied.filter(|object| ObjectRef::of(object) == deployment());
    let mut want = serde_json::to_value(applied.next()).expect("JSON");
    want["spec"]["template"]["spec"]["containers"][0]["image"] = GOOD.into();
    assert_eq!(sent, want);
    assert!(live.data.get("status").is_some() && sent.get("status").is_none());
}

fn deployment() -> ObjectRef {
    ObjectRef {
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        namespace: Some("web-app".to_owned()),
        name: "web-app".to_owned(),
    }
}

#[tokio::test]
async fn an_image_that_runs_already_is_waited_for_and_nothing_is_written() {
    let wire = installed().await;
    run(&wire, GOOD, false).await.0.expect("rolled out");
    wire.state().log.clear();
    pod(&wire, "old", GOOD, true);
    let rolled = run(&wire, GOOD, true).await.0.expect("rolled out");
    assert!(matches!(rolled.end, End::RolledOut), "{rolled:?}");
    assert_eq!(rolled.moved.previous, None);
    assert_eq!(wire.changes(), Vec::<String>::new());
}

#[tokio::test]
async fn an_image_that_fails_is_left_with_its_cause_and_what_runs() {
    let wire = installed().await;
    pod(&wire, "new", BAD, false);
    let (rolled, begun) = run(&wire, BAD, false).await;
    let rolled = rolled.expect("applied");
    let End::Failed(why) = &rolled.end else {
        panic!("{rolled:?}");
    };
    assert!(why.to_string().contains("CrashLoopBackOff"), "{why}");
    assert_eq!(image(&wire), BAD);
    let running: Vec<_> = rolled
        .running
        .iter()
        .map(|one| (one.image.as_str(), one.ready, one.pods))
        .collect();
    assert_eq!(running, [(BEFORE, 1, 1), (BAD, 0, 1)]);
    assert_eq!(begun.and_then(|moved| moved.previous).as_deref(), Some(BEFORE));
}

#[tokio::test]
async fn an_image_that_fails_is_taken_back_with_the_load_generators_where_asked() {
    let wire = installed().await;
    pod(&wire, "new", BAD, false);
    let (rolled, begun) = run(&wire, BAD, true).await;
    let rolled = rolled.expect("applied");
    assert!(matches!(rolled.end, End::RolledBack(_)), "{rolled:?}");
    assert_eq!(
        (image(&wire).as_str(), load_image(&wire)),
        (BEFORE, "r/load@sha256:00".into())
    );
    assert_eq!(begun, Some(rolled.moved));
}

#[tokio::test]
async fn a_failed_image_that_was_left_is_taken_back_by_the_next_run_to_what_still_serves() {
    let wire = installed().await;
    pod(&wire, "new", BAD, false);
    run(&wire, BAD, false).await.0.expect("applied");
    let rolled = run(&wire, BAD, true).await.0.expect("applied");
    assert!(matches!(rolled.end, End::RolledBack(_)), "{rolled:?}");
    assert_eq!(rolled.moved.previous.as_deref(), Some(BEFORE));
    assert_eq!(image(&wire), BEFORE);
}

#[tokio::test]
async fn what_cannot_be_taken_back_says_both_reasons() {
    let wire = installed().await;
    pod(&wire, "new", BAD, false);
    // Going back is refused: only the way there is not.
    wire.state().react = Some(|object| {
        controller(object);
        if object["kind"] == "Deployment" {
            object["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "Helm".into();
        }
    });
    let rolled = run(&wire, BAD, true).await.0.expect("applied");
    let End::NotRolledBack(why, error) = &rolled.end else {
        panic!("{rolled:?}");
    };
    assert!(why.to_string().contains("CrashLoopBackOff"), "{why}");
    assert!(error.to_string().contains("lost its labels"), "{error}");
    assert_eq!(image(&wire), BAD);
}

type Change = fn(&mut Value);

#[tokio::test]
async fn where_there_is_no_stack_or_not_ours_nothing_is_sent() {
    let check = async |wire: &Wire| check(&wire.cluster(), &stack(), "web-app", Options::default()).await;
    assert!(!check(&Wire::default()).await.expect("read"));

    let wire = installed().await;
    assert!(check(&wire).await.expect("ours"));
    wire.state().objects.remove(APP_PATH);
    let error = check(&wire).await.expect_err("absent");
    assert!(
        matches!(error, ClusterError::NotInstalled { .. }) && error.is_refusal(),
        "{error}"
    );

    let cases: [(&str, Change, &str); 4] = [
        (
            APP_PATH,
            |o| o["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "Helm".into(),
            "lost its labels",
        ),
        (
            APP_PATH,
            |o| o["metadata"]["managedFields"] = json!([]),
            "does not say which",
        ),
        (APP_PATH, taken_by_kubectl, "`kubectl-set`"),
        (
            RECORD,
            |o| o["metadata"]["annotations"]["applyset.kubernetes.io/tooling"] = "provisioner/v99.0.0".into(),
            "99.0.0",
        ),
    ];
    for (path, change, says) in cases {
        let wire = installed().await;
        change(wire.state().objects.get_mut(path).expect("there"));
        let error = check(&wire).await.expect_err(says);
        assert!(
            error.to_string().contains(says) && error.is_refusal(),
            "{says}: {error}"
        );
        run(&wire, GOOD, true).await.0.expect_err(says);
        assert_eq!(changed(&wire), [""; 0], "{says}");
    }
}

/// `kubectl set image` takes the field over.
fn taken_by_kubectl(object: &mut Value) {
    let ours = &mut object["metadata"]["managedFields"][0]["fieldsV1"];
    let container = &mut ours["f:spec"]["f:template"]["f:spec"]["f:containers"]["k:{\"name\":\"app\"}"];
    container.as_object_mut().expect("a container").remove("f:image");
    let theirs = json!({"manager": "kubectl-set", "operation": "Update", "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {"f:image": {}}}}}}}});
    object["metadata"]["managedFields"]
        .as_array_mut()
        .expect("managers")
        .push(theirs);
}

#[tokio::test]
async fn another_image_that_comes_meanwhile_is_neither_counted_nor_taken_back() {
    let wire = installed().await;
    // Somebody else moves on as soon as ours is there.
    wire.state().react = Some(|object| {
        controller(object);
        if object["kind"] == "Deployment" && object["spec"]["template"]["spec"]["containers"][0]["image"] == GOOD {
            object["spec"]["template"]["spec"]["containers"][0]["image"] = "r/web-app@sha256:02".into();
        }
    });
    let rolled = run(&wire, GOOD, true).await.0.expect("applied");
    let End::NotRolledBack(ClusterError::Overtaken { .. }, ClusterError::Overtaken { image, .. }) = &rolled.end else {
        panic!("{rolled:?}");
    };
    assert_eq!(image, "r/web-app@sha256:02");
    assert_eq!(super::tests::image(&wire), "r/web-app@sha256:02");
}

#[tokio::test]
async fn a_crash_at_any_point_is_mended_by_the_next_run() {
    let wire = installed().await;
    run(&wire, GOOD, false).await.0.expect("rolled out");
    let calls = wire.state().log.len();
    for answers in 0..calls {
        let wire = installed().await;
        Box::pin(wire.until_silent(answers, run(&wire, GOOD, false))).await;
        // The holder is the same: its own lease does not keep it out.
        let rolled = run(&wire, GOOD, false).await.0.expect("rolled out");
        assert!(matches!(rolled.end, End::RolledOut), "after {answers} of {calls} calls");
        assert_eq!(
            (image(&wire).as_str(), load_image(&wire)),
            (GOOD, "r/load@sha256:01".into())
        );
    }
}
