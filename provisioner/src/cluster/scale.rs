//! How many pods a workload has is its autoscaler's to say: `spec.replicas` of what an HPA targets is never sent, and where
//! an earlier apply did send it, it is handed over first.
//!
//! Without that, an apply that no longer states a field that only this program owns removes it, and the server puts its
//! default there: one pod
//! (<https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership>).

use std::collections::BTreeSet;

use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::connect::Cluster;
use super::error::{ClusterError, Failure};
use super::manifest::Component;
use super::object::ObjectRef;
use super::{applied, retry};
use crate::names::{FIELD_MANAGER, FIELD_MANAGER_SCALE};

/// What is said of a field that is handed over.
pub(super) const HANDED_OVER: &str = "spec.replicas (left to the autoscaler)";
/// The autoscaler may act between reading and writing; each time means another look.
const TRIES: u32 = 10;

/// What the HPAs among the components scale, in whatever version.
pub(super) fn targets(components: &[Component]) -> BTreeSet<ObjectRef> {
    let objects = components.iter().flat_map(|component| &component.objects);
    objects.filter_map(target).collect()
}

fn target(object: &DynamicObject) -> Option<ObjectRef> {
    let hpa = ObjectRef::of(object);
    if hpa.group() != "autoscaling" || hpa.kind != "HorizontalPodAutoscaler" {
        return None;
    }
    let of = &object.data["spec"]["scaleTargetRef"];
    let text = |field: &str| of[field].as_str().map(ToOwned::to_owned);
    let target = ObjectRef {
        api_version: text("apiVersion")?,
        kind: text("kind")?,
        namespace: hpa.namespace,
        name: text("name")?,
    };
    Some(target.unversioned())
}

/// Takes `spec.replicas` out of what an HPA among the components scales.
pub(super) fn leave_to_autoscalers(components: &mut [Component]) {
    let targets = targets(components);
    for object in components.iter_mut().flat_map(|component| &mut component.objects) {
        if targets.contains(&ObjectRef::of(object).unversioned())
            && let Some(spec) = object.data.get_mut("spec").and_then(Value::as_object_mut)
        {
            spec.remove("replicas");
        }
    }
}

/// Whether this program alone owns the number of pods.
pub(super) fn is_ours(live: &DynamicObject) -> bool {
    applied::managers_of(live, &["f:spec", "f:replicas"]) == [FIELD_MANAGER]
}

/// Whether all that keeps an object from being applied is the number of pods that was handed over for an autoscaler which
/// is wanted no longer, and which nobody has changed since.
pub(super) fn is_left_behind(live: &DynamicObject, failure: &Failure) -> bool {
    let owners = applied::managers_of(live, &["f:spec", "f:replicas"]);
    failure.is_conflict()
        && !failure.causes.is_empty()
        && failure.causes.iter().all(|(field, _)| field == ".spec.replicas")
        && owners.iter().any(|owner| owner == FIELD_MANAGER_SCALE)
        && owners
            .iter()
            .all(|owner| owner == FIELD_MANAGER_SCALE || owner == FIELD_MANAGER)
}

/// Lets another field manager own the number of pods as it is now. The autoscaler takes it from that one with its next
/// change.
pub(super) async fn hand_over(cluster: &Cluster, object: &ObjectRef) -> Result<(), ClusterError> {
    let api = cluster.api_of(object).await?;
    let mut params = PatchParams::apply(FIELD_MANAGER_SCALE);
    params.force = true;
    let mut tries = 0;
    loop {
        let Some(live) = cluster.get(object).await?.filter(is_ours) else {
            return Ok(());
        };
        let mut wanted = object.bare();
        // What the autoscaler writes meanwhile must not be taken back.
        wanted
            .metadata
            .resource_version
            .clone_from(&live.metadata.resource_version);
        wanted.data = json!({"spec": {"replicas": live.data["spec"]["replicas"]}});
        let patch = Patch::Apply(&wanted);
        match retry::call(|| api.patch(&object.name, &params, &patch)).await {
            Ok(_) => return Ok(()),
            Err(failure) if failure.is_conflict() && tries < TRIES => tries += 1,
            Err(failure) => return Err(ClusterError::on("hand over `spec.replicas` of", object, failure)),
        }
    }
}
