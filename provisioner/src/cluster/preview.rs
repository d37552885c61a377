//! What of an apply can be refused before anything is built: the dry runs that do not depend on what only a later part of
//! the run makes.

use std::collections::HashMap;

use futures::stream::{self, StreamExt as _};
use kube::core::DynamicObject;
use serde_json::Value;

use super::changes::{self, Options};
use super::connect::Cluster;
use super::error::ClusterError;
use super::manifest::Component;
use super::mark;
use super::object::ObjectRef;
use super::ownership::{self, Existing, PARALLEL};
use super::{prune, scale};
use crate::names::{ANNOTATION_CHECKSUM, StackName};

/// What is known of an apply before it.
#[derive(Debug)]
pub struct Checked {
    /// The objects that are there.
    pub existing: Vec<Existing>,
    /// What would be deleted in the end.
    pub going: Vec<ObjectRef>,
}

/// [`ownership::check`], and then whether others own fields that are to be changed, and whether a field cannot be changed:
/// of objects that are there, but for Secrets, whose content is not known yet. Texts that contain `unknown` count as what
/// is there. What else a server may have against an object may come from what is not known, and is no refusal yet.
///
/// # Errors
/// Whatever keeps the components from being applied, as far as that can be told.
pub async fn check(
    cluster: &Cluster,
    stack: &StackName,
    components: &[Component],
    options: Options,
    unknown: &str,
) -> Result<Checked, ClusterError> {
    let reading = ownership::look(cluster, stack, components, options).await?;
    let there = reading.existing.iter();
    let there: HashMap<&ObjectRef, &Existing> = there.map(|one| (&one.object, one)).collect();
    let scaled = scale::targets(components);
    let objects = components.iter().flat_map(|component| &component.objects);
    let tries = objects
        .filter(|wanted| !mark::is_parent(wanted))
        .filter_map(|wanted| {
            let live = there
                .get(&ObjectRef::of(wanted))
                .filter(|one| one.object.kind != "Secret")?;
            Some((known(wanted, &live.live, unknown), *live))
        })
        .map(|(wanted, live)| {
            let scaled = scaled.contains(&live.object.unversioned());
            async move { changes::decide(cluster, &wanted, (live, scaled), options).await.err() }
        });
    let refused: Vec<Option<ClusterError>> = stream::iter(tries).buffered(PARALLEL).collect().await;
    let (mut conflicts, mut immutable) = (Vec::new(), Vec::new());
    for error in refused.into_iter().flatten() {
        match error {
            ClusterError::Request { object, failure, .. } if failure.is_conflict() => {
                conflicts.extend(changes::refusals(&object, &failure));
            }
            ClusterError::Immutable(fields) => immutable.extend(fields),
            _ => {}
        }
    }
    changes::refused(conflicts, immutable)?;
    let (leftovers, _) = prune::leftovers(cluster, stack, components, &reading).await?;
    let going = leftovers.into_iter().filter(|leftover| leftover.stays.is_none());
    Ok(Checked {
        going: going.map(|leftover| leftover.live.object).collect(),
        existing: reading.existing,
    })
}

/// An object with what is there in the place of what is not known yet.
fn known(wanted: &DynamicObject, live: &DynamicObject, unknown: &str) -> DynamicObject {
    let mut wanted = wanted.clone();
    fill(&mut wanted.data, &live.data, unknown);
    wanted
}

