use super::*;
use crate::aws::eks::delete;

const DELETE: &str = "DELETE /clusters/demo";

async fn remove(wire: &Wire) -> Result<Outcome, AwsError> {
    delete(&wire.aws(), "demo", &demo(), &Silent).await
}

#[tokio::test]
async fn a_cluster_that_we_did_not_create_is_not_deleted() {
    let wire = Wire::default().on(DESCRIBE, 200, cluster("ACTIVE", false));
    let error = remove(&wire).await.expect_err("refused");
    assert!(matches!(error, AwsError::NotOurs { .. }));
    insta::assert_snapshot!(error, @"cluster `demo` was not created by this stack");
    assert_eq!(wire.calls(), [DESCRIBE]);
}

#[tokio::test]
async fn a_protected_cluster_is_not_deleted() {
    let mut protected = cluster("ACTIVE", true);
    protected["cluster"]["deletionProtection"] = json!(true);
    let wire = Wire::default().on(DESCRIBE, 200, protected);
    let error = remove(&wire).await.expect_err("refused");
    assert!(matches!(error, AwsError::Protected { .. }));
    assert!(error.hint().is_some_and(|h| h.contains("--no-deletion-protection")));
    assert_eq!(wire.calls(), [DESCRIBE]);
}

#[tokio::test]
async fn deleting_takes_creation_node_groups_and_addons_in_turn() {
    let groups = "GET /clusters/demo/node-groups";
    let group = "GET /clusters/demo/node-groups/ng";
    let wire = Wire::default()
        .on(DESCRIBE, 200, cluster("CREATING", true))
        .on(DESCRIBE, 200, cluster("ACTIVE", true))
        .on(DESCRIBE, 200, cluster("ACTIVE", true))
        .on(DESCRIBE, 200, cluster("ACTIVE", true))
        .on(DESCRIBE, 200, cluster("DELETING", true))
        .on(DESCRIBE, 404, absent())
        .on("GET /clusters/demo/addons", 200, json!({"addons": ["metrics-server"]}))
        .on("DELETE /clusters/demo/addons/metrics-server", 200, "{}")
        .on(groups, 200, json!({"nodegroups": ["ng"]}))
        .on(groups, 200, json!({"nodegroups": []}))
        .on(
            group,
            200,
            json!({"nodegroup": {"nodegroupName": "ng", "status": "ACTIVE"}}),
        )
        .on("DELETE /clusters/demo/node-groups/ng", 200, "{}")
        .on(DELETE, 409, error("ResourceInUseException", "update in progress"))
        .on(DELETE, 200, cluster("DELETING", true));
    assert_eq!(remove(&wire).await.expect("deleted"), Outcome::Deleted);
    let deletions: Vec<_> = wire.calls().into_iter().filter(|c| c.starts_with("DELETE")).collect();
    assert_eq!(
        deletions,
        [
            "DELETE /clusters/demo/addons/metrics-server",
            "DELETE /clusters/demo/node-groups/ng",
            DELETE,
            DELETE
        ]
    );
}

#[tokio::test]
async fn deleting_nothing_is_no_change() {
    let wire = Wire::default().on(DESCRIBE, 404, absent());
    assert_eq!(remove(&wire).await.expect("nothing"), Outcome::Unchanged);
}
