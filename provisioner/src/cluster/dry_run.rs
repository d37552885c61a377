//! What would become of one object: the server's answer to a dry run, or what can be told without it.

use kube::core::DynamicObject;
use serde_json::Value;

use super::changes::{self, Options};
use super::connect::Cluster;
use super::error::ClusterError;
use super::object::ObjectRef;

/// An object before and after an apply.
#[derive(Debug, Clone)]
pub struct Answer {
    /// As it is; none where it is absent.
    pub before: Option<DynamicObject>,
    /// As it would be.
    pub after: DynamicObject,
    /// Whether the server says so. Else it is what the manifest states over what there is, and the server, which knows
    /// other ways to write the same, may find no difference.
    pub by_server: bool,
}

impl Answer {
    pub(super) fn of_server(before: Option<&DynamicObject>, after: DynamicObject) -> Self {
        Self {
            before: before.cloned(),
            after,
            by_server: true,
        }
    }

    pub(super) fn guessed(wanted: &DynamicObject, live: &DynamicObject) -> Self {
        let mut after = live.clone();
        overlay(&mut after.data, &wanted.data);
        let (labels, annotations) = (&wanted.metadata.labels, &wanted.metadata.annotations);
        for (onto, stated) in [
            (&mut after.metadata.labels, labels),
            (&mut after.metadata.annotations, annotations),
        ] {
            let stated = stated.iter().flatten();
            let stated = stated.map(|(key, value)| (key.clone(), value.clone()));
            onto.get_or_insert_default().extend(stated);
        }
        Self {
            before: Some(live.clone()),
            after,
            by_server: false,
        }
    }
}

/// What the server would make of an object; none where a webhook of the cluster takes no part in dry runs, which says
/// nothing of the object itself.
///
/// # Errors
/// The server refuses the object, or does not answer.
pub(super) async fn ask(
    cluster: &Cluster,
    object: &ObjectRef,
    wanted: &DynamicObject,
    options: Options,
) -> Result<Option<DynamicObject>, ClusterError> {
    match changes::send(cluster, object, wanted, options, true).await {
        Ok(merged) => Ok(Some(merged)),
        Err(ClusterError::Request { failure, .. }) if failure.is_of_dry_runs() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Puts what `wanted` states over `onto`; items of lists of the same length by their places.
fn overlay(onto: &mut Value, wanted: &Value) {
    match (onto, wanted) {
        (Value::Object(onto), Value::Object(wanted)) => {
            for (key, value) in wanted {
                overlay(onto.entry(key).or_insert(Value::Null), value);
            }
        }
        (Value::Array(onto), Value::Array(wanted)) if onto.len() == wanted.len() => {
            for (onto, wanted) in onto.iter_mut().zip(wanted) {
                overlay(onto, wanted);
            }
        }
        (onto, wanted) => onto.clone_from(wanted),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::paths::difference;

    fn object(value: Value) -> DynamicObject {
        serde_json::from_value(value).expect("an object")
    }

    #[test]
    fn without_the_server_what_a_manifest_does_not_state_stays_as_it_is() {
        let live = object(json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "x", "labels": {"theirs": "1"}, "uid": "1"},
            "spec": {"dnsPolicy": "ClusterFirst", "containers": [{"name": "app", "image": "a", "terminationMessagePath": "/x"}]},
            "status": {"phase": "Running"}}));
        let wanted = |image: &str| {
            object(
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "labels": {"ours": "1"}},
                "spec": {"containers": [{"name": "app", "image": image}]}}),
            )
        };
        let fields = |wanted: DynamicObject| difference(&wanted, &live, &Answer::guessed(&wanted, &live).after);
        assert_eq!(fields(wanted("a")), ["metadata.labels.ours"]);
        assert_eq!(fields(wanted("b")), ["metadata.labels.ours", "spec.containers"]);
    }
}
