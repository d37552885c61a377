//! What of a cluster reaches outside of it: load balancers and volumes that exist for objects on it. With the cluster
//! go the objects and the controllers that clean up after them, so these objects have to go first.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::Value;

use super::connect::Cluster;
use super::delete::{DeleteReceipt, delete_objects};
use super::error::ClusterError;
use super::object::ObjectRef;
use super::ownership::{PARALLEL, is_ours};
use super::retry;
use crate::names::StackName;
use crate::report::Reporter;

/// Kinds with something outside of the cluster.
const KINDS: [(&str, &str, &str); 5] = [
    ("", "v1", "Service"),
    ("networking.k8s.io", "v1", "Ingress"),
    ("gateway.networking.k8s.io", "v1", "Gateway"),
    ("", "v1", "PersistentVolumeClaim"),
    ("", "v1", "PersistentVolume"),
];
/// Drivers of EBS volumes: that of the add-on, that of Auto Mode.
const EBS_DRIVERS: [&str; 2] = ["ebs.csi.aws.com", "ebs.csi.eks.amazonaws.com"];

/// An object with something outside of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct External {
    /// Which object.
    pub object: ObjectRef,
    /// Whether it bears the stack's labels.
    pub ours: bool,
    /// What exists for it, e.g. "load balancer `a.elb.amazonaws.com`".
    pub holds: String,
}

/// What a cluster has outside of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outside {
    /// The objects that it belongs to.
    pub objects: Vec<External>,
    /// Ids of the EBS volumes that reclaim policies keep, e.g. `vol-1`.
    pub kept: BTreeSet<String>,
    /// Ids of the EBS volumes that reclaim policies give away with their claims.
    pub released: BTreeSet<String>,
}

impl External {
    /// Whether it may be deleted: a `PersistentVolume` is there to keep its data.
    pub fn can_go(&self) -> bool {
        self.object.kind != "PersistentVolume"
    }
}

impl std::fmt::Display for External {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.object, self.holds)
    }
}

/// Every such object in all namespaces, the stack's and others', and whose data is to outlive its claim.
pub async fn find(cluster: &Cluster, stack: &StackName) -> Result<Outside, ClusterError> {
    let lists = KINDS.iter().map(|(group, version, kind)| async move {
        let Some((resource, _)) = cluster.resolve(&GroupVersionKind::gvk(group, version, kind)).await? else {
            return Ok(Outside::default());
        };
        let api = cluster.api(&resource, None);
        let all = ListParams::default();
        let found = retry::call(|| api.list(&all)).await;
        let found = found.map_err(|f| ClusterError::request("list", format!("all {}", resource.plural), f))?;
        let mut outside = Outside::default();
        for object in &found.items {
            outside.objects.extend(external(&resource, object, stack));
            outside.add_volume(&object.data["spec"]);
        }
        Ok::<_, ClusterError>(outside)
    });
    let found: Vec<Outside> = stream::iter(lists).buffered(PARALLEL).try_collect().await?;
    let mut all = Outside::default();
    for one in found {
        all.objects.extend(one.objects);
        all.kept.extend(one.kept);
        all.released.extend(one.released);
    }
    Ok(all)
}

impl Outside {
    /// The volume of a `PersistentVolume`'s spec, and what its policy says of it. Whatever is not given away is kept.
    fn add_volume(&mut self, spec: &Value) {
        let Some(volume) = volume(spec).map(volume_id) else {
            return;
        };
        if spec["persistentVolumeReclaimPolicy"] == "Delete" {
            self.released.insert(volume);
        } else {
            self.kept.insert(volume);
        }
    }
}

/// Deletes objects of [`find`] and waits until they are gone, and with them what they held: their finalizers see to
/// that. What does not go in `timeout` is in `left`. What may not go ([`External::can_go`]) is left out.
pub async fn delete(
    cluster: &Cluster,
    objects: &[External],
    timeout: Duration,
    report: &dyn Reporter,
) -> Result<DeleteReceipt, ClusterError> {
    let objects = objects.iter().filter(|one| one.can_go());
    delete_objects(cluster, objects.map(|one| one.object.clone()), timeout, report).await
}

fn external(resource: &ApiResource, object: &DynamicObject, stack: &StackName) -> Option<External> {
    Some(External {
        holds: holds(&resource.kind, object)?,
        object: ObjectRef::listed(resource, &object.metadata),
        ours: is_ours(object, stack),
    })
}

