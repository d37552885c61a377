use serde_json::json;

use super::*;

fn object(value: Value) -> DynamicObject {
    serde_json::from_value(value).expect("an object")
}

/// A Deployment as its manifest states it.
fn wanted() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "x", "namespace": "n", "labels": {"app": "x"}},
        "spec": {
            "selector": {"matchLabels": {"app": "x"}},
            "template": {"spec": {
                "containers": [{"name": "app", "image": "a", "args": ["serve"],
                    "ports": [{"containerPort": 8080, "name": "http"}]}, {"name": "side", "image": "s"}],
                "volumes": [{"name": "tmp", "emptyDir": {}}],
            }},
        },
    })
}

/// The same as a server answers: with defaults, status, other managers' fields and the record of ours.
fn live() -> Value {
    let mut live = wanted();
    live["metadata"]["labels"]["theirs"] = "1".into();
    live["metadata"]["resourceVersion"] = "7".into();
    live["spec"]["replicas"] = 4.into();
    live["status"] = json!({"replicas": 4});
    let containers = &mut live["spec"]["template"]["spec"]["containers"];
    containers[0]["ports"][0]["protocol"] = "TCP".into();
    containers[0]["imagePullPolicy"] = "IfNotPresent".into();
    let ours = json!({
        "f:metadata": {"f:labels": {"f:app": {}}},
        "f:spec": {
            "f:selector": {},
            "f:template": {"f:spec": {
                "f:containers": {
                    "k:{\"name\":\"app\"}": {
                        ".": {}, "f:name": {}, "f:image": {}, "f:args": {},
                        "f:ports": {"k:{\"containerPort\":8080,\"protocol\":\"TCP\"}": {
                            ".": {}, "f:containerPort": {}, "f:name": {}}}},
                    "k:{\"name\":\"side\"}": {".": {}, "f:name": {}, "f:image": {}}},
                "f:volumes": {"k:{\"name\":\"tmp\"}": {".": {}, "f:emptyDir": {}, "f:name": {}}},
            }},
        },
    });
    let theirs = json!({"f:metadata": {"f:labels": {"f:theirs": {}}}, "f:spec": {"f:replicas": {}}});
    let entry = |manager: &str, operation: &str, fields: Value| {
        json!({"manager": manager, "operation": operation, "apiVersion": "apps/v1",
            "fieldsType": "FieldsV1", "fieldsV1": fields})
    };
    live["metadata"]["managedFields"] = json!([
        entry("kube-controller-manager", "Update", theirs),
        entry("provisioner", "Apply", ours)
    ]);
    live
}

#[test]
fn what_is_stated_and_recorded_with_the_same_values_is_as_wanted() {
    assert!(holds(&object(wanted()), &object(live())));
}

#[test]
fn whatever_an_apply_would_change_is_to_be_asked() {
    let edits: [(&str, &str, Value); 8] = [
        ("another value", "/spec/template/spec/containers/0/image", "b".into()),
        (
            "more of a list that is owned as a whole",
            "/spec/template/spec/containers/0/args",
            json!(["serve", "-v"]),
        ),
        (
            "less of a map that is owned as a whole",
            "/spec/selector/matchLabels",
            json!({}),
        ),
        (
            "a field more",
            "/spec/template/spec/containers/1",
            json!({"name": "side", "image": "s", "tty": true}),
        ),
        (
            "a field less",
            "/spec/template/spec/containers/1",
            json!({"name": "side"}),
        ),
        ("an item less", "/spec/template/spec/volumes", json!([])),
        (
            "an item more",
            "/spec/template/spec/volumes",
            json!([{"name": "tmp", "emptyDir": {}}, {"name": "b"}]),
        ),
        (
            "what others have",
            "/metadata/labels",
            json!({"app": "x", "theirs": "1"}),
        ),
    ];
    for (what, path, value) in edits {
        let mut other = wanted();
        *other.pointer_mut(path).expect(path) = value;
        assert!(!holds(&object(other), &object(live())), "{what}");
    }
    let mut order = wanted();
    order["spec"]["template"]["spec"]["containers"]
        .as_array_mut()
        .expect("a list")
        .reverse();
    assert!(!holds(&object(order), &object(live())), "another order");
}

#[test]
fn what_others_did_since_is_to_be_asked() {
    let edits: [(&str, &str, Value); 6] = [
        ("a value", "/spec/template/spec/containers/0/image", "b".into()),
        (
            "a default that is stated",
            "/spec/template/spec/containers/0/ports/0/containerPort",
            9090.into(),
        ),
        ("an owner", "/metadata/managedFields/1/fieldsV1/f:metadata", json!({})),
        ("the record", "/metadata/managedFields", json!([])),
        ("the manager", "/metadata/managedFields/1/operation", "Update".into()),
        ("the version", "/metadata/managedFields/1/apiVersion", "apps/v2".into()),
    ];
    for (what, path, value) in edits {
        let mut other = live();
        *other.pointer_mut(path).expect(path) = value;
        assert!(!holds(&object(wanted()), &object(other)), "{what}");
    }
    let mut going = live();
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    assert!(!holds(&object(wanted()), &object(going)));
}

#[test]
fn an_object_without_labels_and_items_by_value_are_compared_too() {
    let metadata = json!({"name": "x", "managedFields": [{"manager": "provisioner", "operation": "Apply",
        "apiVersion": "v1", "fieldsType": "FieldsV1",
        "fieldsV1": {"f:finalizers": {"v:\"a\"": {}, "v:\"b\"": {}}}}]});
    let live = json!({"apiVersion": "v1", "kind": "X", "metadata": metadata, "finalizers": ["a", "theirs", "b"]});
    let with = |finalizers: Value| {
        let wanted = json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}, "finalizers": finalizers});
        holds(&object(wanted), &object(live.clone()))
    };
    assert!(with(json!(["a", "b"])));
    for other in [
        json!(["b", "a"]),
        json!(["a"]),
        json!(["a", "theirs"]),
        json!(["a", "a"]),
    ] {
        assert!(!with(other.clone()), "{other}");
    }
}
