//! Grafana's admin password: random, made once, kept while its Secret exists.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::connect::Cluster;
use super::error::ClusterError;
use super::stored;

/// The Secret with the password under the key `password`.
pub const SECRET: &str = "grafana-admin";

/// The password in the cluster; none where Grafana is not part of the stack.
///
/// # Errors
/// The Secret cannot be read.
pub async fn stored(cluster: &Cluster, namespace: &str) -> Result<Option<String>, ClusterError> {
    let data = stored::secret(cluster, namespace, SECRET).await?;
    let bytes = data.and_then(|mut data| data.remove("password"));
    Ok(bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|text| !text.is_empty()))
}

/// The password in the cluster, else a new one. Writes nothing: the manifests do.
pub async fn prepare(cluster: &Cluster, namespace: &str) -> Result<String, ClusterError> {
    match stored(cluster, namespace).await? {
        Some(password) => Ok(password),
        None => random(),
    }
}

/// 144 random bits as text.
pub fn random() -> Result<String, ClusterError> {
    let mut bytes = [0_u8; 18];
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| ClusterError::Certificate {
            verb: "make random bytes for",
            message: "the system has none".to_owned(),
        })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