fn fill(wanted: &mut Value, live: &Value, unknown: &str) {
    match wanted {
        Value::Object(fields) => {
            for (key, field) in fields {
                let Some(live) = live.get(key) else { continue };
                // A hash of what is not known is not known either.
                if key == ANNOTATION_CHECKSUM {
                    field.clone_from(live);
                }
                fill(field, live, unknown);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                let same = |other: &&Value| other["name"] == item["name"];
                let live = match &item["name"] {
                    Value::String(_) => live.as_array().into_iter().flatten().find(same),
                    _ => live.get(at),
                };
                if let Some(live) = live {
                    fill(item, live, unknown);
                }
            }
        }
        Value::String(text) if text.contains(unknown) => wanted.clone_from(live),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::apply;
    use crate::cluster::certificate::Certificates;
    use crate::cluster::fixtures::{components, stack, values};
    use crate::cluster::manifest;
    use crate::cluster::wire::Wire;
    use crate::report::Silent;
    use serde_json::json;

    const APP: &str = "/apis/apps/v1/namespaces/web-app/deployments/web-app";
    const UNKNOWN: &str = "unresolved.invalid/image";

    async fn installed() -> Wire {
        let wire = Wire::default();
        let applied = apply::apply(&wire.cluster(), &stack(), &components(), Options::default(), &Silent).await;
        applied.expect("applied");
        wire.state().log.clear();
        wire
    }

    /// Before the images are there.
    async fn checked(wire: &Wire) -> Result<Checked, ClusterError> {
        let mut values = values();
        values.app_image = UNKNOWN.to_owned();
        let early = manifest::load(None, &[], &values, &Certificates::default()).expect("the manifests load");
        check(&wire.cluster(), &stack(), &early, Options::default(), UNKNOWN).await
    }

    #[test]
    fn what_is_not_known_is_taken_as_it_is() {
        let live = json!({"template": {
            "metadata": {"annotations": {ANNOTATION_CHECKSUM: "1"}},
            "containers": [{"name": "side", "image": "s"}, {"name": "app", "image": "a"}]}});
        let mut wanted = json!({"template": {
            "metadata": {"annotations": {ANNOTATION_CHECKSUM: "2"}},
            "containers": [{"name": "app", "image": "u:1"}, {"name": "new", "image": "u:1"}, {"name": "side", "image": "t"}]}});
        fill(&mut wanted, &live, "u:");
        assert_eq!(
            wanted,
            json!({"template": {
                "metadata": {"annotations": {ANNOTATION_CHECKSUM: "1"}},
                "containers": [{"name": "app", "image": "a"}, {"name": "new", "image": "u:1"}, {"name": "side", "image": "t"}]}})
        );
    }

    #[tokio::test]
    async fn a_conflict_is_known_before_anything_is_built_and_what_others_left_as_it_is_is_none() {
        let wire = installed().await;
        let owner = |fields: Value| json!({"manager": "colleague", "operation": "Update", "fieldsV1": fields});
        let path = "/apis/autoscaling/v2/namespaces/web-app/horizontalpodautoscalers/web-app-hpa";
        let add = |path: &str, entry: Value| {
            let mut state = wire.state();
            let object = state.objects.get_mut(path).expect("there");
            object["metadata"]["managedFields"]
                .as_array_mut()
                .expect("managers")
                .push(entry);
        };
        // Restored from a backup, say: with the same image.
        let image =
            json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {"f:image": {}}}}}}});
        add(APP, owner(image));
        checked(&wire).await.expect("no conflict");
        add(path, owner(json!({"f:spec": {"f:maxReplicas": {}}})));
        if let Some(hpa) = wire.state().objects.get_mut(path) {
            hpa["spec"]["maxReplicas"] = 3.into();
        }
        let Err(ClusterError::Rejected(problems)) = checked(&wire).await else {
            panic!("refused");
        };
        let want =
            "HorizontalPodAutoscaler `web-app/web-app-hpa`: field `.spec.maxReplicas`: conflict with \"colleague\"";
        assert_eq!(problems, [want]);
        assert_eq!(wire.changes(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_field_that_cannot_be_changed_is_known_too_and_other_refusals_wait_for_what_is_not_known() {
        let wire = installed().await;
        let refusal = json!({"code": 422, "reason": "Invalid", "message": "no",
            "details": {"causes": [{"reason": "FieldValueInvalid", "field": "spec.selector", "message": "immutable"}]}});
        wire.state().refusals.insert(APP.to_owned(), refusal.clone());
        let denied = json!({"code": 403, "reason": "Forbidden", "message": "denied by a webhook"});
        let other = "/apis/apps/v1/namespaces/monitoring/deployments/grafana";
        wire.state().refusals.insert(other.to_owned(), denied);
        let Err(ClusterError::Immutable(fields)) = checked(&wire).await else {
            panic!("refused");
        };
        assert_eq!(
            fields,
            ["Deployment `web-app/web-app`: field `spec.selector`: immutable"]
        );
        let probe = "/apis/apps/v1/namespaces/web-app/deployments/provisioner-probe";
        wire.state().refusals.insert(probe.to_owned(), refusal);
        checked(&wire).await.expect("it may be what is not known");
    }
}
