//! One look at a running stack, for live tables. What cannot be read is none, never an error that ends the table.

use std::collections::BTreeMap;

use http::Request;
use serde_json::Value;
use tokio::time::timeout;

use super::hops;
use super::readings::WITHIN;
use crate::cluster::values::Namespaces;
use crate::cluster::{Cluster, ClusterError};
use crate::names::APP;

/// Figures at one moment.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Sample {
    /// Pods of the app.
    pub replicas: u64,
    /// Pods that are ready.
    pub ready: u64,
    /// Pods that the HPA wants; none before it has looked.
    pub desired: Option<u64>,
    /// Most pods that the HPA may make.
    pub max: Option<u64>,
    /// Requests per second of all pods, as the HPA sees them.
    pub rate_total: Option<f64>,
    /// The same by pod.
    pub per_pod: BTreeMap<String, f64>,
    /// What keeps the HPA from scaling; none where it works.
    pub problem: Option<String>,
}

/// Looks once, in the default namespaces.
pub async fn sample(cluster: &Cluster) -> Result<Sample, ClusterError> {
    sample_of(cluster, &Namespaces::default()).await
}

/// Looks once. Fails only where the Deployment cannot be read.
pub async fn sample_of(cluster: &Cluster, at: &Namespaces) -> Result<Sample, ClusterError> {
    read(cluster, at).await.map(|(sample, _)| sample)
}

/// The figures, and the HPA as it is.
pub(super) async fn read(cluster: &Cluster, at: &Namespaces) -> Result<(Sample, Option<Value>), ClusterError> {
    let path = format!("/apis/apps/v1/namespaces/{}/deployments/{APP}", at.app);
    let hpa_path = hops::hpa_path(at);
    let ask = |path: &str| cluster.ask(Request::get(path).body(Vec::new()), WITHIN);
    let (deployment, hpa, rates) = futures::join!(
        ask(&path),
        ask(&hpa_path),
        // An adapter that hangs keeps nothing else from being told.
        timeout(WITHIN, hops::per_pod(cluster, at))
    );
    let deployment = deployment
        .map_err(|failure| ClusterError::request("read", format!("Deployment `{}/{APP}`", at.app), failure))?;
    let mut sample = Sample {
        replicas: deployment["status"]["replicas"].as_u64().unwrap_or(0),
        ready: deployment["status"]["readyReplicas"].as_u64().unwrap_or(0),
        ..Sample::default()
    };
    match &hpa {
        Ok(hpa) => {
            sample.desired = hpa["status"]["desiredReplicas"].as_u64().filter(|d| *d > 0);
            sample.max = hpa["spec"]["maxReplicas"].as_u64();
            sample.problem = problem(hpa);
        }
        Err(failure) => sample.problem = Some(failure.to_string()),
    }
    if let Ok(Ok(rates)) = rates {
        sample.rate_total = Some(rates.values().sum());
        sample.per_pod = rates;
    }
    Ok((sample, hpa.ok()))
}

fn problem(hpa: &Value) -> Option<String> {
    use crate::cluster::ready::{condition, sentence};
    let broken = |name: &str| condition(&hpa["status"], name).filter(|c| c["status"] == "False");
    broken("AbleToScale").or_else(|| broken("ScalingActive")).map(sentence)
}
