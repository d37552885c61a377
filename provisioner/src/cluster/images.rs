//! Images in manifests: `build://NAME` becomes what the tool pushed, and an image of others may be taken from elsewhere.

use std::collections::BTreeMap;

use kube::core::DynamicObject;
use serde_json::Value;

use super::manifest::Component;
use super::object::ObjectRef;
use super::values::{BUILT, Values};
use crate::spelling::nearest;

/// Kinds whose fields are whatever somebody else reads: nothing says that one of the name `image` is one.
const OPAQUE: [&str; 3] = ["ConfigMap", "Secret", "CustomResourceDefinition"];
/// Lists of a pod's, also in kinds that make pods in their own way, whose items have images that nodes pull.
const PULLED: [&str; 4] = ["containers", "initContainers", "ephemeralContainers", "volumes"];

/// What manifests name, as it is written there, each with the first object that names it.
#[derive(Debug, Default)]
pub struct Named {
    /// Images.
    pub images: BTreeMap<String, ObjectRef>,
    /// What is called `image` and may just as well be a disk or a picture.
    pub unclear: BTreeMap<String, ObjectRef>,
}

/// Replaces the references in all fields `image`, and says which cannot be.
pub(super) fn resolve(object: &mut DynamicObject, values: &Values, problems: &mut Vec<String>) {
    let built = values.built();
    let is_opaque = is_opaque(object);
    each(&mut object.data, false, &mut |reference, is_image| {
        if let Some(name) = reference.strip_prefix(BUILT) {
            match pushed(name, &built) {
                Ok(image) => *reference = image,
                Err(problem) => problems.push(problem),
            }
        } else if let Some(other) = values.images.get(reference).filter(|_| is_image && !is_opaque) {
            reference.clone_from(other);
        }
    });
}

/// What `components` name.
pub fn named(components: &[Component]) -> Named {
    let mut named = Named::default();
    let objects = components.iter().flat_map(|component| &component.objects);
    for object in objects.filter(|object| !is_opaque(object)) {
        each(&mut object.data.clone(), false, &mut |reference, is_image| {
            let kind = if is_image {
                &mut named.images
            } else {
                &mut named.unclear
            };
            kind.entry(reference.clone()).or_insert_with(|| ObjectRef::of(object));
        });
    }
    named
}

fn is_opaque(object: &DynamicObject) -> bool {
    let kind = object.types.as_ref().map(|types| types.kind.as_str());
    kind.is_some_and(|kind| OPAQUE.contains(&kind))
}

/// Shows every text that is called `image`, or is the `reference` in an `image`, and whether it is an image: that of a
/// container or volume is; in other places, like the fields that operators read, one that is written in full is.
/// `pulled`: `value` is a container or volume.
fn each(value: &mut Value, pulled: bool, see: &mut dyn FnMut(&mut String, bool)) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                let text = match &mut *field {
                    Value::Object(image) if key == "image" => image.get_mut("reference"),
                    field => (key == "image").then_some(field),
                };
                if let Some(Value::String(reference)) = text {
                    let is_image = pulled || is_in_full(reference);
                    see(reference, is_image);
                }
                each(field, PULLED.contains(&key.as_str()), see);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each(item, pulled, see)),
        _ => {}
    }
}

/// Whether a text can hardly be anything but an image: it names a registry, and a tag or digest there.
fn is_in_full(reference: &str) -> bool {
    let is_host = |host: &str| host == "localhost" || host.contains(['.', ':']);
    let parts = reference.split_once('/');
    parts.is_some_and(|(host, rest)| is_host(host) && rest.contains([':', '@']))
}