/// What an object holds outside; none where that is nothing.
fn holds(kind: &str, object: &DynamicObject) -> Option<String> {
    let (spec, status) = (&object.data["spec"], &object.data["status"]);
    match kind {
        "Service" if spec["type"] != "LoadBalancer" => None,
        "Service" | "Ingress" => Some(balancer(&status["loadBalancer"]["ingress"][0], ["hostname", "ip"])),
        "Gateway" => Some(balancer(&status["addresses"][0], ["value", "value"])),
        "PersistentVolumeClaim" => {
            let volume = spec["volumeName"].as_str().filter(|name| !name.is_empty())?;
            let size = status["capacity"]["storage"].as_str().unwrap_or("unknown size");
            Some(format!("volume `{volume}`, {size}"))
        }
        _ => kept_volume(spec).map(|volume| format!("volume `{volume}`, kept by its reclaim policy")),
    }
}

fn balancer(address: &Value, keys: [&str; 2]) -> String {
    let named = keys.iter().find_map(|key| address[*key].as_str());
    named.map_or_else(
        || "load balancer, no address yet".to_owned(),
        |name| format!("load balancer `{name}`"),
    )
}

/// The EBS volume of a `PersistentVolume` that somebody wants to outlive its claim.
fn kept_volume(spec: &Value) -> Option<&str> {
    volume(spec).filter(|_| spec["persistentVolumeReclaimPolicy"] == "Retain")
}

/// The EBS volume of a `PersistentVolume`.
fn volume(spec: &Value) -> Option<&str> {
    let driver = spec["csi"]["driver"].as_str().unwrap_or_default();
    let volume = if EBS_DRIVERS.contains(&driver) {
        &spec["csi"]["volumeHandle"]
    } else {
        &spec["awsElasticBlockStore"]["volumeID"]
    };
    volume.as_str()
}

/// Drivers write the id, Kubernetes' own provider once wrote `aws://ZONE/ID`.
fn volume_id(handle: &str) -> String {
    handle.rsplit('/').next().unwrap_or(handle).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn held(kind: &str, object: Value) -> Option<String> {
        let mut object = object;
        object["metadata"] = json!({"name": "x"});
        holds(kind, &serde_json::from_value(object).expect("an object"))
    }

    #[test]
    fn what_reaches_outside_is_told_with_what_it_holds() {
        let service = |kind: &str| json!({"spec": {"type": kind}, "status": {"loadBalancer": {"ingress": [{"hostname": "a.elb"}]}}});
        assert_eq!(
            held("Service", service("LoadBalancer")).as_deref(),
            Some("load balancer `a.elb`")
        );
        assert_eq!(held("Service", service("ClusterIP")), None);
        assert_eq!(
            held("Ingress", json!({"spec": {}, "status": {}})).as_deref(),
            Some("load balancer, no address yet")
        );
        let claim = json!({"spec": {"volumeName": "pvc-1"}, "status": {"capacity": {"storage": "8Gi"}}});
        assert_eq!(
            held("PersistentVolumeClaim", claim).as_deref(),
            Some("volume `pvc-1`, 8Gi")
        );
        assert_eq!(
            held("PersistentVolumeClaim", json!({"spec": {}, "status": {}})),
            None,
            "unbound"
        );
    }

    #[test]
    fn only_volumes_of_aws_that_are_to_outlive_their_claims_count() {
        let volume = |policy: &str, driver: &str| json!({"spec": {"persistentVolumeReclaimPolicy": policy, "csi": {"driver": driver, "volumeHandle": "vol-1"}}});
        for driver in EBS_DRIVERS {
            assert_eq!(
                held("PersistentVolume", volume("Retain", driver)).as_deref(),
                Some("volume `vol-1`, kept by its reclaim policy")
            );
        }
        assert_eq!(held("PersistentVolume", volume("Delete", EBS_DRIVERS[0])), None);
        assert_eq!(held("PersistentVolume", volume("Retain", "nfs.csi.k8s.io")), None);
    }

    #[test]
    fn only_volumes_that_their_policy_gives_away_are_released_and_named_as_ec2_does() {
        let mut outside = Outside::default();
        let driver = |id: &str| json!({"csi": {"driver": EBS_DRIVERS[1], "volumeHandle": id}});
        let in_tree = json!({"awsElasticBlockStore": {"volumeID": "aws://eu-west-1a/vol-2"}});
        let unknown = json!({"csi": {"driver": "nfs.csi.k8s.io", "volumeHandle": "vol-9"}});
        for (policy, mut spec) in [
            ("Retain", driver("vol-1")),
            ("Retain", in_tree),
            ("Delete", driver("vol-3")),
            ("Recycle", driver("vol-4")),
            ("Delete", unknown),
        ] {
            spec["persistentVolumeReclaimPolicy"] = policy.into();
            outside.add_volume(&spec);
        }
        assert_eq!(Vec::from_iter(outside.kept), ["vol-1", "vol-2", "vol-4"]);
        assert_eq!(Vec::from_iter(outside.released), ["vol-3"]);
    }
}
