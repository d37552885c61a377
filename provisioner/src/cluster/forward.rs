//! A local port that leads to a Service's pods, through the API server. Each connection goes to a pod that is ready then: one that
//! is replaced takes its connections along, and the next one reaches its successor.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::Api;
use kube::api::ListParams;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

use super::connect::Cluster;
use super::error::{Failure, chain};
use super::retry;
use crate::error::Error;
use crate::report::Reporter;

/// How long a connection waits for a pod that is ready: a new one takes seconds.
const READY: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(500);
/// After a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// A port of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The port that it offers.
    pub port: u16,
}

impl std::fmt::Display for ServicePort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Service `{}/{}`", self.namespace, self.name)
    }
}

/// Why no local port leads to a Service.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForwardError {
    /// There is none.
    #[error("cannot forward to {0}: it is not installed")]
    Missing(ServicePort),
    /// It cannot be read.
    #[error("cannot read {0}: {1}")]
    Unread(ServicePort, Failure),
    /// It has no such port, or no pods.
    #[error("cannot forward to {0}: {1}")]
    Unfit(ServicePort, String),
    /// The local port is taken.
    #[error("cannot listen on port `{0}` of 127.0.0.1")]
    Taken(u16, #[source] io::Error),
}

impl From<ForwardError> for Error {
    fn from(error: ForwardError) -> Self {
        let hint = match &error {
            ForwardError::Missing(_) => "`provisioner bootstrap` installs it, unless `--without` leaves it out",
            ForwardError::Taken(..) => "give another `--port`, or none for one that is free",
            ForwardError::Unread(..) | ForwardError::Unfit(..) => "see what `kubectl describe service` says of it",
        };
        Self::failed(error).hint(hint)
    }
}

/// A local port that listens and leads to a Service.
#[derive(Debug)]
pub struct Forward {
    listener: TcpListener,
    way: Arc<Way>,
}

/// How a pod of the Service is found and entered.
#[derive(Debug)]
struct Way {
    cluster: Cluster,
    to: ServicePort,
    /// Labels of its pods, as a selector.
    selector: String,
    target: IntOrString,
}

impl Forward {
    /// Reads the Service and listens on loopback; port 0 is a free one.
    ///
    /// # Errors
    /// There is no such Service, it has no such port or selects no pods, or the local port is taken.
    pub async fn open(cluster: &Cluster, to: ServicePort, port: u16) -> Result<Self, ForwardError> {
        let services: Api<Service> = Api::namespaced(cluster.client(), &to.namespace);
        let found = retry::found(retry::call(|| services.get(&to.name)).await);
        let found = found.map_err(|failure| ForwardError::Unread(to.clone(), failure))?;
        let spec = found.and_then(|service| service.spec);
        let spec = spec.ok_or_else(|| ForwardError::Missing(to.clone()))?;
        let offered = spec.ports.unwrap_or_default();
        let offered = offered.into_iter().find(|offered| offered.port == i32::from(to.port));
        let offered = offered.ok_or_else(|| ForwardError::Unfit(to.clone(), format!("it has no port {}", to.port)))?;
        let labels = spec.selector.unwrap_or_default();
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if labels.is_empty() {
            return Err(ForwardError::Unfit(to, "it selects no pods".to_owned()));
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.map_err(|error| ForwardError::Taken(port, error))?;
        let way = Way {
            cluster: cluster.clone(),
            selector: labels.join(","),
            target: offered.target_port.unwrap_or(IntOrString::Int(offered.port)),
            to,
        };
        Ok(Self {
            listener,
            way: Arc::new(way),
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Leads every connection to a pod, until dropped. What keeps one from it is told; the next one tries again.
    pub async fn run(self, report: Arc<dyn Reporter>) -> std::convert::Infallible {
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                sleep(PAUSE).await;
                continue;
            };
            let (way, report) = (Arc::clone(&self.way), Arc::clone(&report));
            tokio::spawn(async move {
                if let Err(why) = way.lead(stream).await {
                    report.warning(&format!("a connection to {} was lost: {why}", way.to));
                }
            });
        }
    }
}

impl Way {
    async fn lead(&self, mut stream: TcpStream) -> Result<(), String> {
        let pods: Api<Pod> = Api::namespaced(self.cluster.client(), &self.to.namespace);
        let (pod, port) = self.ready(&pods).await?;
        let mut forward = pods.portforward(&pod, &[port]).await.map_err(|error| chain(&error))?;
        let mut remote = forward.take_stream(port).ok_or("the pod's port was not opened")?;
        let failed = forward.take_error(port);
        // Either side may close as it likes; only what the pod's node says is a failure.
        let _ = copy_bidirectional(&mut stream, &mut remote).await;
        drop(remote);
        match failed {
            Some(failed) => tokio::time::timeout(PAUSE, failed)
                .await
                .ok()
                .flatten()
                .map_or(Ok(()), Err),
            None => Ok(()),
        }
    }

    /// A pod that is ready, and its port; waited for, since it may be replaced right now.
    async fn ready(&self, pods: &Api<Pod>) -> Result<(String, u16), String> {
        let give_up = Instant::now() + READY;
        let selected = ListParams::default().labels(&self.selector);
        loop {
            let listed = retry::call(|| pods.list(&selected))
                .await
                .map_err(|failure| failure.to_string())?;
            if let Some(found) = listed.items.iter().find_map(|pod| entrance(pod, &self.target)) {
                return Ok(found);
            }
            if Instant::now() >= give_up {
                return Err(format!("no pod was ready within {} s", READY.as_secs()));
            }
            sleep(LOOK).await;
        }
    }
}

/// Name and port of a pod that takes connections; none where it does not.
fn entrance(pod: &Pod, target: &IntOrString) -> Option<(String, u16)> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let is_ready = conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True");
    if !is_ready || pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let port = match target {
        IntOrString::Int(port) => *port,
        IntOrString::String(name) => {
            let containers = &pod.spec.as_ref()?.containers;
            let mut ports = containers.iter().flat_map(|container| container.ports.iter().flatten());
            ports.find(|port| port.name.as_ref() == Some(name))?.container_port
        }
    };
    Some((pod.metadata.name.clone()?, u16::try_from(port).ok()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(ready: &str, going: bool) -> Pod {
        let mut pod = json!({"metadata": {"name": "grafana-a"},
            "spec": {"containers": [{"name": "a"}, {"name": "b", "ports": [{"name": "http", "containerPort": 3000}]}]},
            "status": {"conditions": [{"type": "Ready", "status": ready}]}});
        if going {
            pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn only_pods_that_are_ready_and_stay_are_entered_at_the_port_that_the_service_means() {
        let http = IntOrString::String("http".into());
        let entered = |port| Some(("grafana-a".to_owned(), port));
        for (pod, target, want) in [
            (pod("True", false), &http, entered(3000)),
            (pod("True", false), &IntOrString::Int(9090), entered(9090)),
            (pod("True", false), &IntOrString::String("web".into()), None),
            (pod("False", false), &http, None),
            (pod("True", true), &http, None),
            (Pod::default(), &http, None),
        ] {
            assert_eq!(entrance(&pod, target), want);
        }
    }
}
