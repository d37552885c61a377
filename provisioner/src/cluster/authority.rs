//! Who signs the certificate of the custom metrics API: cert-manager where the cluster has it, else ourselves.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use kube::core::{DynamicObject, GroupVersionKind};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::certificate::{API_SERVICE, SERVING_SECRET};
use super::connect::Cluster;
use super::error::{ClusterError, Failure};
use super::object::ObjectRef;
use super::{applied, mark, retry, trouble};
use crate::names::{ANNOTATION_CERTIFICATES, FIELD_MANAGER};

/// The API group of cert-manager.
pub(super) const GROUP: &str = "cert-manager.io";
/// Its version that the manifests use.
const VERSION: &str = "v1";
/// The kinds of it that the manifests use.
const KINDS: [&str; 2] = ["Certificate", "Issuer"];
/// Annotation of an `APIService` whose bundle cert-manager writes.
const INJECT: &str = "cert-manager.io/inject-ca-from";
/// How all annotations begin by which cert-manager is told to write a bundle.
const INJECTS: &str = "cert-manager.io/inject-";
/// The Secret that cert-manager writes the serving certificate to. It is another one than ours: neither manager has to
/// take fields from the other, and both certificates are there while pods change over.
const ISSUED_SECRET: &str = "cm-adapter-issued-certs";
/// How long cert-manager's webhook may refuse: a new one starts while its certificate is made.
const WEBHOOK: Duration = Duration::from_secs(30);

/// Who is to sign, as the settings say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// cert-manager where it is installed, else ourselves.
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
    pub(crate) fn serving_secret(self) -> &'static str {
        match self {
            Self::Own => SERVING_SECRET,
            Self::CertManager => ISSUED_SECRET,
        }
    }

    /// Who signs what an adapter serves with: whose Secret its Deployment mounts, the first where there are both; none where
    /// it mounts neither.
    pub(crate) fn of_adapter(deployment: &Value) -> Option<Self> {
        let volumes = deployment.pointer("/spec/template/spec/volumes")?.as_array()?;
        let mut secrets = volumes
            .iter()
            .filter_map(|volume| volume["secret"]["secretName"].as_str());
        secrets.find_map(|name| {
            let known = [Self::Own, Self::CertManager];
            known.into_iter().find(|authority| authority.serving_secret() == name)
        })
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
        (true, Choice::Auto) if !is_installed(cluster).await? => Ok(Authority::Own),
        (true, _) => accepts(cluster, WEBHOOK).await.map(|()| Authority::CertManager),
        (false, Choice::CertManager) => Err(ClusterError::NoCertManager(missing)),
        (false, _) => Ok(Authority::Own),
    }
}

/// Whether cert-manager is more than its kinds, which outlive its removal: every way to install it brings a webhook that
/// checks its objects. A stack that it signs for is not taken from it by this: it may be on its way back.
async fn is_installed(cluster: &Cluster) -> Result<bool, ClusterError> {
    let checks = |webhooks: &DynamicObject| {
        let rules = webhooks.data["webhooks"].as_array().into_iter().flatten();
        let mut rules = rules.flat_map(|webhook| webhook["rules"].as_array().into_iter().flatten());
        rules.any(|rule| {
            rule["apiGroups"]
                .as_array()
                .is_some_and(|all| all.contains(&json!(GROUP)))
        })
    };
    let api = "admissionregistration.k8s.io/v1";
    match trouble::list(cluster, api, "ValidatingWebhookConfiguration", None, "").await {
        Ok(all) if all.iter().any(checks) => return Ok(true),
        Ok(_) => {}
        // Who may not look cannot tell.
        Err(ClusterError::Request { failure, .. }) if failure.code == Some(403) => return Ok(true),
        Err(error) => return Err(error),
    }
    let service = ObjectRef {
        api_version: "apiregistration.k8s.io/v1".to_owned(),
        kind: "APIService".to_owned(),
        namespace: None,
        name: API_SERVICE.to_owned(),
    };
    let service = cluster.get(&service).await?;
    let from = service.as_ref().and_then(|live| mark::annotation(live, INJECT));
    Ok(from
        .and_then(|from| from.split_once('/'))
        .is_some_and(|(_, name)| name == SERVING_SECRET))
}

/// Waits until cert-manager accepts a Certificate, which is never made.
async fn accepts(cluster: &Cluster, patience: Duration) -> Result<(), ClusterError> {
    let give_up = Instant::now() + patience;
    loop {
        let Err(failure) = try_certificate(cluster).await else {
            return Ok(());
        };
        // A webhook of the cluster that takes no part in dry runs says nothing of cert-manager.
        if failure.is_of_dry_runs() {
            return Ok(());
        }
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

/// Whether an apply was refused because cert-manager wrote its bundle since that was read.
pub(super) fn is_overtaken(wanted: &DynamicObject, refused: &ClusterError) -> bool {
    let ClusterError::Request { failure, .. } = refused else {
        return false;
    };
    let mut fields = failure.causes.iter().map(|(field, _)| field);
    ObjectRef::of(wanted).name == API_SERVICE
        && is_injected(wanted)
        && failure.is_conflict()
        && !failure.causes.is_empty()
        && fields.all(|field| field == ".spec.caBundle")
}

/// What is wanted, with the bundle that cert-manager wrote.
pub(super) async fn with_the_bundle_there(
    cluster: &Cluster,
    object: &ObjectRef,
    wanted: &DynamicObject,
) -> Result<DynamicObject, ClusterError> {
    let mut wanted = wanted.clone();
    if let Some(live) = cluster.get(object).await? {
        wanted.data["spec"]["caBundle"] = live.data["spec"]["caBundle"].clone();
    }
    Ok(wanted)
}

/// The annotations of others by which cert-manager would go on to write another bundle into our `APIService`: one that was
/// taken over may have them. What only this program set goes by itself once it is no longer stated.
pub(super) fn foreign_injections(wanted: &DynamicObject, live: &DynamicObject) -> Vec<String> {
    if ObjectRef::of(wanted).name != API_SERVICE {
        return Vec::new();
    }
    let names = live.metadata.annotations.iter().flatten().map(|(name, _)| name);
    let foreign = names
        .filter(|name| name.starts_with(INJECTS) && mark::annotation(wanted, name).is_none())
        .filter(|name| {
            let key = format!("f:{name}");
            applied::managers_of(live, &["f:metadata", "f:annotations", &key]) != [FIELD_MANAGER]
        });
    foreign.cloned().collect()
}

/// Takes annotations away, whoever set them.
pub(super) async fn strip(cluster: &Cluster, object: &ObjectRef, annotations: &[String]) -> Result<(), ClusterError> {
    let api = cluster.api_of(object).await?;
    let gone: serde_json::Map<String, Value> = annotations.iter().map(|name| (name.clone(), Value::Null)).collect();
    let patch = Patch::Merge(json!({"metadata": {"annotations": gone}}));
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let sent = retry::call(|| api.patch(&object.name, &params, &patch)).await;
    sent.map(drop).map_err(|f| ClusterError::on("patch", object, f))
}

#[cfg(test)]
#[path = "authority_tests.rs"]
mod tests;