/// The image of that name that the tool pushed.
fn pushed(name: &str, built: &BTreeMap<&'static str, &str>) -> Result<String, String> {
    let reference = format!("{BUILT}{name}");
    match built.get(name) {
        Some(image) if !image.is_empty() => Ok((*image).to_owned()),
        Some(_) => Err(format!(
            "image `{reference}`: the stack has none; `--loader-image REF` names one"
        )),
        None => {
            let near = nearest(name, built.keys().copied());
            let near = near.map_or_else(String::new, |near| format!("; did you mean `{BUILT}{near}`?"));
            Err(format!("image `{reference}`: no image of that name is made{near}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(kind: &str, data: &Value) -> DynamicObject {
        let mut whole = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "x", "namespace": "a"}});
        for (key, field) in data.as_object().cloned().unwrap_or_default() {
            whole[key] = field;
        }
        serde_json::from_value(whole).expect("an object")
    }

    fn values() -> Values {
        let mut values = Values::new("demo".parse().expect("valid"), "r/web-app@sha256:1", "r/load@sha256:2");
        let mirrored = ("docker.io/a/b:1".to_owned(), "mirror/b@sha256:3".to_owned());
        values.images.extend([mirrored]);
        values
    }

    #[test]
    fn images_that_were_pushed_are_named_by_their_name_wherever_a_field_is_an_image() {
        let mut values = values();
        let mut problems = Vec::new();
        let mut pod = object(
            "Pod",
            &json!({
                "initContainers": [{"image": "build://load"}],
                "containers": [{"image": "build://web-app", "args": ["build://web-app"]}, {"image": "docker.io/a/b:1"}],
                "image": {"image": "docker.io/a/b:2"},
                "volumes": [{"image": {"reference": "docker.io/a/b:1"}}, {"secret": {"reference": "docker.io/a/b:1"}}],
            }),
        );
        resolve(&mut pod, &values, &mut problems);
        assert_eq!(
            pod.data,
            json!({
                "initContainers": [{"image": "r/load@sha256:2"}],
                "containers": [{"image": "r/web-app@sha256:1", "args": ["build://web-app"]}, {"image": "mirror/b@sha256:3"}],
                "image": {"image": "docker.io/a/b:2"},
                "volumes": [{"image": {"reference": "mirror/b@sha256:3"}}, {"secret": {"reference": "docker.io/a/b:1"}}],
            })
        );
        assert_eq!(problems, Vec::<String>::new());
        values.load_image.clear();
        let mut pod = object(
            "Pod",
            &json!({"a": [{"image": "build://load"}, {"image": "build://webapp"}]}),
        );
        resolve(&mut pod, &values, &mut problems);
        assert_eq!(
            problems,
            [
                "image `build://load`: the stack has none; `--loader-image REF` names one",
                "image `build://webapp`: no image of that name is made; did you mean `build://web-app`?"
            ]
        );
    }

    #[test]
    fn images_are_found_where_they_are_replaced_and_nowhere_else() {
        let data = json!({"data": {"image": "docker.io/a/b:1"}});
        let mut objects = vec![
            object("ConfigMap", &data),
            object("Shop", &data),
            object("Other", &data),
        ];
        let found = found(&objects);
        let [(reference, by)] = &Vec::from_iter(&found.images)[..] else {
            panic!("one image: {found:?}");
        };
        assert_eq!(
            (reference.as_str(), by.to_string().as_str()),
            ("docker.io/a/b:1", "Shop `a/x`")
        );
        for object in &mut objects {
            resolve(object, &values(), &mut Vec::new());
        }
        let images: Vec<&Value> = objects.iter().map(|object| &object.data["data"]["image"]).collect();
        assert_eq!(images, ["docker.io/a/b:1", "mirror/b@sha256:3", "mirror/b@sha256:3"]);
    }

    fn found(objects: &[DynamicObject]) -> Named {
        named(&[Component {
            name: "mine".to_owned(),
            objects: objects.to_vec(),
        }])
    }

    /// Disks, pictures and machine images have such fields too.
    #[test]
    fn outside_of_containers_and_volumes_only_what_is_written_in_full_is_an_image() {
        for (image, is_image) in [
            ("quay.io/prometheus/prometheus:v3.5.0", true),
            ("localhost/app:1", true),
            ("registry:5000/app@sha256:1", true),
            ("ubuntu-22.04", false),
            ("prometheus/prometheus:v3.5.0", false),
            ("assets/logo.png", false),
            // Beside a field for the tag.
            ("quay.io/prometheus/prometheus", false),
        ] {
            let mut values = values();
            values.images.insert(image.to_owned(), "copy".to_owned());
            let written =
                json!({"spec": {"image": image, "template": {"spec": {"volumes": [{"rbd": {"image": image}}]}}}});
            let mut custom = object("Machine", &written);
            let found = found(std::slice::from_ref(&custom));
            assert_eq!(
                (found.images.contains_key(image), found.unclear.contains_key(image)),
                (is_image, !is_image),
                "{image}"
            );
            resolve(&mut custom, &values, &mut Vec::new());
            let want = if is_image { "copy" } else { image };
            assert_eq!(custom.data["spec"]["image"], want);
            assert_eq!(
                custom.data["spec"]["template"]["spec"]["volumes"][0]["rbd"]["image"],
                want
            );
            let container = json!({"spec": {"pods": {"containers": [{"image": image}]}}});
            let mut custom = object("Machine", &container);
            resolve(&mut custom, &values, &mut Vec::new());
            assert_eq!(custom.data["spec"]["pods"]["containers"][0]["image"], "copy", "{image}");
        }
    }
}
