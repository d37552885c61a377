//! An `APIService` of others that the stack replaces, on request, and gives back at its teardown.
//!
//! A cluster has one API of a name. What each was is kept in an annotation of the `ApplySet`'s parent, which is applied
//! before the `APIService` and deleted after it: an interruption at any point loses nothing.

use std::collections::BTreeMap;

use kube::api::PostParams;
use kube::core::DynamicObject;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::connect::Cluster;
use super::delete::{DeleteReceipt, Left};
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

/// All that was replaced, by name.
type Records = BTreeMap<String, Record>;

/// What it takes to make an object again.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    spec: Value,
}

/// Writes what is replaced on the parent among `components`: what the cluster's parent (`known`) says already, and what is
/// there now where `take_over` was asked for. What points at the stack's own backend is the stack's, whatever its labels: it
/// takes no record's place.
pub async fn remember(
    cluster: &Cluster,
    stack: &StackName,
    (known, take_over): (&Parent, bool),
    components: &mut [Component],
) -> Result<(), ClusterError> {
    let mut text = known.replaced.clone();
    if take_over {
        let mut records = text.as_deref().and_then(read).unwrap_or_default();
        for wanted in components.iter().flat_map(|component| &component.objects) {
            let object = ObjectRef::of(wanted);
            if object.kind != KIND {
                continue;
            }
            let live = cluster.get(&object).await?.filter(|live| !is_ours(live, stack));
            if let Some(foreign) = live.filter(|live| !same_backend(&live.data["spec"], &wanted.data["spec"])) {
                records.insert(object.name, Record::of(&foreign));
                text = Some(json!(records).to_string());
            }
        }
    }
    if let Some(text) = text {
        parent::annotate(components, stack, ANNOTATION_REPLACED, &text);
    }
    Ok(())
}

fn read(text: &str) -> Option<Records> {
    serde_json::from_str(text).ok()
}

/// What is still replaced once some of it was given back; none where that was all.
pub(super) fn without(text: &str, restored: &[ObjectRef]) -> Option<String> {
    let Some(mut records) = read(text) else {
        return Some(text.to_owned());
    };
    records.retain(|name, _| restored.iter().all(|object| object.name != *name));
    (!records.is_empty()).then(|| json!(records).to_string())
}

/// Whether both name the same Service; two that name none do not.
fn same_backend(one: &Value, other: &Value) -> bool {
    let backend = |spec: &Value| [spec["service"]["namespace"].clone(), spec["service"]["name"].clone()];
    one["service"].is_object() && backend(one) == backend(other)
}

impl Record {
    fn of(live: &DynamicObject) -> Self {
        Self {
            labels: live.metadata.labels.clone(),
            annotations: live.metadata.annotations.clone(),
            spec: live.data["spec"].clone(),
        }
    }

    /// The manifest of the object, as people would apply it.
    fn manifest(&self, object: &ObjectRef) -> Value {
        json!({
            "apiVersion": object.api_version, "kind": object.kind,
            "metadata": {"name": object.name, "labels": self.labels, "annotations": self.annotations},
            "spec": self.spec,
        })
    }
}

/// Gives back what the stack replaced, and enters it into `receipt`. What has no backend that is ready is not given
/// back: it would break the discovery of every client, and with it the deletion of namespaces; its manifest is in the
/// warning and in the receipt, since the record goes with the stack. One that others changed meanwhile is theirs
/// already.
pub(super) async fn restore(
    cluster: &Cluster,
    stack: &StackName,
    parent: Option<Parent>,
    receipt: &mut DeleteReceipt,
    report: &dyn Reporter,
) -> Result<(), ClusterError> {
    let parent = parent.unwrap_or_default();
    give_back_some(cluster, (stack, &parent), |_| true, receipt, report).await
}

