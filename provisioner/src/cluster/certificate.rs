//! Our own certificate authority and the serving certificate of the custom metrics API.
//!
//! Both live in Secrets, are read before they are written, and are renewed by any run when a third of their life is
//! left. Where the authority is renewed the old one stays in the bundle until it ends, so that no moment is without
//! trust. Nothing here writes to the cluster: the manifests do.

mod flaw;

use std::fmt;

pub use flaw::{Flaw, flaw};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use pem::{EncodeConfig, LineEnding};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::authority::{self, Authority};
use super::connect::Cluster;
use super::error::ClusterError;
use super::object::ObjectRef;
use super::stored;
use crate::names::{FIELD_MANAGER, LABEL_MANAGED_BY};

/// The Secret with the authority and its key.
pub const CA_SECRET: &str = "provisioner-ca";
/// The Secret with the serving certificate and its key.
pub const SERVING_SECRET: &str = "cm-adapter-serving-certs";
/// The Service whose name the serving certificate bears.
pub const SERVICE: &str = "custom-metrics-apiserver";

/// What clients reach that Service through, and where they learn whom to trust.
pub(crate) const API_SERVICE: &str = "v1beta1.custom.metrics.k8s.io";

const CA_YEARS: i32 = 10;
const SERVING_YEARS: i32 = 1;

/// Certificates and keys, PEM.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Certificates {
    /// Who signs. Where cert-manager does, only `ca_bundle` is known here.
    pub authority: Authority,
    /// The authority; after a renewal the former one follows until it ends.
    pub ca_certificate: String,
    /// Its key.
    pub ca_key: String,
    /// What clients trust: the same text as `ca_certificate`, or what cert-manager wrote.
    pub ca_bundle: String,
    /// The serving certificate.
    pub serving_certificate: String,
    /// Its key.
    pub serving_key: String,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates")
            .field("authority", &self.authority)
            .field("ca_certificate", &self.ca_certificate)
            .field("serving_certificate", &self.serving_certificate)
            .finish_non_exhaustive()
    }
}

/// The certificates in the cluster, renewed where needed; new ones where there are none. `namespace` is the custom
/// metrics API server's. Where cert-manager signs, that is its business: clients go on trusting whom they trust until it
/// says otherwise.
pub async fn prepare(
    cluster: &Cluster,
    namespace: &str,
    authority: Authority,
    now: Timestamp,
) -> Result<Certificates, ClusterError> {
    let trusted = trusted(cluster, namespace).await?;
    if authority == Authority::CertManager {
        return Ok(Certificates {
            authority,
            ca_bundle: trusted.bundle,
            ..Certificates::default()
        });
    }
    let read = async |name: &'static str| -> Result<Pair, ClusterError> {
        let data = stored::secret(cluster, namespace, name).await?.unwrap_or_default();
        let text = |key: &str| data.get(key).map(|b| String::from_utf8_lossy(b).into_owned());
        Ok(Pair {
            certificate: text("tls.crt").unwrap_or_default(),
            key: text("tls.key").unwrap_or_default(),
        })
    };
    let (mut ca, serving) = futures::try_join!(read(CA_SECRET), read(SERVING_SECRET))?;
    if with(&ca.certificate, |_| ()).is_none() {
        // The Secret is gone or broken: what clients trust still says who the former authority was.
        ca = Pair {
            certificate: trusted.bundle,
            key: String::new(),
        };
    } else if trusted.is_injected {
        // cert-manager signed so far, and its certificate is served until the pods have changed over.
        ca.certificate = beside(ca.certificate, &trusted.bundle, now);
    }
    renew(&ca, &serving, namespace, now)
}

/// Whom the API server trusts for our server.
#[derive(Debug, Default)]
struct Trusted {
    /// PEM; empty where the `APIService` is absent or another's.
    bundle: String,
    /// Whether cert-manager wrote it.
    is_injected: bool,
}

