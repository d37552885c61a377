//! From folders of YAML to objects: read, replace placeholders, parse, check, mark. No network.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::core::DynamicObject;
use serde_json::Value;

use super::certificate::Certificates;
use super::error::ClusterError;
use super::images;
use super::mark;
use super::monitoring::scrape;
use super::object::ObjectRef;
use super::scale;
use super::scope;
use super::source::{self, Source};
use super::template;
use super::values::Values;
use crate::names::LOAD;
use crate::spelling::nearest;

/// A folder of manifests, rendered.
#[derive(Debug, Clone)]
pub struct Component {
    /// The folder's name without its number.
    pub name: String,
    /// Its objects, in the order of the files.
    pub objects: Vec<DynamicObject>,
}

/// The embedded components' names, in order, without the load job.
pub fn components() -> Vec<String> {
    source::embedded()
        .into_iter()
        .map(|s| s.name)
        .filter(|n| n != LOAD)
        .collect()
}

/// The files of a shipped component, by their path in the folder of components.
pub fn shipped(component: &str) -> Vec<(&'static str, &'static str)> {
    source::shipped(component)
}

/// Every component but those left out (and Prometheus where another one is used), rendered and marked as the stack's; those of
/// `dir` replace or join the embedded ones. The `ApplySet`'s parent is among them.
/// Reports every problem at once.
pub fn load(
    dir: Option<&Path>,
    without: &[String],
    values: &Values,
    certificates: &Certificates,
) -> Result<Vec<Component>, ClusterError> {
    let mut sources = source::read(dir)?;
    sources.retain(|s| s.name != LOAD);
    let known: Vec<String> = sources.iter().map(|s| s.name.clone()).collect();
    for name in without {
        if !known.contains(name) {
            let nearest = nearest(name, known.iter().map(String::as_str));
            return Err(ClusterError::UnknownComponent {
                name: name.clone(),
                nearest: nearest.map(ToOwned::to_owned),
                known,
            });
        }
    }
    sources.retain(|s| !without.contains(&s.name));
    if values.prometheus_url.is_some() {
        sources.retain(|s| s.name != scrape::COMPONENT);
    }
    let values = &values.clone().without(without);
    let placeholders = values.placeholders(certificates);
    let mut components = render(&sources, &placeholders, values)?;
    for component in &mut components {
        component.objects.retain(|object| certificates.authority.needs(object));
    }
    if components.iter().all(|component| component.objects.is_empty()) {
        return Err(ClusterError::Empty {
            stack: values.stack.clone(),
        });
    }
    let home = &values.namespaces.app;
    let parent = mark::applyset_parent(&values.stack, home, &components);
    components.push(Component {
        name: mark::APPLYSET.to_owned(),
        objects: vec![parent],
    });
    scale::leave_to_autoscalers(&mut components);
    mark::checksums(&mut components);
    Ok(components)
}

/// The first object of this kind and name, as the components want it.
pub fn find<'a>(components: &'a [Component], kind: &str, name: &str) -> Option<&'a DynamicObject> {
    let mut objects = components.iter().flat_map(|component| &component.objects);
    objects.find(|object| object.metadata.name.as_deref() == Some(name) && ObjectRef::of(object).kind == kind)
}

/// The load job, with placeholders of its own beside the common ones.
pub(super) fn load_job(
    dir: Option<&Path>,
    values: &Values,
    own: &BTreeMap<&'static str, String>,
) -> Result<Component, ClusterError> {
    let mut sources = source::read(dir)?;
    sources.retain(|s| s.name == LOAD);
    let mut placeholders = values.placeholders(&Certificates::default());
    placeholders.extend(own.iter().map(|(k, v)| (*k, v.clone())));
    let mut components = render(&sources, &placeholders, values)?;
    components
        .pop()
        .ok_or_else(|| ClusterError::Manifests(vec![format!("there is no component `{LOAD}`")]))
}

fn render(
    sources: &[Source],
    placeholders: &BTreeMap<&str, String>,
    values: &Values,
) -> Result<Vec<Component>, ClusterError> {
    let mut problems = Vec::new();
    let mut components = Vec::new();
    let id = mark::applyset_id(&values.stack, &values.namespaces.app);
    for source in sources {
        let mut objects = Vec::new();
        for (file, text) in &source.files {
            match template::render(text, placeholders).map(|text| parse(&text)) {
                Ok(Ok(mut found)) => {
                    let wrong = found.iter_mut().flat_map(|object| fitted(object, values));
                    problems.extend(wrong.map(|problem| format!("{file}: {problem}")));
                    objects.extend(found);
                }
                Ok(Err(problem)) => problems.push(format!("{file}: {problem}")),
                Err(unknown) => problems.extend(unknown.iter().map(|u| format!("{file}:{}: {}", u.line, u.problem))),
            }
        }
        for object in &mut objects {
            mark::label(object, &values.stack, &source.name, &id);
        }
        components.push(Component {
            name: source.name.clone(),
            objects,
        });
    }
    problems.extend(duplicates(&components));
    if problems.is_empty() {
        Ok(components)
    } else {
        Err(ClusterError::Manifests(problems))
    }
}

/// Puts the images into an object, and says what is wrong with it as far as that needs no cluster.
fn fitted(object: &mut DynamicObject, values: &Values) -> Vec<String> {
    let mut problems = Vec::new();
    images::resolve(object, values, &mut problems);
    let name = ObjectRef::of(object);
    let problems = problems.into_iter().map(|problem| format!("{name}: {problem}"));
    problems
        .chain(mark::misannotated(object))
        .chain(misplaced(object))
        .collect()
}

