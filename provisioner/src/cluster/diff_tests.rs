//! Table tests of differences.

use serde_json::json;

use super::*;

const UNBUILT: &str = "sha256:0000";

fn object(value: Value) -> DynamicObject {
    serde_json::from_value(value).expect("an object")
}

/// `kind` with `content`, which has `metadata` or not.
fn of(kind: &str, mut content: Value) -> DynamicObject {
    content["apiVersion"] = "v1".into();
    content["kind"] = kind.into();
    content["metadata"]["name"] = "x".into();
    object(content)
}

fn told(kind: &str, before: Value, after: Value) -> Vec<String> {
    let (before, after) = (of(kind, before), of(kind, after));
    let fields = fields(&after, &before, &after, UNBUILT);
    fields.iter().map(Field::to_string).collect()
}

#[test]
fn values_are_told_by_path_side_by_side() {
    let cases = [
        (json!({"spec": {"a": 1}}), json!({"spec": {"a": 1}}), vec![]),
        (
            json!({"spec": {"a": 1}}),
            json!({"spec": {"a": "1"}}),
            vec![r#"spec.a: 1 -> "1""#],
        ),
        (json!({}), json!({"spec": {"a": 1}}), vec![r#"spec: (none) -> {"a":1}"#]),
        (
            json!({"spec": {"a": [], "b": 1}}),
            json!({"spec": {"b": 1}}),
            vec!["spec.a: [] -> (none)"],
        ),
        (
            json!({"metadata": {"annotations": {"a.b/c": "1", "d": "2"}}}),
            json!({"metadata": {"annotations": {"d": "3"}}}),
            vec![
                r#"metadata.annotations["a.b/c"]: "1" -> (none)"#,
                r#"metadata.annotations.d: "2" -> "3""#,
            ],
        ),
    ];
    for (before, after, want) in cases {
        assert_eq!(told("Thing", before.clone(), after.clone()), want, "{before} {after}");
    }
}

#[test]
fn items_of_lists_are_told_by_name_where_they_have_one_and_else_by_index() {
    let cases = [
        (
            json!([{"name": "a", "v": 1}, {"name": "b", "v": 1}]),
            json!([{"name": "b", "v": 2}, {"name": "a", "v": 1}, {"name": "c"}]),
            vec!["spec.l[b].v: 1 -> 2", r#"spec.l[c]: (none) -> {"name":"c"}"#],
        ),
        (
            json!([{"mountPath": "/a", "name": "x"}, {"mountPath": "/b", "name": "x"}]),
            json!([{"mountPath": "/b", "name": "x"}]),
            vec![r#"spec.l[/a]: {"mountPath":"/a","name":"x"} -> (none)"#],
        ),
        // Only the order.
        (
            json!([{"name": "a"}, {"name": "b"}]),
            json!([{"name": "b"}, {"name": "a"}]),
            vec![r#"spec.l: ["a","b"] -> ["b","a"]"#],
        ),
        (json!(["a", "b"]), json!(["a", "c"]), vec![r#"spec.l[1]: "b" -> "c""#]),
        // One that comes first does not make all others differ.
        (
            json!(["a", "b"]),
            json!(["x", "a", "b"]),
            vec![r#"spec.l[0]: (none) -> "x""#],
        ),
        (
            json!(["a", "b", "c"]),
            json!(["a", "c"]),
            vec![r#"spec.l[1]: "b" -> (none)"#],
        ),
        (
            json!([{"port": 1}, {"port": 2}]),
            json!([{"port": 1}, {"port": 3}]),
            vec!["spec.l[1].port: 2 -> 3"],
        ),
        // Two of one name have none.
        (
            json!([{"name": "a", "v": 1}, {"name": "a", "v": 2}]),
            json!([{"name": "a", "v": 1}, {"name": "a", "v": 3}]),
            vec!["spec.l[1].v: 2 -> 3"],
        ),
    ];
    for (before, after, want) in cases {
        let spec = |list: &Value| json!({"spec": {"l": list}});
        assert_eq!(told("Thing", spec(&before), spec(&after)), want, "{before} {after}");
    }
}

#[test]
fn what_the_server_and_controllers_write_is_not_told() {
    let before = of(
        "Deployment",
        json!({"metadata": {"resourceVersion": "1", "generation": 1, "uid": "1", "managedFields": [{"manager": "a"}],
            "annotations": {"deployment.kubernetes.io/revision": "1"}}, "spec": {"replicas": 1}, "status": {"a": 1}}),
    );
    let after = of(
        "Deployment",
        json!({"metadata": {"resourceVersion": "2", "generation": 2, "uid": "1", "managedFields": []},
            "spec": {"replicas": 9}, "status": {"a": 2}}),
    );
    let wanted = of("Deployment", json!({}));
    assert_eq!(fields(&wanted, &before, &after, UNBUILT), []);
    // Replicas count where the manifest states them.
    let wanted = of("Deployment", json!({"spec": {"replicas": 9}}));
    assert_eq!(fields(&wanted, &before, &after, UNBUILT)[0].path, "spec.replicas");
}

#[test]
fn texts_are_told_line_by_line() {
    let text = |changed: &str| format!("line 1\nline 2\nline 3\n{changed}line 5\nline 6\nline 7\n");
    let (old, new) = (text("old\n"), text("new\nmore\n"));
    let told = told(
        "ConfigMap",
        json!({"data": {"a.yaml": old}}),
        json!({"data": {"a.yaml": new}}),
    );
    insta::assert_snapshot!(told.join("\n"), @r#"
    data["a.yaml"]:
        line 3
      - old
      + new
      + more
        line 5
    "#);
}

#[test]
fn long_values_and_texts_are_cut_and_steer_no_terminal() {
    let long = "x".repeat(1000);
    let told_long = told("Thing", json!({"spec": {"a": "b"}}), json!({"spec": {"a": long}}));
    assert!(
        told_long[0].len() < 200 && told_long[0].ends_with("..."),
        "{told_long:?}"
    );
    let text = |word: &str| (0..500).map(|i| format!("{word} {i}")).collect::<Vec<_>>().join("\n");
    let told_text = told(
        "Thing",
        json!({"spec": {"a": text("a")}}),
        json!({"spec": {"a": text("b")}}),
    );
    assert_eq!(told_text[0].lines().count(), 42);
    assert!(told_text[0].ends_with("... and 960 more lines"), "{told_text:?}");
    let steering = told(
        "Thing",
        json!({"spec": {"a": "a\nb"}}),
        json!({"spec": {"a": "\u{1b}[2J\n\u{9b}b"}}),
    );
    assert!(!steering[0].contains(['\u{1b}', '\u{9b}']), "{steering:?}");
}

#[test]
fn nothing_of_a_secret_is_told_but_which_of_its_keys_change() {
    let last = json!({"kubectl.kubernetes.io/last-applied-configuration": "{\"data\":\"b2xk\"}"});
    let before = json!({"data": {"kept": "c2FtZQ==", "changed": "b2xk", "removed": "b2xk"}, "type": "Opaque",
        "metadata": {"annotations": last}});
    let after = json!({"data": {"kept": "c2FtZQ==", "changed": "bmV3bmV3", "added": "bmV3bmV3"}, "type": "Other",
        "stringData": {"plain": "newnew"}, "metadata": {"annotations": {}}});
    let told = told("Secret", before.clone(), after.clone());
    insta::assert_snapshot!(told.join("\n"), @r#"
    data.added: added (not shown)
    data.changed: changed (not shown)
    data.removed: removed (not shown)
    metadata.annotations["kubectl.kubernetes.io/last-applied-configuration"]: removed (not shown)
    stringData.plain: added (not shown)
    type: "Opaque" -> "Other"
    "#);
    let (before, after) = (of("Secret", before), of("Secret", after));
    let json = serde_json::to_string(&fields(&after, &before, &after, UNBUILT)).expect("JSON");
    for secret in ["b2xk", "bmV3", "newnew"] {
        assert!(!json.contains(secret), "{json}");
    }
    assert!(
        json.contains(r#"{"path":"data.changed","change":"changed","hidden":true}"#),
        "{json}"
    );
}

#[test]
fn a_secret_that_gets_or_loses_all_its_data_tells_no_more() {
    let full = json!({"data": {"a": "b2xk"}});
    assert_eq!(told("Secret", json!({}), full.clone()), ["data.a: added (not shown)"]);
    assert_eq!(told("Secret", full, json!({})), ["data.a: removed (not shown)"]);
    assert_eq!(
        told("Secret", json!({"data": "b2xk"}), json!({})),
        ["data: removed (not shown)"]
    );
}

#[test]
fn what_only_a_build_tells_is_said_so() {
    let pod = |image: &str| json!({"spec": {"containers": [{"name": "app", "image": image}]}});
    let told = told("Pod", pod("r/web-app@sha256:abcd"), pod("r/web-app@sha256:0000"));
    assert_eq!(
        told,
        [r#"spec.containers[app].image: "r/web-app@sha256:abcd" -> (known after build)"#]
    );
}
