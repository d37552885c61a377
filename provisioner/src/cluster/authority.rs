//! Who signs the certificate of the custom metrics API: cert-manager where the cluster has it, else ourselves.

use std::time::Duration;

use kube::core::{DynamicObject, GroupVersionKind};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::certificate::{API_SERVICE, SERVING_SECRET};
use super::connect::Cluster;
use super::error::{ClusterError, Failure};
use super::object::ObjectRef;
use super::{mark, retry};
use crate::names::ANNOTATION_CERTIFICATES;

/// The API group of cert-manager.
pub(super) const GROUP: &str = "cert-manager.io";
/// Its version that the manifests use.
const VERSION: &str = "v1";
/// The kinds of it that the manifests use.
const KINDS: [&str; 2] = ["Certificate", "Issuer"];
/// Annotation of an `APIService` whose bundle cert-manager writes.
const INJECT: &str = "cert-manager.io/inject-ca-from";
/// The Secret that cert-manager writes the serving certificate to. It is another one than ours: neither manager has to
/// take fields from the other, and both certificates are there while pods change over.
const ISSUED_SECRET: &str = "cm-adapter-issued-certs";
/// How long cert-manager's webhook may refuse: a new one starts while its certificate is made.
const WEBHOOK: Duration = Duration::from_secs(30);

/// Who is to sign, as the settings say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// cert-manager where the cluster knows its kinds, else ourselves.
    #[default]
    Auto,
    /// cert-manager or nobody.
    CertManager,
    /// An authority of the stack's own.
    Own,
}

/// Who signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Authority {
    /// An authority of the stack's own, with its key in a Secret.
    #[default]
    Own,
    /// cert-manager, with an authority for this stack alone.
    CertManager,
}

impl Authority {
    /// As manifests name it in the annotation `provisioner/certificates`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::CertManager => "cert-manager",
        }
    }

    /// The Secret that the adapter serves from.
    pub(super) fn serving_secret(self) -> &'static str {
        match self {
            Self::Own => SERVING_SECRET,
            Self::CertManager => ISSUED_SECRET,
        }
    }

    /// Namespace and name of the Certificate whose authority cert-manager writes into the `APIService`; empty where we
    /// write it.
    pub(super) fn injected_from(self, namespace: &str) -> String {
        match self {
            Self::Own => String::new(),
            Self::CertManager => format!("{namespace}/{SERVING_SECRET}"),
        }
    }

    /// Whether an object belongs to the stack where this authority signs.
    pub(super) fn needs(self, object: &DynamicObject) -> bool {
        mark::annotation(object, ANNOTATION_CERTIFICATES).is_none_or(|only| only == self.name())
    }
}

/// Who signs on this cluster. Changes nothing: cert-manager is asked by a dry run, since its pods may be ready while its
/// webhook does not answer yet.
///
/// # Errors
/// cert-manager is named and its kinds are not known; it is there and refuses a Certificate.
pub async fn decide(cluster: &Cluster, choice: Choice) -> Result<Authority, ClusterError> {
    if choice == Choice::Own {
        return Ok(Authority::Own);
    }
    let mut missing = Vec::new();
    for kind in KINDS {
        let gvk = GroupVersionKind::gvk(GROUP, VERSION, kind);
        if cluster.resolve(&gvk).await?.is_none() {
            missing.push(format!("{kind} ({GROUP}/{VERSION})"));
        }
    }
    match (missing.is_empty(), choice) {
        (true, _) => accepts(cluster, WEBHOOK).await.map(|()| Authority::CertManager),
        (false, Choice::CertManager) => Err(ClusterError::NoCertManager(missing)),
        (false, _) => Ok(Authority::Own),
    }
}

/// Waits until cert-manager accepts a Certificate, which is never made.
async fn accepts(cluster: &Cluster, patience: Duration) -> Result<(), ClusterError> {
    let give_up = Instant::now() + patience;
    loop {
        let Err(failure) = try_certificate(cluster).await else {
            return Ok(());
        };
        // A webhook that does not answer is an internal error of the API server.
        let webhook = failure.code == Some(500);
        if !webhook || Instant::now() >= give_up {
            return Err(ClusterError::CertManager(failure));
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// `default` is the one namespace that is always there.
async fn try_certificate(cluster: &Cluster) -> Result<(), Failure> {
    let certificate = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"), "kind": KINDS[0],
        "metadata": {"name": "provisioner-probe", "namespace": "default"},
        "spec": {
            "secretName": "provisioner-probe", "dnsNames": ["provisioner-probe.invalid"],
            "issuerRef": {"name": "provisioner-probe", "kind": KINDS[1]},
        }
    });
    let path = format!("/apis/{GROUP}/{VERSION}/namespaces/default/certificates?dryRun=All");
    let answer = retry::call(|| async {
        let request = http::Request::post(&path)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(certificate.to_string().into_bytes())
            .map_err(kube::Error::HttpError)?;
        cluster.client().request::<Value>(request).await
    });
    answer.await.map(drop)
}

/// Whether an apply takes the bundle of our `APIService` back from cert-manager: it has written it, and is told no more
/// to go on. Without force its last bundle would stand in the way.
pub(super) fn is_taken_back(wanted: &DynamicObject, live: &DynamicObject) -> bool {
    ObjectRef::of(wanted).name == API_SERVICE && is_injected(live) && !is_injected(wanted)
}

/// Whether cert-manager writes the bundle of an `APIService`.
pub(super) fn is_injected(service: &DynamicObject) -> bool {
    mark::annotation(service, INJECT).is_some()
}

#[cfg(test)]
#[path = "authority_tests.rs"]
mod tests;
