//! Images in manifests: `build://NAME` becomes what the tool pushed, and a repository may be taken from elsewhere.

use std::collections::BTreeMap;

use serde_json::Value;

use super::values::{BUILT, Values};
use crate::spelling::nearest;

/// Replaces the references in all fields `image`, and says which cannot be.
pub(super) fn resolve(value: &mut Value, values: &Values, problems: &mut Vec<String>) {
    replace(value, (&values.built(), &values.images), problems);
}

fn replace(
    value: &mut Value,
    images: (&BTreeMap<&'static str, &str>, &BTreeMap<String, String>),
    problems: &mut Vec<String>,
) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                let reference = field.as_str().filter(|_| key == "image");
                match reference.map(|reference| replaced(reference, images)) {
                    Some(Ok(Some(other))) => *field = other.into(),
                    Some(Ok(None)) => {}
                    Some(Err(problem)) => problems.push(problem),
                    None => replace(field, images, problems),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, images, problems)),
        _ => {}
    }
}

/// What stands for a reference; none where it stays.
fn replaced(
    reference: &str,
    (built, elsewhere): (&BTreeMap<&'static str, &str>, &BTreeMap<String, String>),
) -> Result<Option<String>, String> {
    let Some(name) = reference.strip_prefix(BUILT) else {
        return Ok(elsewhere.get(repository(reference)).cloned());
    };
    match built.get(name) {
        Some(image) if !image.is_empty() => Ok(Some((*image).to_owned())),
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

/// An image reference without tag and digest.
fn repository(image: &str) -> &str {
    let name = image.split('@').next().unwrap_or(image);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn image_references_split_at_the_tag_not_at_a_port() {
        assert_eq!(repository("h:5000/a/b:v1@sha256:00"), "h:5000/a/b");
        assert_eq!(repository("h:5000/a/b"), "h:5000/a/b");
        assert_eq!(
            repository("docker.io/grafana/grafana:1.2.3"),
            "docker.io/grafana/grafana"
        );
    }

    #[test]
    fn images_that_were_pushed_are_named_by_their_name_wherever_a_field_is_an_image() {
        let mut values = Values::new("demo".parse().expect("valid"), "r/web-app@sha256:1", "r/load@sha256:2");
        values
            .images
            .insert("docker.io/a/b".to_owned(), "mirror/b@sha256:3".to_owned());
        let mut problems = Vec::new();
        let mut object = json!({
            "initContainers": [{"image": "build://load"}],
            "containers": [{"image": "build://web-app", "args": ["build://web-app"]}, {"image": "docker.io/a/b:1"}],
            "image": {"image": "other/c:1"},
        });
        resolve(&mut object, &values, &mut problems);
        assert_eq!(
            object,
            json!({
                "initContainers": [{"image": "r/load@sha256:2"}],
                "containers": [{"image": "r/web-app@sha256:1", "args": ["build://web-app"]}, {"image": "mirror/b@sha256:3"}],
                "image": {"image": "other/c:1"},
            })
        );
        assert_eq!(problems, Vec::<String>::new());
        values.load_image.clear();
        resolve(
            &mut json!([{"image": "build://load"}, {"image": "build://webapp"}]),
            &values,
            &mut problems,
        );
        assert_eq!(
            problems,
            [
                "image `build://load`: the stack has none; `--loader-image REF` names one",
                "image `build://webapp`: no image of that name is made; did you mean `build://web-app`?"
            ]
        );
    }
}
