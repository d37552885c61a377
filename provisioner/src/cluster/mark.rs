//! What the loader adds to objects: labels of ownership, the `ApplySet`, checksums of used configuration.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kube::core::DynamicObject;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::manifest::Component;
use super::object::ObjectRef;
use crate::names::{
    ANNOTATION_CERTIFICATES, ANNOTATION_CHECKSUM, ANNOTATION_KEEP, ANNOTATION_KINDS, ANNOTATION_MEMBERS,
    ANNOTATION_NAMESPACES, ANNOTATION_OPTIONAL, ANNOTATION_TOOLING, ANNOTATION_WAIT, LABEL_APPLYSET_ID,
    LABEL_APPLYSET_PART_OF, StackName,
};
use crate::spelling::nearest;

/// What annotations of this program start with.
const PREFIX: &str = "provisioner/";
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

/// What an object that is not ready means for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Policy {
    /// The run waits for it, and fails without it.
    #[default]
    Required,
    /// The run says so, and does not wait.
    Reported,
    /// It is not looked at.
    None,
}

/// What an object says of that. What it may say was checked when its manifest was read.
pub(super) fn policy(object: &DynamicObject) -> Policy {
    match annotation(object, ANNOTATION_WAIT) {
        Some("reported") => Policy::Reported,
        Some("none") => Policy::None,
        _ => Policy::Required,
    }
}

/// Annotations of this program that manifests may give, each with the values that it takes.
const GIVEN: [(&str, &[&str]); 4] = [
    (ANNOTATION_CERTIFICATES, &["own", "cert-manager"]),
    (ANNOTATION_KEEP, &["true", "false"]),
    (ANNOTATION_OPTIONAL, &["kind"]),
    (ANNOTATION_WAIT, &["required", "reported", "none"]),
];

/// What is wrong with the annotations of this program that an object has: one that is unknown would be passed over.
pub(super) fn misannotated(object: &DynamicObject) -> Vec<String> {
    let name = ObjectRef::of(object);
    let annotations = object.metadata.annotations.iter().flatten();
    let ours = annotations.filter(|(key, _)| key.starts_with(PREFIX));
    let wrong = ours.filter_map(|(key, value)| match GIVEN.iter().find(|(known, _)| known == key) {
        None => {
            let near = nearest(key, GIVEN.map(|(known, _)| known));
            let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            Some(format!("{name}: unknown annotation `{key}`{near}"))
        }
        Some((_, values)) if !values.contains(&value.as_str()) => Some(format!(
            "{name}: annotation `{key}` is `{value}`: it must be {}",
            one_of(values)
        )),
        Some(_) => None,
    });
    wrong.collect()
}

/// A choice in words.
fn one_of(values: &[&str]) -> String {
    match values.split_last() {
        Some((last, first)) if !first.is_empty() => format!("`{}` or `{last}`", first.join("`, `")),
        _ => format!("`{}`", values.concat()),
    }
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

/// The parent Secret, which says which kinds and namespaces the members have, and by a hash which members.
pub(super) fn applyset_parent(stack: &StackName, namespace: &str, members: &[Component]) -> DynamicObject {
    let objects = members.iter().flat_map(|c| &c.objects).map(ObjectRef::of);
    let members: BTreeSet<ObjectRef> = objects.map(|object| object.unversioned()).collect();
    let mut labels = stack.labels(APPLYSET);
    labels.insert(LABEL_APPLYSET_ID.to_owned(), applyset_id(stack, namespace));
    let annotations = BTreeMap::from([
        (
            ANNOTATION_TOOLING.to_owned(),
            format!("provisioner/v{}", env!("CARGO_PKG_VERSION")),
        ),
        (ANNOTATION_MEMBERS.to_owned(), hash_of(&members)),
    ]);
    let mut parent = DynamicObject {
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
    };
    record(&mut parent, &members);
    parent
}

fn hash_of(members: &BTreeSet<ObjectRef>) -> String {
    let mut hash = Sha256::new();
    for member in members {
        hash.update(format!("{} {}\n", member.group_kind(), member.path()));
    }
    hex::encode(&hash.finalize()[..8])
}

/// Adds the kinds and namespaces of more members to what the parent records: an object whose kind is not recorded is not
/// found again.
pub(super) fn record<'a>(parent: &mut DynamicObject, members: impl IntoIterator<Item = &'a ObjectRef>) {
    let home = parent.metadata.namespace.clone();
    let annotations = parent.metadata.annotations.get_or_insert_default();
    let known = |name: &str| listed(annotations.get(name)).collect::<BTreeSet<String>>();
    let (mut kinds, mut namespaces) = (known(ANNOTATION_KINDS), known(ANNOTATION_NAMESPACES));
    for member in members {
        kinds.insert(member.group_kind());
        namespaces.extend(member.namespace.clone().filter(|name| Some(name) != home.as_ref()));
    }
    for (name, all) in [(ANNOTATION_KINDS, kinds), (ANNOTATION_NAMESPACES, namespaces)] {
        annotations.insert(name.to_owned(), Vec::from_iter(all).join(","));
    }
}

/// Adds kinds to what the parent records, whatever members of them there are.
pub(super) fn record_kinds(parent: &mut DynamicObject, more: BTreeSet<String>) {
    let annotations = parent.metadata.annotations.get_or_insert_default();
    let mut kinds: BTreeSet<String> = listed(annotations.get(ANNOTATION_KINDS)).collect();
    kinds.extend(more);
    annotations.insert(ANNOTATION_KINDS.to_owned(), Vec::from_iter(kinds).join(","));
}

/// The entries of an annotation with a list.
pub(super) fn listed(annotation: Option<&String>) -> impl Iterator<Item = String> {
    let entries = annotation.into_iter().flat_map(|text| text.split(','));
    entries.filter(|entry| !entry.is_empty()).map(ToOwned::to_owned)
}

/// Whether an object is an `ApplySet`'s parent.
pub(super) fn is_parent(object: &DynamicObject) -> bool {
    let labels = object.metadata.labels.as_ref();
    labels.is_some_and(|labels| labels.contains_key(LABEL_APPLYSET_ID))
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
    fn annotations_of_this_program_are_known_and_take_known_values() {
        let object = |key: &str, value: &str| -> DynamicObject {
            let metadata = serde_json::json!({"name": "x", "annotations": {key: value, "example.com/keep": "?"}});
            serde_json::from_value(serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}))
                .expect("an object")
        };
        for (key, value, problem) in [
            ("provisioner/keep", "true", None),
            ("provisioner/certificates", "own", None),
            (
                "provisioner/keep",
                "yes",
                Some("`provisioner/keep` is `yes`: it must be `true` or `false`"),
            ),
            (
                "provisioner/optional",
                "true",
                Some("`provisioner/optional` is `true`: it must be `kind`"),
            ),
            (
                "provisioner/kepe",
                "true",
                Some("unknown annotation `provisioner/kepe`; did you mean `provisioner/keep`?"),
            ),
            (
                "provisioner/members",
                "x",
                Some("unknown annotation `provisioner/members`"),
            ),
        ] {
            let problems = misannotated(&object(key, value)).join("\n");
            assert_eq!(problems.is_empty(), problem.is_none(), "{problems}");
            assert!(problems.contains(problem.unwrap_or_default()), "{problems}");
        }
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
