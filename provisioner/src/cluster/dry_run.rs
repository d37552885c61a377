//! What would become of one object: the server's answer to a dry run, or what can be told without it.

use kube::core::DynamicObject;
use serde_json::Value;

use super::changes::{self, Options, Planned};
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

/// A dry run of one object.
#[derive(Clone, Copy)]
pub(super) struct Try<'a> {
    pub(super) wanted: &'a DynamicObject,
    pub(super) options: Options,
    /// What a plan said of it before.
    pub(super) former: Option<&'a Planned>,
}

impl Try<'_> {
    /// What the server would make of the object, which is `live` now; none where a webhook of the cluster takes no part
    /// in dry runs, which says nothing of the object itself.
    ///
    /// # Errors
    /// The server refuses the object, or does not answer.
    pub(super) async fn ask(
        &self,
        cluster: &Cluster,
        live: Option<&DynamicObject>,
        force: bool,
    ) -> Result<Option<DynamicObject>, ClusterError> {
        if let Some(after) = self.said_before(live, force) {
            return Ok(Some(after));
        }
        let object = ObjectRef::of(self.wanted);
        match changes::send(cluster, &object, self.wanted, self.options.forced(force), true).await {
            Ok(merged) => Ok(Some(merged)),
            Err(ClusterError::Request { failure, .. }) if failure.is_of_dry_runs() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The server's former answer, where neither what is wanted nor what is there is another since.
    fn said_before(&self, live: Option<&DynamicObject>, force: bool) -> Option<DynamicObject> {
        let former = self.former.filter(|former| former.force == force)?;
        let answer = former.answer.as_ref().filter(|answer| answer.by_server)?;
        let is_same = match (&answer.before, live) {
            (None, None) => true,
            (Some(before), Some(live)) => {
                let (before, live) = (&before.metadata, &live.metadata);
                live.resource_version.is_some()
                    && (&before.uid, &before.resource_version) == (&live.uid, &live.resource_version)
            }
            _ => false,
        };
        (is_same && former.wanted == *self.wanted).then(|| answer.after.clone())
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
