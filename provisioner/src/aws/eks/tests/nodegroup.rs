use super::*;
use crate::aws::eks::ensure_node_group;
use crate::names::NODE_GROUP;

const CREATE_GROUP: &str = "POST /clusters/demo/node-groups";
const GROUP: &str = "GET /clusters/demo/node-groups/provisioner";
const DELETE_GROUP: &str = "DELETE /clusters/demo/node-groups/provisioner";

fn group(status: &str) -> Value {
    let issues = json!([{"code": "NodeCreationFailure", "message": "did not join", "resourceIds": ["i-1"]}]);
    let issues = if status == "ACTIVE" { json!([]) } else { issues };
    json!({"nodegroup": {"nodegroupName": NODE_GROUP, "status": status, "health": {"issues": issues}}})
}

fn none() -> String {
    error(
        "ResourceNotFoundException",
        "No node group found for name: provisioner.",
    )
}

async fn nodes(wire: &Wire) -> Result<Outcome, AwsError> {
    let described = Wire::default().on(DESCRIBE, 200, cluster("ACTIVE", true));
    let found = find(&described.aws(), "demo", &demo()).await.expect("found");
    let found = found.expect("there");
    ensure_node_group(&wire.aws(), &found, &demo(), &foundation(), &Silent).await
}

#[tokio::test]
async fn a_missing_node_group_is_created_and_waited_for() {
    let wire = Wire::default()
        .on(GROUP, 404, none())
        .on(GROUP, 200, group("CREATING"))
        .on(GROUP, 200, group("ACTIVE"))
        .on(CREATE_GROUP, 200, group("CREATING"));
    assert_eq!(nodes(&wire).await.expect("created"), Outcome::Created);
    let sent: Value = serde_json::from_str(&wire.body(CREATE_GROUP)).expect("JSON");
    assert_eq!(sent["instanceTypes"], json!(["t3.large"]));
    assert_eq!(sent["amiType"], "AL2023_x86_64_STANDARD");
    assert_eq!(
        sent["scalingConfig"],
        json!({"minSize": 1, "maxSize": 3, "desiredSize": 2})
    );
    assert_eq!(sent["subnets"], json!(["subnet-a", "subnet-b"]));
    assert_eq!(sent["nodeRole"], "arn:n");
    assert_eq!(sent["tags"]["provisioner:created"], "true");
}

#[tokio::test]
async fn second_run_changes_no_node_group() {
    let wire = Wire::default().on(GROUP, 200, group("ACTIVE"));
    assert_eq!(nodes(&wire).await.expect("there"), Outcome::Unchanged);
    assert_eq!(wire.calls(), [GROUP]);
}

#[tokio::test]
async fn a_node_group_under_way_is_joined_and_one_that_goes_is_waited_out() {
    let wire = Wire::default()
        .on(GROUP, 200, group("CREATING"))
        .on(GROUP, 200, group("ACTIVE"));
    assert_eq!(nodes(&wire).await.expect("joined"), Outcome::Created);
    let wire = Wire::default()
        .on(GROUP, 200, group("DELETING"))
        .on(GROUP, 404, none())
        .on(GROUP, 200, group("ACTIVE"))
        .on(CREATE_GROUP, 409, error("ResourceInUseException", "exists"));
    assert_eq!(nodes(&wire).await.expect("created"), Outcome::Created);
}

#[tokio::test]
async fn nodes_that_fail_now_are_explained_and_those_that_failed_earlier_are_made_again() {
    let wire = Wire::default()
        .on(GROUP, 200, group("CREATE_FAILED"))
        .on(GROUP, 404, none())
        .on(GROUP, 200, group("CREATE_FAILED"))
        .on(DELETE_GROUP, 200, group("DELETING"))
        .on(CREATE_GROUP, 200, group("CREATING"));
    let failed = nodes(&wire).await.expect_err("failed again");
    insta::assert_snapshot!(failed, @"node group `provisioner` is CREATE_FAILED: NodeCreationFailure: did not join (i-1)");
    assert_eq!(wire.calls(), [GROUP, DELETE_GROUP, GROUP, CREATE_GROUP, GROUP]);
}

#[tokio::test]
async fn a_node_role_that_is_not_seen_yet_is_waited_for() {
    let message =
        "Role with arn: arn:n, could not be assumed because it does not exist or the trusted entity is not correct";
    let wire = Wire::default()
        .on(GROUP, 404, none())
        .on(GROUP, 200, group("ACTIVE"))
        .on(CREATE_GROUP, 400, error("InvalidParameterException", message))
        .on(CREATE_GROUP, 200, group("CREATING"));
    assert_eq!(nodes(&wire).await.expect("created"), Outcome::Created);
    assert_eq!(wire.calls(), [GROUP, CREATE_GROUP, CREATE_GROUP, GROUP]);
}

#[tokio::test]
async fn a_quota_of_node_groups_is_named_at_once() {
    let wire = Wire::default().on(GROUP, 404, none()).on(
        CREATE_GROUP,
        400,
        error("ResourceLimitExceededException", "too many"),
    );
    let refused = nodes(&wire).await.expect_err("refused");
    assert!(
        refused
            .hint()
            .is_some_and(|hint| hint.contains("`Managed node groups per cluster`"))
    );
    assert_eq!(wire.calls(), [GROUP, CREATE_GROUP]);
}