async fn trusted(cluster: &Cluster, namespace: &str) -> Result<Trusted, ClusterError> {
    let object = ObjectRef {
        api_version: "apiregistration.k8s.io/v1".to_owned(),
        kind: "APIService".to_owned(),
        namespace: None,
        name: API_SERVICE.to_owned(),
    };
    let Some(live) = cluster.get(&object).await? else {
        return Ok(Trusted::default());
    };
    let is_injected = authority::is_injected(&live);
    let labels = live.metadata.labels.unwrap_or_default();
    let spec = &live.data["spec"];
    let ours = labels.get(LABEL_MANAGED_BY).is_some_and(|by| by == FIELD_MANAGER)
        && spec["service"]["name"] == SERVICE
        && spec["service"]["namespace"] == namespace;
    let bundle = spec["caBundle"].as_str().filter(|_| ours);
    let bundle = bundle.and_then(|text| STANDARD.decode(text).ok());
    Ok(Trusted {
        bundle: String::from_utf8_lossy(&bundle.unwrap_or_default()).into_owned(),
        is_injected,
    })
}

/// The certificate that the custom metrics API is served with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Serving {
    /// When it ends.
    #[serde(serialize_with = "as_text")]
    pub ends_at: Timestamp,
    /// Whether less than a third of its life is left: it should have been renewed.
    pub is_due: bool,
    /// Who renews it.
    pub authority: Authority,
}

fn as_text<S: serde::Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

/// What the stack's adapter serves with; none where there is no adapter, or it serves with something of others.
pub async fn serving(cluster: &Cluster, namespace: &str, now: Timestamp) -> Result<Option<Serving>, ClusterError> {
    let deployment = ObjectRef {
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        namespace: Some(namespace.to_owned()),
        name: SERVICE.to_owned(),
    };
    let Some(live) = cluster.get(&deployment).await? else {
        return Ok(None);
    };
    let Some(authority) = Authority::of_adapter(&live.data) else {
        return Ok(None);
    };
    let data = stored::secret(cluster, namespace, authority.serving_secret()).await?;
    let pem = data.and_then(|mut data| data.remove("tls.crt")).unwrap_or_default();
    let pem = String::from_utf8_lossy(&pem);
    Ok(ends(&pem).map(|ends_at| Serving {
        ends_at,
        is_due: is_due(&pem, now),
        authority,
    }))
}

/// A certificate with its key, PEM; empty where absent.
#[derive(Debug, Clone, Default)]
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// Keeps what is good for long enough, makes the rest anew.
pub(super) fn renew(ca: &Pair, serving: &Pair, namespace: &str, now: Timestamp) -> Result<Certificates, ClusterError> {
    let keep_ca = !is_due(&ca.certificate, now) && KeyPair::from_pem(&ca.key).is_ok();
    let authority = if keep_ca {
        ca.clone()
    } else {
        authority(&ca.certificate, now)?
    };
    let keep_serving = keep_ca
        && !is_due(&serving.certificate, now)
        && KeyPair::from_pem(&serving.key).is_ok()
        && is_for(&serving.certificate, &authority.certificate, &host(namespace));
    let serving = if keep_serving {
        serving.clone()
    } else {
        issue(&authority, namespace, now)?
    };
    Ok(Certificates {
        authority: Authority::Own,
        ca_bundle: authority.certificate.clone(),
        ca_certificate: authority.certificate,
        ca_key: authority.key,
        serving_certificate: serving.certificate,
        serving_key: serving.key,
    })
}

/// When the first certificate of a PEM text ends; none where it is unreadable.
pub fn ends(pem: &str) -> Option<Timestamp> {
    with(pem, |c| c.validity().not_after.timestamp()).and_then(|s| Timestamp::from_second(s).ok())
}

/// Whether less than a third of a certificate's life is left, or it is unreadable.
pub fn is_due(pem: &str, now: Timestamp) -> bool {
    let validity = |c: &X509Certificate<'_>| (c.validity().not_before.timestamp(), c.validity().not_after.timestamp());
    with(pem, validity).is_none_or(|(start, end)| end - now.as_second() < (end - start) / 3)
}

/// Whether `authority` signed the certificate and it bears `host`.
fn is_for(certificate: &str, authority: &str, host: &str) -> bool {
    let signed = with(authority, |ca| {
        with(certificate, |c| {
            c.issuer() == ca.subject() && key_id(c, true).is_some() && key_id(c, true) == key_id(ca, false)
        })
    });
    let named = with(certificate, |c| {
        let names = c.subject_alternative_name().ok().flatten();
        names.is_some_and(|n| n.value.general_names.contains(&GeneralName::DNSName(host)))
    });
    signed.flatten() == Some(true) && named == Some(true)
}

