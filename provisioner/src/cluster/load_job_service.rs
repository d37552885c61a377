//! The app's Service, to which load goes unless it is sent elsewhere.

use serde_json::Value;

use super::{Cluster, ClusterError, ObjectRef};

/// Its name in the shipped manifests, and what its port is called.
const SERVICE: &str = "web-app-service";
const PORT: &str = "http";

/// Where it is: its manifest may give it another port than the shipped one has.
pub(super) async fn url(cluster: &Cluster, namespace: &str) -> Result<String, ClusterError> {
    let service = ObjectRef {
        api_version: "v1".to_owned(),
        kind: "Service".to_owned(),
        namespace: Some(namespace.to_owned()),
        name: SERVICE.to_owned(),
    };
    let no_target = |why: String| ClusterError::NoTarget {
        object: service.to_string(),
        why,
    };
    let live = cluster.get(&service).await?;
    let live = live.ok_or_else(|| no_target("there is none".to_owned()))?;
    let port = port(&live.data).map_err(no_target)?;
    Ok(format!("http://{SERVICE}.{namespace}.svc:{port}/"))
}

/// The port that HTTP is on: the only one, or the one of that name.
fn port(service: &Value) -> Result<u64, String> {
    let ports = service.pointer("/spec/ports").and_then(Value::as_array);
    let ports: Vec<&Value> = ports.into_iter().flatten().collect();
    let found = match ports.as_slice() {
        [only] => Some(only),
        several => several.iter().find(|port| port["name"] == PORT),
    };
    found
        .and_then(|port| port["port"].as_u64())
        .ok_or_else(|| format!("none of its {} ports is named `{PORT}`", ports.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_port_is_the_only_one_or_the_one_that_is_named_so() {
        let of = |ports: Value| port(&json!({"spec": {"ports": ports}}));
        assert_eq!(of(json!([{"port": 80}])), Ok(80));
        let two = json!([{"name": "grpc", "port": 9000}, {"name": "http", "port": 3000}]);
        assert_eq!(of(two), Ok(3000));
        let unnamed = json!([{"name": "a", "port": 1}, {"name": "b", "port": 2}]);
        assert_eq!(of(unnamed), Err("none of its 2 ports is named `http`".to_owned()));
        assert_eq!(of(Value::Null), Err("none of its 0 ports is named `http`".to_owned()));
    }
}
