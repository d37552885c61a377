//! Values that are made once and then live in a Secret of the cluster: read before written.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::connect::Cluster;
use super::error::ClusterError;
use super::object::ObjectRef;

/// The decoded data of a Secret; none where it is absent.
pub(super) async fn secret(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
) -> Result<Option<BTreeMap<String, Vec<u8>>>, ClusterError> {
    let object = ObjectRef {
        api_version: "v1".to_owned(),
        kind: "Secret".to_owned(),
        namespace: Some(namespace.to_owned()),
        name: name.to_owned(),
    };
    let Some(live) = cluster.get(&object).await? else {
        return Ok(None);
    };
    let fields = live.data.get("data").and_then(|d| d.as_object()).cloned();
    Ok(Some(
        fields
            .unwrap_or_default()
            .into_iter()
            .filter_map(|(key, value)| Some((key, STANDARD.decode(value.as_str()?).ok()?)))
            .collect(),
    ))
}
