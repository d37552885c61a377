//! What the loader adds to objects: labels of ownership, the `ApplySet`, checksums of used configuration.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kube::core::DynamicObject;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::manifest::Component;
use super::object::ObjectRef;
use crate::names::{
    ANNOTATION_CHECKSUM, ANNOTATION_KINDS, ANNOTATION_NAMESPACES, ANNOTATION_OPTIONAL, ANNOTATION_TOOLING,
    LABEL_APPLYSET_ID, LABEL_APPLYSET_PART_OF, StackName,
};

/// Component of the `ApplySet`'s parent.
pub(super) const APPLYSET: &str = "applyset";

/// Whether an object may be left out where its kind is unknown.
pub(super) fn is_optional(object: &DynamicObject) -> bool {
    annotation(object, ANNOTATION_OPTIONAL).is_some_and(|value| value == "kind")
}

/// An annotation of an object.
pub(super) fn annotation<'a>(object: &'a DynamicObject, key: &str) -> Option<&'a str> {
    let all = object.metadata.annotations.as_ref()?;
    all.get(key).map(String::as_str)
}

/// Labels of ownership and of the `ApplySet` on an object.
pub(super) fn label(object: &mut DynamicObject, stack: &StackName, component: &str, id: &str) {
    let labels = object.metadata.labels.get_or_insert_default();
    labels.extend(stack.labels(component));
    labels.insert(LABEL_APPLYSET_PART_OF.to_owned(), id.to_owned());
}

/// The id of the `ApplySet` (KEP-3659): hash of the parent's name, namespace, kind and group.
pub(super) fn applyset_id(stack: &StackName, namespace: &str) -> String {
    let parent = format!("{}.{namespace}.Secret.", stack.applyset_parent());
    let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(parent));
    format!("applyset-{hash}-v1")
}

/// The parent Secret, which says which kinds and namespaces the members have.
pub(super) fn applyset_parent(stack: &StackName, namespace: &str, members: &[Component]) -> DynamicObject {
    let objects = || members.iter().flat_map(|c| &c.objects).map(ObjectRef::of);
    let mut kinds: Vec<String> = objects()
        .map(|o| match o.group() {
            "" => o.kind.clone(),
            group => format!("{}.{group}", o.kind),
        })
        .collect();
    kinds.sort();
    kinds.dedup();
    let mut namespaces: Vec<String> = objects()
        .filter_map(|o| o.namespace)
        .filter(|n| n != namespace)
        .collect();
    namespaces.sort();
    namespaces.dedup();
    let mut labels = stack.labels(APPLYSET);
    labels.insert(LABEL_APPLYSET_ID.to_owned(), applyset_id(stack, namespace));
    let annotations = BTreeMap::from([
        (
            ANNOTATION_TOOLING.to_owned(),
            format!("provisioner/v{}", env!("CARGO_PKG_VERSION")),
        ),
        (ANNOTATION_KINDS.to_owned(), kinds.join(",")),
        (ANNOTATION_NAMESPACES.to_owned(), namespaces.join(",")),
    ]);
    DynamicObject {
        types: Some(kube::core::TypeMeta {
            api_version: "v1".to_owned(),
            kind: "Secret".to_owned(),
        }),
        metadata: kube::core::ObjectMeta {
            name: Some(stack.applyset_parent()),
            namespace: Some(namespace.to_owned()),
            labels: Some(labels),
            annotations: Some(annotations),
            ..Default::default()
        },
        data: serde_json::json!({"type": "Opaque"}),
    }
}

/// Writes the checksum of used configuration on every pod template, so that a change rolls the pods.
pub(super) fn checksums(components: &mut [Component]) {
    let configuration: BTreeMap<(String, String, String), String> = components
        .iter()
        .flat_map(|c| &c.objects)
        .map(|o| (ObjectRef::of(o), o))
        .filter(|(r, _)| r.kind == "ConfigMap" || r.kind == "Secret")
        .map(|(r, o)| ((r.kind, r.namespace.unwrap_or_default(), r.name), o.data.to_string()))
        .collect();
    for object in components.iter_mut().flat_map(|c| &mut c.objects) {
        let namespace = object.metadata.namespace.clone().unwrap_or_default();
        let Some(template) = object.data.pointer_mut("/spec/template") else {
            continue;
        };
        let mut hash = Sha256::new();
        let mut used = false;
        for (kind, name) in references(&template["spec"]) {
            let key = (kind.to_owned(), namespace.clone(), name);
            if let Some(content) = configuration.get(&key) {
                used = true;
                hash.update(&key.2);
                hash.update(content);
            }
        }
        if used {
            let text = hex::encode(&hash.finalize()[..8]);
            template["metadata"]["annotations"][ANNOTATION_CHECKSUM] = text.into();
        }
    }
}

/// `ConfigMap`s and Secrets that a pod's spec names, sorted.
fn references(spec: &Value) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    walk(spec, &mut found);
    found.sort();
    found.dedup();
    found
}

fn walk(value: &Value, found: &mut Vec<(&'static str, String)>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
        Value::Object(fields) => {
            for (key, field) in fields {
                let (kind, name) = match key.as_str() {
                    "configMap" | "configMapRef" | "configMapKeyRef" => ("ConfigMap", &field["name"]),
                    "secret" if field.get("secretName").is_some() => ("Secret", &field["secretName"]),
                    "secretRef" | "secretKeyRef" | "secret" => ("Secret", &field["name"]),
                    _ => {
                        walk(field, found);
                        continue;
                    }
                };
                if let Some(name) = name.as_str() {
                    found.push((kind, name.to_owned()));
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_of_every_form_are_found() {
        let spec = serde_json::json!({
            "containers": [{"envFrom": [{"configMapRef": {"name": "a"}}],
                "env": [{"valueFrom": {"secretKeyRef": {"name": "b", "key": "k"}}}]}],
            "volumes": [{"configMap": {"name": "c"}}, {"secret": {"secretName": "d"}},
                {"projected": {"sources": [{"secret": {"name": "e"}}]}}]
        });
        let names: Vec<String> = references(&spec).into_iter().map(|(_, n)| n).collect();
        assert_eq!(names, ["a", "c", "b", "d", "e"]);
    }

    #[test]
    fn the_applyset_id_is_a_label_value() {
        let demo: StackName = "demo".parse().expect("valid");
        let id = applyset_id(&demo, "web-app");
        assert!(
            id.len() <= 63 && id.starts_with("applyset-") && id.ends_with("-v1"),
            "{id}"
        );
        assert_ne!(id, applyset_id(&demo, "other"));
    }
}