fn key_id(certificate: &X509Certificate<'_>, of_issuer: bool) -> Option<Vec<u8>> {
    use x509_parser::extensions::ParsedExtension;
    certificate
        .extensions()
        .iter()
        .find_map(|e| match e.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) if of_issuer => {
                id.key_identifier.as_ref().map(|k| k.0.to_vec())
            }
            ParsedExtension::SubjectKeyIdentifier(id) if !of_issuer => Some(id.0.to_vec()),
            _ => None,
        })
}

fn with<T>(pem: &str, read: impl FnOnce(&X509Certificate<'_>) -> T) -> Option<T> {
    let first = pem::parse(pem).ok()?;
    let (_, certificate) = X509Certificate::from_der(first.contents()).ok()?;
    Some(read(&certificate))
}

fn host(namespace: &str) -> String {
    format!("{SERVICE}.{namespace}.svc")
}

/// A new authority; former ones that have not ended follow it: a run that was interrupted may have made one already.
fn authority(former: &str, now: Timestamp) -> Result<Pair, ClusterError> {
    let mut params = lifetime(CertificateParams::default(), CA_YEARS, now)?;
    params
        .distinguished_name
        .push(DnType::CommonName, "provisioner custom metrics CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    // Clients find the signer by it among an old and a new authority of the same name.
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().map_err(|e| failed(&e))?;
    let certificate = params.self_signed(&key).map_err(|e| failed(&e))?.pem();
    Ok(Pair {
        certificate: beside(certificate, former, now),
        key: key.serialize_pem(),
    })
}

/// A bundle and what of another one has not ended and is not in it yet.
fn beside(mut bundle: String, other: &str, now: Timestamp) -> String {
    let known = pem::parse_many(&bundle).unwrap_or_default();
    for block in pem::parse_many(other).unwrap_or_default() {
        let text = pem::encode_config(&block, EncodeConfig::new().set_line_ending(LineEnding::LF));
        let is_known = known.iter().any(|one| one.contents() == block.contents());
        if !is_known && ends(&text).is_some_and(|end| end > now) {
            bundle.push_str(&text);
        }
    }
    bundle
}

fn issue(authority: &Pair, namespace: &str, now: Timestamp) -> Result<Pair, ClusterError> {
    let host = host(namespace);
    let names = vec![
        host.clone(),
        format!("{host}.cluster.local"),
        format!("{SERVICE}.{namespace}"),
    ];
    let params = CertificateParams::new(names).map_err(|e| failed(&e))?;
    let mut params = lifetime(params, SERVING_YEARS, now)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, SERVICE);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let ca_key = KeyPair::from_pem(&authority.key).map_err(|e| failed(&e))?;
    let issuer = Issuer::from_ca_cert_pem(&authority.certificate, ca_key).map_err(|e| failed(&e))?;
    let key = KeyPair::generate().map_err(|e| failed(&e))?;
    let certificate = params.signed_by(&key, &issuer).map_err(|e| failed(&e))?;
    Ok(Pair {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}

/// From yesterday, for clocks that are behind, to `years` from today.
fn lifetime(mut params: CertificateParams, years: i32, now: Timestamp) -> Result<CertificateParams, ClusterError> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let day = |date: jiff::civil::Date| {
        let (month, day) = (date.month().unsigned_abs(), date.day().unsigned_abs());
        rcgen::date_time_ymd(i32::from(date.year()), month, day)
    };
    params.not_before = day(today.checked_sub(1.day()).map_err(|e| failed(&e))?);
    params.not_after = day(today.checked_add(years.years()).map_err(|e| failed(&e))?);
    Ok(params)
}

fn failed(error: &dyn std::error::Error) -> ClusterError {
    ClusterError::Certificate {
        verb: "make",
        message: error.to_string(),
    }
}

/// An authority and a serving certificate in the default namespace, made at `now`.
#[cfg(test)]
pub(crate) fn made_for_tests(now: Timestamp) -> Certificates {
    let nothing = Pair::default();
    renew(&nothing, &nothing, "custom-metrics", now).expect("certificates can be made")
}

#[cfg(test)]
#[path = "certificate_tests.rs"]
mod tests;
