//! The number of pods is the autoscaler's: it is never sent, and never falls to the server's default.

use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::changes::{self, Options};
use super::fixtures::{components, stack};
use super::manifest::Component;
use super::wire::Wire;
use super::{ClusterError, ObjectRef, apply, scale};
use crate::report::{Outcome, Silent};

const APP: &str = "/apis/apps/v1/namespaces/web-app/deployments/web-app";

async fn up(wire: &Wire, wanted: &[Component]) {
    let applied = apply::apply(&wire.cluster(), &stack(), wanted, Options::default(), &Silent).await;
    applied.expect("applied");
}

/// As a version of this program did that still sent the number of pods.
fn with_replicas(replicas: u64) -> Vec<Component> {
    let mut all = components();
    for object in all.iter_mut().flat_map(|component| &mut component.objects) {
        if object.metadata.name.as_deref() == Some("web-app") && object.data["spec"]["strategy"].is_object() {
            object.data["spec"]["replicas"] = replicas.into();
        }
    }
    all
}

fn replicas(wire: &Wire) -> Value {
    wire.state().objects[APP]["spec"]["replicas"].clone()
}

fn owners(wire: &Wire) -> Vec<Value> {
    let entries = wire.state().objects[APP]["metadata"]["managedFields"].clone();
    let entries = entries.as_array().cloned().unwrap_or_default().into_iter();
    let owners = entries.filter(|entry| !entry["fieldsV1"]["f:spec"]["f:replicas"].is_null());
    owners.map(|entry| entry["manager"].clone()).collect()
}

#[test]
fn what_an_autoscaler_scales_says_no_number_of_pods() {
    let mut all = with_replicas(3);
    scale::leave_to_autoscalers(&mut all);
    let objects: Vec<_> = all.iter().flat_map(|component| &component.objects).collect();
    let stated = |name: &str| {
        let found = objects.iter().find(|object| {
            object.metadata.name.as_deref() == Some(name) && object.data["spec"]["template"].is_object()
        });
        found.map(|object| object.data["spec"]["replicas"].clone())
    };
    assert_eq!(stated("web-app"), Some(Value::Null));
    assert_eq!(stated("prometheus"), Some(json!(1)));
}

#[tokio::test]
async fn a_number_that_we_sent_once_is_handed_over_and_stays() {
    let wire = Wire::default();
    up(&wire, &with_replicas(5)).await;
    assert_eq!((replicas(&wire), owners(&wire)), (json!(5), vec![json!("provisioner")]));
    let planned = changes::plan(&wire.cluster(), &stack(), &components(), Options::default()).await;
    let planned = planned.expect("planned");
    let updated: Vec<_> = planned
        .iter()
        .filter(|p| !p.is_as_wanted())
        .map(|p| &p.change)
        .collect();
    assert_eq!(updated.len(), 1);
    assert_eq!(updated[0].fields, [scale::HANDED_OVER]);
    up(&wire, &components()).await;
    assert_eq!(
        (replicas(&wire), owners(&wire)),
        (json!(5), vec![json!("provisioner-handover")])
    );
    let again = changes::plan(&wire.cluster(), &stack(), &components(), Options::default()).await;
    assert!(again.expect("planned").iter().all(changes::Planned::is_as_wanted));
}

#[tokio::test]
async fn a_number_that_was_handed_over_comes_back_where_the_autoscaler_is_wanted_no_longer() {
    let wire = Wire::default();
    up(&wire, &with_replicas(5)).await;
    up(&wire, &components()).await;
    let mut fixed = with_replicas(2);
    for component in &mut fixed {
        let is_hpa = |object: &DynamicObject| ObjectRef::of(object).kind == "HorizontalPodAutoscaler";
        component.objects.retain(|object| !is_hpa(object));
    }
    // Somebody else's word on it counts, though.
    let theirs = json!({"manager": "kubectl", "operation": "Update", "subresource": "scale",
        "fieldsV1": {"f:spec": {"f:replicas": {}}}});
    let add = |state: &mut Value, entry: &Value| {
        let managers = state["metadata"]["managedFields"].as_array_mut().expect("managers");
        managers.push(entry.clone());
    };
    let before = wire.state().objects[APP].clone();
    add(wire.state().objects.get_mut(APP).expect("there"), &theirs);
    let planned = changes::plan(&wire.cluster(), &stack(), &fixed, Options::default()).await;
    assert!(matches!(planned, Err(ClusterError::Rejected(_))), "{planned:?}");
    wire.state().objects.insert(APP.to_owned(), before);
    up(&wire, &fixed).await;
    assert_eq!((replicas(&wire), owners(&wire)), (json!(2), vec![json!("provisioner")]));
}

#[tokio::test]
async fn without_the_handover_the_server_would_leave_one_pod() {
    let wire = Wire::default();
    up(&wire, &with_replicas(5)).await;
    let wanted = components();
    let app = wanted.iter().flat_map(|component| &component.objects);
    let app = app.filter(|object| object.metadata.name.as_deref() == Some("web-app"));
    let app = app
        .into_iter()
        .find(|object| object.data["spec"]["strategy"].is_object())
        .expect("the app");
    let object = super::ObjectRef::of(app);
    changes::send(&wire.cluster(), &object, app, Options::default(), false)
        .await
        .expect("sent");
    assert_eq!(replicas(&wire), json!(1));
}

#[tokio::test]
async fn a_number_that_another_manager_set_is_left_alone() {
    let wire = Wire::default();
    up(&wire, &components()).await;
    if let Some(app) = wire.state().objects.get_mut(APP) {
        app["spec"]["replicas"] = 7.into();
        let entry = json!({"manager": "kubectl", "operation": "Update", "subresource": "scale",
            "fieldsV1": {"f:spec": {"f:replicas": {}}}});
        app["metadata"]["managedFields"]
            .as_array_mut()
            .expect("managers")
            .push(entry);
    }
    wire.state().log.clear();
    let applied = apply::apply(&wire.cluster(), &stack(), &components(), Options::default(), &Silent).await;
    let applied = applied.expect("applied");
    assert!(
        applied
            .iter()
            .all(|change| matches!(change.outcome, Outcome::Unchanged | Outcome::Skipped))
    );
    assert_eq!((replicas(&wire), wire.changes()), (json!(7), Vec::new()));
}

#[tokio::test]
async fn what_the_autoscaler_writes_during_the_handover_wins() {
    let wire = Wire::default();
    up(&wire, &with_replicas(5)).await;
    // It takes the field between the look and the handover.
    wire.state().between = Some((APP, |app| {
        app["spec"]["replicas"] = 9.into();
        app["metadata"]["resourceVersion"] = "later".into();
        for entry in app["metadata"]["managedFields"].as_array_mut().into_iter().flatten() {
            if let Some(spec) = entry["fieldsV1"]["f:spec"].as_object_mut() {
                spec.remove("f:replicas");
            }
        }
    }));
    let object = super::ObjectRef {
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        namespace: Some("web-app".to_owned()),
        name: "web-app".to_owned(),
    };
    scale::hand_over(&wire.cluster(), &object).await.expect("handed over");
    assert_eq!((replicas(&wire), owners(&wire)), (json!(9), Vec::new()));
}