/// What can be said without a cluster about where an object belongs.
fn misplaced(object: &DynamicObject) -> Option<String> {
    let object = ObjectRef::of(object);
    scope::problem(&object, scope::built_in(&object)?)
}

/// The objects of one file; empty documents are none.
fn parse(text: &str) -> Result<Vec<DynamicObject>, String> {
    // The lines around a mistake may hold what is secret, and nobody who writes YAML can set an option of the parser.
    let told = |e: serde_saphyr::Error| {
        let text = e.without_snippet().to_string();
        text.replace(", set DuplicateKeyPolicy in Options if acceptable", "")
    };
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(told)?;
    let mut objects = Vec::new();
    for mut document in documents.into_iter().filter(|d| !d.is_null()) {
        drop_nulls(&mut document);
        let state = |path: &str| {
            document
                .pointer(path)
                .and_then(Value::as_str)
                .is_some_and(|s| !s.is_empty())
        };
        for path in ["/apiVersion", "/kind", "/metadata/name"] {
            if !state(path) {
                return Err(format!("an object without `{}`", path[1..].replace('/', ".")));
            }
        }
        let kind = document["kind"].as_str().unwrap_or_default().to_owned();
        if kind.ends_with("List") && document.get("items").is_some() {
            return Err(format!("{kind}: write its items as documents of their own"));
        }
        if document.get("status").is_some() {
            return Err(format!("{kind}: `status` is the cluster's to write"));
        }
        if kind == "Secret" {
            encode_strings(&mut document);
        }
        let mut object: DynamicObject = serde_json::from_value(document).map_err(|e| format!("{kind}: {e}"))?;
        // Nothing is said where all that was said is null.
        object.metadata.annotations = object.metadata.annotations.filter(|all| !all.is_empty());
        objects.push(object);
    }
    Ok(objects)
}

/// Writes the texts of `stringData` into `data`, as the server would: it never gives them back, so that they could not be
/// compared, and what once stood there would stay.
fn encode_strings(secret: &mut Value) {
    let is_text = |all: &Value| all.as_object().is_some_and(|all| all.values().all(Value::is_string));
    if !secret.get("stringData").is_some_and(is_text) {
        return;
    }
    let Some(Value::Object(texts)) = secret.as_object_mut().and_then(|fields| fields.remove("stringData")) else {
        return;
    };
    for (key, text) in texts {
        secret["data"][key] = STANDARD.encode(text.as_str().unwrap_or_default()).into();
    }
}

/// A null in YAML means "not said"; server-side apply would claim the field.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

fn duplicates(components: &[Component]) -> Vec<String> {
    let mut seen: BTreeMap<ObjectRef, &str> = BTreeMap::new();
    let mut problems = Vec::new();
    for component in components {
        for object in &component.objects {
            let object = ObjectRef::of(object);
            if let Some(first) = seen.insert(object.unversioned(), &component.name) {
                problems.push(format!(
                    "{object} stands in `{first}` and again in `{}`",
                    component.name
                ));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_documents_say_why() {
        let cases = [
            ("kind: A", "an object without `apiVersion`"),
            (
                "{apiVersion: v1, kind: A, metadata: {}}",
                "an object without `metadata.name`",
            ),
            (
                "{apiVersion: v1, kind: PodList, metadata: {name: x}, items: []}",
                "PodList: write",
            ),
            (
                "{apiVersion: v1, kind: Pod, metadata: {name: x}, status: {a: 1}}",
                "Pod: `status`",
            ),
            ("a: 1\na: 2", "duplicate"),
        ];
        for (text, want) in cases {
            let problem = parse(text).expect_err(text);
            assert!(problem.contains(want), "{text}: {problem}");
        }
        assert_eq!(parse("---\n---\n# nothing\n").map(|o| o.len()), Ok(0));
    }

    #[test]
    fn a_mistake_is_told_by_its_place_and_not_by_the_lines_around_it() {
        let text = "apiVersion: v1\nkind: Secret\nstringData: {password: hunter2}\nmetadata: [";
        let problem = parse(text).expect_err("broken");
        assert!(problem.contains("line 4") && !problem.contains("hunter2"), "{problem}");
        assert_eq!(problem.matches("line ").count(), 1, "{problem}");
        let problem = parse("a: 1\na: 2").expect_err("twice");
        assert_eq!(problem, "duplicate mapping key: a at line 2, column 1");
    }

    #[test]
    fn texts_of_a_secret_are_sent_as_the_server_keeps_them() {
        let secret = |more: &str| {
            let objects = parse(&format!(
                "{{apiVersion: v1, kind: Secret, metadata: {{name: x}}, {more}}}"
            ));
            objects.expect("valid")[0].data.clone()
        };
        let want = serde_json::json!({"data": {"a": "eA==", "b": "eQ=="}});
        assert_eq!(secret("stringData: {a: x}, data: {a: b3RoZXI=, b: eQ==}"), want);
        assert_eq!(secret("stringData: {a: x}"), serde_json::json!({"data": {"a": "eA=="}}));
        // What the server refuses is the server's to say.
        assert_eq!(
            secret("stringData: {a: 1}"),
            serde_json::json!({"stringData": {"a": 1}})
        );
    }

    #[test]
    fn nulls_are_not_said() {
        let objects = parse("{apiVersion: v1, kind: A, metadata: {name: x}, spec: {a: null, b: 1}}");
        assert_eq!(objects.expect("valid")[0].data, serde_json::json!({"spec": {"b": 1}}));
    }
}
