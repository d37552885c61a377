//! An `APIService` of others that the stack replaces, on request, and gives back at its teardown.
//!
//! A cluster has one custom metrics API. What it was is kept as an annotation of the `ApplySet`'s parent, which is
//! applied before the `APIService` and deleted after it: an interruption at any point loses nothing.

use kube::api::PostParams;
use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::connect::Cluster;
use super::error::ClusterError;
use super::manifest::Component;
use super::object::ObjectRef;
use super::ownership::is_ours;
use super::parent::{self, Parent};
use super::{retry, trouble};
use crate::names::{ANNOTATION_REPLACED, StackName};
use crate::report::{Outcome, Reporter};

/// The kind that is taken over, and no other.
pub(super) const KIND: &str = "APIService";
const API_VERSION: &str = "apiregistration.k8s.io/v1";

/// Writes what is replaced on the parent among `components`: what the cluster's parent says already, or what is there
/// now where `take_over` was asked for.
pub async fn remember(
    cluster: &Cluster,
    stack: &StackName,
    (namespace, take_over): (&str, bool),
    components: &mut [Component],
) -> Result<(), ClusterError> {
    let known = parent::read(cluster, stack, namespace).await?.unwrap_or_default();
    let mut record = known.replaced;
    if take_over {
        let services: Vec<ObjectRef> = components
            .iter()
            .flat_map(|component| &component.objects)
            .map(ObjectRef::of)
            .filter(|object| object.kind == KIND)
            .collect();
        for object in services {
            let live = cluster.get(&object).await?;
            if let Some(foreign) = live.filter(|live| !is_ours(live, stack)) {
                record = Some(recorded(&object.name, &foreign));
            }
        }
    }
    if let Some(record) = record {
        parent::annotate(components, stack, ANNOTATION_REPLACED, &record);
    }
    Ok(())
}

/// What it takes to make the object again.
fn recorded(name: &str, live: &DynamicObject) -> String {
    json!({
        "name": name,
        "labels": live.metadata.labels,
        "annotations": live.metadata.annotations,
        "spec": live.data["spec"],
    })
    .to_string()
}

/// Gives back what the stack replaced; what that was, where it was given back. One whose backend is gone is not: it
/// would break the discovery of every client, and with it the deletion of namespaces. One that others changed meanwhile
/// is theirs already.
pub(super) async fn restore(
    cluster: &Cluster,
    stack: &StackName,
    parent: Option<Parent>,
    report: &dyn Reporter,
) -> Result<Option<ObjectRef>, ClusterError> {
    let record = parent.and_then(|parent| parent.replaced);
    let Some(record) = record.and_then(|text| serde_json::from_str::<Value>(&text).ok()) else {
        return Ok(None);
    };
    let object = ObjectRef {
        api_version: API_VERSION.to_owned(),
        kind: KIND.to_owned(),
        namespace: None,
        name: record["name"].as_str().unwrap_or_default().to_owned(),
    };
    let live = cluster.get(&object).await?;
    if live.as_ref().is_some_and(|live| !is_ours(live, stack)) {
        return Ok(None);
    }
    if let Some(service) = dead_backend(cluster, &record).await? {
        report.warning(&format!(
            "{object} is not given back to others: their {service} has no backend that is ready"
        ));
        return Ok(None);
    }
    put(cluster, &object, live, &record).await?;
    report.done(
        KIND,
        &object.name,
        Outcome::Updated,
        "given back as it was before this stack",
    );
    Ok(Some(object))
}

/// The Service behind the recorded object, where nothing answers for it.
async fn dead_backend(cluster: &Cluster, record: &Value) -> Result<Option<ObjectRef>, ClusterError> {
    let text = |field: &str| record["spec"]["service"][field].as_str().map(ToOwned::to_owned);
    let (Some(namespace), Some(name)) = (text("namespace"), text("name")) else {
        return Ok(None);
    };
    let selector = format!("kubernetes.io/service-name={name}");
    let slices = trouble::list(
        cluster,
        "discovery.k8s.io/v1",
        "EndpointSlice",
        Some(&namespace),
        &selector,
    )
    .await?;
    let mut endpoints = slices
        .iter()
        .filter_map(|slice| slice.data["endpoints"].as_array())
        .flatten();
    // Unknown counts as ready.
    if endpoints.any(|endpoint| endpoint["conditions"]["ready"] != false) {
        return Ok(None);
    }
    Ok(Some(ObjectRef {
        api_version: "v1".to_owned(),
        kind: "Service".to_owned(),
        namespace: Some(namespace),
        name,
    }))
}

/// In place of ours, so that no moment is without the API; anew where ours is gone.
async fn put(
    cluster: &Cluster,
    object: &ObjectRef,
    live: Option<DynamicObject>,
    record: &Value,
) -> Result<(), ClusterError> {
    let api = cluster.api_of(object).await?;
    let mut wanted = json!({
        "apiVersion": object.api_version, "kind": object.kind,
        "metadata": {"name": object.name, "labels": record["labels"], "annotations": record["annotations"]},
        "spec": record["spec"],
    });
    let exists = live.is_some();
    if let Some(live) = live {
        wanted["metadata"]["resourceVersion"] = json!(live.metadata.resource_version);
        // An empty entry is how the server is told to forget who managed which field.
        wanted["metadata"]["managedFields"] = json!([{}]);
    }
    let wanted: DynamicObject = serde_json::from_value(wanted).map_err(|error| {
        ClusterError::on(
            "read the record of",
            object,
            super::error::Failure::local(error.to_string(), false),
        )
    })?;
    let params = PostParams::default();
    let sent = if exists {
        retry::call(|| api.replace(&object.name, &params, &wanted)).await
    } else {
        retry::call(|| api.create(&params, &wanted)).await
    };
    match sent {
        Ok(_) => Ok(()),
        // The answer of an earlier try got lost.
        Err(failure) if failure.is_conflict() && !exists => Ok(()),
        Err(failure) => Err(ClusterError::on("give back", object, failure)),
    }
}
