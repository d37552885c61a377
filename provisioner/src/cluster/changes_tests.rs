use super::*;
use crate::cluster::fixtures::{components, stack};
use crate::cluster::wire::Wire;

#[tokio::test]
async fn what_a_server_says_of_a_secret_does_not_repeat_its_value() {
    let wire = Wire::default();
    for name in ["web-app", "monitoring", "custom-metrics"] {
        let namespace = serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        wire.put(&format!("/api/v1/namespaces/{name}"), namespace);
    }
    let secret = "/api/v1/namespaces/monitoring/secrets/grafana-admin";
    let plan = async || match plan(&wire.cluster(), &stack(), &components(), Options::default()).await {
        Err(ClusterError::Rejected(problems)) => problems,
        other => panic!("refused: {other:?}"),
    };
    let refusal = serde_json::json!({"code": 422, "reason": "Invalid", "message": "Invalid value: \"hunter2\"",
        "details": {"causes": [{"field": "data.password", "message": "Invalid value: \"hunter2\""}]}});
    wire.state().refusals.insert(secret.to_owned(), refusal);
    let want = "Secret `monitoring/grafana-admin`: refused as Invalid of field `data.password` (HTTP 422)";
    assert_eq!(plan().await, [want]);
    let denied = serde_json::json!({"code": 403, "reason": "Forbidden", "message": "denied: hunter2 is weak"});
    wire.state().refusals.insert(secret.to_owned(), denied);
    let want = "Secret `monitoring/grafana-admin`: refused as Forbidden (HTTP 403)";
    assert_eq!(plan().await, [want]);
}

#[test]
fn conflicts_name_field_and_manager() {
    let failure = Failure {
        code: Some(409),
        reason: "Conflict".to_owned(),
        message: "conflicts".to_owned(),
        causes: vec![(".spec.replicas".to_owned(), "conflict with \"other\"".to_owned())],
        transient: false,
    };
    assert_eq!(
        refusals("Deployment `a/b`", &failure),
        ["Deployment `a/b`: field `.spec.replicas`: conflict with \"other\""]
    );
}