/// What [`restore`] would do, entered into `receipt`; nothing is changed.
pub(super) async fn foretell(
    cluster: &Cluster,
    stack: &StackName,
    parent: Option<Parent>,
    receipt: &mut DeleteReceipt,
    report: &dyn Reporter,
) -> Result<(), ClusterError> {
    for (object, record) in records(stack, &parent.unwrap_or_default(), report) {
        match Due::of(cluster, stack, (&object, &record)).await? {
            Due::Nothing => {}
            Due::Dead(left) => receipt.left.push(left),
            Due::Back(_) => receipt.restored.push(object),
        }
    }
    Ok(())
}

/// [`restore`] for some of what was replaced, by name.
pub(super) async fn give_back_some(
    cluster: &Cluster,
    (stack, parent): (&StackName, &Parent),
    is_meant: impl Fn(&str) -> bool,
    receipt: &mut DeleteReceipt,
    report: &dyn Reporter,
) -> Result<(), ClusterError> {
    let records = records(stack, parent, report);
    for (object, record) in records.into_iter().filter(|(object, _)| is_meant(&object.name)) {
        give_back(cluster, stack, (&object, &record), receipt, report).await?;
    }
    Ok(())
}

/// All that the stack replaced; what cannot be read is told.
fn records(stack: &StackName, parent: &Parent, report: &dyn Reporter) -> Vec<(ObjectRef, Record)> {
    let Some(text) = &parent.replaced else {
        return Vec::new();
    };
    let Some(records) = read(text) else {
        report.warning(&format!(
            "what stack `{stack}` replaced is not given back: its record cannot be read: {text}"
        ));
        return Vec::new();
    };
    let object = |name| ObjectRef {
        api_version: API_VERSION.to_owned(),
        kind: KIND.to_owned(),
        namespace: None,
        name,
    };
    let records = records.into_iter().map(|(name, record)| (object(name), record));
    records.collect()
}

/// What is to be done for one object that was replaced.
enum Due {
    /// It is others' again, or was never another one.
    Nothing,
    /// It would have no backend that is ready, and is not given back.
    Dead(Left),
    /// It is given back, in place of what is there.
    Back(Box<Option<DynamicObject>>),
}

impl Due {
    async fn of(
        cluster: &Cluster,
        stack: &StackName,
        (object, record): (&ObjectRef, &Record),
    ) -> Result<Self, ClusterError> {
        let live = cluster.get(object).await?;
        let nothing = |live: &DynamicObject| !is_ours(live, stack) || same_backend(&live.data["spec"], &record.spec);
        if live.as_ref().is_some_and(nothing) {
            return Ok(Self::Nothing);
        }
        let Some(service) = dead_backend(cluster, &record.spec).await? else {
            return Ok(Self::Back(Box::new(live)));
        };
        let reason = format!(
            "not given back to others: their {service} has no backend that is ready; apply it once it has: {}",
            record.manifest(object)
        );
        let object = object.clone();
        Ok(Self::Dead(Left { object, reason }))
    }
}

async fn give_back(
    cluster: &Cluster,
    stack: &StackName,
    (object, record): (&ObjectRef, &Record),
    receipt: &mut DeleteReceipt,
    report: &dyn Reporter,
) -> Result<(), ClusterError> {
    let live = match Due::of(cluster, stack, (object, record)).await? {
        Due::Nothing => return Ok(()),
        Due::Dead(left) => {
            report.warning(&format!("{object} is {}", left.reason));
            receipt.left.push(left);
            return Ok(());
        }
        Due::Back(live) => live,
    };
    put(cluster, object, *live, record).await?;
    report.done(
        KIND,
        &object.name,
        Outcome::Updated,
        "given back as it was before this stack",
    );
    receipt.restored.push(object.clone());
    Ok(())
}

/// The Service behind the recorded object, where nothing answers for it.
async fn dead_backend(cluster: &Cluster, spec: &Value) -> Result<Option<ObjectRef>, ClusterError> {
    let text = |field: &str| spec["service"][field].as_str().map(ToOwned::to_owned);
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
    record: &Record,
) -> Result<(), ClusterError> {
    let api = cluster.api_of(object).await?;
    let mut wanted = record.manifest(object);
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
