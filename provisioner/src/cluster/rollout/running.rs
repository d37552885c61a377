//! After a rollout: which images run now.

use std::collections::BTreeMap;

use super::super::connect::Cluster;
use super::super::error::ClusterError;
use super::super::object::ObjectRef;
use super::super::ready::condition;
use super::super::trouble;
use super::standing::container;

/// An image and its pods.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Running {
    /// The reference that the pods state.
    pub image: String,
    /// How many of them are ready.
    pub ready: usize,
    /// How many there are.
    pub pods: usize,
}

/// The images that the pods of a Deployment state, those that are going left out.
pub async fn running(cluster: &Cluster, deployment: &ObjectRef) -> Result<Vec<Running>, ClusterError> {
    let Some(live) = cluster.get(deployment).await? else {
        return Ok(Vec::new());
    };
    let (container, selector) = (container(&live)?, trouble::selector(&live.data).unwrap_or_default());
    let pods = trouble::list(cluster, "v1", "Pod", deployment.namespace.as_deref(), &selector).await?;
    let mut images: BTreeMap<String, Running> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()) {
        let containers = pod.data["spec"]["containers"].as_array().into_iter().flatten();
        let image = containers
            .filter(|one| one["name"] == *container)
            .find_map(|one| one["image"].as_str());
        let Some(image) = image else { continue };
        let one = images.entry(image.to_owned()).or_insert_with(|| Running {
            image: image.to_owned(),
            ready: 0,
            pods: 0,
        });
        one.pods += 1;
        one.ready += usize::from(condition(&pod.data["status"], "Ready").is_some_and(|c| c["status"] == "True"));
    }
    Ok(images.into_values().collect())
}
