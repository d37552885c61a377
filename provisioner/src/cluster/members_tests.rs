use serde_json::{Value, json};

use super::super::fixtures::stack;
use super::super::wire::Wire;
use super::*;

const MAPS: &str = "/api/v1/namespaces/a/configmaps";

fn object(name: &str) -> ObjectRef {
    ObjectRef {
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        namespace: Some("a".to_owned()),
        name: name.to_owned(),
    }
}

fn objects(count: usize) -> Vec<ObjectRef> {
    (0..count).map(|number| object(&format!("m{number}"))).collect()
}

fn put(wire: &Wire, name: &str, labels: &Value) {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "a", "labels": labels}});
    wire.put(&format!("{MAPS}/{name}"), map);
}

fn ours() -> Value {
    json!({"app.kubernetes.io/managed-by": "provisioner", "app.kubernetes.io/part-of": "demo"})
}

/// Names of what is read, and the requests that it took.
async fn found(wire: &Wire, objects: &[ObjectRef]) -> (Vec<String>, Vec<String>) {
    wire.state().log.clear();
    let found = read(&wire.cluster(), &stack(), objects).await.expect("read");
    for (object, live) in &found {
        assert_eq!(ObjectRef::of(live), *object, "what is listed says what it is");
    }
    let names = found.into_iter().map(|(object, _)| object.name).collect();
    (names, wire.state().log.clone())
}

#[tokio::test]
async fn many_members_are_one_list_and_few_are_asked_for() {
    let wire = Wire::default();
    for count in [1, MANY - 1, MANY, 200] {
        let all = objects(count);
        all.iter().for_each(|one| put(&wire, &one.name, &ours()));
        let (names, asked) = found(&wire, &all).await;
        let wanted: Vec<&String> = all.iter().map(|one| &one.name).collect();
        assert_eq!(names.iter().collect::<Vec<_>>(), wanted, "in their order");
        let requests = if count < MANY { count } else { 1 };
        assert_eq!(asked.len(), requests, "{asked:#?}");
    }
}

#[tokio::test]
async fn what_others_made_under_these_names_is_found_among_many_that_are_absent() {
    let wire = Wire::default();
    let all = objects(100);
    put(&wire, "m7", &json!({}));
    put(&wire, "unrelated", &json!({}));
    let (names, asked) = found(&wire, &all).await;
    assert_eq!(names, ["m7"]);
    // Members, names, and the one that is there.
    assert_eq!(asked.len(), 3, "{asked:#?}");
    assert!(asked[1].contains("limit="), "{asked:#?}");
}

#[tokio::test]
async fn where_names_are_too_many_or_not_told_each_object_is_asked_for() {
    let wire = Wire::default();
    let all = objects(MANY);
    for number in 0..=NAMES {
        put(&wire, &format!("theirs{number}"), &json!({}));
    }
    put(&wire, "m1", &json!({}));
    let (names, asked) = found(&wire, &all).await;
    assert_eq!(names, ["m1"]);
    assert_eq!(asked.len(), 2 + MANY, "{asked:#?}");
}

#[tokio::test]
async fn a_kind_that_the_cluster_does_not_know_has_no_objects() {
    let wire = Wire::default();
    let unknown = |object: ObjectRef| ObjectRef {
        kind: "Widget".to_owned(),
        ..object
    };
    let all: Vec<ObjectRef> = objects(MANY).into_iter().map(unknown).collect();
    let (names, asked) = found(&wire, &all).await;
    assert_eq!((names.len(), asked.len()), (0, 0), "{asked:#?}");
    let members = Members::list(&wire.cluster(), &stack(), &all).await.expect("listed");
    assert!(members.of_group_kind("Widget").is_none());
}

#[tokio::test]
async fn members_are_found_by_the_name_of_their_kind_in_whatever_version() {
    let wire = Wire::default();
    put(&wire, "m1", &ours());
    put(&wire, "theirs", &json!({}));
    let members = Members::list(&wire.cluster(), &stack(), &objects(1))
        .await
        .expect("listed");
    let (resource, found) = members.of_group_kind("ConfigMap").expect("listed");
    let names: Vec<&str> = found.filter_map(|one| one.metadata.name.as_deref()).collect();
    assert_eq!((resource.plural.as_str(), names), ("configmaps", vec!["m1"]));
    assert!(members.of_group_kind("ConfigMap.apps").is_none());
}
